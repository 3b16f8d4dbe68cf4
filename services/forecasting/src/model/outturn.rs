//! Where the year will end, how likely that meets a target, and what the rest of the year must bring.

use super::pool::Interval;
use super::statistics::{mean, quantile};

/// How a year's figure follows from its periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Flows: the sum of the periods.
    Sum,
    /// Stocks, running totals and plain rates: the value of the last period.
    Last,
    /// A growth or an index published for the year to date, never summed: what the last period publishes.
    Published,
    /// A ratio of running totals, of which only the ratio is known here: like `Published`.
    Ratio,
}

/// What the year's figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// Between both, inclusive.
    Within {
        /// The least allowed.
        low: f64,
        /// The most allowed.
        high: f64,
    },
}

/// The year-end figure as far as it can be known.
#[derive(Clone, Debug, PartialEq)]
pub enum Outturn {
    /// Every period has been reported.
    Final(f64),
    /// Equally likely year-end figures; never empty.
    Expected(Vec<f64>),
}

/// Why the year-end figure cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknowable {
    /// A period of the year that must be known was not reported.
    Gap {
        /// Its place in the year, from 0.
        index: usize,
    },
    /// The forecast ends before the year does.
    PathsTooShort {
        /// Periods that the shortest path covers.
        have: usize,
        /// Periods that remain.
        need: usize,
    },
    /// More periods were given than a year has.
    YearTooLong,
}

/// Where it must stay to meet a target; a missing bound is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
}

/// What the rest of the year must bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// `Sum`: the average of the remaining periods. Otherwise: the closing value.
    pub value: Bounds,
    /// Otherwise than `Sum`: the change each period from the latest value to the closing one.
    pub change: Option<Bounds>,
    /// Growth over the same periods of last year (over its closing value, otherwise than `Sum`); 0.1 is 10 %.
    pub growth: Option<Bounds>,
}

/// Why there is no pace to require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPace {
    /// Nothing that remains can undo it.
    AlreadyMet,
    /// Nothing that remains can bring it.
    Impossible,
    /// The year is over, and the target was met.
    CompleteMet,
    /// The year is over, and the target was missed.
    CompleteMissed,
    /// The year so far is not known.
    Unknowable(Unknowable),
}

impl Target {
    /// Whether this figure meets the target.
    pub fn is_met(self, figure: f64) -> bool {
        let Bounds { low, high } = self.bounds();
        low.is_none_or(|low| figure >= low) && high.is_none_or(|high| figure <= high)
    }

    /// The bounds it sets.
    pub fn bounds(self) -> Bounds {
        match self {
            Target::AtLeast(low) => Bounds {
                low: Some(low),
                high: None,
            },
            Target::AtMost(high) => Bounds {
                low: None,
                high: Some(high),
            },
            Target::Within { low, high } => Bounds {
                low: Some(low),
                high: Some(high),
            },
        }
    }
}

impl Bounds {
    fn map(self, change: impl Fn(f64) -> f64) -> Bounds {
        Bounds {
            low: self.low.map(&change),
            high: self.high.map(&change),
        }
    }
}

impl Outturn {
    /// The mean of the year-end figure.
    pub fn mean(&self) -> f64 {
        match self {
            Outturn::Final(figure) => *figure,
            Outturn::Expected(figures) => mean(figures),
        }
    }

    /// As it will be reported: with so many decimal places.
    #[must_use]
    pub fn rounded(self, places: i32) -> Outturn {
        let unit = 10_f64.powi(places);
        let round = |figure: f64| match figure * unit {
            // Numbers beyond have no more places than that.
            steps if steps.abs() < 1.0 / f64::EPSILON => steps.round() / unit,
            _ => figure,
        };
        match self {
            Outturn::Final(figure) => Outturn::Final(round(figure)),
            Outturn::Expected(figures) => {
                Outturn::Expected(figures.into_iter().map(round).collect())
            }
        }
    }

    /// The range that holds the year-end figure with this probability, such as 0.8, and its mean; a point once it is final.
    pub fn interval(&self, probability: f64) -> Interval {
        match self {
            Outturn::Final(figure) => Interval {
                low: *figure,
                high: *figure,
            },
            Outturn::Expected(figures) => {
                let (mut work, tail) = (figures.clone(), (1.0 - probability) / 2.0);
                let mean = mean(figures);
                Interval {
                    low: quantile(&mut work, tail).min(mean),
                    high: quantile(&mut work, 1.0 - tail).max(mean),
                }
            }
        }
    }
}

