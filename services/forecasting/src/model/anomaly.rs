//! Is a newly reported value an error? Each usual mistake is a hypothesis about what was meant; it is believed as far
//! as what was meant would have been expected, and what was reported would not.

mod usual;

use std::fmt;

use super::pool::{Interval, forecast};
use super::series::Series;
use usual::{Usual, tidy};

/// What a suspicious value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Suspicion {
    /// In another unit: this many times too large.
    Factor(f64),
    /// With the opposite sign.
    Sign,
    /// The last period's value again.
    RepeatsLastPeriod,
    /// The value of the same period last year again.
    RepeatsLastYear,
    /// A running total where the period's own value is due.
    Cumulative,
    /// The period's own value where the running total is due; only those who know that totals are due suspect it.
    NotCumulative,
    /// Two leading digits swapped.
    SwappedDigits,
    /// Far from what was expected, for no known reason.
    Shift,
}

/// As the contract and tables name it.
impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suspicion::Factor(factor) => write!(f, "FACTOR_OF_{:.0}", factor.max(1.0 / factor)),
            Suspicion::Sign => f.write_str("SIGN"),
            Suspicion::RepeatsLastPeriod => f.write_str("REPEATED"),
            Suspicion::RepeatsLastYear => f.write_str("REPEATED_LAST_YEAR"),
            Suspicion::Cumulative => f.write_str("CUMULATIVE"),
            Suspicion::NotCumulative => f.write_str("NOT_CUMULATIVE"),
            Suspicion::SwappedDigits => f.write_str("SWAPPED_DIGITS"),
            Suspicion::Shift => f.write_str("SHIFT"),
        }
    }
}

/// The judgement of a new value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// The logarithm of the odds that it is an error; higher is more suspicious, and always finite.
    pub score: f64,
    /// The likeliest mistake, when the score is high enough to ask the reporter.
    pub suspicion: Option<Suspicion>,
    /// What was meant, where the mistake tells it.
    pub suggested: Option<f64>,
    /// What was expected.
    pub expected: f64,
    /// Where 95 % of the values were expected.
    pub interval95: Interval,
}

/// From this score on the reporter is asked: about one correct value in fifty is.
pub const SUSPICIOUS: f64 = -2.2;

/// Prior odds of a mistake against a correct value. These and the next two were found on 1,756 monthly series, of which
/// 515 ended in an error, by fitting one half and trying the other; twice or half as much changes little.
const PRIOR: f64 = 0.01;

/// Copied values, running totals and shifts are suspected this many times as readily.
const READILY: f64 = 2.0;

/// Each of the many factors, and swapped digits, which chance often looks like, this many times.
const RELUCTANTLY: f64 = 0.5;

/// How much wider than usual an unexplained shift is.
const SHIFT_WIDTH: f64 = 6.0;

/// One mistake that may have been made.
struct Hypothesis {
    suspicion: Suspicion,
    /// Against a correct value.
    odds: f64,
    meant: Option<f64>,
}

/// Judges the value of the period after the history, whose end may be missing.
pub fn anomaly(history: &Series, value: f64, seed: u64) -> Anomaly {
    let (known, missing) = history.without_trailing_gaps();
    let forecast = forecast(&known, missing + 1, seed);
    let expected = forecast.mean.last().copied().unwrap_or(0.0);
    let interval95 = forecast.interval95.last().copied().unwrap_or(Interval {
        low: expected,
        high: expected,
    });
    let ends = forecast.paths.iter().filter_map(|path| path.last());
    let usual = Usual::new(history, ends.copied());
    let hypotheses = hypotheses(history, &usual, value);
    let total: f64 = hypotheses.iter().map(|hypothesis| hypothesis.odds).sum();
    let score = total.clamp(1e-100, 1e100).ln();
    let likeliest = hypotheses
        .iter()
        .max_by(|a, b| a.odds.total_cmp(&b.odds))
        .filter(|_| score > SUSPICIOUS);
    Anomaly {
        score,
        suspicion: likeliest.map(|hypothesis| hypothesis.suspicion),
        suggested: likeliest.and_then(|hypothesis| hypothesis.meant),
        expected,
        interval95,
    }
}

