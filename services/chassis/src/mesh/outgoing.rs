//! The body of a request on its way out.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use tonic::{Status, body::Body};

use crate::methods::Method;

/// A request larger than this is sent once: it is not kept for another try.
const KEPT: usize = 1024 * 1024;

/// The body of a request, kept for another try where it is one message of moderate size.
pub(super) enum Outgoing {
    Kept(Bytes),
    Once(Option<Body>),
}

impl Outgoing {
    pub(super) async fn new(body: Body, method: Method) -> Result<Self, Status> {
        if method.client_streaming {
            return Ok(Self::Once(Some(body)));
        }
        let mut frames = BodyStream::new(body);
        let mut kept = BytesMut::new();
        while let Some(frame) = frames.next().await {
            // Callers of gRPC send no trailers.
            if let Ok(data) = frame?.into_data() {
                kept.extend_from_slice(&data);
            }
            if kept.len() > KEPT {
                let begun = futures::stream::iter([Ok(Frame::data(kept.freeze()))]);
                let body = StreamBody::new(begun.chain(frames));
                return Ok(Self::Once(Some(Body::new(body.boxed_unsync()))));
            }
        }
        Ok(Self::Kept(kept.freeze()))
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    pub(super) fn next(&mut self) -> Body {
        match self {
            Self::Kept(bytes) => Body::new(Full::new(bytes.clone())),
            Self::Once(body) => body.take().unwrap_or_default(),
        }
    }
}
