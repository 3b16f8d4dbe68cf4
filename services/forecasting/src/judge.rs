//! How a series stands against one target.

use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, NoForecastReason, NoPaceReason, RiskStatus},
    indicators::v1::{Comparator, Direction, Indicator, Target, YearRule},
    period::Period,
};

use crate::{
    model::{self, Bounds, Evidence, NoPace, Outturn, Rule, Status, Thresholds, Unknowable},
    outlook::Outlook,
    timeline::Timeline,
};

/// What a judgement rests on besides the target.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The indicator.
    pub indicator: &'a Indicator,
    /// Its figures.
    pub timeline: Option<&'a Timeline>,
    /// How it may go on, or why that is not known.
    pub outlook: Result<&'a Outlook, NoForecastReason>,
    /// The first and the last period whose figures should be there; none where nobody reports them here.
    pub due: Option<(Period, Period)>,
    /// Where colours change.
    pub thresholds: Thresholds,
    /// How it was judged before by the same thresholds.
    pub before: &'a [pb::Assessment],
    /// Whether its last figures are only supposed.
    pub is_supposed: bool,
}

impl Case<'_> {
    /// The period after the last figure, if that is due.
    #[must_use]
    pub fn late(&self) -> Option<Period> {
        let (_, due) = self.due?;
        let next = self.timeline?.last().next();
        (next <= due).then_some(next)
    }

    /// To how many decimal places figures are reported.
    fn places(&self) -> i32 {
        let seen = self.timeline.map_or(0, Timeline::places);
        seen.max(self.indicator.decimals)
    }

    /// The colour that it had against a target that is still the same.
    fn colour(&self, target: &Target) -> Option<Status> {
        let same = |before: &&pb::Assessment| before.target.as_ref() == Some(target);
        let before = self.before.iter().find(same)?;
        match before.status() {
            RiskStatus::Red => Some(Status::Red),
            RiskStatus::Orange => Some(Status::Orange),
            RiskStatus::Green => Some(Status::Green),
            _ => None,
        }
    }

    /// The first of these periods whose figure is due and not there: silence from the beginning and gaps count, too.
    fn lacking(&self, first: Period, last: Period) -> Option<Period> {
        let (since, due) = self.due?;
        (first.max(since).index()..=last.min(due).index())
            .map(|index| Period::from_index(first.frequency(), index))
            .find(|period| self.timeline.and_then(|t| t.value(*period)).is_none())
    }
}

/// A place on the board: ranks of status, probability and gap, the most endangered first.
pub type Rank = (i16, i32, i64);

/// An assessment and its place among others.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The assessment.
    pub assessment: pb::Assessment,
    /// Its place.
    pub rank: Rank,
}

impl Judged {
    /// The author and the period of the target; 0 and empty without one.
    #[must_use]
    pub fn view(&self) -> (i16, String) {
        let target = self.assessment.target.clone().unwrap_or_default();
        let period = target.period.unwrap_or_default();
        (
            i16::try_from(target.author).unwrap_or_default(),
            period.code,
        )
    }
}

/// Where a status stands on the board.
#[must_use]
pub fn status_rank(status: RiskStatus) -> i16 {
    match status {
        RiskStatus::Red => 1,
        RiskStatus::Orange => 2,
        RiskStatus::Green => 3,
        RiskStatus::Overdue => 4,
        RiskStatus::Grey | RiskStatus::Unspecified => 5,
        RiskStatus::Missed => 6,
        RiskStatus::Met => 7,
    }
}

/// The rank of what has no probability: after all that have one.
const NO_PROBABILITY: i32 = 2_000_000;

