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

/// The status of an indicator: `is_context` when it has no good direction, `is_overdue` when a submission is late.
pub fn status(
    evidence: Evidence,
    is_context: bool,
    is_overdue: bool,
    thresholds: Thresholds,
) -> Status {
    if is_context {
        return Status::Grey;
    }
    match evidence {
        Evidence::Official(true) => Status::Met,
        Evidence::Official(false) => Status::Missed,
        // Silence must not hide a red.
        Evidence::Expected(chance) if chance < thresholds.red_below => Status::Red,
        _ if is_overdue => Status::Overdue,
        Evidence::Expected(chance) if chance > thresholds.green_above => Status::Green,
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
    };

    fn shown(evidence: Evidence) -> Status {
        status(evidence, false, false, THRESHOLDS)
    }

    #[test]
    fn thresholds_themselves_are_orange() {
        assert_eq!(shown(Evidence::Expected(0.349)), Status::Red);
        assert_eq!(shown(Evidence::Expected(0.35)), Status::Orange);
        assert_eq!(shown(Evidence::Expected(0.75)), Status::Orange);
        assert_eq!(shown(Evidence::Expected(0.751)), Status::Green);
    }

    #[test]
    fn an_official_figure_is_final() {
        assert_eq!(shown(Evidence::Official(true)), Status::Met);
        assert_eq!(shown(Evidence::Official(false)), Status::Missed);
        assert_eq!(
            status(Evidence::Official(true), false, true, THRESHOLDS),
            Status::Met
        );
    }

    #[test]
    fn overdue_is_never_green_and_never_hides_red() {
        let late = |evidence| status(evidence, false, true, THRESHOLDS);
        assert_eq!(late(Evidence::Expected(0.99)), Status::Overdue);
        assert_eq!(late(Evidence::Expected(0.5)), Status::Overdue);
        assert_eq!(late(Evidence::TooLittle), Status::Overdue);
        assert_eq!(late(Evidence::Expected(0.1)), Status::Red);
    }

    #[test]
    fn context_and_too_little_are_grey() {
        assert_eq!(
            status(Evidence::Expected(0.1), true, true, THRESHOLDS),
            Status::Grey
        );
        assert_eq!(shown(Evidence::TooLittle), Status::Grey);
        assert_eq!(shown(Evidence::Expected(f64::NAN)), Status::Grey);
    }
}
