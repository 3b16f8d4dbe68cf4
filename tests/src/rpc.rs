//! gRPC clients with a person's or service's token, to the gateway or straight to a service.

use std::time::Duration;

use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// A connection that signs every call.
pub type Rpc = InterceptedService<Channel, Bearer>;

/// What a call is signed with.
#[derive(Clone, Debug)]
pub struct Bearer {
    token: Option<String>,
    language: &'static str,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            let value = MetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Status::internal("a token is ASCII"))?;
            request.metadata_mut().insert("authorization", value);
        }
        let language = MetadataValue::from_static(self.language);
        request.metadata_mut().insert("accept-language", language);
        Ok(request)
    }
}

/// Connects to an address such as `http://127.0.0.1:7000`.
#[must_use]
pub fn connect(address: &str, token: Option<&str>) -> Rpc {
    let channel = Endpoint::from_shared(address.to_owned())
        .unwrap()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .connect_lazy();
    let bearer = Bearer {
        token: token.map(ToOwned::to_owned),
        language: "vi",
    };
    InterceptedService::new(channel, bearer)
}