/// Judges a series against a target.
#[must_use]
pub fn judge(case: Case<'_>, target: &Target) -> Judged {
    let mut assessment = pb::Assessment {
        target: Some(target.clone()),
        ..Default::default()
    };
    let is_context = case.indicator.direction() == Direction::Context;
    let year = Year::new(case.indicator, case.timeline, target);
    let outturn = year
        .as_ref()
        .map_err(|reason| *reason)
        .and_then(|year| year.outturn(case));
    let is_final = matches!(outturn, Ok(Outturn::Final(_)));
    let mut gap = None;
    let evidence = match (&year, &outturn) {
        _ if is_context => Evidence::TooLittle,
        (Ok(year), Ok(outturn)) => {
            let evidence = year.evidence(case, outturn);
            if !matches!(evidence, Evidence::TooLittle) {
                fill(&mut assessment, case.indicator, outturn);
                gap = Some(year.gap(outturn.mean()));
            }
            evidence
        }
        _ => Evidence::TooLittle,
    };
    if let Evidence::Expected(probability) = evidence {
        assessment.probability = Some(probability);
        if let (Ok(year), Ok(Outturn::Expected(figures)), Ok(outlook)) =
            (&year, &outturn, case.outlook)
        {
            assessment.next_figure_swing = swing(&outlook.paths, figures, year.target);
        }
    }
    if matches!(evidence, Evidence::TooLittle) {
        let reason = if is_context {
            NoForecastReason::Context
        } else {
            outturn.err().unwrap_or(NoForecastReason::Annual)
        };
        assessment.set_no_forecast_reason(reason);
    }
    assessment.set_no_pace_reason(NoPaceReason::Unknown);
    if let Ok(year) = &year {
        assessment.remaining_periods = year.remaining();
        let is_running = case.outlook.err() != Some(NoForecastReason::UnitEnded);
        if !is_context && is_running {
            year.fill_pace(&mut assessment, case);
        }
    }
    let lacking = |year: &Year| case.lacking(year.first, year.last);
    let overdue = year.as_ref().ok().and_then(lacking).or(case.late());
    let overdue = overdue.filter(|_| !is_final);
    let before = case.colour(target);
    let status = model::status(
        evidence,
        is_context,
        overdue.is_some(),
        case.thresholds,
        before,
    );
    set_status(&mut assessment, status, overdue);
    let rank = rank(&assessment, gap);
    Judged { assessment, rank }
}

/// Gives an assessment its colour, and names the figure that is overdue.
pub fn set_status(assessment: &mut pb::Assessment, status: Status, overdue: Option<Period>) {
    assessment.set_status(shown(status));
    assessment.overdue_period = overdue.map(Into::into);
}

/// What is expected at the end of the year in which the next figure falls, where no target says of when.
pub fn fill_outturn(assessment: &mut pb::Assessment, case: Case<'_>) {
    let Some(next) = case.timeline.map(|timeline| timeline.last().next()) else {
        return;
    };
    let target = Target {
        period: Period::new(Frequency::Year, next.year(), 1).map(Into::into),
        value: "0".to_owned(),
        ..Default::default()
    };
    let year = Year::new(case.indicator, case.timeline, &target);
    if let Ok(outturn) = year.and_then(|year| year.outturn(case)) {
        fill(assessment, case.indicator, &outturn);
    }
}

/// How much the next figure decides: by how much more often the target is met after one in its upper half than after one
/// in its lower half, or less often. Figures and paths belong together.
fn swing(paths: &[Vec<f64>], figures: &[f64], target: model::Target) -> Option<f64> {
    let next = || paths.iter().filter_map(|path| path.first().copied());
    let mut sorted: Vec<f64> = next().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = *sorted.get(sorted.len() / 2)?;
    let share = |is_high: bool| {
        let half = next()
            .zip(figures)
            .filter(|(next, _)| (*next >= middle) == is_high);
        let (met, all) = half.fold((0, 0), |(met, all), (_, figure)| {
            (met + i32::from(target.is_met(*figure)), all + 1)
        });
        (all > 0).then(|| f64::from(met) / f64::from(all))
    };
    Some((share(true)? - share(false)?).abs())
}

/// The contract's word for a status.
fn shown(status: Status) -> RiskStatus {
    match status {
        Status::Met => RiskStatus::Met,
        Status::Missed => RiskStatus::Missed,
        Status::Red => RiskStatus::Red,
        Status::Orange => RiskStatus::Orange,
        Status::Green => RiskStatus::Green,
        Status::Overdue => RiskStatus::Overdue,
        Status::Grey => RiskStatus::Grey,
    }
}

