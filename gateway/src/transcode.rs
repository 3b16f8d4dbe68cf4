//! REST from descriptors: a request in JSON becomes a call of the method whose `google.api.http` names its path.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use chassis::Refusal;
use http::{
    HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode,
    header::{ACCEPT_LANGUAGE, ALLOW, AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use proto::google::api::{HttpRule, http_rule::Pattern};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt as _;

use crate::{
    body,
    contract::{Contract, Method, OWN, Owner},
    grpc::{Address, SERVICE_HEADER},
    session::Session,
};

pub mod answer;
pub mod error;
pub mod message;
pub mod openapi;
pub mod template;

use message::Input;
use template::Template;

/// An answer larger than this is a fault.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// One REST form of a method.
pub struct Route {
    /// The method.
    pub method: Arc<Method>,
    /// The HTTP method.
    pub verb: Verb,
    /// The path.
    pub template: Template,
    /// The field that the body is; "*" for the whole, "" for none.
    pub body: String,
}

/// The REST forms of all methods.
pub struct RouteTable(Vec<Route>);

impl RouteTable {
    /// Reads them; fails when a rule is malformed or two methods claim one path.
    pub fn read(contract: &Contract) -> anyhow::Result<Self> {
        let mut routes = Vec::new();
        if let Some(extension) = contract.pool.get_extension_by_name("google.api.http") {
            for method in contract.methods() {
                let options = method.descriptor.options();
                if !options.has_extension(&extension) {
                    continue;
                }
                let value = options.get_extension(&extension);
                let rule = value.as_message().context("google.api.http is a message")?;
                let rule: HttpRule = rule.transcode_to()?;
                add(&mut routes, method, &rule).with_context(|| method.path.clone())?;
            }
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.template.precedence()));
        let mut seen = HashMap::new();
        for route in &routes {
            let key = (route.verb.clone(), route.template.shape());
            if let Some(other) = seen.insert(key, &route.method.path) {
                bail!("{other} and {} have the same path", route.method.path);
            }
        }
        Ok(Self(routes))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// The route of a path and what its fields are, else the HTTP methods that the path takes.
    fn find(&self, verb: &Verb, path: &str) -> Result<Found<'_>, Vec<&Verb>> {
        let mut allowed = Vec::new();
        for route in &self.0 {
            if let Some(fields) = route.template.matches(path) {
                if route.verb == *verb {
                    return Ok((route, fields));
                }
                allowed.push(&route.verb);
            }
        }
        Err(allowed)
    }
}

type Found<'a> = (&'a Route, Vec<(&'a str, String)>);

fn add(routes: &mut Vec<Route>, method: &Arc<Method>, rule: &HttpRule) -> anyhow::Result<()> {
    let descriptor = &method.descriptor;
    ensure!(
        !descriptor.is_client_streaming() && !descriptor.is_server_streaming(),
        "a stream has no REST form"
    );
    ensure!(rule.response_body.is_empty(), "response_body is not known");
    let (verb, path) = match rule.pattern.as_ref().context("no path")? {
        Pattern::Get(path) => (Verb::GET, path),
        Pattern::Put(path) => (Verb::PUT, path),
        Pattern::Post(path) => (Verb::POST, path),
        Pattern::Delete(path) => (Verb::DELETE, path),
        Pattern::Patch(path) => (Verb::PATCH, path),
        Pattern::Custom(custom) => (custom.kind.parse()?, &custom.path),
    };
    let template = Template::parse(path)?;
    let input = descriptor.input();
    for field in template.fields() {
        let first = field.split('.').next().unwrap_or_default();
        ensure!(message::find(&input, first).is_some(), "no field {field}");
    }
    ensure!(
        rule.body.is_empty() || rule.body == "*" || message::find(&input, &rule.body).is_some(),
        "no field {}",
        rule.body
    );
    routes.push(Route {
        method: method.clone(),
        verb,
        template,
        body: rule.body.clone(),
    });
    for further in &rule.additional_bindings {
        ensure!(further.additional_bindings.is_empty(), "bindings nest once");
        add(routes, method, further)?;
    }
    Ok(())
}

/// Serves REST by calling gRPC.
#[derive(Clone)]
pub struct Rest<G> {
    routes: Arc<RouteTable>,
    session: Arc<Session>,
    grpc: G,
    body_limit: usize,
}

impl<G> Rest<G>
where
    G: tower::Service<Request<Body>, Response = Response<Body>, Error = std::convert::Infallible>
        + Clone,
{
    /// Serves these routes by calls of this gRPC service.
    pub fn new(routes: Arc<RouteTable>, session: Arc<Session>, grpc: G, body_limit: usize) -> Self {
        Self {
            routes,
            session,
            grpc,
            body_limit,
        }
    }

    /// Answers a request.
    pub async fn serve(self, request: Request<Body>, address: IpAddr) -> Response<Body> {
        let verb = match *request.method() {
            Verb::HEAD => Verb::GET,
            ref verb => verb.clone(),
        };
        let routes = self.routes.clone();
        let (route, fields) = match routes.find(&verb, request.uri().path()) {
            Ok(found) => found,
            Err(allowed) => return not_here(&allowed),
        };
        let (mut parts, body) = request.into_parts();
        let is_safe = verb == Verb::GET;
        let attached = match self.session.attach(&mut parts.headers, !is_safe).await {
            Ok(attached) => attached,
            Err(refused) => return refused.into_rest(),
        };
        let called = async {
            let body = body::read(body, self.body_limit);
            let body = body.await.map_err(body::Unread::told)?;
            check_kind(&parts.headers, &body)?;
            let input = Input {
                path: fields,
                query: parts.uri.query().unwrap_or_default(),
                body_field: &route.body,
                body: &body,
            };
            let call = call(route, &input, &parts.headers, address)?;
            let answer = self.grpc.clone().oneshot(call).await;
            receive(answer.unwrap_or_else(|never| match never {})).await
        };
        let mut response = match called.await {
            Ok(bytes) => answer::response(route, &parts.headers, bytes),
            Err((http, status)) => error::response_as(http, &status),
        };
        attached.apply(response.headers_mut());
        response
    }
}

/// Nothing but JSON is read: a foreign page's form cannot send it.
fn check_kind(headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_json = kind.is_some_and(|kind| kind.starts_with(b"application/json"));
    if body.is_empty() || is_json {
        return Ok(());
    }
    let media = Refusal::new(
        Code::InvalidArgument,
        "NOT_JSON",
        "nội dung phải có kiểu application/json",
        "the body's content type must be application/json",
    );
    Err(failure(Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), media))
}

type Failure = (StatusCode, Status);

fn failure(http: Option<StatusCode>, refusal: Refusal) -> Failure {
    failed(http, refusal.into_status(OWN))
}

fn failed(http: Option<StatusCode>, status: Status) -> Failure {
    let http = http.unwrap_or_else(|| error::http_status(status.code()));
    (http, status)
}

/// Makes the gRPC call.
fn call(
    route: &Route,
    input: &Input,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Request<Body>, Failure> {
    let descriptor = route.method.descriptor.input();
    let message = message::request(&descriptor, input).map_err(|refusal| failure(None, refusal))?;
    let body = Body::new(Full::new(message::frame(&message)));
    let mut request = Request::new(body);
    *request.method_mut() = Verb::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = route.method.path.parse().unwrap_or_default();
    request.extensions_mut().insert(Address(address));
    let out = request.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    out.insert(TE, HeaderValue::from_static("trailers"));
    for name in [ACCEPT_LANGUAGE, AUTHORIZATION, USER_AGENT] {
        for value in headers.get_all(&name) {
            out.append(name.clone(), value.clone());
        }
    }
    // What every service serves says in its message whose is meant.
    if route.method.owner == Owner::Named
        && let Some(service) = message.get_field_by_name("service")
        && let Some(service) = service.as_str()
        && let Ok(service) = HeaderValue::from_str(service)
    {
        out.insert(SERVICE_HEADER, service);
    }
    Ok(request)
}

/// Takes the answer's message, or the status that came instead.
async fn receive(answer: Response<Body>) -> Result<Bytes, Failure> {
    let (parts, body) = answer.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers)
        && status.code() != Code::Ok
    {
        return Err(failed(None, status));
    }
    let broken = |problem: &str| {
        tracing::warn!(problem, "a service's answer cannot be read");
        let refusal = Refusal::new(
            Code::Unavailable,
            "UPSTREAM_BROKE_OFF",
            "dịch vụ ngắt giữa chừng, hãy thử lại",
            "the service broke off, try again",
        );
        failure(None, refusal)
    };
    let collected = Limited::new(body, ANSWER_LIMIT).collect().await;
    let collected = collected.map_err(|error| broken(&error.to_string()))?;
    if let Some(status) = collected.trailers().and_then(Status::from_header_map)
        && status.code() != Code::Ok
    {
        return Err(failed(None, status));
    }
    let bytes = collected.to_bytes();
    // A flag for compression, which was not asked for, and four bytes of length come first.
    match bytes.first() {
        Some(0) if bytes.len() >= 5 => Ok(bytes.slice(5..)),
        _ => Err(broken("no message")),
    }
}

fn not_here(allowed: &[&Verb]) -> Response<Body> {
    if allowed.is_empty() {
        let missing = Refusal::new(
            Code::NotFound,
            "NO_SUCH_PATH",
            "không có đường dẫn này",
            "there is no such path",
        );
        return error::refusal(None, missing);
    }
    let refusal = Refusal::new(
        Code::Unimplemented,
        "METHOD_NOT_ALLOWED",
        "đường dẫn này không nhận phương thức HTTP đó",
        "this path does not take that HTTP method",
    );
    let mut response = error::refusal(Some(StatusCode::METHOD_NOT_ALLOWED), refusal);
    let list = allowed.iter().map(|verb| verb.as_str());
    let list = list.collect::<Vec<_>>().join(", ");
    if let Ok(list) = HeaderValue::try_from(list) {
        response.headers_mut().insert(ALLOW, list);
    }
    response
}
