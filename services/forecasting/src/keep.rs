//! Keeps assessments, and states what changed.

use std::collections::{BTreeSet, HashMap, HashSet};

use chassis::events::{self, Fact};
use chrono::{DateTime, NaiveDate, Utc};
use prost::Message;
use proto::{forecasting::v1 as pb, identity::v1::UnitKind};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    accuracy, add_up,
    assess::{Assessed, Terms, View},
    load::{Key, Loaded, is_local},
    prediction::{self, Prediction},
    recompute::MODEL_VERSION,
};

/// Keeps assessments, and states those that changed.
pub async fn keep(
    tx: &mut PgConnection,
    actor: &str,
    assessed: &[(Loaded, Assessed)],
    terms: &Terms,
) -> anyhow::Result<()> {
    let mut columns = Columns::default();
    for (series, assessed) in assessed {
        columns.push(series, assessed);
    }
    let before = before(tx, &columns).await?;
    columns
        .upsert(tx, terms.today, terms.thresholds_version, terms.now)
        .await?;
    let otherwise = keep_others(tx, assessed).await?;
    add_up::keep(tx, assessed).await?;

    let mut news: Vec<(&Loaded, &pb::Forecast)> = Vec::new();
    let mut predictions = Vec::new();
    let mut changes: Vec<(&Loaded, pb::RiskChanged)> = Vec::new();
    for (series, assessed) in assessed {
        let earlier = before.get(&series.key());
        if earlier == Some(&Standing::of(series, assessed)) && !otherwise.contains(&series.key()) {
            continue;
        }
        // Of what is new there is nothing yet that came true.
        if earlier.is_some() {
            news.push((series, &assessed.forecast));
        }
        let last = assessed.forecast.history.last();
        let prediction = last.and_then(|last| Prediction::of(&assessed.forecast, last, false));
        predictions.extend(prediction.map(|prediction| (series.key(), prediction)));
        // Whoever follows the board learns of what leaves it, too.
        if is_listed(series, assessed) || earlier.is_some_and(|earlier| earlier.is_listed) {
            let status = earlier.map(|earlier| i32::from(earlier.status));
            changes.push((
                series,
                pb::RiskChanged {
                    item: Some(assessed.item.clone()),
                    status_before: status.unwrap_or_default(),
                },
            ));
        }
    }
    prediction::keep(tx, &predictions).await?;
    accuracy::renew(tx, &news).await?;
    let facts = changes.iter().map(|(series, message)| {
        let unit_id = series.basis.unit_id;
        let mut unit_ids = vec![unit_id, series.responsible];
        unit_ids.dedup();
        Fact {
            subject: format!("series/{}/{unit_id}", series.indicator_id),
            unit_ids,
            field_code: Some(series.basis.indicator.field_code.clone()),
            actor: actor.to_owned(),
            message,
        }
    });
    Ok(events::publish_all(tx, facts).await?)
}

/// Units are on the board while they exist, figures of the whole country only where somebody set a target for them.
fn is_listed(series: &Loaded, assessed: &Assessed) -> bool {
    let is_asked = series.kind != UnitKind::Country || !assessed.forecast.assessments.is_empty();
    series.exists && is_asked
}

/// How much a figure must matter to decide.
const DECISIVE: f64 = 0.2;

fn status(assessment: &pb::Assessment) -> i16 {
    i16::try_from(assessment.status).unwrap_or_default()
}

fn is_decisive(assessment: &pb::Assessment) -> bool {
    assessment
        .next_figure_swing
        .is_some_and(|swing| swing >= DECISIVE)
}

