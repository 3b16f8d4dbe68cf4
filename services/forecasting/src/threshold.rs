//! The probabilities at which colours change, in versions.

use chrono::{DateTime, Utc};
use proto::forecasting::v1 as pb;
use sqlx::{PgConnection, PgExecutor};

use crate::{copy::WAKE, error::Error};

/// A version of the thresholds.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Its number.
    pub version: i32,
    /// Below it: red.
    pub red_below: f64,
    /// Above it: green.
    pub green_above: f64,
    /// How far beyond it a colour changes that was given before.
    pub margin: f64,
    /// Since when.
    pub create_time: DateTime<Utc>,
}

impl From<Threshold> for pb::Thresholds {
    fn from(threshold: Threshold) -> Self {
        Self {
            red_below: threshold.red_below,
            green_above: threshold.green_above,
            margin: threshold.margin,
            version: threshold.version,
            create_time: Some(chassis::parse::timestamp(threshold.create_time)),
        }
    }
}

/// Those in force.
pub async fn current(db: impl PgExecutor<'_>) -> Result<Threshold, Error> {
    let threshold = sqlx::query_as!(
        Threshold,
        "SELECT version, red_below, green_above, margin, create_time FROM threshold ORDER BY version DESC LIMIT 1"
    );
    Ok(threshold.fetch_one(db).await?)
}

/// Sets the version after the one that was read, and wakes the worker, which makes every assessment anew.
pub async fn set(
    tx: &mut PgConnection,
    request: &pb::SetThresholdsRequest,
    actor: &str,
) -> Result<Threshold, Error> {
    let (red, green, margin) = (request.red_below, request.green_above, request.margin);
    let unfit = |field, vi, en| Err(Error::Invalid { field, vi, en });
    if !(red > 0.0 && red <= green && green < 1.0) {
        let is_red = red > 0.0 && red < 1.0;
        return unfit(
            if is_red { "green_above" } else { "red_below" },
            "phải có 0 < red_below ≤ green_above < 1",
            "must be 0 < red_below ≤ green_above < 1",
        );
    }
    if !(margin >= 0.0 && margin < red.min(1.0 - green)) {
        return unfit(
            "margin",
            "phải từ 0 và nhỏ hơn red_below và 1 - green_above",
            "must be 0 or more, and less than red_below and 1 - green_above",
        );
    }
    sqlx::query_as!(
        Threshold,
        "INSERT INTO threshold (version, red_below, green_above, margin, actor)
        SELECT version + 1, $2, $3, $4, $5 FROM (SELECT max(version) AS version FROM threshold) t WHERE version = $1
        ON CONFLICT (version) DO NOTHING
        RETURNING version, red_below, green_above, margin, create_time",
        request.version,
        red,
        green,
        margin,
        actor
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::EtagMismatch)
}

/// Wakes the worker when this transaction commits.
pub async fn wake(tx: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_notify($1, '')", WAKE)
        .execute(tx)
        .await?;
    Ok(())
}
