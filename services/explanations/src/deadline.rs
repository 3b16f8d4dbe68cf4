//! Deadlines: what is proposed, and how far ahead one may lie. Pure.

use chrono::{DateTime, TimeDelta, Utc};

/// Working days that are proposed.
pub const PROPOSED: [u32; 4] = [1, 3, 5, 10];
/// Working days for a new answer, when the deadline has passed and no other is set.
pub const FOR_NEW_ANSWER: u32 = 2;
/// A deadline lies at most this far ahead.
pub const FURTHEST: TimeDelta = TimeDelta::days(60);

/// Whether a deadline lies in the future, and not too far.
pub fn is_within_reach(deadline: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < deadline && deadline <= now + FURTHEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_ahead_but_not_too_far() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        assert!(is_within_reach(now + TimeDelta::days(60), now));
        assert!(!is_within_reach(now + TimeDelta::days(61), now));
        assert!(!is_within_reach(now, now));
    }
}
