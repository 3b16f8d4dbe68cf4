//! Drives a city of real processes through the product's own doors: REST, gRPC, gRPC-Web, sign-in pages, e-mail, traces.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

mod browser;
pub mod call;
mod city;
mod http;
mod mail;
mod process;
mod rpc;
mod spans;

use std::{future::Future, path::PathBuf, time::Duration};

use chrono::{FixedOffset, Months, Utc};
use tokio::time::Instant;

pub use browser::{Browser, Watch};
pub use city::{City, Options, PASSWORD, SERVICES, binary_is_public};
pub use http::{Answer, Http};
pub use mail::{Mail, MailServer};
pub use process::{Process, binary};
pub use rpc::{Bearer, Rpc, connect};
pub use spans::{Seen, Spans, tree};

/// Waits until a condition holds; says what did not come when the time is over.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The etag of a version that nobody has read.
pub const STALE: &str = "999999";

/// A new id of a request.
#[must_use]
pub fn request_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A month of the city's calendar, so many before the present one: "2026-10".
///
/// # Panics
/// Never: there are months enough.
#[must_use]
pub fn month(before: u32) -> String {
    let city = FixedOffset::east_opt(7 * 3600).unwrap();
    let today = Utc::now().with_timezone(&city).date_naive();
    let month = today.checked_sub_months(Months::new(before)).unwrap();
    month.format("%Y-%m").to_string()
}

/// The middle of what was measured.
#[must_use]
pub fn median(mut measured: Vec<Duration>) -> Duration {
    measured.sort();
    measured[measured.len() / 2]
}

/// Cargo's target folder: as the environment says, else the one in which this test itself lies.
#[expect(
    clippy::disallowed_methods,
    reason = "Cargo's own setting, not one of ours"
)]
pub(crate) fn target() -> PathBuf {
    let told = std::env::var("CARGO_TARGET_DIR").map(PathBuf::from);
    told.unwrap_or_else(|_| {
        let own = std::env::current_exe().unwrap();
        own.ancestors().nth(3).unwrap().to_owned()
    })
}