/// How many decimal places a number has as it is written: "12.50" and "1.25e1" have two and one.
#[must_use]
pub fn places(number: &str) -> i32 {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let after = digits.split_once('.').map_or(0, |(_, after)| after.len());
    let exponent: i32 = exponent.parse().unwrap_or(0);
    (i32::try_from(after).unwrap_or(0) - exponent).max(0)
}

/// The distribution of the figure of a year of `periods` periods, of which `observed` have passed; the first step of each
/// path is the period after them. A gap in a sum is estimated from its neighbours, with the spread of one forecast step.
pub fn outturn(
    rule: Rule,
    periods: usize,
    observed: &[Option<f64>],
    paths: &[Vec<f64>],
) -> Result<Outturn, Unknowable> {
    let need = periods
        .checked_sub(observed.len())
        .ok_or(Unknowable::YearTooLong)?;
    if need == 0 {
        return final_figure(rule, observed).map(Outturn::Final);
    }
    let have = paths.iter().map(Vec::len).min().unwrap_or(0);
    if have < need {
        return Err(Unknowable::PathsTooShort { have, need });
    }
    let centre = paths.iter().map(|path| path[0]).sum::<f64>() / paths.len() as f64;
    Ok(Outturn::Expected(
        paths
            .iter()
            .map(|path| match rule {
                Rule::Sum => {
                    path[..need].iter().sum::<f64>() + sum_of(observed, path[0], path[0] - centre)
                }
                Rule::Last | Rule::Published | Rule::Ratio => path[need - 1],
            })
            .collect(),
    ))
}

fn final_figure(rule: Rule, observed: &[Option<f64>]) -> Result<f64, Unknowable> {
    let known = |index: usize| {
        observed
            .get(index)
            .copied()
            .flatten()
            .ok_or(Unknowable::Gap { index })
    };
    match rule {
        Rule::Sum => (0..observed.len()).map(known).sum(),
        Rule::Last | Rule::Published | Rule::Ratio => known(observed.len().saturating_sub(1)),
    }
}

/// The sum of the observed, each gap taken as the mean of the nearest known values around it (`next` follows the last)
/// plus `deviation`.
fn sum_of(observed: &[Option<f64>], next: f64, deviation: f64) -> f64 {
    let gap = |index: usize| {
        let after = observed[index..]
            .iter()
            .flatten()
            .next()
            .copied()
            .unwrap_or(next);
        let before = observed[..index]
            .iter()
            .flatten()
            .next_back()
            .copied()
            .unwrap_or(after);
        (before + after) / 2.0 + deviation
    };
    observed
        .iter()
        .enumerate()
        .map(|(index, value)| value.unwrap_or_else(|| gap(index)))
        .sum()
}

/// The probability that the target is met: exactly 0 or 1 once the year is complete, and never before.
pub fn probability(outturn: &Outturn, target: Target) -> f64 {
    match outturn {
        Outturn::Final(figure) => f64::from(u8::from(target.is_met(*figure))),
        Outturn::Expected(figures) => {
            let hits = figures
                .iter()
                .filter(|&&figure| target.is_met(figure))
                .count();
            (hits as f64 + 0.5) / (figures.len() as f64 + 1.0)
        }
    }
}

/// What the remaining periods must bring to meet the target; `last_year` holds last year's periods, if they are known.
pub fn required_pace(
    rule: Rule,
    periods: usize,
    observed: &[Option<f64>],
    target: Target,
    last_year: Option<&[f64]>,
) -> Result<Pace, NoPace> {
    let remaining = periods
        .checked_sub(observed.len())
        .ok_or(NoPace::Unknowable(Unknowable::YearTooLong))?;
    if remaining == 0 {
        let figure = final_figure(rule, observed).map_err(NoPace::Unknowable)?;
        return Err(if target.is_met(figure) {
            NoPace::CompleteMet
        } else {
            NoPace::CompleteMissed
        });
    }
    let last_year = last_year.filter(|values| values.len() == periods);
    match rule {
        Rule::Sum => required_flow(periods, observed, target, last_year),
        Rule::Last | Rule::Published | Rule::Ratio => {
            let value = target.bounds();
            let latest = observed.iter().flatten().next_back();
            Ok(Pace {
                value,
                change: latest.map(|latest| value.map(|x| (x - latest) / remaining as f64)),
                growth: last_year.and_then(|values| growth(value, values[periods - 1])),
            })
        }
    }
}