/// The place of an assessment among others.
#[must_use]
pub fn rank(assessment: &pb::Assessment, gap: Option<f64>) -> Rank {
    (
        status_rank(assessment.status()),
        assessment.probability.map_or(NO_PROBABILITY, millionths),
        // Beyond a million times the target differences say nothing more.
        gap.map_or(0, |gap| i64::from(millionths(gap.clamp(-1e3, 1e3)))),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "callers keep it within range"
)]
fn millionths(value: f64) -> i32 {
    (value * 1e6).round() as i32
}

/// The year, or shorter span, at whose end a target counts.
#[derive(Debug)]
pub struct Year {
    /// How its figure follows from its periods.
    pub rule: Rule,
    /// Its first period.
    pub first: Period,
    /// Its last period.
    pub last: Period,
    /// The figures so far, gaps as such.
    pub observed: Vec<Option<f64>>,
    /// Periods between the last figure and the first of this span.
    offset: usize,
    /// What its figure should be.
    pub target: model::Target,
}

impl Year {
    /// The span of a target, with the figures reported of it.
    pub fn new(
        indicator: &Indicator,
        timeline: Option<&Timeline>,
        target: &Target,
    ) -> Result<Self, NoForecastReason> {
        let unreadable = NoForecastReason::TooShort;
        let value: f64 = target.value.parse().map_err(|_| unreadable)?;
        let bound = match target.comparator() {
            Comparator::AtMost => model::Target::AtMost(value),
            Comparator::Within => model::Target::Within {
                low: value,
                high: target.upper_value.parse().map_err(|_| unreadable)?,
            },
            Comparator::AtLeast | Comparator::Unspecified => model::Target::AtLeast(value),
        };
        let span = Period::try_from(&target.period).map_err(|_| unreadable)?;
        let (first, last) = span.split(indicator.frequency()).ok_or(unreadable)?;
        let reported = timeline.map_or(first.index() - 1, |timeline| timeline.last().index());
        Ok(Self {
            rule: match indicator.year_rule() {
                YearRule::Sum => Rule::Sum,
                YearRule::Published => Rule::Published,
                YearRule::Ratio => Rule::Ratio,
                YearRule::Last | YearRule::Unspecified => Rule::Last,
            },
            first,
            last,
            observed: timeline
                .map(|timeline| timeline.observed(first, last))
                .unwrap_or_default(),
            offset: usize::try_from(first.index() - 1 - reported).unwrap_or_default(),
            target: bound,
        })
    }

    fn periods(&self) -> usize {
        usize::try_from(self.last.index() - self.first.index() + 1).unwrap_or_default()
    }

    fn remaining(&self) -> i32 {
        i32::try_from(self.periods() - self.observed.len()).unwrap_or_default()
    }

    fn outturn(&self, case: Case<'_>) -> Result<Outturn, NoForecastReason> {
        let paths = match case.outlook {
            _ if self.remaining() == 0 => Vec::new(),
            Ok(outlook) => {
                let paths = outlook.paths.iter();
                paths
                    .map(|path| path.get(self.offset..).unwrap_or_default().to_vec())
                    .collect()
            }
            Err(reason) => return Err(reason),
        };
        model::outturn(self.rule, self.periods(), &self.observed, &paths)
            .map(|outturn| outturn.rounded(case.places()))
            .map_err(|unknowable| match unknowable {
                Unknowable::Gap { .. } => NoForecastReason::Incomplete,
                Unknowable::PathsTooShort { .. } | Unknowable::YearTooLong => {
                    NoForecastReason::TooShort
                }
            })
    }

    /// What the outturn says: final once all is reported and official; a figure of the year that is not official yet
    /// says nothing final, and nothing is expected of it, unless that is what is asked.
    fn evidence(&self, case: Case<'_>, outturn: &Outturn) -> Evidence {
        let Outturn::Final(figure) = outturn else {
            return Evidence::Expected(model::probability(outturn, self.target));
        };
        let is_official = case.timeline.is_some_and(|timeline| {
            let first = if self.rule == Rule::Sum {
                self.first
            } else {
                self.last
            };
            (first.index()..=self.last.index())
                .map(|index| Period::from_index(first.frequency(), index))
                .all(|period| timeline.is_official(period))
        });
        if is_official {
            Evidence::Official(self.target.is_met(*figure))
        } else if case.outlook.err() == Some(NoForecastReason::Annual) && !case.is_supposed {
            Evidence::TooLittle
        } else {
            Evidence::Expected(model::probability(outturn, self.target))
        }
    }

