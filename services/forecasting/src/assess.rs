//! The assessment of one series: its forecast, and its line on the risk board. Pure: the same basis and terms always
//! give the same answer.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, NoForecastReason},
    indicators::v1::{Direction, Indicator, Observation, Target, TargetKind, YearRule},
    period::{Period, per_year},
};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    derive::{self, Part},
    judge::{self, Case, Judged, Rank, decimal},
    model::{self, Evidence, Excess, Member, Thresholds},
    outlook::{Outlook, Point},
    timeline::Timeline,
};

/// How many last values a line of the board shows.
const RECENT: i32 = 24;

/// What an assessment rests on.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The indicator.
    pub indicator: Indicator,
    /// The unit.
    pub unit_id: Uuid,
    /// Drives the sample paths: the same for a series wherever and whenever it is assessed, so that its probability
    /// changes only when its figures do.
    pub seed: u64,
    /// Since when its figures are reported here, so that they can be late; never for the whole country's, nor for those of
    /// a unit that ended.
    pub reported_since: Option<NaiveDate>,
    /// The unit's last day, after which nothing comes.
    pub last_day: Option<NaiveDate>,
    /// Its targets.
    pub targets: Vec<Target>,
    /// The best known figures, oldest first.
    pub history: Vec<Observation>,
    /// How it was judged before by the thresholds in force.
    pub before: Vec<pb::Assessment>,
    /// Seasonal factors of a longer series beside or above it, the first for the first period of a year; empty when it
    /// needs none.
    pub seasons: Vec<f64>,
    /// What its whole has more than its parts, and whether it is the whole.
    pub excess: Option<(Excess, bool)>,
    /// By how much the coming figures are supposed to be other than expected.
    pub moved: Vec<f64>,
    /// How many of the last figures are supposed.
    pub supposed: usize,
    /// What it is calculated from; empty where it is only reported.
    pub parts: Vec<Part>,
}

impl Basis {
    /// As it was known after a period, before units were made to add up.
    #[must_use]
    pub fn until(&self, last: Period) -> Self {
        let was_known = |figure: &&Observation| {
            Period::try_from(&figure.period).is_ok_and(|period| period <= last)
        };
        Self {
            reported_since: None,
            last_day: None,
            before: Vec::new(),
            excess: None,
            history: self.history.iter().filter(was_known).cloned().collect(),
            parts: self.parts.iter().map(|part| part.until(last)).collect(),
            ..self.clone()
        }
    }
}

/// What holds for all series of a day.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Now.
    pub now: DateTime<Utc>,
    /// The city's date.
    pub today: NaiveDate,
    /// Where colours change.
    pub thresholds: Thresholds,
    /// Version of the thresholds.
    pub thresholds_version: i32,
}

/// By which targets a series is judged: those of an author, of a period, or both. 0 and empty for any.
pub type View = (i16, String);

/// An assessment.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The forecast with its history and its assessments.
    pub forecast: pb::Forecast,
    /// The line of the board.
    pub item: pb::RiskItem,
    /// The line's place.
    pub rank: Rank,
    /// By which targets the line is judged.
    pub view: View,
    /// What stands for the series where targets of another author or period than the line's are asked for.
    pub others: Vec<(View, Judged)>,
    /// What the series says for itself, before units are made to add up.
    pub member: Option<Member>,
}

impl Terms {
    /// The last period whose figure should be there.
    #[must_use]
    pub fn expected(&self, indicator: &Indicator) -> Period {
        let (frequency, days) = (indicator.frequency(), indicator.report_days.into());
        let mut period = Period::containing(frequency, self.today).previous();
        // Figures are due within a year.
        for _ in 0..=per_year(frequency) {
            if period.last_day() + chrono::TimeDelta::days(days) < self.today {
                break;
            }
            period = period.previous();
        }
        period
    }
}

