//! Events that a consumer of this service could not digest: shown to operators, and digested again on their word.

use std::time::Duration;

use prost::Message;
use sqlx::PgPool;
use tokio::time::Instant;
use tonic::{Code, Status};

use proto::events::v1 as pb;

use crate::{Refusal, internal, page, parse::timestamp};

/// How long a replay is waited for. The consumer's replica that holds the lease does it, which may not be this one.
const PATIENCE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn list(
    db: &PgPool,
    request: &pb::ListParkedEventsRequest,
) -> Result<pb::ListParkedEventsResponse, Status> {
    let size = page::size(request.page_size, 50, 200)?;
    let after = page::after(&request.page_token)?.unwrap_or(0_i64);
    let mut rows = sqlx::query!(
        "SELECT seq, consumer, event, error, attempts, park_time FROM chassis.parked_event
        WHERE seq > $1 ORDER BY seq LIMIT $2",
        after,
        i64::try_from(size + 1).unwrap_or(i64::MAX)
    )
    .fetch_all(db)
    .await
    .map_err(internal)?;
    let next_page_token = page::cut(&mut rows, size, |row| row.seq);
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
