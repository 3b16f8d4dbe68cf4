//! Forecasts of units and of their whole, made to add up.
//!
//! Each series is forecast for itself; what the whole then has more than its parts is divided among all of them in
//! proportion to how uncertain each is. With errors taken as independent that is the linear change of least variance
//! (weighted least squares by variance, the diagonal case of MinT).

/// Periods of the past that are compared to see whether parts add up to a whole.
const COMPARED: usize = 12;
/// Fewer common periods say too little.
const FEWEST: usize = 3;
/// By which share of the whole figures may differ and still add up.
const TOLERANCE: f64 = 0.002;

/// A series that is part of a whole, or the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The number of the period of its last figure.
    pub origin: i32,
    /// Its last figures, that of `origin` at the end.
    pub recent: Vec<Option<f64>>,
    /// What is expected of each period after `origin`.
    pub mean: Vec<f64>,
    /// How uncertain that is.
    pub variance: Vec<f64>,
}

/// What a whole has more than its parts, period by period.
#[derive(Clone, Debug, PartialEq)]
pub struct Excess {
    /// The number of the first period.
    pub first: i32,
    /// By how much the whole exceeds the sum of its parts.
    pub excess: Vec<f64>,
    /// The variances of all, added up; 0 where nothing can be divided.
    pub variance: Vec<f64>,
}

impl Member {
    /// The figure of a period that has been reported, if it was.
    fn known(&self, period: i32) -> Option<f64> {
        let back = usize::try_from(self.origin - period).ok()?;
        *self.recent.get(self.recent.len().checked_sub(back + 1)?)?
    }

    /// What is known or expected of a period, and how uncertain that is.
    fn at(&self, period: i32) -> Option<(f64, f64)> {
        match usize::try_from(period - self.origin - 1) {
            Ok(ahead) => Some((*self.mean.get(ahead)?, *self.variance.get(ahead)?)),
            Err(_) => Some((self.known(period)?, 0.0)),
        }
    }

    fn end(&self) -> i32 {
        self.origin
            .saturating_add(i32::try_from(self.mean.len()).unwrap_or(i32::MAX))
    }
}

impl Excess {
    /// What a whole has more than its parts; nothing where their figures did not add up so far. Figures are rounded to
    /// steps of `rounding`. Parts that fell silent are none.
    #[must_use]
    pub fn new(whole: &Member, parts: &[Member], rounding: f64) -> Option<Self> {
        let silent = whole.origin - i32::try_from(COMPARED / 2).ok()?;
        let parts: Vec<&Member> = parts.iter().filter(|part| part.origin > silent).collect();
        if parts.len() < 2 || !do_add_up(whole, &parts, rounding) {
            return None;
        }
        let all = || parts.iter().copied().chain([whole]);
        let first = all().map(|member| member.origin).min()? + 1;
        let last = all().map(Member::end).min()?;
        let (excess, variance) = (first..=last)
            .map(|period| {
                divided(whole, &parts, period).filter(|(excess, variance)| {
                    excess.is_finite() && variance.is_finite() && *variance > 0.0
                })
            })
            .map(Option::unwrap_or_default)
            .unzip();
        Some(Self {
            first,
            excess,
            variance,
        })
    }

    /// By how much the expected values of a member move so that all add up: those of the periods after its last figure.
    #[must_use]
    pub fn shift(&self, member: &Member, is_whole: bool) -> Vec<f64> {
        let sign = if is_whole { -1.0 } else { 1.0 };
        let shift = |(period, variance): (i32, &f64)| {
            let at = usize::try_from(period - self.first).ok()?;
            let (excess, total) = (self.excess.get(at)?, self.variance.get(at)?);
            (*total > 0.0).then(|| sign * excess * variance / total)
        };
        (member.origin + 1..)
            .zip(&member.variance)
            .map(|step| shift(step).unwrap_or_default())
            .collect()
    }
}

fn do_add_up(whole: &Member, parts: &[&Member], rounding: f64) -> bool {
    let back = i32::try_from(COMPARED).unwrap_or(i32::MAX);
    let mut compared = 0;
    for period in whole.origin - back + 1..=whole.origin {
        let sum: Option<f64> = parts.iter().map(|part| part.known(period)).sum();
        let Some((value, sum)) = whole.known(period).zip(sum) else {
            continue;
        };
        let slack = value.abs() * TOLERANCE + rounding * (parts.len() + 1) as f64 / 2.0;
        if (value - sum).abs() > slack {
            return false;
        }
        compared += 1;
    }
    compared >= FEWEST
}