/// Assesses a series.
#[must_use]
pub fn assess(basis: &Basis, terms: &Terms) -> Assessed {
    let indicator = &basis.indicator;
    let timeline = timeline(basis);
    let ends = basis.targets.iter().filter_map(|target| {
        let span = Period::try_from(&target.period).ok()?;
        Some(span.split(indicator.frequency())?.1)
    });
    let outlook = look_ahead(basis, timeline.as_ref(), ends.max(), terms);
    let case = Case {
        indicator,
        timeline: timeline.as_ref(),
        outlook: outlook.as_ref().map_err(|reason| *reason),
        due: basis.reported_since.map(|day| {
            let first = Period::containing(indicator.frequency(), day);
            (first, terms.expected(indicator))
        }),
        thresholds: terms.thresholds,
        before: &basis.before,
        is_supposed: basis.supposed > 0,
    };
    let mut judged: Vec<Judged> = basis
        .targets
        .iter()
        .map(|target| judge::judge(case, target))
        .collect();
    judged.sort_by_key(|judged| judged.rank);
    let line = line(judged.iter(), terms.today)
        .cloned()
        .unwrap_or_else(|| without_target(case));
    let view = line.view();
    let others = others(&judged, &line, terms.today);

    let time = Some(chassis::parse::timestamp(terms.now));
    let illustrative = basis.history.iter().any(|figure| figure.illustrative)
        || basis.targets.iter().any(|target| target.illustrative);
    let status = line.assessment.status();
    let (recent_values, recent_end) = recent(basis, timeline.as_ref());
    let mut forecast = pb::Forecast {
        indicator: Some(indicator.clone()),
        unit_id: basis.unit_id.to_string(),
        history: basis.history.clone(),
        points: outlook
            .as_ref()
            .map(|outlook| points(outlook, basis))
            .unwrap_or_default(),
        assessments: judged.into_iter().map(|judged| judged.assessment).collect(),
        create_time: time,
        observation_count: i32::try_from(basis.history.len()).unwrap_or(i32::MAX),
        illustrative,
        ..Default::default()
    };
    forecast.set_status(status);
    match &outlook {
        Ok(outlook) => method(outlook.basis).clone_into(&mut forecast.method),
        Err(reason) => forecast.set_no_forecast_reason(*reason),
    }
    let mut item = pb::RiskItem {
        indicator: Some(indicator.clone()),
        unit_id: basis.unit_id.to_string(),
        assessment: Some(line.assessment),
        last_observation: basis.history.last().cloned(),
        year_to_date: year_to_date(basis),
        recent_values,
        recent_end,
        update_time: time,
        illustrative,
        ..Default::default()
    };
    item.set_status(status);
    Assessed {
        forecast,
        item,
        rank: line.rank,
        view,
        others,
        member: outlook.ok().map(|outlook| outlook.member),
    }
}

/// The figures of a series, period by period; nothing without figures.
#[must_use]
pub fn timeline(basis: &Basis) -> Option<Timeline> {
    let timeline = Timeline::new(&basis.history)?;
    let unit_id = basis.unit_id.to_string();
    let timeline = timeline.with_breaks(&basis.indicator, &unit_id);
    Some(timeline.with_seasons(&basis.seasons))
}

/// How a series may go on, up to this period if it is not too far.
pub fn look_ahead(
    basis: &Basis,
    timeline: Option<&Timeline>,
    until: Option<Period>,
    terms: &Terms,
) -> Result<Outlook, NoForecastReason> {
    let frequency = basis.indicator.frequency();
    if basis.last_day.is_some_and(|last| last < terms.today) {
        return Err(NoForecastReason::UnitEnded);
    }
    if frequency == Frequency::Year {
        return Err(NoForecastReason::Annual);
    }
    let timeline = timeline.ok_or(NoForecastReason::TooShort)?;
    let behind = terms.expected(&basis.indicator).index() - timeline.last().index();
    if behind > per_year(frequency) {
        return Err(NoForecastReason::Stale);
    }
    let mut outlook = match basis.parts.is_empty() {
        true => reported(basis, timeline, until)?,
        false => derive::look_ahead(basis, timeline, until, terms)?,
    };
    outlook.keep_within(&basis.indicator, timeline);
    Ok(outlook)
}

