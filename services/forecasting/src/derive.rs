//! Indicators that are calculated from others: their figures, and how they may go on.

use std::collections::{HashMap, HashSet};

use proto::{
    forecasting::v1::NoForecastReason,
    indicators::v1::{Indicator, Observation, Vintage, YearRule},
    period::{Period, per_year},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    assess::{self, Basis, Terms},
    judge::decimal,
    load::{Key, Loaded},
    model::{self, Member},
    outlook::{Outlook, horizon, moments},
    timeline::Timeline,
};

/// A part of a formula, with what is known of it in the unit.
#[derive(Clone, Debug)]
pub struct Part {
    /// What its own forecast rests on.
    pub basis: Basis,
    /// What it counts times.
    weight: f64,
    /// Whether it belongs to what is divided by.
    is_divisor: bool,
    /// By how many per cent its coming figures are supposed to be other than expected.
    pub percent: f64,
}

impl Part {
    /// As it was known after a period.
    #[must_use]
    pub fn until(&self, last: Period) -> Self {
        let mut part = self.clone();
        part.basis = part.basis.until(last);
        part
    }
}

/// A part as it goes on.
struct Course<'a> {
    part: &'a Part,
    timeline: &'a Timeline,
    /// Whether what counts is what it came to since the year began.
    is_total: bool,
}

impl<'a> Course<'a> {
    fn all(whole: &Indicator, parts: &'a [Part], timelines: &'a [Timeline]) -> Vec<Self> {
        let course = |(part, timeline): (&'a Part, &'a Timeline)| Self {
            part,
            timeline,
            is_total: whole.year_rule() == YearRule::Ratio
                && part.basis.indicator.year_rule() == YearRule::Sum,
        };
        parts.iter().zip(timelines).map(course).collect()
    }

    /// What counts of these periods, `future` following the last figure; nothing where a figure is missing.
    fn values(&self, first: Period, last: Period, future: &[f64]) -> Option<Vec<f64>> {
        let known = self.timeline.last();
        let value = |index: i32| match usize::try_from(index - known.index() - 1) {
            Ok(ahead) => future.get(ahead).copied(),
            Err(_) => self
                .timeline
                .value(Period::from_index(first.frequency(), index)),
        };
        if !self.is_total {
            return (first.index()..=last.index()).map(value).collect();
        }
        let year = per_year(first.frequency());
        let start = first.index() - first.index().rem_euclid(year);
        let mut total = 0.0;
        let mut totals = Vec::new();
        for index in start..=last.index() {
            if index.rem_euclid(year) == 0 {
                total = 0.0;
            }
            total += value(index)?;
            if index >= first.index() {
                totals.push(total);
            }
        }
        Some(totals)
    }
}

/// What the formula gives for the values of its parts; nothing where that is no number.
fn calculate<'a>(factor: f64, parts: impl Iterator<Item = (&'a Part, f64)>) -> Option<f64> {
    let (mut above, mut below, mut is_divided) = (0.0, 0.0, false);
    for (part, value) in parts {
        if part.is_divisor {
            below += part.weight * value;
            is_divided = true;
        } else {
            above += part.weight * value;
        }
    }
    let value = factor * above / if is_divided { below } else { 1.0 };
    value.is_finite().then_some(value)
}

fn factor(indicator: &Indicator) -> f64 {
    let formula = indicator.formula.as_ref();
    formula
        .and_then(|formula| formula.factor.parse().ok())
        .unwrap_or(1.0)
}

