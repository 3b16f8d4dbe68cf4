//! Events that a consumer of this service could not digest: shown to operators, and digested again on their word.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use prost::Message;
use sqlx::PgPool;
use tokio::time::Instant;
use tonic::{Code, Status};

use proto::events::v1 as pb;

use crate::{Refusal, internal, parse::timestamp};

/// How long a replay is waited for. The consumer's replica that holds the lease does it, which may not be this one.
const PATIENCE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn list(
    db: &PgPool,
    request: &pb::ListParkedEventsRequest,
) -> Result<pb::ListParkedEventsResponse, Status> {
    let size = match request.page_size {
        0 => 50,
        size @ 1..=200 => size,
        _ => {
            return Err(Refusal::invalid(
                "page_size",
                "phải từ 1 đến 200",
                "must be from 1 to 200",
            )
            .into());
        }
    };
    let after = parse_token(&request.page_token)?;
    let mut rows = sqlx::query!(
        "SELECT seq, consumer, event, error, attempts, park_time FROM chassis.parked_event
        WHERE seq > $1 ORDER BY seq LIMIT $2",
        after,
        i64::from(size) + 1
    )
    .fetch_all(db)
    .await
    .map_err(internal)?;
    let has_more = rows.len() > usize::try_from(size).unwrap_or(usize::MAX);
    if has_more {
        rows.pop();
    }
    let next_page_token = match rows.last() {
        Some(last) if has_more => BASE64_URL_SAFE_NO_PAD.encode(last.seq.to_be_bytes()),
        _ => String::new(),
    };
    let parked_events = rows
        .into_iter()
        .map(|row| {
            Ok(pb::ParkedEvent {
                consumer: row.consumer,
                event: Some(pb::Event::decode(row.event.as_slice()).map_err(internal)?),
                error: row.error,
                attempts: row.attempts,
                park_time: Some(timestamp(row.park_time)),
            })
        })
        .collect::<Result<_, Status>>()?;
    Ok(pb::ListParkedEventsResponse {
        parked_events,
        next_page_token,
    })
}

fn parse_token(token: &str) -> Result<i64, Refusal> {
    if token.is_empty() {
        return Ok(0);
    }
    BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)))
        .ok_or_else(|| {
            Refusal::invalid(
                "page_token",
                "không phải là mã trang của danh sách này",
                "is not a page token of this list",
            )
        })
}

/// Asks the consumer to digest a subject's parked events again, and waits for the outcome.
pub(super) async fn replay(
    db: &PgPool,
    request: &pb::ReplayParkedEventsRequest,
) -> Result<pb::ReplayParkedEventsResponse, Status> {
    let wanted = sqlx::query!(
        "UPDATE chassis.parked_event SET is_replay_wanted = true WHERE consumer = $1 AND subject = $2",
        request.consumer,
        request.subject
    )
    .execute(db)
    .await
    .map_err(internal)?
    .rows_affected();
    if wanted == 0 {
        return Err(Refusal::not_found("parked event", &request.subject).into());
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let left = sqlx::query!(
            r#"SELECT count(*) AS "count!", COALESCE(bool_or(is_replay_wanted), false) AS "is_waiting!"
            FROM chassis.parked_event WHERE consumer = $1 AND subject = $2"#,
            request.consumer,
            request.subject
        )
        .fetch_one(db)
        .await
        .map_err(internal)?;
        if left.count == 0 {
            let replayed = i32::try_from(wanted).unwrap_or(i32::MAX);
            return Ok(pb::ReplayParkedEventsResponse { replayed });
        }
        if !left.is_waiting {
            return Err(Refusal::new(
                Code::FailedPrecondition,
                "STILL_FAILING",
                "vẫn còn sự kiện không xử lý được; xem lỗi trong danh sách sự kiện bị gác lại",
                "an event fails again; see its error in the list of parked events",
            )
            .into());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Refusal::new(
        Code::Unavailable,
        "CONSUMER_AWAY",
        "bên tiêu thụ chưa hoạt động; các sự kiện sẽ được xử lý lại khi nó trở lại",
        "the consumer is not at work; the events are digested again when it is back",
    )
    .into())
}