fn hypotheses(history: &Series, usual: &Usual, value: f64) -> Vec<Hypothesis> {
    let (values, m) = (history.values(), history.periods());
    let repeats = [
        (
            Suspicion::RepeatsLastPeriod,
            repeat_chance(values, 1, value),
        ),
        (Suspicion::RepeatsLastYear, repeat_chance(values, m, value)),
    ];
    let repeats = &repeats[..if m > 1 { 2 } else { 1 }];
    let repeated: f64 = repeats.iter().filter_map(|(_, chance)| *chance).sum();
    let correct = (usual.chance(tidy(value)) + repeated).min(1.0);
    let hypothesis = |suspicion, chance: f64, meant| Hypothesis {
        suspicion,
        odds: PRIOR * chance / correct,
        meant,
    };
    let meaning = |suspicion, share: f64, meant: f64| {
        let meant = tidy(meant);
        let told = Some(meant).filter(|x| x.is_finite());
        hypothesis(suspicion, share * usual.chance_meant(meant), told)
    };
    let shifted = usual.near(tidy(value), SHIFT_WIDTH);
    let mut out = vec![hypothesis(Suspicion::Shift, READILY * shifted, None)];
    for (suspicion, chance) in repeats {
        if chance.is_some() {
            out.push(hypothesis(*suspicion, READILY, None));
        }
    }
    for factor in [10.0, 100.0, 1000.0, 1e6, 0.1, 0.01, 1e-3, 1e-6] {
        let share = RELUCTANTLY / usual.room(factor);
        out.push(meaning(Suspicion::Factor(factor), share, value / factor));
    }
    if value != 0.0 {
        out.push(meaning(Suspicion::Sign, 1.0, -value));
        for meant in swap_digits(value).into_iter().flatten() {
            out.push(meaning(Suspicion::SwappedDigits, RELUCTANTLY, meant));
        }
    }
    let (mut running, mut is_complete) = (0.0, true);
    for back in 1..m.min(values.len() + 1) {
        let earlier = values[values.len() - back];
        is_complete &= earlier.is_some();
        running += earlier.unwrap_or(usual.typical());
        let share = READILY / (m - 1) as f64;
        let mut total = meaning(Suspicion::Cumulative, share, value - running);
        total.meant = total.meant.filter(|_| is_complete);
        out.push(total);
    }
    out
}

/// The chance that a value is honestly the same as `lag` periods ago, if this one is.
fn repeat_chance(values: &[Option<f64>], lag: usize, value: f64) -> Option<f64> {
    let start = values.len().checked_sub(lag)?;
    if values[start] != Some(value) {
        return None;
    }
    let pairs = values
        .iter()
        .zip(&values[lag..])
        .filter(|(a, b)| a.is_some() && b.is_some());
    let (equal, all) = pairs.fold((0.5, 1.0), |(equal, all), (a, b)| {
        (equal + f64::from(u8::from(a == b)), all + 1.0)
    });
    Some(equal / all)
}

/// The values that become this one when their two leading digits are swapped: at most one with as many digits, unless the
/// two are equal, and one whose second digit is a zero, which is lost in front, unless it is simply ten times as large.
fn swap_digits(value: f64) -> [Option<f64>; 2] {
    let unit = 10_f64.powf(value.abs().log10().floor());
    let lead = (value.abs() / unit * 10.0 + 1e-9).floor();
    let (tens, ones) = ((lead / 10.0).floor(), lead % 10.0);
    let add = |size: f64| Some(tidy(value + value.signum() * size)).filter(|x| x.is_finite());
    let swapped = add(0.9 * unit * (ones - tens)).filter(|_| ones != 0.0 && ones != tens);
    let lost = add(9.0 * unit * tens).filter(|&meant| meant != tidy(10.0 * value));
    [swapped, lost]
}

#[cfg(test)]
mod tests {
    use super::super::{Seasonality, Series};
    use super::{Anomaly, Suspicion, anomaly, forecast, swap_digits};

    fn history() -> Series {
        let value = |t: usize| {
            1000.0 + 5.0 * t as f64 + [90.0, -150.0, 70.0, 10.0][t % 4] + 13.0 * (t * 7 % 11) as f64
        };
        let values: Vec<Option<f64>> = (0..60).map(|t| Some(value(t))).collect();
        Series::new(&values, Seasonality::Monthly).unwrap()
    }

    fn judge(value: f64) -> Anomaly {
        anomaly(&history(), value, 1)
    }

    /// The judgement of a value that follows others, monthly.
    fn judge_after(history: &[f64], value: f64) -> Anomaly {
        let values: Vec<Option<f64>> = history.iter().copied().map(Some).collect();
        anomaly(
            &Series::new(&values, Seasonality::Monthly).unwrap(),
            value,
            1,
        )
    }

    #[test]
    fn an_expected_value_passes() {
        let expected = judge(0.0).expected;
        for change in [0.97, 1.0, 1.03] {
            let judgement = judge((expected * change).round());
            assert_eq!((judgement.suspicion, judgement.suggested), (None, None));
        }
    }

    #[test]
    fn usual_mistakes_are_named_and_corrected() {
        let right = judge(0.0).expected.round();
        let year_to_date: f64 = history().values()[54..].iter().flatten().sum();
        let mistakes = [
            (right * 10.0, Suspicion::Factor(10.0)),
            (right * 1000.0, Suspicion::Factor(1000.0)),
            (right / 10.0, Suspicion::Factor(0.1)),
            (right / 1000.0, Suspicion::Factor(0.001)),
            (-right, Suspicion::Sign),
            (year_to_date + right, Suspicion::Cumulative),
        ];
        for (value, suspicion) in mistakes {
            let judgement = judge(value);
            assert_eq!(judgement.suspicion, Some(suspicion), "{value}");
            assert_eq!(judgement.suggested, Some(right), "{value}");
        }
    }

