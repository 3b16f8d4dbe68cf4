//! Lends seasons to series too short for their own.

use std::collections::{HashMap, HashSet};

use proto::period::per_year;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    load::{Key, Loaded, history, is_of},
    timeline::{Timeline, limits},
};

/// Lends short series the seasons of the unit above, or else of the longest series beside.
pub async fn seasons(tx: &mut PgConnection, loaded: &mut [Loaded]) -> anyhow::Result<()> {
    let is_short = |series: &&mut Loaded| {
        // A rate's seasons are no factors.
        if limits(&series.basis.indicator).is_some() {
            return false;
        }
        let year = per_year(series.basis.indicator.frequency());
        year > 1 && (1..2 * year).contains(&i32::try_from(series.basis.history.len()).unwrap_or(0))
    };
    let mut short: Vec<&mut Loaded> = loaded.iter_mut().filter(is_short).collect();
    let above = short.iter().filter_map(|series| {
        let parent = series.parent_id?;
        Some((series.key(), (series.indicator_id, parent)))
    });
    let above: HashMap<Key, Key> = above.collect();
    from(tx, &mut short, &above).await?;
    short.retain(|series| series.basis.seasons.is_empty() && series.parent_id.is_some());
    let beside = beside(tx, &short).await?;
    from(tx, &mut short, &beside).await
}

/// Lends each series the seasons of its lender, if that has any.
async fn from(
    tx: &mut PgConnection,
    borrowers: &mut [&mut Loaded],
    lenders: &HashMap<Key, Key>,
) -> anyhow::Result<()> {
    let distinct: HashSet<Key> = lenders.values().copied().collect();
    if distinct.is_empty() {
        return Ok(());
    }
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) = distinct.into_iter().unzip();
    let histories = history(&mut *tx, &indicators, &units).await?;
    let mut known: HashMap<Key, Option<Vec<f64>>> = HashMap::new();
    for series in borrowers {
        let Some(lender) = lenders.get(&series.key()) else {
            continue;
        };
        let seasons = known.entry(*lender).or_insert_with(|| {
            let mut history = histories.get(lender).cloned().unwrap_or_default();
            history.retain(|figure| is_of(&series.basis.indicator, figure));
            Timeline::new(&history)?.seasonal_factors()
        });
        series.basis.seasons = seasons.clone().unwrap_or_default();
    }
    Ok(())
}

/// The longest series of a unit beside each.
async fn beside(tx: &mut PgConnection, short: &[&mut Loaded]) -> sqlx::Result<HashMap<Key, Key>> {
    let (indicators, units): (Vec<Uuid>, Vec<Uuid>) =
        short.iter().map(|series| series.key()).unzip();
    let parents: Vec<Uuid> = short.iter().filter_map(|series| series.parent_id).collect();
    let enough = short
        .iter()
        .map(|series| 2 * per_year(series.basis.indicator.frequency()));
    let rows = sqlx::query!(
        r#"SELECT s.indicator_id AS "indicator_id!", s.unit_id AS "unit_id!", l.unit_id AS lender
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[]) AS s (indicator_id, unit_id, parent_id, enough)
        CROSS JOIN LATERAL (
            SELECT a.unit_id FROM assessment a
            WHERE a.indicator_id = s.indicator_id AND a.parent_unit_id = s.parent_id AND a.figure_count >= s.enough
            ORDER BY a.figure_count DESC, a.unit_id LIMIT 1) AS l"#,
        &indicators,
        &units,
        &parents,
        &enough.collect::<Vec<_>>()
    );
    let rows = rows.fetch_all(tx).await?.into_iter();
    let lenders = rows.map(|row| {
        let key = |unit| (row.indicator_id, unit);
        (key(row.unit_id), key(row.lender))
    });
    Ok(lenders.collect())
}
