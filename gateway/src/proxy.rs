//! Plain HTTP of the services that speak a standard of their own over it, passed through as it is.

use std::{net::IpAddr, sync::Arc};

use axum::{Router, extract::Request, routing::any};
use chassis::mesh::{Mesh, MeshChannel};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, Version,
    header::{
        CONNECTION, COOKIE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body_util::Full;
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use crate::{
    body,
    door::Door,
    grpc::ADDRESS_HEADER,
    session::{COOKIE as SESSION, PENDING},
    transcode::error,
};

/// Whose paths they are: OpenID Connect.
const PROXIED: [(&str, &str); 2] = [("/oauth2", "identity"), ("/.well-known", "identity")];

/// Forms and small documents; uploads go through the contract.
const BODY_LIMIT: usize = 1024 * 1024;

/// What belongs to one connection, not to the message.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Routes to the services.
pub fn routes(mesh: &Mesh, door: &Arc<Door>, public_url: &str) -> Router {
    let mut router = Router::new();
    for (prefix, service) in PROXIED {
        let proxy = Proxy {
            channel: mesh.channel(service).pass_through(),
            door: door.clone(),
            public_url: public_url.into(),
        };
        let serve = async move |request: Request| proxy.serve(request).await;
        router = router
            .route(prefix, any(serve.clone()))
            .route(&format!("{prefix}/{{*rest}}"), any(serve));
    }
    router
}

#[derive(Clone)]
struct Proxy {
    channel: MeshChannel,
    door: Arc<Door>,
    public_url: Arc<str>,
}

impl Proxy {
    async fn serve(self, request: Request) -> Response<Body> {
        let address = self.door.address(request.extensions(), request.headers());
        let (mut parts, body) = request.into_parts();
        let body = match body::read(Body::new(body), BODY_LIMIT).await {
            Ok(body) => body,
            Err(unread) => {
                let (http, status) = unread.told();
                return error::response_as(http, &status);
            }
        };
        self.prepare(&mut parts.headers, address);
        let mut outgoing = http::Request::new(Body::new(Full::new(body)));
        *outgoing.method_mut() = parts.method;
        *outgoing.uri_mut() = parts
            .uri
            .path_and_query()
            .and_then(|path| path.as_str().parse().ok())
            .unwrap_or_default();
        *outgoing.version_mut() = Version::HTTP_2;
        *outgoing.headers_mut() = parts.headers;
        let answer = self.channel.oneshot(outgoing).await;
        let mut answer = answer.unwrap_or_else(|never| match never {});
        // The mesh tells its own failures as gRPC does.
        if let Some(status) = Status::from_header_map(answer.headers())
            && status.code() != Code::Ok
        {
            return error::response(&status);
        }
        for name in &HOP_BY_HOP {
            answer.headers_mut().remove(name);
        }
        answer
    }

    fn prepare(&self, headers: &mut HeaderMap, address: IpAddr) {
        let claimed: Vec<_> = headers
            .keys()
            .filter(|name| is_claim(name.as_str()) || HOP_BY_HOP.contains(name))
            .cloned()
            .collect();
        for name in claimed {
            headers.remove(name);
        }
        headers.remove(HOST);
        let (scheme, host) = self.public_url.split_once("://").unwrap_or(("http", ""));
        for (name, value) in [
            (ADDRESS_HEADER, address.to_string()),
            ("x-forwarded-proto", scheme.to_owned()),
            ("x-forwarded-host", host.to_owned()),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        let cookies = others(headers);
        headers.remove(COOKIE);
        if let Some(cookies) = cookies {
            headers.insert(COOKIE, cookies);
        }
    }
}

fn is_claim(name: &str) -> bool {
    [
        "x-forwarded-",
        "forwarded",
        "x-user",
        "x-auth",
        "x-remote-",
        "x-real-ip",
        "grpc-",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// The cookies of a request but for our own, which are nobody else's business.
fn others(headers: &HeaderMap) -> Option<HeaderValue> {
    let pairs: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && name != SESSION && name != PENDING
        })
        .collect();
    let joined = pairs.join("; ");
    HeaderValue::try_from(joined)
        .ok()
        .filter(|value| !value.is_empty())
}