fn required_flow(
    periods: usize,
    observed: &[Option<f64>],
    target: Target,
    last_year: Option<&[f64]>,
) -> Result<Pace, NoPace> {
    let done = final_figure(Rule::Sum, observed).map_err(NoPace::Unknowable)?;
    let rest = target.bounds().map(|x| x - done);
    let earlier = last_year.into_iter().flatten().copied();
    let only_grows = observed
        .iter()
        .copied()
        .flatten()
        .chain(earlier)
        .all(|x| x >= 0.0);
    if only_grows && rest.high.is_some_and(|most| most < 0.0) {
        return Err(NoPace::Impossible);
    }
    if only_grows && rest.high.is_none() && rest.low.is_some_and(|least| least <= 0.0) {
        return Err(NoPace::AlreadyMet);
    }
    // What cannot fall needs no floor below nothing.
    let rest = Bounds {
        low: rest.low.filter(|&least| !only_grows || least > 0.0),
        ..rest
    };
    let same_periods = last_year.map(|values| values[observed.len()..].iter().sum::<f64>());
    Ok(Pace {
        value: rest.map(|x| x / (periods - observed.len()) as f64),
        change: None,
        growth: same_periods.and_then(|sum| growth(rest, sum)),
    })
}

/// Growth over a base, which only a positive base has.
fn growth(needed: Bounds, base: f64) -> Option<Bounds> {
    (base > 0.0).then(|| needed.map(|x| x / base - 1.0))
}

#[cfg(test)]
mod tests {
    use super::{
        Bounds, NoPace, Outturn, Rule, Target, Unknowable, outturn, places, probability,
        required_pace,
    };

    const THREE: [Option<f64>; 3] = [Some(10.0), Some(20.0), Some(30.0)];

    #[test]
    fn a_sum_adds_the_observed_and_the_path() {
        let paths = [vec![1.0, 9.0], vec![2.0, 9.0]];
        assert_eq!(
            outturn(Rule::Sum, 4, &THREE, &paths),
            Ok(Outturn::Expected(vec![61.0, 62.0]))
        );
    }

    #[test]
    fn a_stock_and_a_published_rate_end_on_the_last_period() {
        let paths = [vec![1.0, 9.0], vec![2.0, 8.0]];
        for rule in [Rule::Last, Rule::Published, Rule::Ratio] {
            assert_eq!(
                outturn(rule, 5, &THREE, &paths),
                Ok(Outturn::Expected(vec![9.0, 8.0]))
            );
        }
    }

    #[test]
    fn a_complete_year_is_exact() {
        assert_eq!(outturn(Rule::Sum, 3, &THREE, &[]), Ok(Outturn::Final(60.0)));
        assert_eq!(
            outturn(Rule::Last, 3, &THREE, &[]),
            Ok(Outturn::Final(30.0))
        );
        assert_eq!(
            probability(&Outturn::Final(60.0), Target::AtLeast(60.0)),
            1.0
        );
        assert_eq!(
            probability(&Outturn::Final(60.0), Target::AtMost(59.9)),
            0.0
        );
        assert_eq!(
            probability(
                &Outturn::Final(60.0),
                Target::Within {
                    low: 50.0,
                    high: 60.0
                }
            ),
            1.0
        );
    }

    #[test]
    fn a_gap_is_bridged_while_the_year_runs_and_not_afterwards() {
        let observed = [Some(10.0), None, Some(30.0)];
        let bridged = outturn(Rule::Sum, 4, &observed, &[vec![5.0], vec![15.0]]);
        assert_eq!(bridged, Ok(Outturn::Expected(vec![60.0, 80.0])));
        assert_eq!(
            outturn(Rule::Sum, 3, &observed, &[]),
            Err(Unknowable::Gap { index: 1 })
        );
        assert_eq!(
            outturn(Rule::Last, 3, &observed, &[]),
            Ok(Outturn::Final(30.0))
        );
    }

    #[test]
    fn a_forecast_that_is_too_short_or_a_year_too_long_is_refused() {
        let short = outturn(Rule::Sum, 5, &THREE, &[vec![1.0]]);
        assert_eq!(short, Err(Unknowable::PathsTooShort { have: 1, need: 2 }));
        assert_eq!(
            outturn(Rule::Sum, 2, &THREE, &[]),
            Err(Unknowable::YearTooLong)
        );
    }