/// How a series may go on from what was reported, and then from what is supposed.
fn reported(
    basis: &Basis,
    timeline: &Timeline,
    until: Option<Period>,
) -> Result<Outlook, NoForecastReason> {
    let count = i32::try_from(basis.supposed).unwrap_or_default();
    let first = timeline.last().plus(1 - count);
    let known = timeline.before(first).ok_or(NoForecastReason::TooShort)?;
    // A year beyond what is supposed.
    let end = timeline.last().plus(per_year(first.frequency()));
    let until = if count > 0 {
        until.max(Some(end))
    } else {
        until
    };
    let mut outlook = Outlook::new(&known, until, &basis.indicator, basis.seed)?;
    if let Some((excess, is_whole)) = &basis.excess {
        outlook.shift(&excess.shift(&outlook.member, *is_whole));
    }
    outlook.shift(&basis.moved);
    if count > 0 {
        let values = timeline.observed(first, timeline.last());
        outlook.suppose(&values.into_iter().flatten().collect::<Vec<f64>>());
    }
    Ok(outlook)
}

/// The contract's word for what a forecast rests on.
fn method(basis: model::Basis) -> &'static str {
    match basis {
        model::Basis::Combined => "combined",
        model::Basis::Short => "short",
        model::Basis::Naive => "naive",
        model::Basis::Rare => "rare",
        model::Basis::Constant => "constant",
        model::Basis::Calculated => "calculated",
    }
}

/// The assessment that stands for the series: against the most endangered base target of those whose period runs, else of
/// those to come, else of those that counted last.
fn line<'a>(
    judged: impl Iterator<Item = &'a Judged> + Clone,
    today: NaiveDate,
) -> Option<&'a Judged> {
    let span = |judged: &&Judged| {
        let target = judged.assessment.target.as_ref()?;
        let is_base = target.kind() == TargetKind::Base;
        let period = Period::try_from(&target.period).ok().filter(|_| is_base)?;
        Some((period.first_day(), period.last_day()))
    };
    let end = |judged: &&Judged| Some(span(judged)?.1);
    let open = |until: NaiveDate| {
        let is_open = |(first, last): (NaiveDate, NaiveDate)| first <= until && today <= last;
        judged.clone().find(|one| span(one).is_some_and(is_open))
    };
    open(today).or_else(|| open(NaiveDate::MAX)).or_else(|| {
        let newest = judged.clone().filter_map(|judged| end(&judged)).max()?;
        judged.clone().find(|judged| end(judged) == Some(newest))
    })
}

/// What stands for the series in each view in which its line does not.
fn others(judged: &[Judged], line: &Judged, today: NaiveDate) -> Vec<(View, Judged)> {
    let (any_author, any_period) = (0, String::new());
    let views = judged.iter().flat_map(|one| {
        let (author, period) = one.view();
        [
            (author, any_period.clone()),
            (any_author, period.clone()),
            (author, period),
        ]
    });
    let views: BTreeSet<View> = views.collect();
    let shows = |view: &View, one: &Judged| {
        let (author, period) = one.view();
        [any_author, author].contains(&view.0) && [&any_period, &period].contains(&&view.1)
    };
    let others = views.into_iter().filter(|view| !shows(view, line));
    let others = others.filter_map(|view| {
        let other = self::line(judged.iter().filter(|one| shows(&view, one)), today)?.clone();
        Some((view, other))
    });
    others.collect()
}

fn without_target(case: Case<'_>) -> Judged {
    let is_context = case.indicator.direction() == Direction::Context;
    let mut assessment = pb::Assessment::default();
    assessment.set_no_forecast_reason(if is_context {
        NoForecastReason::Context
    } else {
        NoForecastReason::NoTarget
    });
    judge::fill_outturn(&mut assessment, case);
    let status = model::status(
        Evidence::TooLittle,
        is_context,
        case.late().is_some(),
        case.thresholds,
        None,
    );
    judge::set_status(&mut assessment, status, case.late());
    let rank = judge::rank(&assessment, None);
    Judged { assessment, rank }
}

