//! gRPC passes through without being decoded: the path says whose method it is.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use chassis::{
    Refusal,
    mesh::{Mesh, MeshChannel},
};
use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, Version,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::{Code, Status, body::Body, service::Routes};
use tower::{Service, ServiceExt as _};

use crate::{
    contract::{Contract, Method, OWN, Owner},
    door::{Door, no_such_method},
    session::Session,
};

/// Names the service whose feed is meant, for methods that every service serves.
pub const SERVICE_HEADER: &str = "civicmesh-service";

/// Tells services the caller's address; what the caller itself says of that does not come in.
pub const ADDRESS_HEADER: &str = "x-forwarded-for";

/// All that goes on to a service. Whatever else a caller sends claims something that only the token may say.
const PASSED: [HeaderName; 8] = [
    ACCEPT_LANGUAGE,
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-timeout"),
    TE,
    USER_AGENT,
];

/// Probes and tools, served here and open to anybody.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// The address of a caller, put into a request's extensions where it cannot be read from the connection any more.
#[derive(Clone, Copy, Debug)]
pub struct Address(pub IpAddr);

/// The service that takes calls in and sends them on.
#[derive(Clone)]
pub struct PassThrough {
    shared: Arc<Shared>,
    local: Routes,
}

struct Shared {
    contract: Arc<Contract>,
    door: Arc<Door>,
    session: Arc<Session>,
    channels: HashMap<String, MeshChannel>,
    body_limit: usize,
}

impl PassThrough {
    /// Sends calls to the services of the contract; `local` are the gateway's own.
    #[must_use]
    pub fn new(
        contract: Arc<Contract>,
        door: Arc<Door>,
        session: Arc<Session>,
        mesh: &Mesh,
        local: Routes,
        body_limit: usize,
    ) -> Self {
        let channels = contract
            .services()
            .map(|name| (name.to_owned(), mesh.channel(name).pass_through()))
            .collect();
        let shared = Shared {
            contract,
            door,
            session,
            channels,
            body_limit,
        };
        Self {
            shared: Arc::new(shared),
            local: local.prepare(),
        }
    }

    async fn serve(self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let attached = match self.shared.session.attach(&mut parts.headers, true).await {
            Ok(attached) => attached,
            Err(refused) => return refused.into_grpc(),
        };
        let request = Request::from_parts(parts, body);
        let mut response = match self.route(request).await {
            Ok(response) => response,
            Err(status) => status.into_http(),
        };
        attached.apply(response.headers_mut());
        response
    }

    async fn route(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let shared = &self.shared;
        let address = match request.extensions().get::<Address>() {
            Some(address) => address.0,
            None => shared.door.address(request.extensions(), request.headers()),
        };
        let path = request.uri().path();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            shared.door.count(address)?;
            return Ok(local(self.local, request).await);
        }
        let method = shared.contract.method(path).ok_or_else(no_such_method)?;
        let caller = shared
            .door
            .admit(method, request.headers(), address)
            .await?;
        let service = shared.upstream(method, request.headers())?;
        if service == OWN {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            return Ok(local(self.local, request).await);
        }
        let channel = shared.channels.get(service).ok_or_else(no_such_method)?;
        let request = outgoing(request, address, shared.body_limit);
        let response = channel.clone().oneshot(request).await;
        Ok(response.unwrap_or_else(|never| match never {}))
    }
}

impl Shared {
    fn upstream<'a>(&self, method: &'a Method, headers: &'a HeaderMap) -> Result<&'a str, Status> {
        match &method.owner {
            Owner::Service(name) => Ok(name),
            Owner::Named => headers
                .get(SERVICE_HEADER)
                .and_then(|name| name.to_str().ok())
                .filter(|name| self.contract.has_service(name))
                .ok_or_else(|| unknown_service().into_status(OWN)),
        }
    }
}

fn unknown_service() -> Refusal {
    Refusal::new(
        Code::InvalidArgument,
        "UNKNOWN_SERVICE",
        format!("hãy nêu tên dịch vụ trong {SERVICE_HEADER}"),
        format!("name the service in {SERVICE_HEADER}"),
    )
}

async fn local(routes: Routes, request: Request<Body>) -> Response<Body> {
    let response = routes.oneshot(request).await;
    response.unwrap_or_else(|never| match never {})
}

fn outgoing(request: Request<Body>, address: IpAddr, limit: usize) -> Request<Body> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, limit).map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large().into_status(OWN)
        } else {
            Status::from_error(error)
        }
    });
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.version_mut() = Version::HTTP_2;
    for name in PASSED {
        for value in parts.headers.get_all(&name) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    // Proxies such as gRPC-Web's leave it out; servers insist.
    let trailers = HeaderValue::from_static("trailers");
    request.headers_mut().insert(TE, trailers);
    if let Ok(address) = HeaderValue::try_from(address.to_string()) {
        request.headers_mut().insert(ADDRESS_HEADER, address);
    }
    request
}

/// The request is larger than the gateway takes in.
#[must_use]
pub fn too_large() -> Refusal {
    Refusal::new(
        Code::ResourceExhausted,
        "REQUEST_TOO_LARGE",
        "yêu cầu quá lớn",
        "the request is too large",
    )
}

impl Service<Request<Body>> for PassThrough {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.serve(request).await) })
    }
}
