//! Units that came from others or took others in: amounts that add up go back as of the unit as it is now, with the shares
//! of the others, and so do plans; whatever is measured and planned of a unit that only got another name goes on.

use std::collections::{BTreeMap, HashMap, HashSet};

use chassis::{Base, Directory, calendar::city_date};
use chrono::{DateTime, NaiveDate, Utc};
use proto::{
    indicators::v1::{Aggregation, Observation, Target, Vintage, YearRule},
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

/// What a unit has of another one that ended.
#[derive(Clone, Copy, PartialEq)]
struct Former {
    unit_id: Uuid,
    share: f64,
    last_day: NaiveDate,
}

/// When there is a unit, what it began with, and what it has taken in since, oldest first.
#[derive(Default, PartialEq)]
struct Lineage {
    since: NaiveDate,
    until: Option<NaiveDate>,
    origins: Vec<Former>,
    joined: Vec<Former>,
}

impl Lineage {
    /// What counts of it for figures and plans of this kind: of those that do not add up a former name.
    fn of(directory: &Directory, unit_id: Uuid, aggregation: Aggregation) -> Self {
        let Some(unit) = directory.unit(unit_id) else {
            return Self::default();
        };
        let today = city_date(Utc::now());
        let former = |(unit_id, share): &(Uuid, f64)| {
            let old = directory.unit(*unit_id)?;
            let last_day = old.valid_to.filter(|_| old.has_ended_by(today))?;
            // Each lies before the one that has it, so that no circle has an end to be looked for.
            if unit.valid_to.is_some_and(|end| end <= last_day) {
                return None;
            }
            Some(Former {
                unit_id: *unit_id,
                share: *share,
                last_day,
            })
        };
        let since = unit.valid_from;
        let mut all: Vec<Former> = unit.predecessors.iter().filter_map(former).collect();
        // A change whose date was corrected is told twice.
        all.sort_by_key(|former| (former.last_day, former.unit_id));
        all.dedup_by_key(|former| former.unit_id);
        let (origins, joined) = all.into_iter().partition(|former| former.last_day < since);
        let mut lineage = Self {
            since,
            until: unit.valid_to,
            origins,
            joined,
        };
        if aggregation != Aggregation::Sum {
            lineage.joined.clear();
            let is_renamed = matches!(lineage.origins.as_slice(), [only] if only.share == 1.0);
            if !is_renamed {
                lineage.origins.clear();
            }
        }
        lineage
    }

    fn all(&self) -> impl Iterator<Item = &Former> {
        self.origins.iter().chain(&self.joined)
    }
}

/// The lineages of all units, as they were last seen.
#[derive(Default)]
pub struct Seen(Option<HashMap<Uuid, Lineage>>);

impl Seen {
    /// The units whose past or end is another one than when this was asked before, each beside every unit whose series it may have;
    /// none the first time.
    pub fn changed(&mut self, directory: &Directory) -> Vec<(Uuid, Uuid)> {
        let units = directory.units();
        let of = |id: Uuid| (id, Lineage::of(directory, id, Aggregation::Sum));
        let now: HashMap<Uuid, Lineage> = units.iter().map(|unit| of(unit.id)).collect();
        let Some(before) = self.0.replace(now) else {
            return Vec::new();
        };
        let is_changed = |(id, lineage): &(&Uuid, &Lineage)| match before.get(*id) {
            Some(old) => old != *lineage,
            None => lineage.all().next().is_some(),
        };
        let changed = self.0.iter().flatten().filter(is_changed);
        let mut changed: HashSet<Uuid> = changed.map(|(id, _)| *id).collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let heirs = heirs(directory);
        for (old, new) in &heirs {
            if changed.contains(old) {
                changed.insert(*new);
            }
        }
        let own = changed.iter().map(|id| (*id, *id));
        let from_others = heirs.into_iter().filter(|(_, new)| changed.contains(new));
        from_others.chain(own).collect()
    }
}

/// Which units came from which, directly or through others: each old one beside each new one.
pub fn heirs(directory: &Directory) -> Vec<(Uuid, Uuid)> {
    let mut next: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for unit in directory.units() {
        for (old, _) in &unit.predecessors {
            next.entry(*old).or_default().push(unit.id);
        }
    }
    let after = |old: &Uuid| {
        let mut reached = HashSet::new();
        let mut open = vec![*old];
        while let Some(unit) = open.pop() {
            let new = next.get(&unit).into_iter().flatten();
            open.extend(new.filter(|unit| reached.insert(**unit)));
        }
        let old = *old;
        reached.into_iter().map(move |new| (old, new))
    };
    next.keys().flat_map(after).collect()
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
    for (old, new) in heirs(directory) {
        of.entry(old).or_default().push(new);
    }
    let new = |key: &&Key| of.get(&key.1).into_iter().flatten().copied();
    ended
        .iter()
        .flat_map(|key| new(key).map(|unit| (key.0, unit)))
        .collect()
}

/// Adds to series what their units have from others.
pub async fn load(
    tx: &mut PgConnection,
    base: &Base,
    loaded: &mut [Loaded],
    thresholds_version: i32,
) -> anyhow::Result<()> {
    let lineage = |series: &Loaded| {
        let aggregation = series.basis.indicator.aggregation();
        Lineage::of(&base.directory, series.basis.unit_id, aggregation)
    };
    let lineages: Vec<Lineage> = loaded.iter().map(lineage).collect();
    let keys = loaded.iter().zip(&lineages).flat_map(|(series, lineage)| {
        let formers = lineage.all();
        formers.map(|former| (series.indicator_id, former.unit_id))
    });
    let mut keys: Vec<Key> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    let old = Box::pin(load::exact(tx, base, &keys, thresholds_version)).await?;
    let old: HashMap<Key, Basis> = old.into_iter().map(|old| (old.key(), old.basis)).collect();
    for (series, lineage) in loaded.iter_mut().zip(&lineages) {
        let known = |former: &Former| old.get(&(series.indicator_id, former.unit_id));
        let origins = lineage.origins.iter();
        let origins: Option<Vec<_>> = origins
            .map(|former| Some((known(former)?, former.share)))
            .collect();
        let joined = lineage.joined.iter();
        let joined: Vec<_> = joined
            .filter_map(|former| Some((known(former)?, *former)))
            .collect();
        let basis = &mut series.basis;
        let reported = count_reported(basis);
        begin(basis, &origins.unwrap_or_default(), lineage.since);
        for (old, former) in joined {
            take_in(basis, old, former);
        }
        series.has_joined = count_reported(basis) < reported;
    }
    Ok(())
}

fn count_reported(basis: &Basis) -> usize {
    let figures = basis.history.iter();
    figures.filter(|figure| !figure.id.is_empty()).count()
}

/// Figures and plans of the time before a unit: of periods that all others reported and it did not, and plans that were
/// still open and are not made anew. Of a period within which it began flows are added that both reported, unless it worked
/// out the one before as well; without a part that only some reported it is not known.
fn begin(basis: &mut Basis, origins: &[(&Basis, f64)], since: NaiveDate) {
    let Some(((first, share), others)) = origins.split_first() else {
        return;
    };
    let own = by_period(&basis.history);
    let old = origins
        .iter()
        .map(|(old, share)| (by_period(&old.history), *share));
    let old: Vec<_> = old.collect();
    let adds_up = basis.indicator.aggregation() == Aggregation::Sum;
    let is_part = |period: Period| {
        is_within(since, period) && is_flow(basis) && !own.contains_key(&period.previous().index())
    };
    let figure = |figure: &Observation| {
        let period = Period::try_from(&figure.period).ok()?;
        let mut parts = match own.get(&period.index()) {
            Some(own) if is_part(period) => vec![(*own, 1.0)],
            None if !adds_up || period.last_day() < since => Vec::new(),
            _ => return None,
        };
        for (figures, share) in &old {
            parts.push((figures.get(&period.index())?, *share));
        }
        total(basis, &parts)
    };
    let figures: Vec<Observation> = first.history.iter().filter_map(figure).collect();
    let is_known = |own: &Observation| {
        let Some(period) = Period::try_from(&own.period).ok() else {
            return false;
        };
        let parts = old.iter();
        let parts = parts.filter(|(figures, _)| figures.contains_key(&period.index()));
        let parts = parts.count();
        !is_part(period) || parts == 0 || parts == old.len()
    };
    let known = basis.history.iter().filter(|own| is_known(own)).cloned();
    let known: Vec<Observation> = known.collect();

    let is_open = |target: &&Target| {
        let span = Period::try_from(&target.period);
        span.is_ok_and(|span| since <= span.last_day())
    };
    let is_new = |target: &&Target| !basis.targets.iter().any(|own| is_same(own, target));
    let plan = |target: &Target| {
        let mut parts = vec![(target, *share)];
        for (old, share) in others {
            parts.push((old.targets.iter().find(|one| is_same(one, target))?, *share));
        }
        let unit_id = basis.unit_id.to_string();
        let whole = whole(&parts, basis.indicator.decimals)?;
        Some(Target { unit_id, ..whole })
    };
    let open = first.targets.iter().filter(is_open).filter(is_new);
    let plans: Vec<Target> = open.filter_map(plan).collect();
    let by_index = |figure: Observation| Some((index(&figure)?, figure));
    let all: BTreeMap<i32, Observation> = known
        .into_iter()
        .chain(figures)
        .filter_map(by_index)
        .collect();
    basis.history = all.into_values().collect();
    basis.targets.extend(plans);
}

/// Adds the figures of a unit that was taken in, until its last day, and its plans to those that were made by then. Of a
/// period that it did not report it is taken to have been as large beside the other as in those that it did, if any.
fn take_in(basis: &mut Basis, old: &Basis, former: Former) {
    let figures = by_period(&old.history);
    let until = |figure: &Observation| {
        let period = Period::try_from(&figure.period).ok()?;
        (period.first_day() <= former.last_day).then_some(period)
    };
    let both = basis.history.iter().filter_map(|own| {
        let period = until(own).filter(|period| period.last_day() <= former.last_day)?;
        Some((value(own)?, value(figures.get(&period.index())?)?))
    });
    let (own, taken): (Vec<f64>, Vec<f64>) = both.unzip();
    let (own, taken): (f64, f64) = (own.iter().sum(), taken.iter().sum());
    let size = (own > 0.0 && taken >= 0.0).then_some(taken / own);
    let with = |own: &Observation| {
        let Some(period) = until(own) else {
            return Some(own.clone());
        };
        match figures.get(&period.index()) {
            _ if period.last_day() > former.last_day && !is_flow(basis) => Some(own.clone()),
            Some(taken) => total(basis, &[(own, 1.0), (taken, former.share)]),
            None if period.last_day() > former.last_day => Some(own.clone()),
            None => {
                let Some(size) = size else {
                    return Some(own.clone());
                };
                let mut whole = total(basis, &[(own, 1.0 + size * former.share)])?;
                whole.set_vintage(Vintage::Estimate);
                Some(whole)
            }
        }
    };
    if !figures.is_empty() {
        basis.history = basis.history.iter().filter_map(with).collect();
    }
    let decimals = basis.indicator.decimals;
    for own in &mut basis.targets {
        let made = own.create_time.as_ref();
        let made = made.and_then(|time| DateTime::from_timestamp(time.seconds, 0));
        let is_after = made.is_some_and(|time| city_date(time) > former.last_day);
        let taken = old.targets.iter().find(|one| is_same(one, own));
        if let Some(taken) = taken.filter(|_| !is_after)
            && let Some(sum) = whole(&[(own, 1.0), (taken, former.share)], decimals)
        {
            *own = sum;
        }
    }
}

/// Whether its periods add up to the year's figure, so that parts of a period add up to it.
fn is_flow(basis: &Basis) -> bool {
    basis.indicator.year_rule() == YearRule::Sum
}

/// Whether a day divides a period.
fn is_within(day: NaiveDate, period: Period) -> bool {
    period.first_day() < day && day <= period.last_day()
}

fn index(figure: &Observation) -> Option<i32> {
    Period::try_from(&figure.period).map(Period::index).ok()
}

fn value(figure: &Observation) -> Option<f64> {
    figure.value.parse().ok()
}

fn by_period(history: &[Observation]) -> HashMap<i32, &Observation> {
    let figures = history.iter();
    figures
        .filter_map(|figure| Some((index(figure)?, figure)))
        .collect()
}

/// Whether one stands for the other in another unit's plan.
fn is_same(one: &Target, other: &Target) -> bool {
    one.period == other.period && (one.author, one.kind) == (other.author, other.kind)
}

/// The figure of shares of units.
fn total(basis: &Basis, parts: &[(&Observation, f64)]) -> Option<Observation> {
    let period = Period::try_from(&parts.first()?.0.period).ok()?;
    let values = parts.iter().map(|(figure, share)| (&*figure.value, *share));
    let value = added(values, basis.indicator.decimals)?;
    let figures: Vec<&Observation> = parts.iter().map(|(figure, _)| *figure).collect();
    Some(calculated(basis, period, value, &figures))
}

/// The plan of shares of units, if all are met alike.
fn whole(parts: &[(&Target, f64)], decimals: i32) -> Option<Target> {
    let (first, _) = *parts.first()?;
    if parts
        .iter()
        .any(|(plan, _)| plan.comparator != first.comparator)
    {
        return None;
    }
    let value = added(
        parts.iter().map(|(plan, share)| (&*plan.value, *share)),
        decimals,
    )?;
    let mut upper_value = String::new();
    if !first.upper_value.is_empty() {
        let uppers = parts
            .iter()
            .map(|(plan, share)| (&*plan.upper_value, *share));
        upper_value = added(uppers, decimals)?;
    }
    Some(Target {
        value,
        upper_value,
        illustrative: parts.iter().any(|(plan, _)| plan.illustrative),
        ..first.clone()
    })
}

/// The sum of shares of values, not rounded yet.
fn added<'a>(parts: impl Iterator<Item = (&'a str, f64)> + Clone, decimals: i32) -> Option<String> {
    let given = parts
        .clone()
        .map(|(value, _)| given_places(value, decimals));
    let places = given.max()?.max(decimals) + MORE_PLACES;
    let share = |(value, share): (&str, f64)| Some(value.parse::<f64>().ok()? * share);
    let sum = parts.map(share).sum::<Option<f64>>()?;
    Some(decimal(sum, places))
}