/// What is expected of the periods that begin while there is the unit.
fn points(outlook: &Outlook, basis: &Basis) -> Vec<pb::ForecastPoint> {
    let text = |value: f64| decimal(value, basis.indicator.decimals);
    let is_there = |point: &&Point| {
        let first = point.period.first_day();
        basis.last_day.is_none_or(|last| first <= last)
    };
    let points = outlook
        .points
        .iter()
        .filter(is_there)
        .map(|point| pb::ForecastPoint {
            period: Some(point.period.into()),
            mean: text(point.mean),
            low80: text(point.interval80.low),
            high80: text(point.interval80.high),
            low95: text(point.interval95.low),
            high95: text(point.interval95.high),
        });
    points.collect()
}

/// The figure of the last reported year so far; exact, for it is shown beside the figures.
fn year_to_date(basis: &Basis) -> String {
    let Some(last) = basis.history.last() else {
        return String::new();
    };
    if basis.indicator.year_rule() != YearRule::Sum {
        return last.value.clone();
    }
    let year = |figure: &Observation| Period::try_from(&figure.period).ok().map(Period::year);
    let sum: Decimal = basis
        .history
        .iter()
        .filter(|figure| year(figure) == year(last))
        .filter_map(|figure| figure.value.parse::<Decimal>().ok())
        .sum();
    sum.to_string()
}

fn recent(
    basis: &Basis,
    timeline: Option<&Timeline>,
) -> (Vec<String>, Option<proto::calendar::v1::Period>) {
    let Some(timeline) = timeline else {
        return (Vec::new(), None);
    };
    let last = timeline.last();
    let first = basis
        .history
        .first()
        .and_then(|figure| Period::try_from(&figure.period).ok());
    let first = first.map_or(last, |first| first.max(last.plus(1 - RECENT)));
    let mut values =
        vec![String::new(); usize::try_from(last.index() - first.index() + 1).unwrap_or_default()];
    for figure in &basis.history {
        let period = Period::try_from(&figure.period).ok();
        let at = period.and_then(|period| usize::try_from(period.index() - first.index()).ok());
        if let Some(value) = at.and_then(|at| values.get_mut(at)) {
            value.clone_from(&figure.value);
        }
    }
    (values, Some(last.into()))
}

#[cfg(test)]
mod tests {
    use proto::{forecasting::v1::RiskStatus, indicators::v1::Comparator};

    use super::*;
    use crate::timeline;

    fn terms(today: &str) -> Terms {
        Terms {
            now: DateTime::default(),
            today: today.parse().unwrap(),
            thresholds: Thresholds {
                red_below: 0.35,
                green_above: 0.75,
                margin: 0.02,
            },
            thresholds_version: 1,
        }
    }

    fn basis(history: Vec<Observation>) -> Basis {
        Basis {
            indicator: Indicator::default(),
            unit_id: Uuid::nil(),
            seed: 1,
            reported_since: None,
            last_day: None,
            targets: Vec::new(),
            history,
            before: Vec::new(),
            seasons: Vec::new(),
            excess: None,
            moved: Vec::new(),
            supposed: 0,
            parts: Vec::new(),
        }
    }

