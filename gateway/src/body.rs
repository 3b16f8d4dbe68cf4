//! Reading a request's body whole: not too much of it, and not too slowly.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chassis::Refusal;
use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};

use crate::{contract::OWN, grpc::too_large};

/// A body must be there after this time, and after what its bytes add to it.
const PATIENCE: Duration = Duration::from_secs(15);

/// What each byte adds: a telephone with 16 KiB a second gets its photo through, who trickles holds nothing for long.
const PER_BYTE: Duration = Duration::from_micros(60);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Larger than the limit.
    TooLarge,
    /// It does not come fast enough.
    TooSlow,
    /// The caller went away.
    BrokenOff,
}

impl Unread {
    /// What the caller is told, in HTTP and as a status.
    #[must_use]
    pub fn told(self) -> (StatusCode, Status) {
        let (http, refusal) = match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, too_large()),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                Refusal::new(
                    Code::DeadlineExceeded,
                    "BODY_TOO_SLOW",
                    "nội dung yêu cầu đến quá chậm",
                    "the request's body comes too slowly",
                ),
            ),
            Self::BrokenOff => (
                StatusCode::BAD_REQUEST,
                Refusal::new(
                    Code::Cancelled,
                    "BODY_BROKEN_OFF",
                    "nội dung yêu cầu bị ngắt giữa chừng",
                    "the request's body broke off",
                ),
            ),
        };
        (http, refusal.into_status(OWN))
    }
}

/// Reads a body.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Unread> {
    read_within(body, limit, PATIENCE).await
}

async fn read_within(mut body: Body, limit: usize, patience: Duration) -> Result<Bytes, Unread> {
    let mut deadline = Instant::now() + patience;
    let mut read = BytesMut::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Unread::TooSlow)? else {
            return Ok(read.freeze());
        };
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > limit {
            return Err(Unread::TooLarge);
        }
        deadline += PER_BYTE * u32::try_from(data.len()).unwrap_or(u32::MAX);
        read.extend_from_slice(&data);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    /// One byte, then nothing and no end.
    fn stuck() -> Body {
        let byte = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")));
        Body::new(StreamBody::new(
            stream::iter([byte]).chain(stream::pending()),
        ))
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let read = read_within(stuck(), 10, Duration::from_millis(1)).await;
        assert_eq!(read, Err(Unread::TooSlow));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let body = || Body::new(Full::from("0123456789"));
        assert_eq!(read(body(), 10).await.unwrap(), "0123456789");
        assert_eq!(read(body(), 9).await, Err(Unread::TooLarge));
        assert_eq!(read(Body::empty(), 0).await.unwrap(), "");
    }
}
