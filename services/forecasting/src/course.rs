//! How the rest of a target's period may go: what would meet it, and three growth paths.

use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{self as pb, CourseKind, NoPaceReason},
    indicators::v1::Indicator,
    period::Period,
};

use crate::{
    judge::{Year, decimal},
    model::{self, Rule},
    timeline::Timeline,
};

/// The courses of a forecast up to the end of the target that stands for the series; empty where there are none.
#[must_use]
pub fn courses(forecast: &pb::Forecast, line: &pb::Assessment) -> Vec<pb::Course> {
    Ahead::new(forecast, line)
        .map(|ahead| ahead.courses(line))
        .unwrap_or_default()
}

/// What is known and expected of a target's period.
struct Ahead {
    indicator: Indicator,
    timeline: Timeline,
    year: Year,
    /// The span that the target is for.
    span: Period,
    done: f64,
    /// The expected values of the periods that remain.
    expected: Vec<f64>,
}

impl Ahead {
    fn new(forecast: &pb::Forecast, line: &pb::Assessment) -> Option<Self> {
        let indicator = forecast.indicator.clone()?;
        let timeline = Timeline::new(&forecast.history)?;
        let target = line.target.as_ref()?;
        let year = Year::new(&indicator, Some(&timeline), target).ok()?;
        let done = match year.rule {
            Rule::Sum => year.observed.iter().copied().sum::<Option<f64>>()?,
            Rule::Last | Rule::Published | Rule::Ratio => 0.0,
        };
        let within = |point: &&pb::ForecastPoint| {
            Period::try_from(&point.period)
                .is_ok_and(|period| year.first <= period && period <= year.last)
        };
        let expected = forecast.points.iter().filter(within);
        let expected: Option<Vec<f64>> = expected.map(|point| point.mean.parse().ok()).collect();
        let expected = expected?;
        let length = usize::try_from(year.last.index() - year.first.index() + 1).ok()?;
        (expected.len() + year.observed.len() == length).then_some(())?;
        Some(Self {
            span: Period::try_from(&target.period).ok()?,
            indicator,
            timeline,
            year,
            done,
            expected,
        })
    }

    fn courses(&self, line: &pb::Assessment) -> Vec<pb::Course> {
        let read = |text: &str| text.parse::<f64>().ok();
        let needed = (line.no_pace_reason() == NoPaceReason::Unspecified)
            .then(|| self.needed(read(&line.outturn)))
            .flatten();
        let kinds = [
            (CourseKind::Needed, needed),
            (CourseKind::Low, read(&line.outturn_low)),
            (CourseKind::Base, read(&line.outturn)),
            (CourseKind::High, read(&line.outturn_high)),
        ];
        let course = |(kind, outturn): (CourseKind, Option<f64>)| self.course(kind, outturn?);
        kinds.into_iter().filter_map(course).collect()
    }

    /// Where the year must end: at the bound that is in danger.
    fn needed(&self, expected: Option<f64>) -> Option<f64> {
        let bounds = self.year.target.bounds();
        match (bounds.low, bounds.high) {
            (Some(low), Some(high)) => {
                let middle = f64::midpoint(low, high);
                Some(if expected? < middle { low } else { high })
            }
            (low, high) => low.or(high),
        }
    }

    fn course(&self, kind: CourseKind, outturn: f64) -> Option<pb::Course> {
        let mut values = model::course(self.year.rule, self.done, &self.expected, outturn)?;
        let limit = |text: &str, open| text.parse().unwrap_or(open);
        let least = limit(&self.indicator.minimum, f64::NEG_INFINITY);
        let most = limit(&self.indicator.maximum, f64::INFINITY);
        for value in &mut values {
            *value = value.max(least).min(most);
        }
        let start = self.year.last.plus(1 - i32::try_from(values.len()).ok()?);
        let periods = (0..).map(|step| start.plus(step));
        let mut course = pb::Course {
            points: periods
                .zip(&values)
                .map(|(period, value)| {
                    self.point(period, *value, self.timeline.value(period.year_before()))
                })
                .collect(),
            quarters: self.quarters(&values).unwrap_or_default(),
            outturn: decimal(outturn, self.indicator.decimals),
            meets_target: self.year.target.is_met(outturn),
            ..Default::default()
        };
        course.set_kind(kind);
        Some(course)
    }

    fn point(&self, period: Period, value: f64, before: Option<f64>) -> pb::CoursePoint {
        let is_growth = self.year.rule == Rule::Published;
        let before = before.filter(|before| *before > 0.0 && !is_growth);
        pb::CoursePoint {
            period: Some(period.into()),
            value: decimal(value, self.indicator.decimals),
            growth_percent: before
                .map(|before| decimal((value / before - 1.0) * 100.0, 1))
                .unwrap_or_default(),
        }
    }