    #[test]
    fn copied_values_are_named_but_not_corrected() {
        let values = history().values().to_vec();
        let last = judge(values[59].unwrap());
        assert_eq!(last.suspicion, Some(Suspicion::RepeatsLastPeriod));
        assert_eq!(last.suggested, None);
        let year = judge(values[48].unwrap());
        assert_eq!(year.suspicion, Some(Suspicion::RepeatsLastYear));
        assert_eq!(year.suggested, None);
    }

    #[test]
    fn swapped_digits_are_swapped_back() {
        let values: Vec<f64> = (0..48).map(|t| 1820.0 + f64::from(t * 37 % 61)).collect();
        let swapped = judge_after(&values, 8151.0);
        assert_eq!(swapped.suspicion, Some(Suspicion::SwappedDigits));
        assert_eq!(swapped.suggested, Some(1851.0));
        let values: Vec<f64> = values.iter().map(|x| x + 200.0).collect();
        let zero_lost = judge_after(&values, 251.0);
        assert_eq!(zero_lost.suspicion, Some(Suspicion::SwappedDigits));
        assert_eq!(zero_lost.suggested, Some(2051.0));
    }

    #[test]
    fn a_jump_without_a_reason_is_a_shift() {
        let judgement = judge((judge(0.0).expected * 0.6).round());
        assert_eq!(judgement.suspicion, Some(Suspicion::Shift));
        assert_eq!(judgement.suggested, None);
    }

    #[test]
    fn a_running_total_over_a_gap_has_no_exact_correction() {
        let mut values = history().values().to_vec();
        values[57] = None;
        let expected = judge(0.0).expected;
        let total = values[54..].iter().flatten().sum::<f64>() + 2.0 * expected;
        let gapped = Series::new(&values, Seasonality::Monthly).unwrap();
        let judgement = anomaly(&gapped, total.round(), 1);
        assert_eq!(judgement.suspicion, Some(Suspicion::Cumulative));
        assert_eq!(judgement.suggested, None);
    }

    #[test]
    fn what_is_missing_at_the_end_makes_less_certain() {
        let gap = |count| {
            let values = [history().values(), &vec![None; count]].concat();
            let series = Series::new(&values, Seasonality::Monthly).unwrap();
            let range = anomaly(&series, 1300.0, 1).interval95;
            let ahead = forecast(&history(), count + 1, 1).interval95[count];
            assert_eq!(range, ahead);
            range.high - range.low
        };
        let gaps = [0, 5, 11].map(gap);
        assert!(gaps.is_sorted(), "{gaps:?}");
    }

    #[test]
    fn repeats_pass_where_they_are_usual() {
        for constant in [&[100.0; 30][..], &[1250.0; 2][..]] {
            assert_eq!(judge_after(constant, constant[0]).suspicion, None);
        }
        assert!(judge_after(&[100.0; 30], 130.0).suspicion.is_some());
        // In round figures, and in figures so small that chance repeats them.
        let round = [5000.0, 6000.0, 5000.0, 7000.0, 5000.0, 5500.0].repeat(6);
        assert_eq!(
            judge_after(&[&round[..], &[5000.0]].concat(), 5000.0).suspicion,
            None
        );
        let small: Vec<f64> = (0..40).map(|t| f64::from(8 + t * 7919 % 101 % 6)).collect();
        assert_eq!(judge_after(&small, small[39]).suspicion, None);
    }

    #[test]
    fn rare_events_pass() {
        let rare = [0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 3.0, 0.0, 5.0, 0.0].repeat(4);
        for value in [0.0, 2.0, 4.0, 5.0] {
            assert_eq!(judge_after(&rare, value).suspicion, None, "{value}");
        }
        assert!(judge_after(&rare, 4000.0).suspicion.is_some());
        let rarer = [
            0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 14.0, 0.0,
        ]
        .repeat(4);
        assert_eq!(judge_after(&rarer, 11.0).suspicion, None);
        let small = [
            2.0, 1.0, 3.0, 1.0, 2.0, 5.0, 4.0, 1.0, 1.0, 3.0, 6.0, 2.0, 1.0,
        ]
        .repeat(3);
        assert_eq!(judge_after(&small, 0.0).suspicion, None);
        assert!(judge(0.0).suspicion.is_some());
    }

    #[test]
    fn scores_are_finite_for_any_value() {
        let values = [0.0, -0.0, 1e308, -1e308, 1e-308, f64::MIN_POSITIVE / 2.0];
        for value in values {
            assert!(judge(value).score.is_finite(), "{value}");
            for history in values {
                for rest in [history, 1.0, -1e308] {
                    let judgement = judge_after(&[history, rest, history, rest, history], value);
                    assert!(judgement.score.is_finite(), "{history} {rest} {value}");
                    assert!(judgement.suggested.is_none_or(f64::is_finite));
                }
            }
        }
    }

    #[test]
    fn leading_digits_are_swapped() {
        assert_eq!(swap_digits(123.0), [Some(213.0), Some(1023.0)]);
        assert_eq!(swap_digits(-73.0), [Some(-37.0), Some(-703.0)]);
        assert_eq!(swap_digits(113.0), [None, Some(1013.0)]);
        assert_eq!(swap_digits(0.84), [Some(0.48), Some(8.04)]);
        assert_eq!(swap_digits(70.0), [None, None]);
    }
}
