//! Who may come in: the token is verified and the method's rule enforced here already, and calls are counted. The
//! services verify for themselves all the same.

use std::{
    net::IpAddr,
    sync::{Arc, Once},
};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
};
use chassis::{Caller, Refusal, auth::AuthLayer, connections::Peer};
use http::{Extensions, HeaderMap};
use tonic::{Code, Status};

use crate::{
    contract::{Method, OWN},
    limits::{self, Limits},
    transcode::error,
};

/// The check that every call passes.
pub struct Door {
    auth: AuthLayer,
    limits: Limits,
    trusted_proxies: usize,
    /// Told once that a proxy is not trusted.
    untrusted: Once,
}

impl Door {
    /// A door; `trusted_proxies` is how many proxies of our own stand before it.
    #[must_use]
    pub fn new(auth: AuthLayer, limits: Limits, trusted_proxies: usize) -> Self {
        Self {
            auth,
            limits,
            trusted_proxies,
            untrusted: Once::new(),
        }
    }

    /// Lets a call in, and says who makes it.
    pub async fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Option<Caller>, Status> {
        let address = limits::Caller::address(address);
        match self.auth.admit(&method.path, headers).await {
            Ok(Some(caller)) => {
                let principal = limits::Caller::Principal(caller.id());
                self.limits.take(principal, !method.reads)?;
                Ok(Some(caller))
            }
            Ok(None) => {
                self.limits.take(address, !method.reads)?;
                Ok(None)
            }
            // Who guesses tokens is counted too.
            Err(status) => {
                self.limits.take(address, false)?;
                Err(status)
            }
        }
    }

    /// Counts a request that needs no token, such as one to the sign-in pages.
    pub fn count(&self, address: IpAddr) -> Result<(), Status> {
        self.limits.take(limits::Caller::address(address), false)
    }

    /// Counts the requests to these routes, which need no token.
    pub fn counted(self: &Arc<Self>, routes: Router) -> Router {
        let door = self.clone();
        routes.layer(middleware::from_fn(move |request: Request, next: Next| {
            let door = door.clone();
            async move {
                let address = door.address(request.extensions(), request.headers());
                match door.count(address) {
                    Ok(()) => next.run(request).await,
                    Err(status) => error::response(&status).map(axum::body::Body::new),
                }
            }
        }))
    }

    /// Where a request comes from: the connection's peer, or what the outermost of our own proxies saw.
    #[must_use]
    pub fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
        let peer = extensions
            .get::<Peer>()
            .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        if self.trusted_proxies == 0 {
            if headers.contains_key("x-forwarded-for") {
                self.untrusted.call_once(|| {
                    tracing::warn!(
                        "x-forwarded-for comes from a proxy that is not trusted: all callers behind it count as one \
                         address unless CIVICMESH_TRUSTED_PROXIES says how many proxies are our own"
                    );
                });
            }
            return peer;
        }
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let hops: Vec<_> = forwarded
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        // Each proxy appends what it saw; what is further left was said by strangers.
        let seen = hops.len().checked_sub(self.trusted_proxies);
        seen.and_then(|index| hops[index].parse().ok())
            .unwrap_or(peer)
    }
}

/// There is no such method.
#[must_use]
pub fn no_such_method() -> Status {
    Refusal::new(
        Code::Unimplemented,
        "NO_SUCH_METHOD",
        "không có phương thức này",
        "there is no such method",
    )
    .into_status(OWN)
}
