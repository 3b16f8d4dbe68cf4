//! Deadlines: read from `grpc-timeout`, kept beside the request being served, passed on to the calls it makes.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// The header that carries what remains of a deadline.
pub const HEADER: &str = "grpc-timeout";

tokio::task_local! {
    static CURRENT: Option<Instant>;
}

/// When the request being served must be answered; none outside of a request or in one without a deadline.
#[must_use]
pub fn current() -> Option<Instant> {
    CURRENT.try_with(|deadline| *deadline).ok().flatten()
}

/// What is left of the current deadline.
#[must_use]
pub fn remaining() -> Option<Duration> {
    current().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Runs a future in which calls to other services end by this deadline.
pub async fn scope<F: Future>(deadline: Option<Instant>, future: F) -> F::Output {
    CURRENT.scope(deadline, future).await
}

/// Runs a closure (the poll of a stream) under this deadline.
pub fn enter<T>(deadline: Option<Instant>, run: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(deadline, run)
}

/// Reads the timeout that a caller states; none if there is none or it is malformed.
#[must_use]
pub fn stated(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Writes a timeout for the next hop, in the finest unit whose number fits the header's eight digits.
#[must_use]
pub fn header(timeout: Duration) -> HeaderValue {
    let text = if timeout.as_micros() < 100_000_000 {
        format!("{}u", timeout.as_micros())
    } else if timeout.as_millis() < 100_000_000 {
        format!("{}m", timeout.as_millis())
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("10S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_and_written() {
        for timeout in [
            Duration::from_micros(1),
            Duration::from_millis(1500),
            Duration::from_secs(3600),
            Duration::from_secs(200_000),
        ] {
            let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), header(timeout))]);
            assert_eq!(stated(&headers), Some(timeout));
        }
    }

    #[test]
    fn malformed_timeouts_are_none() {
        for text in ["", "S", "5", "123456789S", "-1S", "1x", "+5S", "5ß"] {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), value)]);
            assert_eq!(stated(&headers), None, "{text:?}");
        }
    }
}
