//! Plan targets, each with its versions.

use chassis::{Caller, Directory, Refusal};
use chrono::{DateTime, Utc};
use proto::{indicators::v1 as pb, period::Period};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use crate::{
    catalogue::Catalogue,
    duty,
    error::Error,
    parse::{self, name},
    reach::Reach,
};

/// A target as it is now. Enums are the names of the contract.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Its id, the same for all versions.
    pub id: Uuid,
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit whose figure it is.
    pub unit_id: Uuid,
    /// The indicator's owner answers for the figure.
    pub by_owner: bool,
    /// The period at whose end it counts.
    pub period: String,
    /// Whose plan.
    pub author: String,
    /// How binding.
    pub kind: String,
    /// When it is met.
    pub comparator: String,
    /// The value.
    pub value: Decimal,
    /// The upper value of a range.
    pub upper_value: Option<Decimal>,
    /// Where it comes from.
    pub source: String,
    /// Made up for demonstration.
    pub illustrative: bool,
    /// Number of this version.
    pub version: i32,
    /// When this version was set.
    pub create_time: DateTime<Utc>,
}

impl From<&Target> for pb::Target {
    fn from(target: &Target) -> Self {
        let author = pb::TargetAuthor::from_str_name(&target.author);
        let kind = pb::TargetKind::from_str_name(&target.kind);
        let comparator = pb::Comparator::from_str_name(&target.comparator);
        Self {
            id: target.id.to_string(),
            indicator_id: target.indicator_id.to_string(),
            unit_id: target.unit_id.to_string(),
            period: Some(proto::calendar::v1::Period {
                code: target.period.clone(),
            }),
            author: author.unwrap_or_default().into(),
            kind: kind.unwrap_or_default().into(),
            comparator: comparator.unwrap_or_default().into(),
            value: target.value.to_string(),
            upper_value: target
                .upper_value
                .map(|value| value.to_string())
                .unwrap_or_default(),
            source: target.source.clone(),
            illustrative: target.illustrative,
            version: target.version,
            create_time: Some(chassis::parse::timestamp(target.create_time)),
        }
    }
}

impl Target {
    /// Reads a target that the caller may set; id, version and time are given by us.
    pub fn read(
        caller: &Caller,
        directory: &Directory,
        catalogue: &Catalogue,
        message: &pb::Target,
    ) -> Result<Self, Error> {
        let indicator = catalogue.get("indicator_id", &message.indicator_id)?;
        let (unit_id, by_owner) = parse::unit(directory, "unit_id", &message.unit_id)?;
        demand_scope(
            caller,
            "indicators.plan",
            unit_id,
            indicator.responsible(unit_id, by_owner),
            &indicator.field_code,
        )?;
        let period = parse::period("period", &message.period)?;
        if period.split(indicator.frequency()).is_none() {
            return Err(Error::invalid(
                "period",
                "phải gồm trọn các kỳ báo cáo của chỉ tiêu",
                "must consist of whole periods of the indicator",
            ));
        }
        parse::demand_lasting("period", directory, unit_id, period)?;
        let comparator = name(
            "comparator",
            message.comparator,
            pb::Comparator::as_str_name,
        )?;
        let value = parse::decimal("value", &message.value)?;
        let upper_value = parse::optional_decimal("upper_value", &message.upper_value)?;
        let is_range = message.comparator() == pb::Comparator::Within;
        if is_range != upper_value.is_some() || upper_value.is_some_and(|upper| upper < value) {
            return Err(Error::invalid(
                "upper_value",
                "chỉ dùng cho khoảng và không được nhỏ hơn value",
                "belongs to a range only and must not be below value",
            ));
        }
        Ok(Self {
            id: Uuid::now_v7(),
            indicator_id: indicator.id,
            unit_id,
            by_owner,
            period: period.to_string(),
            author: name("author", message.author, pb::TargetAuthor::as_str_name)?,
            kind: name("kind", message.kind, pb::TargetKind::as_str_name)?,
            comparator,
            value,
            upper_value,
            source: parse::text("source", &message.source, 0, 1000)?.to_owned(),
            illustrative: message.illustrative,
            version: 1,
            create_time: Utc::now(),
        })
    }
}

impl Target {
    /// Refuses unless what it was before it was set is what was read.
    pub fn demand_set_over(&self, etag: &str, has_changed: bool) -> Result<(), Error> {
        let before = self.version - i32::from(has_changed);
        let read = if before == 0 {
            String::new()
        } else {
            before.to_string()
        };
        if read == etag {
            Ok(())
        } else {
            Err(Error::EtagMismatch)
        }
    }
}

/// Refuses unless the caller holds a permission for the unit, the unit that answers for it, or the field.
pub fn demand_scope(
    caller: &Caller,
    permission: &str,
    unit_id: Uuid,
    responsible: Uuid,
    field_code: &str,
) -> Result<(), Refusal> {
    caller
        .require(permission, responsible, Some(field_code))
        .or_else(|refusal| {
            let covers_unit = caller.require(permission, unit_id, None).is_ok();
            if covers_unit { Ok(()) } else { Err(refusal) }
        })
}