    /// By which share of the target a figure passes it; negative where it falls short.
    fn gap(&self, figure: f64) -> f64 {
        let share = |distance: f64, bound: f64| distance / bound.abs().max(1e-9);
        match self.target {
            model::Target::AtLeast(low) => share(figure - low, low),
            model::Target::AtMost(high) => share(high - figure, high),
            model::Target::Within { low, high } => {
                share(figure - low, low).min(share(high - figure, high))
            }
        }
    }

    fn fill_pace(&self, assessment: &mut pb::Assessment, case: Case<'_>) {
        let before: Option<Vec<f64>> = case.timeline.and_then(|timeline| {
            (self.first.index()..=self.last.index())
                .map(|index| Period::from_index(self.first.frequency(), index).year_before())
                .map(|period| timeline.value(period))
                .collect()
        });
        let pace = model::required_pace(
            self.rule,
            self.periods(),
            &self.observed,
            self.target,
            before.as_deref(),
        );
        let (pace, reason) = match pace {
            Ok(pace) => (Some(pace), NoPaceReason::Unspecified),
            Err(NoPace::AlreadyMet) => (None, NoPaceReason::AlreadyMet),
            Err(NoPace::Impossible) => (None, NoPaceReason::Impossible),
            Err(NoPace::CompleteMet | NoPace::CompleteMissed) => (None, NoPaceReason::Over),
            Err(NoPace::Unknowable(_)) => (None, NoPaceReason::Unknown),
        };
        assessment.set_no_pace_reason(reason);
        let Some(pace) = pace else {
            return;
        };
        let pick = |bounds: Bounds| match self.target {
            model::Target::AtMost(_) => (bounds.high, None),
            model::Target::AtLeast(_) | model::Target::Within { .. } => (bounds.low, bounds.high),
        };
        let is_average = self.rule == Rule::Sum && assessment.remaining_periods > 1;
        let (value, upper) = written(pace.value, case.places(), is_average);
        (assessment.required_pace, assessment.required_pace_upper) = match self.target {
            model::Target::AtMost(_) => (upper, String::new()),
            model::Target::AtLeast(_) | model::Target::Within { .. } => (value, upper),
        };
        // What is published as growth has no growth of its own.
        let growth = pace.growth.filter(|_| self.rule != Rule::Published);
        if let Some(growth) = growth.and_then(|growth| pick(growth).0) {
            assessment.required_growth_percent = decimal(growth * 100.0, 1);
        }
    }
}

/// How many more places an average may have than figures, so that little is lost by rounding.
const MORE_PLACES: i32 = 2;
/// What is little, as a share.
const LITTLE: f64 = 0.05;

/// What must be at least and at most, with so many places, rounded so that keeping to it suffices; empty where it need not
/// be. Where no such number lies between, the nearest.
fn written(bounds: Bounds, places: i32, is_average: bool) -> (String, String) {
    let round = |places| Bounds {
        low: bounds.low.map(|value| rounded_up(value, places)),
        high: bounds.high.map(|value| -rounded_up(-value, places)),
    };
    let is_near = |rounded: &Option<f64>, exact: Option<f64>| {
        let both = rounded.zip(exact);
        both.is_none_or(|(rounded, exact)| (rounded - exact).abs() <= LITTLE * exact.abs())
    };
    let is_range = |rounded: &Bounds| {
        let both = rounded.low.zip(rounded.high);
        both.is_none_or(|(low, high)| low <= high)
    };
    let all = if is_average {
        places..=places + MORE_PLACES
    } else {
        places..=places
    };
    let last = *all.end();
    let fitting = all.clone().find(|places| {
        let rounded = round(*places);
        let is_near = is_near(&rounded.low, bounds.low) && is_near(&rounded.high, bounds.high);
        (is_near || !is_average) && is_range(&rounded)
    });
    let (rounded, places) = match fitting {
        Some(places) => (round(places), places),
        None => (Some(round(last)).filter(is_range).unwrap_or(bounds), last),
    };
    let write = |value: Option<f64>| value.map_or_else(String::new, |value| decimal(value, places));
    (write(rounded.low), write(rounded.high))
}