/// Adds the figures that follow from those of the parts, for periods of which none was reported.
pub fn fill(basis: &mut Basis) {
    let timelines: Option<Vec<Timeline>> = basis.parts.iter().map(timeline).collect();
    let Some(timelines) = timelines.filter(|timelines| !timelines.is_empty()) else {
        return;
    };
    let first = timelines.iter().map(|one| one.first().index()).max();
    let last = timelines.iter().map(|one| one.last().index()).min();
    let (Some(first), Some(last)) = (first, last) else {
        return;
    };
    let period_of = |figure: &Observation| Period::try_from(&figure.period).ok();
    let mut figures: HashMap<i32, Observation> = HashMap::new();
    for figure in basis.history.drain(..) {
        if let Some(period) = period_of(&figure) {
            figures.insert(period.index(), figure);
        }
    }
    let courses = Course::all(&basis.indicator, &basis.parts, &timelines);
    let factor = factor(&basis.indicator);
    for index in first..=last {
        let period = Period::from_index(basis.indicator.frequency(), index);
        let values = courses.iter().map(|course| {
            let value = course.values(period, period, &[])?.pop()?;
            Some((course.part, value))
        });
        let values: Option<Vec<(&Part, f64)>> = values.collect();
        let Some(value) = values.and_then(|values| calculate(factor, values.into_iter())) else {
            continue;
        };
        figures.entry(index).or_insert_with(|| {
            let parts = basis.parts.iter().filter_map(|part| {
                let of = |figure: &&Observation| period_of(figure) == Some(period);
                part.basis.history.iter().find(of)
            });
            let parts: Vec<&Observation> = parts.collect();
            let value = decimal(value, basis.indicator.decimals);
            calculated(basis, period, value, &parts)
        });
    }
    let mut figures: Vec<(i32, Observation)> = figures.into_iter().collect();
    figures.sort_by_key(|(index, _)| *index);
    basis.history = figures.into_iter().map(|(_, figure)| figure).collect();
}

/// A figure that nobody reported and that follows from others, as sure as the least sure of them.
#[must_use]
pub fn calculated(
    basis: &Basis,
    period: Period,
    value: String,
    sources: &[&Observation],
) -> Observation {
    let vintage = sources.iter().map(|figure| figure.vintage).min();
    let known = sources.iter().filter_map(|figure| figure.known_time);
    Observation {
        indicator_id: basis.indicator.id.clone(),
        unit_id: basis.unit_id.to_string(),
        period: Some(period.into()),
        value,
        vintage: vintage.unwrap_or(Vintage::Estimate.into()),
        known_time: known.max_by_key(|time| (time.seconds, time.nanos)),
        illustrative: sources.iter().any(|figure| figure.illustrative),
        ..Default::default()
    }
}

fn timeline(part: &Part) -> Option<Timeline> {
    assess::timeline(&part.basis)
}

/// How a calculated series may go on: the futures of its parts, joined.
pub fn look_ahead(
    basis: &Basis,
    whole: &Timeline,
    until: Option<Period>,
    terms: &Terms,
) -> Result<Outlook, NoForecastReason> {
    let unknown = NoForecastReason::TooShort;
    let last = whole.last();
    let horizon = horizon(last, until);
    let end = last.plus(horizon);
    let timelines: Option<Vec<Timeline>> = basis.parts.iter().map(timeline).collect();
    let timelines = timelines.ok_or(unknown)?;
    let outlooks: Vec<Outlook> = basis
        .parts
        .iter()
        .zip(&timelines)
        .map(|(part, timeline)| assess::look_ahead(&part.basis, Some(timeline), Some(end), terms))
        .collect::<Result<_, _>>()?;
    // A part that ends before the others, or is forecast less far, is known less far.
    let reach = timelines.iter().zip(&outlooks).map(|(timeline, outlook)| {
        timeline.last().index() + i32::try_from(outlook.points.len()).unwrap_or_default()
    });
    let end = reach.min().unwrap_or_default().min(end.index());
    let first = last.next();
    if end < first.index() {
        return Err(unknown);
    }
    let end = Period::from_index(last.frequency(), end);

    let courses = Course::all(&basis.indicator, &basis.parts, &timelines);
    let values = |outlooks: &[Outlook]| -> Option<Vec<Vec<Vec<f64>>>> {
        let values = |(course, outlook): (&Course<'_>, &Outlook)| {
            let paths = outlook.paths.iter();
            paths
                .map(|path| course.values(first, end, path))
                .collect::<Option<Vec<_>>>()
        };
        courses.iter().zip(outlooks).map(values).collect()
    };
    let expected = values(&outlooks).ok_or(unknown)?;
    let order = joined(basis, &timelines, &expected);
    let mut paths = calculate_all(basis, &expected, &order).ok_or(unknown)?;
    let is_ratio = basis.parts.iter().any(|part| part.is_divisor);
    // What adds up stays the sum of its parts; and a part that is known further knows better.
    let knows_all = timelines.iter().all(|timeline| timeline.last() == last);
    let correction = match is_ratio && knows_all {
        true => Outlook::new(whole, until, &basis.indicator, basis.seed).ok(),
        false => None,
    };
    let correction = correction.map(|own| Correction::new(&paths, &own.member));
    if basis.parts.iter().any(|part| part.percent != 0.0) {
        let mut moved = outlooks;
        for (outlook, part) in moved.iter_mut().zip(&basis.parts) {
            outlook.scale(1.0 + part.percent / 100.0);
        }
        let moved = values(&moved).ok_or(unknown)?;
        paths = calculate_all(basis, &moved, &order).ok_or(unknown)?;
    }
    if let Some(correction) = correction {
        correction.apply(&mut paths);
    }
    Ok(Outlook::of_paths(whole, paths))
}

