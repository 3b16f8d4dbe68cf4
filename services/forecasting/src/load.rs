//! What series rest on: their figures and targets as copied, what is calculated for them, and how they were judged before.

use std::collections::HashMap;

use anyhow::Context;
use chassis::{Base, calendar::city_date};
use chrono::Utc;
use prost::Message;
use proto::{
    forecasting::v1 as pb,
    identity::v1::UnitKind,
    indicators::v1::{Aggregation, Indicator, Observation, Target},
    period::Period,
};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{
    add_up,
    assess::{Basis, Terms},
    derive,
    error::Error,
    lend, lineage,
    recompute::terms,
};

/// A series: an indicator of a unit.
pub type Key = (Uuid, Uuid);

/// A series with what it rests on, and who may see it.
pub struct Loaded {
    /// What it rests on.
    pub basis: Basis,
    /// The indicator.
    pub indicator_id: Uuid,
    /// The unit that answers for the figure.
    pub responsible: Uuid,
    /// What kind of unit it is of.
    pub kind: UnitKind,
    /// Whether the unit exists today.
    pub exists: bool,
    /// The unit above, if it does.
    pub parent_id: Option<Uuid>,
    /// Whether what its unit took in stands in the place of figures that were reported.
    pub has_joined: bool,
}

impl Loaded {
    /// The series.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.indicator_id, self.basis.unit_id)
    }

    /// Whether its figures add up with those of the units beside it.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        // What is calculated adds up as far as its parts do.
        self.exists
            && self.basis.parts.is_empty()
            && self.basis.indicator.aggregation() == Aggregation::Sum
    }
}

/// Whether it is a ward, commune or special zone, or a district of old.
#[must_use]
pub fn is_local(kind: UnitKind) -> bool {
    matches!(
        kind,
        UnitKind::District | UnitKind::Ward | UnitKind::Commune | UnitKind::SpecialZone
    )
}

/// What series rest on; those of which nothing is known are left out.
pub async fn load(
    tx: &mut PgConnection,
    base: &Base,
    series: &[Key],
    thresholds_version: i32,
) -> anyhow::Result<Vec<Loaded>> {
    let mut loaded = exact(tx, base, series, thresholds_version).await?;
    for series in &mut loaded {
        lineage::round(&mut series.basis);
    }
    Ok(loaded)
}

/// What series rest on, with what they have from other units not rounded.
pub async fn exact(
    tx: &mut PgConnection,
    base: &Base,
    series: &[Key],
    thresholds_version: i32,
) -> anyhow::Result<Vec<Loaded>> {
    let mut known: HashMap<Key, Loaded> = HashMap::new();
    for keys in derive::in_order(tx, series).await? {
        let mut loaded = reported(tx, base, &keys, thresholds_version).await?;
        lineage::load(tx, base, &mut loaded, thresholds_version).await?;
        derive::join(&mut loaded, &known);
        loaded.retain(|one| !(one.basis.history.is_empty() && one.basis.targets.is_empty()));
        lend::seasons(tx, &mut loaded).await?;
        let adding = loaded.iter_mut().filter(|series| series.adds_up());
        add_up::load(tx, &mut adding.collect::<Vec<_>>()).await?;
        known.extend(loaded.into_iter().map(|one| (one.key(), one)));
    }
    Ok(series.iter().filter_map(|key| known.remove(key)).collect())
}