fn fill(assessment: &mut pb::Assessment, indicator: &Indicator, outturn: &Outturn) {
    let interval = outturn.interval(0.8);
    assessment.outturn = decimal(outturn.mean(), indicator.decimals);
    assessment.outturn_low = decimal(interval.low, indicator.decimals);
    assessment.outturn_high = decimal(interval.high, indicator.decimals);
}

/// The least number with so many decimal places that is not below a value, but for the noise of binary arithmetic.
fn rounded_up(value: f64, places: i32) -> f64 {
    let unit = 10_f64.powi(places);
    let steps = value * unit;
    (steps - 1e-9 * steps.abs().max(1.0)).ceil() / unit
}

/// Writes a statistic as a decimal with so many places.
#[must_use]
pub fn decimal(value: f64, places: i32) -> String {
    let places = usize::try_from(places).unwrap_or_default();
    let text = format!("{value:.places$}");
    // Nothing below zero is left after rounding.
    if text
        .trim_start_matches('-')
        .bytes()
        .all(|byte| matches!(byte, b'0' | b'.'))
    {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_written_as_decimals() {
        assert_eq!(decimal(1234.567, 2), "1234.57");
        assert_eq!(decimal(-0.004, 2), "0.00");
        assert_eq!(decimal(-0.6, 0), "-1");
        assert_eq!(decimal(5.0, -1), "5");
    }

    #[test]
    fn a_pace_that_is_kept_meets_the_plan() {
        for (value, places, expected) in [
            (6.5, 0, 7.0),
            (-1.5, 0, -1.0),
            (0.149_999_999_999_9, 2, 0.15),
            (0.15, 1, 0.2),
            (0.300_000_000_000_000_04, 1, 0.3),
            (12.0, 0, 12.0),
        ] {
            assert_eq!(rounded_up(value, places), expected, "{value}");
        }
    }

    #[test]
    fn a_pace_is_a_number_that_helps() {
        let both = |low, high| Bounds { low, high };
        let none = None;
        for (bounds, is_average, expected) in [
            (both(Some(12.4), none), true, ("13", "")),
            (both(Some(6.5), none), true, ("6.5", "")),
            (both(Some(6.5), none), false, ("7", "")),
            // One in three months is more than none.
            (both(none, Some(1.0 / 3.0)), true, ("", "0.33")),
            (both(none, Some(0.0)), true, ("", "0")),
            (both(Some(100.3), Some(100.7)), true, ("100.3", "100.7")),
            (both(Some(100.3), Some(100.7)), false, ("100", "101")),
            (
                both(Some(100.0 / 3.0), Some(100.0 / 3.0)),
                true,
                ("33.33", "33.33"),
            ),
        ] {
            let (low, high) = written(bounds, 0, is_average);
            assert_eq!((&*low, &*high), expected, "{bounds:?}");
        }
    }

    #[test]
    fn the_board_puts_red_first_and_the_improbable_before_the_probable() {
        let assessment = |status: RiskStatus, probability| pb::Assessment {
            status: status.into(),
            probability,
            ..Default::default()
        };
        let order = [
            rank(&assessment(RiskStatus::Red, Some(0.01)), None),
            rank(&assessment(RiskStatus::Red, Some(0.2)), Some(-0.5)),
            rank(&assessment(RiskStatus::Red, Some(0.2)), Some(-0.1)),
            rank(&assessment(RiskStatus::Orange, Some(0.5)), None),
            rank(&assessment(RiskStatus::Green, Some(0.9)), None),
            rank(&assessment(RiskStatus::Overdue, None), None),
            rank(&assessment(RiskStatus::Grey, None), None),
        ];
        assert!(order.is_sorted());
        assert_eq!(
            rank(&assessment(RiskStatus::Red, Some(0.2)), Some(f64::INFINITY)).2,
            1_000_000_000
        );
    }
}
