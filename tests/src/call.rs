//! Any method of the contract by its name, requests and answers as JSON.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::Channel,
};
use tonic_types::StatusExt;

/// How long the first message of a stream is waited for.
const FIRST: Duration = Duration::from_millis(250);

/// The methods of the whole contract.
#[must_use]
pub fn methods() -> Vec<MethodDescriptor> {
    proto::DESCRIPTORS
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// A method such as "FeedbackService/GetFeedback".
///
/// # Panics
/// When there is none.
#[must_use]
pub fn method(name: &str) -> MethodDescriptor {
    methods()
        .into_iter()
        .find(|method| short_name(method) == name)
        .unwrap_or_else(|| panic!("{name} is not in the contract"))
}

/// "FeedbackService/GetFeedback".
#[must_use]
pub fn short_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

/// The service of the mesh that serves a method; feeds are everybody's.
#[must_use]
pub fn owner(method: &MethodDescriptor) -> Option<String> {
    let service = method.parent_service();
    let name = service.package_name().split('.').nth(1)?;
    (name != "events").then(|| name.to_owned())
}

/// Calls a method. Of a stream the first message is read, or its refusal.
pub async fn call(
    channel: Channel,
    method: &MethodDescriptor,
    token: Option<&str>,
    metadata: &[(&'static str, &str)],
    request: &Value,
) -> Result<Value, Status> {
    let message = DynamicMessage::deserialize(method.input(), request)
        .unwrap_or_else(|error| panic!("{}: {error} in {request}", method.full_name()));
    let mut request = Request::new(Bytes::from(message.encode_to_vec()));
    let headers = request.metadata_mut();
    if let Some(token) = token {
        headers.insert("authorization", text(&format!("Bearer {token}")));
    }
    headers.insert("accept-language", text("en"));
    for (name, value) in metadata {
        headers.insert(*name, text(value));
    }
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).unwrap();
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    let unreachable = |error: tonic::transport::Error| Status::unavailable(format!("{error:?}"));
    client.ready().await.map_err(unreachable)?;
    let answer = if method.is_server_streaming() {
        let stream = client.server_streaming(request, path, Raw).await?;
        let mut stream = stream.into_inner();
        // A stream that was let in may have nothing to say yet; a refusal comes at once.
        match tokio::time::timeout(FIRST, stream.message()).await {
            Ok(message) => message?.unwrap_or_default(),
            Err(_) => Bytes::new(),
        }
    } else {
        client.unary(request, path, Raw).await?.into_inner()
    };
    let answer = DynamicMessage::decode(method.output(), answer)
        .map_err(|error| Status::internal(error.to_string()))?;
    let whole = SerializeOptions::new().skip_default_fields(false);
    Ok(answer
        .serialize_with_options(serde_json::value::Serializer, &whole)
        .unwrap())
}

fn text(value: &str) -> MetadataValue<tonic::metadata::Ascii> {
    MetadataValue::try_from(value).unwrap_or_else(|_| panic!("{value:?} is no header"))
}

/// Code and reason of a refusal.
#[must_use]
pub fn reason(status: &Status) -> (Code, String) {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    (status.code(), reason)
}

/// The fields that a refusal names.
#[must_use]
pub fn fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request();
    let violations = violations.map(|request| request.field_violations);
    violations
        .unwrap_or_default()
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// Messages as they are on the wire.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
