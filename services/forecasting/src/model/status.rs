//! The colour of an indicator against its target.

/// What is shown; never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The official figure meets the target.
    Met,
    /// The official figure misses the target.
    Missed,
    /// Likely to miss.
    Red,
    /// Could go either way.
    Orange,
    /// Likely to meet.
    Green,
    /// The unit has not reported what was due; only a red takes precedence.
    Overdue,
    /// Not judged: too little is known, or it is only watched.
    Grey,
}

/// Probabilities at which the colour changes; they come from versioned data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Below it: red.
    pub red_below: f64,
    /// Above it: green.
    pub green_above: f64,
    /// How far beyond it the probability must be to change a colour that was given before: so none flickers.
    pub margin: f64,
}

impl Thresholds {
    /// Where red ends and green begins for what has this colour already.
    fn seen_from(self, before: Option<Status>) -> (f64, f64) {
        let (red, green, margin) = (self.red_below, self.green_above, self.margin);
        match before {
            Some(Status::Red) => (red + margin, green + margin),
            Some(Status::Orange) => (red - margin, green + margin),
            Some(Status::Green) => (red - margin, green - margin),
            _ => (red, green),
        }
    }
}

/// What is known about meeting the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evidence {
    /// No forecast: too little data, or an annual indicator before its period.
    TooLittle,
    /// The probability of meeting it, the official figure being outstanding.
    Expected(f64),
    /// Whether the official figure met it.
    Official(bool),
}

/// The status of an indicator: `is_context` when it has no good direction, `is_overdue` when a submission is late,
/// `before` what it had by the same thresholds.
pub fn status(
    evidence: Evidence,
    is_context: bool,
    is_overdue: bool,
    thresholds: Thresholds,
    before: Option<Status>,
) -> Status {
    if is_context {
        return Status::Grey;
    }
    let (red_below, green_above) = thresholds.seen_from(before);
    match evidence {
        Evidence::Official(true) => Status::Met,
        Evidence::Official(false) => Status::Missed,
        // Silence must not hide a red.
        Evidence::Expected(chance) if chance < red_below => Status::Red,
        _ if is_overdue => Status::Overdue,
        Evidence::Expected(chance) if chance > green_above => Status::Green,
        Evidence::Expected(chance) if !chance.is_nan() => Status::Orange,
        Evidence::Expected(_) | Evidence::TooLittle => Status::Grey,
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Status, Thresholds, status};

    const THRESHOLDS: Thresholds = Thresholds {
        red_below: 0.35,
        green_above: 0.75,
        margin: 0.02,
    };

    fn shown(evidence: Evidence) -> Status {
        status(evidence, false, false, THRESHOLDS, None)
    }

    #[test]
    fn thresholds_themselves_are_orange() {
        assert_eq!(shown(Evidence::Expected(0.349)), Status::Red);
        assert_eq!(shown(Evidence::Expected(0.35)), Status::Orange);
        assert_eq!(shown(Evidence::Expected(0.75)), Status::Orange);
        assert_eq!(shown(Evidence::Expected(0.751)), Status::Green);
    }

    #[test]
    fn a_colour_is_kept_within_the_margin() {
        use Status::{Green, Orange, Overdue, Red};
        for (before, chance, expected) in [
            (Red, 0.369, Red),
            (Red, 0.371, Orange),
            (Orange, 0.331, Orange),
            (Orange, 0.329, Red),
            (Orange, 0.769, Orange),
            (Orange, 0.771, Green),
            (Green, 0.731, Green),
            (Green, 0.729, Orange),
            (Green, 0.2, Red),
            (Red, 0.9, Green),
            // What was hidden meanwhile is seen anew.
            (Overdue, 0.349, Red),
        ] {
            let evidence = Evidence::Expected(chance);
            let after = status(evidence, false, false, THRESHOLDS, Some(before));
            assert_eq!(after, expected, "{before:?} at {chance}");
        }
    }

    #[test]
    fn an_official_figure_is_final() {
        assert_eq!(shown(Evidence::Official(true)), Status::Met);
        assert_eq!(shown(Evidence::Official(false)), Status::Missed);
        assert_eq!(
            status(Evidence::Official(true), false, true, THRESHOLDS, None),
            Status::Met
        );
    }

    #[test]
    fn overdue_is_never_green_and_never_hides_red() {
        let late = |evidence| status(evidence, false, true, THRESHOLDS, None);
        assert_eq!(late(Evidence::Expected(0.99)), Status::Overdue);
        assert_eq!(late(Evidence::Expected(0.5)), Status::Overdue);
        assert_eq!(late(Evidence::TooLittle), Status::Overdue);
        assert_eq!(late(Evidence::Expected(0.1)), Status::Red);
    }

    #[test]
    fn context_and_too_little_are_grey() {
        assert_eq!(
            status(Evidence::Expected(0.1), true, true, THRESHOLDS, None),
            Status::Grey
        );
        assert_eq!(shown(Evidence::TooLittle), Status::Grey);
        assert_eq!(shown(Evidence::Expected(f64::NAN)), Status::Grey);
    }
}
