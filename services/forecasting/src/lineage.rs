//! Units that came from others: amounts that add up go back beyond their beginning, as the shares of their predecessors;
//! whatever is measured and planned of a unit that only got another name goes on.

use std::collections::HashMap;

use chassis::{Base, Directory};
use chrono::NaiveDate;
use proto::{
    indicators::v1::{Aggregation, Observation, Target},
    period::Period,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    assess::Basis,
    derive::calculated,
    judge::decimal,
    load::{self, Key, Loaded},
    model::places,
};

/// The predecessors of a unit that ended before it began, with their shares.
fn predecessors(directory: &Directory, unit_id: Uuid) -> Vec<(Uuid, f64)> {
    let Some(unit) = directory.unit(unit_id) else {
        return Vec::new();
    };
    let ended = |id: Uuid| {
        let last = directory.unit(id).and_then(|old| old.valid_to);
        last.is_some_and(|last| last < unit.valid_from)
    };
    let all = unit.predecessors.iter().copied();
    all.filter(|(id, _)| ended(*id)).collect()
}

/// The series of the units that came from these.
pub fn successors(directory: &Directory, series: &[Key]) -> Vec<Key> {
    let has_ended = |id| {
        let unit = directory.unit(id);
        unit.is_some_and(|unit| unit.valid_to.is_some())
    };
    let ended: Vec<&Key> = series.iter().filter(|key| has_ended(key.1)).collect();
    if ended.is_empty() {
        return Vec::new();
    }
    let mut of: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for unit in directory.units() {
        for (old, _) in &unit.predecessors {
            of.entry(*old).or_default().push(unit.id);
        }
    }
    let new = |key: &&Key| of.get(&key.1).into_iter().flatten().copied();
    ended
        .iter()
        .flat_map(|key| new(key).map(|unit| (key.0, unit)))
        .collect()
}

/// Adds to series what the predecessors of their units reported, for periods before the first figure.
pub async fn load(
    tx: &mut PgConnection,
    base: &Base,
    loaded: &mut [Loaded],
    thresholds_version: i32,
) -> anyhow::Result<()> {
    let before = |series: &Loaded| {
        let all = predecessors(&base.directory, series.basis.unit_id);
        match series.basis.indicator.aggregation() {
            Aggregation::Sum => all,
            _ if is_renamed(&all) => all,
            _ => Vec::new(),
        }
    };
    let keys = loaded.iter().flat_map(|series| {
        let units = before(series).into_iter();
        units.map(|(unit, _)| (series.indicator_id, unit))
    });
    let mut keys: Vec<Key> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    let old = Box::pin(load::load(tx, base, &keys, thresholds_version)).await?;
    let old: HashMap<Key, Basis> = old.into_iter().map(|old| (old.key(), old.basis)).collect();
    for series in loaded {
        let units = before(series);
        let known = |unit: Uuid| old.get(&(series.indicator_id, unit));
        if let Some(only) = units.first().filter(|_| is_renamed(&units))
            && let Some(former) = known(only.0)
        {
            let since = base.directory.unit(series.basis.unit_id);
            take_plans(series, former, since.map(|unit| unit.valid_from));
        }
        let parts = units
            .iter()
            .map(|(unit, share)| Some((known(*unit)?.history.as_slice(), *share)));
        if let Some(parts) = parts.collect::<Option<Vec<_>>>() {
            let earlier = earlier(series, &parts);
            series.basis.history.splice(0..0, earlier);
        }
    }
    Ok(())
}

/// Whether a unit is all that one other was.
fn is_renamed(predecessors: &[(Uuid, f64)]) -> bool {
    matches!(predecessors, [(_, share)] if *share == 1.0)
}

/// Adds the plans of a unit under its former name that had not ended, but for those that were made anew.
fn take_plans(series: &mut Loaded, former: &Basis, since: Option<NaiveDate>) {
    let basis = &mut series.basis;
    let is_open = |target: &Target| {
        let span = Period::try_from(&target.period).ok();
        span.is_some_and(|span| since.is_some_and(|since| since <= span.last_day()))
    };
    let place = |target: &Target| (target.period.clone(), target.author, target.kind);
    let own: Vec<_> = basis.targets.iter().map(place).collect();
    let kept = former.targets.iter();
    let kept = kept.filter(|target| is_open(target) && !own.contains(&place(target)));
    let kept = kept.map(|target| Target {
        unit_id: basis.unit_id.to_string(),
        ..target.clone()
    });
    let kept: Vec<Target> = kept.collect();
    basis.targets.extend(kept);
}

/// The figures of a unit before its first, oldest first: of periods that all its predecessors reported.
fn earlier(series: &Loaded, parts: &[(&[Observation], f64)]) -> Vec<Observation> {
    let index = |figure: &Observation| Period::try_from(&figure.period).map(Period::index).ok();
    let own = series.basis.history.first().and_then(index);
    let indicator = &series.basis.indicator;
    let Some(((first, _), others)) = parts.split_first() else {
        return Vec::new();
    };
    let others: Vec<HashMap<i32, &Observation>> = others
        .iter()
        .map(|(history, _)| {
            let by_period = history.iter();
            by_period
                .filter_map(|figure| Some((index(figure)?, figure)))
                .collect()
        })
        .collect();
    let sum = |figure: &Observation| {
        let at = index(figure).filter(|at| own.is_none_or(|own| *at < own))?;
        let mut sources = vec![figure];
        for other in &others {
            sources.push(other.get(&at).copied()?);
        }
        let share = |(figure, (_, share)): (&&Observation, &(_, f64))| {
            Some(figure.value.parse::<f64>().ok()? * share)
        };
        let value: f64 = sources.iter().zip(parts).map(share).sum::<Option<f64>>()?;
        let period = Period::from_index(indicator.frequency(), at);
        let places = sources.iter().map(|figure| places(&figure.value)).max();
        let value = decimal(value, indicator.decimals.max(places.unwrap_or_default()));
        Some(calculated(&series.basis, period, value, &sources))
    };
    first.iter().filter_map(sum).collect()
}