fn divided(whole: &Member, parts: &[&Member], period: i32) -> Option<(f64, f64)> {
    let (mut excess, mut total) = whole.at(period)?;
    for part in parts {
        let (value, variance) = part.at(period)?;
        excess -= value;
        total += variance;
    }
    Some((excess, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(origin: i32, recent: &[f64], mean: &[f64], variance: f64) -> Member {
        Member {
            origin,
            recent: recent.iter().copied().map(Some).collect(),
            mean: mean.to_vec(),
            variance: vec![variance; mean.len()],
        }
    }

    fn sum_after(excess: &Excess, whole: &Member, parts: &[Member], period: i32) -> (f64, f64) {
        let moved = |member: &Member, is_whole| {
            let ahead = usize::try_from(period - member.origin - 1);
            let shift = ahead.map_or(0.0, |ahead| excess.shift(member, is_whole)[ahead]);
            member.at(period).unwrap().0 + shift
        };
        let parts = parts.iter().map(|part| moved(part, false)).sum();
        (moved(whole, true), parts)
    }

    #[test]
    fn parts_add_up_to_their_whole_and_the_uncertain_give_way() {
        let whole = member(10, &[30.0; 4], &[36.0, 40.0], 1.0);
        let parts = [
            member(10, &[10.0; 4], &[10.0, 11.0], 4.0),
            member(10, &[20.0; 4], &[20.0, 22.0], 1.0),
        ];
        let excess = Excess::new(&whole, &parts, 0.0).unwrap();
        assert_eq!(excess.shift(&parts[0], false)[0], 4.0);
        assert_eq!(excess.shift(&parts[1], false)[0], 1.0);
        assert_eq!(excess.shift(&whole, true)[0], -1.0);
        for period in [11, 12] {
            let (one, other) = sum_after(&excess, &whole, &parts, period);
            assert!((one - other).abs() < 1e-9, "{one} {other}");
        }
    }

    #[test]
    fn what_is_reported_stays() {
        let whole = member(10, &[30.0; 5], &[36.0, 36.0], 2.0);
        let parts = [
            member(11, &[10.0, 10.0, 10.0, 10.0, 13.0], &[10.0], 2.0),
            member(10, &[20.0; 5], &[20.0, 20.0], 2.0),
        ];
        let excess = Excess::new(&whole, &parts, 0.0).unwrap();
        assert_eq!((excess.first, excess.excess.len()), (11, 2));
        let (one, other) = sum_after(&excess, &whole, &parts, 11);
        assert!((one - other).abs() < 1e-9);
        assert_eq!(excess.shift(&parts[1], false)[0], 1.5);
    }

    #[test]
    fn what_never_added_up_is_left_alone() {
        let whole = member(10, &[31.0; 4], &[36.0], 1.0);
        let parts = [
            member(10, &[10.0; 4], &[10.0], 4.0),
            member(10, &[20.0; 4], &[20.0], 1.0),
        ];
        assert_eq!(Excess::new(&whole, &parts, 0.0), None);
        assert!(
            Excess::new(&whole, &parts, 1.0).is_some(),
            "rounded figures"
        );
        assert_eq!(Excess::new(&parts[0], &parts[..1], 0.0), None, "one part");
        let mut gaps = whole.clone();
        gaps.recent = vec![None, Some(30.0), None, Some(30.0)];
        assert_eq!(
            Excess::new(&gaps, &parts, 0.0),
            None,
            "too little in common"
        );
    }

    #[test]
    fn who_fell_silent_is_no_part() {
        let whole = member(10, &[30.0; 4], &[30.0], 1.0);
        let parts = [
            member(10, &[10.0; 4], &[10.0], 1.0),
            member(10, &[20.0; 4], &[20.0], 1.0),
            member(2, &[5.0; 4], &[5.0; 9], 1.0),
        ];
        assert!(Excess::new(&whole, &parts, 0.0).is_some());
    }
}