/// Series as they were reported and planned.
async fn reported(
    tx: &mut PgConnection,
    base: &Base,
    series: &[Key],
    thresholds_version: i32,
) -> anyhow::Result<Vec<Loaded>> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = series.iter().copied().unzip();
    let rows = sqlx::query!(
        "SELECT id, payload FROM indicator WHERE id = ANY($1)",
        &indicators
    );
    let mut definitions = HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
        definitions.insert(row.id, Indicator::decode(row.payload.as_slice())?);
    }
    let mut targets: HashMap<Key, Vec<Target>> = HashMap::new();
    let rows = sqlx::query!(
        "SELECT t.indicator_id, t.unit_id, t.payload
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN target t ON t.indicator_id = s.indicator_id AND t.unit_id = s.unit_id
        ORDER BY t.id",
        &indicators,
        &units
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let target = Target::decode(row.payload.as_slice())?;
        targets
            .entry((row.indicator_id, row.unit_id))
            .or_default()
            .push(target);
    }
    let mut history = history(&mut *tx, &indicators, &units).await?;
    let mut before = before(tx, &indicators, &units, thresholds_version).await?;

    let today = city_date(Utc::now());
    let mut loaded = Vec::with_capacity(series.len());
    for key in series {
        // Its definition may come later, and queues it again.
        let Some(indicator) = definitions.get(&key.0).cloned() else {
            continue;
        };
        let mut history = history.remove(key).unwrap_or_default();
        let targets = targets.remove(key).unwrap_or_default();
        let unit = base.directory.unit(key.1);
        let kind = unit
            .as_ref()
            .map_or(UnitKind::Unspecified, |unit| unit.kind);
        let owner = indicator.owner_unit_id.parse().context("owner_unit_id")?;
        history.retain(|figure| is_of(&indicator, figure));
        let existing = unit.as_ref().filter(|unit| unit.is_valid_on(today));
        let has_ended = unit.as_ref().is_some_and(|unit| unit.has_ended_by(today));
        let last_day = unit.as_ref().and_then(|unit| unit.valid_to);
        let (exists, parent_id) = (existing.is_some(), existing.and_then(|unit| unit.parent_id));
        let by_owner = matches!(kind, UnitKind::City | UnitKind::Country);
        loaded.push(Loaded {
            indicator_id: key.0,
            responsible: if by_owner { owner } else { key.1 },
            kind,
            exists,
            parent_id,
            has_joined: false,
            basis: Basis {
                unit_id: key.1,
                seed: seed(&indicator.code, unit.as_ref().map_or("", |unit| &unit.key)),
                indicator,
                reported_since: unit
                    .filter(|_| kind != UnitKind::Country && !has_ended)
                    .map(|unit| unit.valid_from),
                last_day,
                targets,
                history,
                before: before.remove(key).unwrap_or_default(),
                seasons: Vec::new(),
                excess: None,
                moved: Vec::new(),
                supposed: 0,
                parts: Vec::new(),
            },
        });
    }
    Ok(loaded)
}

/// Whether a figure is of the indicator's own periods: a year's total printed beside its months is no point of a series.
#[must_use]
pub fn is_of(indicator: &Indicator, figure: &Observation) -> bool {
    Period::try_from(&figure.period).is_ok_and(|p| p.frequency() == indicator.frequency())
}

/// A number of a series that is the same in every installation (FNV-1a of its codes).
fn seed(indicator: &str, unit: &str) -> u64 {
    let bytes = indicator.bytes().chain([0]).chain(unit.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What one series rests on, and what holds now.
pub async fn basis(base: &Base, series: Key) -> anyhow::Result<Option<(Basis, Terms)>> {
    let terms = terms(&base.db).await?;
    let mut connection = base.db.acquire().await?;
    let loaded = load(&mut connection, base, &[series], terms.thresholds_version).await?;
    let basis = loaded.into_iter().next().map(|loaded| loaded.basis);
    Ok(basis.map(|basis| (basis, terms)))
}

/// The best known figures of series, each named once, oldest first.
pub async fn history(
    db: impl PgExecutor<'_>,
    indicators: &[Uuid],
    units: &[Uuid],
) -> Result<HashMap<Key, Vec<Observation>>, Error> {
    let rows = sqlx::query!(
        // By the index for each series, whatever the planner believes of a table that was just filled.
        r#"SELECT s.indicator_id AS "indicator_id!", s.unit_id AS "unit_id!", o.payload
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        CROSS JOIN LATERAL (
            SELECT DISTINCT ON (period_index) period_index, payload FROM observation
            WHERE indicator_id = s.indicator_id AND unit_id = s.unit_id
            ORDER BY period_index, vintage DESC, known_time DESC, id DESC) o
        ORDER BY s.indicator_id, s.unit_id, o.period_index"#,
        indicators,
        units
    );
    let mut history: HashMap<Key, Vec<Observation>> = HashMap::new();
    for row in rows.fetch_all(db).await? {
        let figure = Observation::decode(row.payload.as_slice())?;
        history
            .entry((row.indicator_id, row.unit_id))
            .or_default()
            .push(figure);
    }
    Ok(history)
}

/// How series were judged by this version of the thresholds.
async fn before(
    tx: &mut PgConnection,
    indicators: &[Uuid],
    units: &[Uuid],
    thresholds_version: i32,
) -> anyhow::Result<HashMap<Key, Vec<pb::Assessment>>> {
    let rows = sqlx::query!(
        "SELECT a.indicator_id, a.unit_id, a.thresholds_version, a.forecast
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN assessment a ON a.indicator_id = s.indicator_id AND a.unit_id = s.unit_id",
        indicators,
        units
    );
    // Not by the statement: the planner would rather read all series of this version.
    let rows = rows.fetch_all(tx).await?.into_iter();
    let rows = rows.filter(|row| row.thresholds_version == thresholds_version);
    let rows = rows.map(|row| {
        let forecast = pb::Forecast::decode(row.forecast.as_slice())?;
        Ok(((row.indicator_id, row.unit_id), forecast.assessments))
    });
    rows.collect()
}