/// Keeps what stands for series where other targets are asked for than their lines'; answers for which that changed.
async fn keep_others(
    tx: &mut PgConnection,
    assessed: &[(Loaded, Assessed)],
) -> sqlx::Result<HashSet<Key>> {
    type Standings = BTreeSet<(View, i16, i32)>;
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) =
        assessed.iter().map(|(series, _)| series.key()).unzip();
    let gone = sqlx::query!(
        "DELETE FROM other_line
        WHERE (indicator_id, unit_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        RETURNING indicator_id, unit_id, target_author, target_period, status, probability_rank",
        &indicators,
        &units
    );
    let mut before: HashMap<Key, Standings> = HashMap::new();
    for row in gone.fetch_all(&mut *tx).await? {
        let view = (row.target_author, row.target_period);
        let key = (row.indicator_id, row.unit_id);
        before
            .entry(key)
            .or_default()
            .insert((view, row.status, row.probability_rank));
    }
    let changed = assessed.iter().filter_map(|(series, assessed)| {
        let now: Standings = match is_listed(series, assessed) {
            true => assessed
                .others
                .iter()
                .map(|(view, other)| (view.clone(), status(&other.assessment), other.rank.1))
                .collect(),
            false => Standings::new(),
        };
        (before.remove(&series.key()).unwrap_or_default() != now).then(|| series.key())
    });
    let changed: HashSet<Key> = changed.collect();

    let (mut indicators, mut units) = (Vec::new(), Vec::new());
    let (mut authors, mut periods) = (Vec::new(), Vec::new());
    let (mut statuses, mut decisive, mut assessments) = (Vec::new(), Vec::new(), Vec::new());
    let (mut status_ranks, mut probability_ranks, mut gap_ranks) =
        (Vec::new(), Vec::new(), Vec::new());
    for (series, assessed) in assessed
        .iter()
        .filter(|(series, one)| is_listed(series, one))
    {
        for ((author, period), other) in &assessed.others {
            indicators.push(series.indicator_id);
            units.push(series.basis.unit_id);
            authors.push(*author);
            periods.push(period.clone());
            statuses.push(status(&other.assessment));
            status_ranks.push(other.rank.0);
            probability_ranks.push(other.rank.1);
            gap_ranks.push(other.rank.2);
            decisive.push(is_decisive(&other.assessment));
            assessments.push(other.assessment.encode_to_vec());
        }
    }
    if indicators.is_empty() {
        return Ok(changed);
    }
    sqlx::query!(
        "INSERT INTO other_line (indicator_id, unit_id, target_author, target_period, status, status_rank,
            probability_rank, gap_rank, is_decisive, assessment)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::smallint[], $6::smallint[],
            $7::integer[], $8::bigint[], $9::boolean[], $10::bytea[])",
        &indicators,
        &units,
        &authors,
        &periods,
        &statuses,
        &status_ranks,
        &probability_ranks,
        &gap_ranks,
        &decisive,
        &assessments
    )
    .execute(tx)
    .await?;
    Ok(changed)
}

/// What must change before an assessment is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    status: i16,
    probability_rank: i32,
    last_observation_id: Option<Uuid>,
    is_listed: bool,
}

impl Standing {
    fn of(series: &Loaded, assessed: &Assessed) -> Self {
        let last = assessed.item.last_observation.as_ref();
        Self {
            status: i16::try_from(assessed.item.status).unwrap_or_default(),
            probability_rank: assessed.rank.1,
            last_observation_id: last.and_then(|figure| figure.id.parse().ok()),
            is_listed: is_listed(series, assessed),
        }
    }
}

async fn before(tx: &mut PgConnection, columns: &Columns) -> sqlx::Result<HashMap<Key, Standing>> {
    let rows = sqlx::query!(
        r#"SELECT a.indicator_id, a.unit_id, a.status, a.probability_rank, a.last_observation_id,
            a.item IS NOT NULL AS "is_listed!"
        FROM unnest($1::uuid[], $2::uuid[]) AS s (indicator_id, unit_id)
        JOIN assessment a ON a.indicator_id = s.indicator_id AND a.unit_id = s.unit_id"#,
        &columns.indicator_ids,
        &columns.unit_ids
    );
    let standing = rows.fetch_all(tx).await?.into_iter().map(|row| {
        (
            (row.indicator_id, row.unit_id),
            Standing {
                status: row.status,
                probability_rank: row.probability_rank,
                last_observation_id: row.last_observation_id,
                is_listed: row.is_listed,
            },
        )
    });
    Ok(standing.collect())
}

/// Assessments turned into the arrays that one statement takes.
#[derive(Default)]
struct Columns {
    indicator_ids: Vec<Uuid>,
    unit_ids: Vec<Uuid>,
    responsible: Vec<Uuid>,
    fields: Vec<String>,
    is_local: Vec<bool>,
    statuses: Vec<i16>,
    status_ranks: Vec<i16>,
    probability_ranks: Vec<i32>,
    gap_ranks: Vec<i64>,
    last_observations: Vec<Option<Uuid>>,
    forecasts: Vec<Vec<u8>>,
    items: Vec<Option<Vec<u8>>>,
    figure_counts: Vec<i32>,
    groups: Vec<String>,
    target_authors: Vec<i16>,
    target_periods: Vec<String>,
    is_decisive: Vec<bool>,
    parents: Vec<Option<Uuid>>,
}