    /// The quarters of the year with these values for the periods that remain.
    fn quarters(&self, values: &[f64]) -> Option<Vec<pb::CoursePoint>> {
        let frequency = self.indicator.frequency();
        let is_fit = matches!(frequency, Frequency::Month | Frequency::Quarter);
        (is_fit && self.span.frequency() == Frequency::Year).then_some(())?;
        let value = |period: Period| {
            let ahead = period.index() - self.timeline.last().index() - 1;
            match usize::try_from(ahead) {
                Ok(_) => {
                    let from_end = usize::try_from(self.year.last.index() - period.index()).ok()?;
                    values.get(values.len().checked_sub(from_end + 1)?).copied()
                }
                Err(_) => self.timeline.value(period),
            }
        };
        let figure = |quarter: Period, value: &dyn Fn(Period) -> Option<f64>| {
            let (first, last) = quarter.split(frequency)?;
            match self.year.rule {
                Rule::Sum => (first.index()..=last.index())
                    .map(|index| value(Period::from_index(frequency, index)))
                    .sum(),
                Rule::Last | Rule::Published | Rule::Ratio => value(last),
            }
        };
        (1..=4)
            .map(|number| {
                let quarter = Period::new(Frequency::Quarter, self.span.year(), number)?;
                let before = figure(quarter.year_before(), &|period| self.timeline.value(period));
                Some(self.point(quarter, figure(quarter, &value)?, before))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proto::indicators::v1::{Observation, Target, YearRule};

    use super::*;

    fn forecast(rule: YearRule) -> pb::Forecast {
        let mut indicator = Indicator::default();
        indicator.set_frequency(Frequency::Month);
        indicator.set_year_rule(rule);
        let first: Period = "2025-01".parse().unwrap();
        let figure = |at: i32| Observation {
            period: Some(first.plus(at).into()),
            value: (100 + at).to_string(),
            ..Default::default()
        };
        let point = |at: i32| pb::ForecastPoint {
            period: Some(first.plus(at).into()),
            mean: "120".to_owned(),
            ..Default::default()
        };
        pb::Forecast {
            indicator: Some(indicator),
            history: (0..21).map(figure).collect(),
            points: (21..33).map(point).collect(),
            ..Default::default()
        }
    }

    fn line(value: &str) -> pb::Assessment {
        pb::Assessment {
            target: Some(Target {
                period: Some(Period::new(Frequency::Year, 2026, 1).unwrap().into()),
                value: value.to_owned(),
                ..Default::default()
            }),
            outturn: "1404".to_owned(),
            outturn_low: "1350".to_owned(),
            outturn_high: "1440".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn what_would_meet_the_plan_and_three_paths() {
        let courses = courses(&forecast(YearRule::Sum), &line("1434"));
        let kinds: Vec<_> = courses.iter().map(pb::Course::kind).collect();
        let all = [
            CourseKind::Needed,
            CourseKind::Low,
            CourseKind::Base,
            CourseKind::High,
        ];
        assert_eq!(kinds, all);
        // 1,044 are there; 390 are left for three months.
        let needed: Vec<_> = courses[0]
            .points
            .iter()
            .map(|one| one.value.as_str())
            .collect();
        assert_eq!(needed, ["130", "130", "130"]);
        assert_eq!(courses[0].points[0].growth_percent, "19.3");
        assert!(courses[0].meets_target && !courses[1].meets_target && courses[3].meets_target);
        let quarters: Vec<_> = courses[0]
            .quarters
            .iter()
            .map(|one| one.value.as_str())
            .collect();
        assert_eq!(quarters, ["339", "348", "357", "390"]);
        assert_eq!(courses[0].quarters[0].growth_percent, "11.9");
    }

    #[test]
    fn a_level_is_reached_step_by_step() {
        let courses = courses(&forecast(YearRule::Last), &line("150"));
        let needed: Vec<_> = courses[0]
            .points
            .iter()
            .map(|one| one.value.as_str())
            .collect();
        assert_eq!(needed, ["130", "140", "150"]);
        assert_eq!(courses[0].quarters[3].value, "150");
        // Not by way of what cannot be.
        let mut low = forecast(YearRule::Last);
        low.indicator.as_mut().unwrap().minimum = "90".to_owned();
        for point in &mut low.points[..2] {
            point.mean = "95".to_owned();
        }
        let needed = super::courses(&low, &line("95")).remove(0);
        let values: Vec<&str> = needed.points.iter().map(|one| one.value.as_str()).collect();
        assert_eq!(values, ["90", "90", "95"]);
    }

    #[test]
    fn nothing_remains_of_what_is_over() {
        let mut over = line("1434");
        over.target.as_mut().unwrap().period =
            Period::new(Frequency::Year, 2025, 1).map(Into::into);
        assert!(courses(&forecast(YearRule::Sum), &over).is_empty());
        assert!(courses(&forecast(YearRule::Sum), &pb::Assessment::default()).is_empty());
        let mut done = line("1000");
        done.set_no_pace_reason(NoPaceReason::AlreadyMet);
        assert_eq!(courses(&forecast(YearRule::Sum), &done).len(), 3);
    }
}
