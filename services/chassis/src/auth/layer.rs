//! The tower layer in front of every gRPC service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{
    Caller, Verifier, directory_unavailable, permission_missing, token_invalid, token_missing,
};
use crate::{
    Refusal,
    access::{Rule, Rules},
    directory::{Directory, MESH_PERMISSION},
};

/// Headers that claim an identity. Only the token says who calls.
const IDENTITY_HEADERS: [&str; 4] = ["x-user", "x-auth", "x-remote-", "x-forwarded-user"];

/// Services that come with the server and are open to anybody: probes and tools.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Verifies the token, enforces the method's rule, and puts the `Caller` into the request's extensions.
#[derive(Clone)]
pub struct AuthLayer {
    rules: Arc<Rules>,
    verifier: Verifier,
    directory: Directory,
}

impl AuthLayer {
    /// The layer for a server of these methods.
    #[must_use]
    pub fn new(rules: Rules, verifier: Verifier, directory: Directory) -> Self {
        Self {
            rules: Arc::new(rules),
            verifier,
            directory,
        }
    }

    /// The caller of a call to a path, if it may be made. Also for the gateway, which serves no methods itself.
    pub async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Caller>, Status> {
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(None);
        }
        let Some(rule) = self.rules.of(path) else {
            return Err(Status::unimplemented("no such method"));
        };
        let caller = self.caller(headers).await?;
        match (rule, &caller) {
            (Rule::Public, _) | (Rule::SignedIn, Some(_)) => {}
            (_, None) => return Err(token_missing().into()),
            (Rule::Permission(permission), Some(caller)) => self.check(caller, permission)?,
            (Rule::Service, Some(caller)) if caller.is_service() => {
                self.check(caller, MESH_PERMISSION)?;
            }
            (Rule::Service, Some(_)) => return Err(permission_missing(MESH_PERMISSION).into()),
        }
        Ok(caller)
    }

    fn check(&self, caller: &Caller, permission: &str) -> Result<(), Refusal> {
        if caller.holds(permission) {
            Ok(())
        } else if self.directory.is_loaded() {
            Err(permission_missing(permission))
        } else {
            Err(directory_unavailable())
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(token_invalid());
        }
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(token_invalid)?;
        let claims = self.verifier.verify(token).await?;
        let caller = Caller::new(claims, self.directory.clone());
        caller.demand_current()?;
        Ok(Some(caller))
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that `AuthLayer` makes.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    layer: AuthLayer,
}

impl<S, B> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone may not be ready; the one that was polled is taken.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let admitted = layer.admit(request.uri().path(), request.headers()).await;
            strip(request.headers_mut());
            match admitted {
                Ok(Some(caller)) => {
                    request.extensions_mut().insert(caller);
                }
                Ok(None) => {}
                Err(status) => return Ok(status.into_http()),
            }
            inner.call(request).await
        })
    }
}

/// Removes what claims an identity, the verified token too, so that no handler or log comes by it.
fn strip(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    let claimed: Vec<_> = headers
        .keys()
        .filter(|name| {
            IDENTITY_HEADERS
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proto::identity::v1::{SessionRevoked, export_directory_response::Entry};
    use tonic::Code;

    use super::*;
    use crate::testing::{self, City};

    const PUBLIC: &str = "/civicmesh.identity.v1.TokenService/GetKeys";
    const SIGNED_IN: &str = "/civicmesh.identity.v1.AccountService/GetMyProfile";
    const PERMISSION: &str = "/civicmesh.identity.v1.AuditService/ListAuditEntries";
    const SERVICE: &str = "/civicmesh.identity.v1.DirectoryService/ExportDirectory";

    fn layer(city: &City) -> AuthLayer {
        let rules = Rules::read(&proto::DESCRIPTORS, &[]).unwrap();
        AuthLayer::new(rules, testing::verifier(), city.directory())
    }

    fn headers(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            format!("Bearer {token}").parse().unwrap(),
        );
        headers
    }

    async fn code(layer: &AuthLayer, path: &str, headers: &HeaderMap) -> Code {
        layer
            .admit(path, headers)
            .await
            .map_or_else(|status| status.code(), |_| Code::Ok)
    }

    #[tokio::test]
    async fn each_rule_is_enforced() {
        let mut city = City::new();
        city.role("inspector", &["audit.read"]);
        city.role("integrator", &["indicators.read"]);
        let inspector = city.person("Inspector", city.root);
        city.grant(&inspector, "inspector", city.root, &[]);
        let clerk = city.person("Clerk", city.root);
        let mesh = city.mesh("feedback");
        let robot = city.service("robot", "integrator");
        let layer = layer(&city);
        let table = [
            (
                HeaderMap::new(),
                [
                    Code::Ok,
                    Code::Unauthenticated,
                    Code::Unauthenticated,
                    Code::Unauthenticated,
                ],
            ),
            (headers("rubbish"), [Code::Unauthenticated; 4]),
            (
                headers(&testing::token(&clerk)),
                [
                    Code::Ok,
                    Code::Ok,
                    Code::PermissionDenied,
                    Code::PermissionDenied,
                ],
            ),
            (
                headers(&testing::token(&inspector)),
                [Code::Ok, Code::Ok, Code::Ok, Code::PermissionDenied],
            ),
            (
                headers(&testing::service_token(&robot)),
                [
                    Code::Ok,
                    Code::Ok,
                    Code::PermissionDenied,
                    Code::PermissionDenied,
                ],
            ),
            (
                headers(&testing::service_token(&mesh)),
                [Code::Ok, Code::Ok, Code::PermissionDenied, Code::Ok],
            ),
        ];
        for (index, (headers, expected)) in table.iter().enumerate() {
            for (path, expected) in [PUBLIC, SIGNED_IN, PERMISSION, SERVICE]
                .iter()
                .zip(expected)
            {
                assert_eq!(
                    code(&layer, path, headers).await,
                    *expected,
                    "{index} {path}"
                );
            }
        }
        assert_eq!(
            code(
                &layer,
                "/civicmesh.identity.v1.TokenService/Other",
                &HeaderMap::new()
            )
            .await,
            Code::Unimplemented
        );
    }

    #[tokio::test]
    async fn an_ended_session_and_a_disabled_account_are_refused() {
        let mut city = City::new();
        let clerk = city.person("Clerk", city.root);
        let layer = layer(&city);
        let headers = headers(&testing::token(&clerk));
        let caller = layer.admit(SIGNED_IN, &headers).await.unwrap().unwrap();
        assert_eq!(caller.id(), clerk);
        layer
            .directory
            .apply([Entry::SessionRevoked(SessionRevoked {
                session_id: caller.claims().sid.clone().unwrap(),
                revoke_time: None,
            })]);
        assert_eq!(
            code(&layer, SIGNED_IN, &headers).await,
            Code::Unauthenticated
        );

        let headers = self::headers(&testing::token(&clerk));
        assert_eq!(code(&layer, SIGNED_IN, &headers).await, Code::Ok);
        let mut principal = city.principal(&clerk);
        principal.disabled = true;
        layer.directory.apply([Entry::Principal(principal)]);
        assert_eq!(
            code(&layer, SIGNED_IN, &headers).await,
            Code::Unauthenticated
        );
    }

    #[test]
    fn claimed_identities_are_stripped() {
        let mut headers = headers("x");
        for name in ["x-user-id", "x-remote-user", "x-auth-request-email"] {
            headers.insert(name, "admin".parse().unwrap());
        }
        headers.insert("x-request-id", "1".parse().unwrap());
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