/// How many more places a sum of shares has than what it is of, until all is added up: shares of shares are a whole again.
const MORE_PLACES: i32 = 6;

/// The places of what a value was worked out from, or its own.
fn given_places(value: &str, decimals: i32) -> i32 {
    let places = places(value);
    let given = places - MORE_PLACES;
    if given >= decimals { given } else { places }
}

/// Gives what was worked out as many places as what it was worked out from.
pub fn round(basis: &mut Basis) {
    let decimals = basis.indicator.decimals;
    let figures = basis.history.iter_mut().map(|figure| &mut figure.value);
    let plans = basis.targets.iter_mut();
    let plans = plans.flat_map(|plan| [&mut plan.value, &mut plan.upper_value]);
    for value in figures.chain(plans) {
        let given = given_places(value, decimals);
        if let Some(exact) = value.parse().ok().filter(|_| given < places(value)) {
            *value = decimal(exact, given);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chassis::testing::City;
    use proto::identity::v1::UnitKind;

    use super::*;

    #[test]
    fn whoever_came_from_a_unit_is_found_through_all_that_did() {
        let mut city = City::new();
        let first = city.unit("1", UnitKind::Ward, Some(city.root));
        let mut after = |code: &str, year: i32, old: Uuid| {
            let since = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
            city.successor(code, UnitKind::Ward, since, &[(old, "0.5")])
        };
        let (second, third) = (after("2", 2020, first), after("3", 2020, first));
        let others = [after("4", 2021, second), after("5", 2021, third)];
        let found = heirs(&city.directory());
        let of = |old: Uuid| -> BTreeSet<Uuid> {
            let pairs = found.iter().filter(|pair| pair.0 == old);
            pairs.map(|pair| pair.1).collect()
        };
        assert_eq!(
            of(first),
            BTreeSet::from([second, third, others[0], others[1]])
        );
        assert_eq!(of(second), BTreeSet::from([others[0]]));
        assert_eq!(found.len(), 6);
    }
}