    #[test]
    fn what_never_changes_and_what_is_at_its_limit_keeps_its_plan() {
        use Comparator::{AtLeast, AtMost};
        use RiskStatus::{Green, Orange, Red};
        type Value<'a> = &'a dyn Fn(usize) -> f64;
        let full = |month: usize| [100.0, 99.97, 100.0, 99.92][month % 4];
        let most = |month: usize| if month % 9 == 4 { 99.9 } else { 100.0 };
        let rates: [(Value<'_>, Comparator, &str, RiskStatus); 6] = [
            (&|_| 100.0, AtLeast, "100", Green),
            (&|_| 100.0, AtMost, "99.9", Red),
            (&|_| 0.0, AtMost, "0", Green),
            (&|_| 95.0, AtLeast, "95.0", Green),
            (&full, AtLeast, "99.90", Green),
            (&most, AtLeast, "100", Orange),
        ];
        let counts: [(Value<'_>, Comparator, &str, RiskStatus); 3] = [
            (&|_| 0.0, AtMost, "0", Green),
            (&|_| 7.0, AtLeast, "84", Green),
            (&|_| 7.0, AtLeast, "85", Red),
        ];
        let rates = rates.map(|case| ("%", YearRule::Last, case));
        let counts = counts.map(|case| ("case", YearRule::Sum, case));
        let cases = rates.into_iter().chain(counts);
        for (measure, rule, (value, comparator, plan, expected)) in cases {
            let values: Vec<Option<f64>> = (0..34).map(|month| Some(value(month))).collect();
            let mut basis = basis(timeline::tests::history("2024-01", &values));
            measure.clone_into(&mut basis.indicator.measure_code);
            "0".clone_into(&mut basis.indicator.minimum);
            "100".clone_into(&mut basis.indicator.maximum);
            basis.indicator.set_frequency(Frequency::Month);
            basis.indicator.set_year_rule(rule);
            let mut target = Target {
                period: Some("2026".parse::<Period>().unwrap().into()),
                value: plan.to_owned(),
                ..Default::default()
            };
            target.set_comparator(comparator);
            target.set_kind(TargetKind::Base);
            basis.targets = vec![target];
            let assessed = assess(&basis, &terms("2026-11-03"));
            let found = assessed.item.assessment.unwrap();
            assert_eq!(found.status(), expected, "{measure} {plan}: {found:?}");
            for point in &assessed.forecast.points {
                let ends = [&point.low95, &point.mean, &point.high95].map(|x| x.parse().unwrap());
                assert!(
                    ends.is_sorted() && 0.0 <= ends[0] && ends[2] <= 100.0,
                    "{point:?}"
                );
            }
        }
    }

    #[test]
    fn the_plan_of_a_year_to_come_does_not_stand_before_it_begins() {
        let values: Vec<Option<f64>> = (0..34).map(|at| Some(100.0 + f64::from(at % 3))).collect();
        let mut basis = basis(timeline::tests::history("2024-01", &values));
        basis.indicator.set_frequency(Frequency::Month);
        basis.indicator.set_year_rule(YearRule::Sum);
        basis.targets = [("2027", "9000"), ("2026", "1100")]
            .map(|(year, plan)| {
                let mut target = Target {
                    period: Some(year.parse::<Period>().unwrap().into()),
                    value: plan.to_owned(),
                    ..Default::default()
                };
                target.set_comparator(Comparator::AtLeast);
                target.set_kind(TargetKind::Base);
                target
            })
            .to_vec();
        let line = |today: &str| assess(&basis, &terms(today)).view.1;
        assert_eq!(
            line("2026-11-03"),
            "2026",
            "though that of 2027 is endangered"
        );
        assert_eq!(line("2027-01-01"), "2027");
        basis.targets.pop();
        assert_eq!(assess(&basis, &terms("2026-11-03")).view.1, "2027");
    }

    #[test]
    fn a_figure_is_expected_from_the_day_after_its_due_date() {
        for (today, frequency, report_days, expected) in [
            ("2026-11-05", Frequency::Month, 5, "2026-09"),
            ("2026-11-06", Frequency::Month, 5, "2026-10"),
            ("2026-10-10", Frequency::Quarter, 10, "2026-Q2"),
            ("2026-10-11", Frequency::Quarter, 10, "2026-Q3"),
            ("2026-01-31", Frequency::Year, 31, "2024"),
            ("2026-02-01", Frequency::Year, 31, "2025"),
            ("2026-11-06", Frequency::Month, 366, "2025-10"),
        ] {
            let indicator = Indicator {
                frequency: frequency.into(),
                report_days,
                ..Default::default()
            };
            let period = terms(today).expected(&indicator);
            assert_eq!(period.to_string(), expected, "{today}");
        }
    }

    #[test]
    fn the_year_to_date_is_exact() {
        let figure = |period: &str, value: &str| Observation {
            period: Some(proto::calendar::v1::Period {
                code: period.to_owned(),
            }),
            value: value.to_owned(),
            ..Default::default()
        };
        let mut basis = basis(vec![
            figure("2025-12", "7"),
            figure("2026-01", "0.1"),
            figure("2026-02", "0.2"),
        ]);
        basis.indicator.set_year_rule(YearRule::Sum);
        assert_eq!(year_to_date(&basis), "0.3");
        basis.indicator.set_year_rule(YearRule::Last);
        assert_eq!(year_to_date(&basis), "0.2");
        basis.history.clear();
        assert_eq!(year_to_date(&basis), "");
    }
}