/// Targets within reach by indicator, unit and period, after one of them.
pub async fn list(
    db: impl PgExecutor<'_>,
    reach: &Reach,
    request: &pb::ListTargetsRequest,
    after: Option<(Uuid, Uuid, String, Uuid)>,
    limit: i64,
) -> Result<Vec<Target>, Error> {
    let indicator_id = parse::optional_id("indicator_id", &request.indicator_id)?;
    let unit_id = parse::optional_id("unit_id", &request.unit_id)?;
    let period = match &request.period {
        None => None,
        some => Some(parse::period("period", some)?.to_string()),
    };
    let after = after.map_or((None, None, None, None), |key| {
        (Some(key.0), Some(key.1), Some(key.2), Some(key.3))
    });
    let targets = sqlx::query_as!(
        Target,
        "SELECT t.id, t.indicator_id, t.unit_id, t.by_owner, t.period, t.author, t.kind, t.comparator, t.value,
            t.upper_value, t.source, t.illustrative, t.version, t.create_time
        FROM target t
        WHERE ($1 OR t.unit_id = ANY($2) OR t.indicator_id = ANY($3) OR (t.by_owner AND t.indicator_id = ANY($12)))
            AND ($4::uuid IS NULL OR t.indicator_id = $4)
            AND ($5::uuid IS NULL OR t.unit_id = $5)
            AND ($6::text IS NULL OR t.period = $6)
            AND ($7::uuid IS NULL OR (t.indicator_id, t.unit_id, t.period, t.id) > ($7, $8, $9, $10))
        ORDER BY t.indicator_id, t.unit_id, t.period, t.id LIMIT $11",
        reach.all,
        &reach.units,
        &reach.of_fields,
        indicator_id,
        unit_id,
        period,
        after.0,
        after.1,
        after.2,
        after.3,
        limit,
        &reach.owned
    );
    Ok(targets.fetch_all(db).await?)
}

/// Sets targets; answers those that changed. Those that are already so stay as they are.
pub async fn set(
    tx: &mut PgConnection,
    targets: &[Target],
    actor: &str,
) -> Result<Vec<Target>, Error> {
    let changed = sqlx::query_as!(
        Target,
        "INSERT INTO target AS t (id, indicator_id, unit_id, by_owner, period, author, kind, comparator, value,
            upper_value, source, illustrative)
        SELECT id, indicator_id, unit_id, by_owner, period, author, kind, comparator, value, upper_value, source,
            illustrative
        FROM jsonb_to_recordset($1) AS d (id uuid, indicator_id uuid, unit_id uuid, by_owner boolean, period text,
            author text, kind text, comparator text, value numeric, upper_value numeric, source text,
            illustrative boolean)
        ON CONFLICT ON CONSTRAINT target_key DO UPDATE SET comparator = excluded.comparator, value = excluded.value,
            upper_value = excluded.upper_value, source = excluded.source, illustrative = excluded.illustrative,
            version = t.version + 1, create_time = now()
        WHERE (t.comparator, t.value, t.upper_value, t.source, t.illustrative)
            IS DISTINCT FROM (excluded.comparator, excluded.value, excluded.upper_value, excluded.source,
                excluded.illustrative)
        RETURNING id, indicator_id, unit_id, by_owner, period, author, kind, comparator, value, upper_value, source,
            illustrative, version, create_time",
        Json(targets) as _
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = changed.iter().map(|target| target.id).collect();
    sqlx::query!(
        "INSERT INTO target_version (target_id, version, definition, actor, create_time)
        SELECT id, version, to_jsonb(target), $2, create_time FROM target WHERE id = ANY($1)",
        &ids,
        actor
    )
    .execute(tx)
    .await?;
    Ok(changed)
}

/// The target of the same indicator, unit, period, author and kind.
pub async fn get_like(db: impl PgExecutor<'_>, target: &Target) -> Result<Target, Error> {
    let found = sqlx::query_as!(
        Target,
        "SELECT id, indicator_id, unit_id, by_owner, period, author, kind, comparator, value, upper_value, source,
            illustrative, version, create_time
        FROM target WHERE indicator_id = $1 AND unit_id = $2 AND period = $3 AND author = $4 AND kind = $5",
        target.indicator_id,
        target.unit_id,
        target.period,
        target.author,
        target.kind
    );
    Ok(found.fetch_one(db).await?)
}

/// A unit that got a target for a time to come reports the indicator for all of the target's period.
#[must_use]
pub fn duties(targets: &[Target], catalogue: &Catalogue) -> Vec<duty::Start> {
    let today = chassis::calendar::city_date(Utc::now());
    let start = |target: &Target| {
        let period: Period = target.period.parse().ok()?;
        let frequency = catalogue.of(target.indicator_id)?.frequency();
        let (first, _) = period.split(frequency)?;
        (period.last_day() >= today).then_some(duty::Start {
            indicator_id: target.indicator_id,
            unit_id: target.unit_id,
            by_owner: target.by_owner,
            index: first.index(),
        })
    };
    targets.iter().filter_map(start).collect()
}