/// The futures that follow from those of the parts; nothing where one is no number, or there are none.
fn calculate_all(
    basis: &Basis,
    values: &[Vec<Vec<f64>>],
    order: &[Vec<usize>],
) -> Option<Vec<Vec<f64>>> {
    let factor = factor(&basis.indicator);
    let count = order.first().map_or(0, Vec::len);
    let steps = values.first()?.first()?.len();
    let path = |at: usize| {
        let step = |step: usize| {
            let parts = basis.parts.iter().zip(values).zip(order);
            let parts = parts.map(|((part, values), order)| (part, values[order[at]][step]));
            calculate(factor, parts)
        };
        (0..steps).map(step).collect::<Option<Vec<f64>>>()
    };
    (0..count).map(path).collect()
}

/// How the futures of a ratio are drawn to what its own past says: errors of its parts often cancel, and its past knows
/// that. Each step by how uncertain both are (Bates, Granger 1969).
struct Correction {
    /// By how much the mean of each step moves.
    shift: Vec<f64>,
    /// Times how much deviations from it count.
    scale: Vec<f64>,
}

impl Correction {
    fn new(paths: &[Vec<f64>], own: &Member) -> Self {
        let steps = paths.iter().map(Vec::len).min().unwrap_or(0);
        let (mean, variance) = moments(paths, steps);
        let ours = mean.into_iter().zip(variance);
        let theirs = own.mean.iter().zip(&own.variance);
        let step = |((mean, variance), (other, own)): ((f64, f64), (&f64, &f64))| {
            let weight = variance / (variance + own);
            if !(weight.is_finite() && variance > 0.0 && *own > 0.0) {
                return (0.0, 1.0);
            }
            let spread = (own / variance).sqrt();
            (weight * (other - mean), 1.0 - weight + weight * spread)
        };
        let (shift, scale) = ours.zip(theirs).map(step).unzip();
        Self { shift, scale }
    }

    fn apply(&self, paths: &mut [Vec<f64>]) {
        let (mean, _) = moments(paths, self.shift.len());
        for path in paths {
            let steps = path.iter_mut().zip(&mean).zip(&self.shift).zip(&self.scale);
            for (((value, mean), shift), scale) in steps {
                *value = mean + shift + (*value - mean) * scale;
            }
        }
    }
}

/// Which futures of the parts belong together. An indicator that is a part twice goes with itself.
fn joined(basis: &Basis, timelines: &[Timeline], futures: &[Vec<Vec<f64>>]) -> Vec<Vec<usize>> {
    let frequency = basis.indicator.frequency();
    let first = timelines.iter().map(|one| one.first().index()).max();
    let last = timelines.iter().map(|one| one.last().index()).min();
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let past = |timeline: &Timeline| -> Vec<Option<f64>> {
        let periods = (first..=last).map(|index| Period::from_index(frequency, index));
        periods.map(|period| timeline.value(period)).collect()
    };
    let mut distinct: Vec<&str> = Vec::new();
    let (mut pasts, mut theirs) = (Vec::new(), Vec::new());
    let places = basis.parts.iter().zip(timelines).zip(futures);
    let places: Vec<usize> = places
        .map(|((part, timeline), futures)| {
            let id = part.basis.indicator.id.as_str();
            let known = distinct.iter().position(|other| *other == id);
            known.unwrap_or_else(|| {
                distinct.push(id);
                pasts.push(past(timeline));
                theirs.push(futures.as_slice());
                distinct.len() - 1
            })
        })
        .collect();
    let season = usize::try_from(per_year(frequency)).unwrap_or(1);
    let order = model::together(&pasts, season, &theirs, basis.seed);
    places.iter().map(|at| order[*at].clone()).collect()
}