impl Columns {
    fn push(&mut self, series: &Loaded, assessed: &Assessed) {
        let standing = Standing::of(series, assessed);
        self.indicator_ids.push(series.indicator_id);
        self.unit_ids.push(series.basis.unit_id);
        self.responsible.push(series.responsible);
        self.fields.push(series.basis.indicator.field_code.clone());
        self.is_local.push(is_local(series.kind));
        self.statuses.push(standing.status);
        self.status_ranks.push(assessed.rank.0);
        self.probability_ranks.push(assessed.rank.1);
        self.gap_ranks.push(assessed.rank.2);
        self.last_observations.push(standing.last_observation_id);
        self.figure_counts.push(assessed.forecast.observation_count);
        let mut forecast = assessed.forecast.clone();
        if !series.has_joined {
            // Reported figures are there already, and most of the message; calculated ones are nowhere else.
            forecast.history.retain(|figure| figure.id.is_empty());
        }
        self.forecasts.push(forecast.encode_to_vec());
        let item = standing.is_listed.then(|| assessed.item.encode_to_vec());
        self.items.push(item);
        self.groups
            .push(series.basis.indicator.groups.join("\u{1f}"));
        let (author, period) = assessed.view.clone();
        self.target_authors.push(author);
        self.target_periods.push(period);
        let line = assessed.item.assessment.as_ref();
        self.is_decisive.push(line.is_some_and(is_decisive));
        self.parents.push(series.parent_id);
    }

    async fn upsert(
        &self,
        tx: &mut PgConnection,
        today: NaiveDate,
        thresholds_version: i32,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "INSERT INTO assessment (indicator_id, unit_id, responsible_unit_id, field_code, is_local, status,
                status_rank, probability_rank, gap_rank, last_observation_id, thresholds_version, city_date,
                update_time, forecast, item, figure_count, groups, target_author, target_period, is_decisive,
                parent_unit_id, model_version)
            SELECT n.indicator_id, n.unit_id, n.responsible_unit_id, n.field_code, n.is_local, n.status, n.status_rank,
                n.probability_rank, n.gap_rank, n.last_observation_id, $13, $14, $15, n.forecast, n.item,
                n.figure_count, string_to_array(n.groups, chr(31)), n.target_author, n.target_period, n.is_decisive,
                n.parent_unit_id, $22
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::smallint[], $7::smallint[],
                $8::integer[], $9::bigint[], $10::uuid[], $11::bytea[], $12::bytea[], $16::integer[],
                $17::text[], $18::smallint[], $19::text[], $20::boolean[], $21::uuid[])
                AS n (indicator_id, unit_id, responsible_unit_id, field_code, is_local, status, status_rank,
                    probability_rank, gap_rank, last_observation_id, forecast, item, figure_count,
                    groups, target_author, target_period, is_decisive, parent_unit_id)
            ON CONFLICT (indicator_id, unit_id) DO UPDATE SET responsible_unit_id = excluded.responsible_unit_id,
                field_code = excluded.field_code, is_local = excluded.is_local, status = excluded.status,
                status_rank = excluded.status_rank, probability_rank = excluded.probability_rank,
                gap_rank = excluded.gap_rank, last_observation_id = excluded.last_observation_id,
                thresholds_version = excluded.thresholds_version, city_date = excluded.city_date,
                update_time = excluded.update_time, forecast = excluded.forecast, item = excluded.item,
                figure_count = excluded.figure_count, groups = excluded.groups,
                target_author = excluded.target_author, target_period = excluded.target_period,
                is_decisive = excluded.is_decisive, parent_unit_id = excluded.parent_unit_id,
                model_version = excluded.model_version,
                is_hindcast = assessment.is_hindcast AND excluded.figure_count <= assessment.figure_count + 1",
            &self.indicator_ids,
            &self.unit_ids,
            &self.responsible,
            &self.fields,
            &self.is_local,
            &self.statuses,
            &self.status_ranks,
            &self.probability_ranks,
            &self.gap_ranks,
            &self.last_observations as &[Option<Uuid>],
            &self.forecasts,
            &self.items as &[Option<Vec<u8>>],
            thresholds_version,
            today,
            now,
            &self.figure_counts,
            &self.groups,
            &self.target_authors,
            &self.target_periods,
            &self.is_decisive,
            &self.parents as &[Option<Uuid>],
            MODEL_VERSION
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}