    #[test]
    fn probability_is_monotone_in_the_target_and_never_certain_before_the_end() {
        let figures = Outturn::Expected((0..100).map(f64::from).collect());
        let mut before = 1.0;
        for target in -10..110 {
            let chance = probability(&figures, Target::AtLeast(f64::from(target)));
            assert!(chance > 0.0 && chance < 1.0 && chance <= before);
            before = chance;
            let most = probability(&figures, Target::AtMost(f64::from(target) - 0.5));
            assert!((chance + most - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_range_holds_the_mean_of_what_is_rare() {
        let mut figures = vec![0.0; 99];
        figures.push(1000.0);
        let range = Outturn::Expected(figures.clone()).interval(0.8);
        assert_eq!((range.low, range.high), (0.0, 10.0));
        let negative = figures.iter().map(|figure| -figure).collect();
        let range = Outturn::Expected(negative).interval(0.8);
        assert_eq!((range.low, range.high), (-10.0, 0.0));
    }

    #[test]
    fn figures_are_held_against_targets_as_they_will_be_reported() {
        let expected = Outturn::Expected(vec![99.994, 99.995, 99.996, 100.004]).rounded(2);
        assert_eq!(
            expected,
            Outturn::Expected(vec![99.99, 100.0, 100.0, 100.0])
        );
        assert_eq!(
            probability(&expected, Target::AtLeast(100.0)),
            (3.0 + 0.5) / 5.0
        );
        let sum = outturn(Rule::Sum, 2, &[Some(0.1), Some(0.2)], &[]).unwrap();
        assert_eq!(
            probability(&sum.rounded(1), Target::AtMost(0.3)),
            1.0,
            "binary noise"
        );
        for large in [1e300, -f64::MAX, 1.5e15] {
            assert_eq!(Outturn::Final(large).rounded(9), Outturn::Final(large));
        }
        let written = ["7", "12.50", "1.25e1", "1e-7", "-0.5E3", "NA"];
        assert_eq!(written.map(places), [0, 2, 1, 7, 0, 0]);
    }

    #[test]
    fn a_flow_must_average_what_is_left() {
        let last_year = [10.0, 10.0, 10.0, 10.0, 10.0];
        let pace = required_pace(
            Rule::Sum,
            5,
            &THREE,
            Target::AtLeast(90.0),
            Some(&last_year),
        )
        .unwrap();
        assert_eq!(
            pace.value,
            Bounds {
                low: Some(15.0),
                high: None
            }
        );
        assert_eq!(
            pace.growth,
            Some(Bounds {
                low: Some(0.5),
                high: None
            })
        );
    }

    #[test]
    fn a_flow_may_be_met_or_lost_early() {
        let pace = |target| required_pace(Rule::Sum, 5, &THREE, target, None);
        assert_eq!(pace(Target::AtLeast(60.0)), Err(NoPace::AlreadyMet));
        assert_eq!(pace(Target::AtMost(59.0)), Err(NoPace::Impossible));
        let within = pace(Target::Within {
            low: 50.0,
            high: 80.0,
        })
        .unwrap();
        assert_eq!(
            within.value,
            Bounds {
                low: None,
                high: Some(10.0)
            }
        );
    }

    #[test]
    fn a_flow_that_can_turn_negative_is_never_settled_early() {
        let observed = [Some(-5.0), Some(70.0)];
        let pace = required_pace(Rule::Sum, 4, &observed, Target::AtLeast(60.0), None).unwrap();
        assert_eq!(pace.value.low, Some(-2.5));
    }

    #[test]
    fn a_rate_must_close_at_the_target() {
        let pace = required_pace(Rule::Published, 5, &THREE, Target::AtLeast(50.0), None).unwrap();
        assert_eq!(pace.value.low, Some(50.0));
        assert_eq!(
            pace.change,
            Some(Bounds {
                low: Some(10.0),
                high: None
            })
        );
        assert_eq!(pace.growth, None);
    }

    #[test]
    fn a_year_that_is_over_has_no_pace() {
        let pace = |target| required_pace(Rule::Sum, 3, &THREE, target, None);
        assert_eq!(pace(Target::AtLeast(60.0)), Err(NoPace::CompleteMet));
        assert_eq!(pace(Target::AtLeast(61.0)), Err(NoPace::CompleteMissed));
    }
}