/// Series with all that they are calculated from, parts before what they are parts of. What would be calculated from
/// itself, as may be seen for a moment while formulas change places, counts as reported.
pub async fn in_order(tx: &mut PgConnection, series: &[Key]) -> sqlx::Result<Vec<Vec<Key>>> {
    let indicators: Vec<Uuid> = series.iter().map(|key| key.0).collect();
    let rows = sqlx::query!(
        r#"SELECT DISTINCT whole_id AS "whole_id!", part_id AS "part_id!" FROM parts_below($1)"#,
        &indicators
    );
    let mut parts: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for row in rows.fetch_all(tx).await? {
        parts.entry(row.whole_id).or_default().push(row.part_id);
    }
    let mut steps: HashMap<Uuid, usize> = HashMap::new();
    for step in 1.. {
        let is_open = |id: &Uuid| parts.contains_key(id) && !steps.contains_key(id);
        let ready = parts
            .iter()
            .filter(|(whole, parts)| is_open(whole) && !parts.iter().any(is_open));
        let ready: Vec<Uuid> = ready.map(|(whole, _)| *whole).collect();
        if ready.is_empty() {
            break;
        }
        steps.extend(ready.into_iter().map(|whole| (whole, step)));
    }
    let mut order: Vec<Vec<Key>> =
        vec![Vec::new(); steps.values().max().map_or(1, |last| last + 1)];
    let mut open = series.to_vec();
    let mut seen: HashSet<Key> = HashSet::new();
    while let Some(key) = open.pop() {
        if !seen.insert(key) {
            continue;
        }
        let step = steps.get(&key.0).copied().unwrap_or_default();
        order[step].push(key);
        let parts = parts.get(&key.0).filter(|_| step > 0);
        open.extend(parts.into_iter().flatten().map(|part| (*part, key.1)));
    }
    Ok(order)
}

/// Joins calculated series with their parts, and fills in the figures that follow. Where a part has no figures in the
/// unit, a series is left as reported.
pub fn join(loaded: &mut [Loaded], known: &HashMap<Key, Loaded>) {
    for series in loaded {
        let Some(formula) = series.basis.indicator.formula.clone() else {
            continue;
        };
        let above = formula.numerator.iter().map(|term| (term, false));
        let below = formula.denominator.iter().map(|term| (term, true));
        let parts = above.chain(below).map(|(term, is_divisor)| {
            let part = Uuid::parse_str(&term.indicator_id).ok()?;
            let basis = &known.get(&(part, series.basis.unit_id))?.basis;
            (!basis.history.is_empty()).then(|| Part {
                basis: basis.clone(),
                weight: term.weight.parse().unwrap_or(1.0),
                is_divisor,
                percent: 0.0,
            })
        });
        series.basis.parts = parts.collect::<Option<_>>().unwrap_or_default();
        fill(&mut series.basis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(parts: Vec<Part>) -> Basis {
        let figure = |month: i32| Observation {
            period: Some(proto::calendar::v1::Period {
                code: format!("2026-{month:02}"),
            }),
            value: month.to_string(),
            ..Default::default()
        };
        let mut indicator = Indicator::default();
        indicator.set_frequency(proto::calendar::v1::Frequency::Month);
        Basis {
            indicator,
            unit_id: Uuid::nil(),
            seed: 1,
            reported_since: None,
            last_day: None,
            targets: Vec::new(),
            history: (1..=6).map(figure).collect(),
            before: Vec::new(),
            seasons: Vec::new(),
            excess: None,
            moved: Vec::new(),
            supposed: 0,
            parts,
        }
    }

    #[test]
    fn what_was_known_then_is_all_that_its_parts_knew() {
        let part = Part {
            basis: basis(Vec::new()),
            weight: 1.0,
            is_divisor: false,
            percent: 0.0,
        };
        let then = basis(vec![part]).until("2026-04".parse().unwrap());
        assert_eq!(then.history.len(), 4);
        assert_eq!(then.parts[0].basis.history.len(), 4);
    }
}
