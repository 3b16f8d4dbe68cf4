//! The life of a request: which step leads from where to where, and whose step it is. Pure.

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Sent,
    Seen,
    Answered,
    Returned,
    Accepted,
    Withdrawn,
}

impl State {
    /// Whether anything may still happen.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Accepted | Self::Withdrawn)
    }

    /// Whether the unit owes an answer.
    pub fn awaits_answer(self) -> bool {
        matches!(self, Self::Sent | Self::Seen | Self::Returned)
    }
}

/// What somebody does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Answer,
    Return,
    Accept,
    Withdraw,
    RequestExtension,
    GrantExtension,
    RefuseExtension,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those who asked.
    Asker,
    /// The unit asked.
    Asked,
}

/// Why a step cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    NotOpen,
    NotAnswered,
    ExtensionPending,
    NoExtensionPending,
}

impl Step {
    /// Whose step it is.
    pub fn side(self) -> Side {
        match self {
            Self::Answer | Self::RequestExtension => Side::Asked,
            Self::Return
            | Self::Accept
            | Self::Withdraw
            | Self::GrantExtension
            | Self::RefuseExtension => Side::Asker,
        }
    }

    /// The permission that it takes.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Answer | Self::RequestExtension => "explanations.answer",
            Self::Withdraw => "explanations.request",
            Self::Return | Self::Accept | Self::GrantExtension | Self::RefuseExtension => {
                "explanations.review"
            }
        }
    }

    /// Where it leads.
    pub fn from(self, state: State, extension_pending: bool) -> Result<State, Obstacle> {
        match self {
            Self::Answer if state.awaits_answer() => Ok(State::Answered),
            Self::Answer => Err(Obstacle::NotOpen),
            Self::Return if state == State::Answered => Ok(State::Returned),
            Self::Accept if state == State::Answered => Ok(State::Accepted),
            Self::Return | Self::Accept => Err(Obstacle::NotAnswered),
            Self::Withdraw if state.is_open() => Ok(State::Withdrawn),
            Self::Withdraw => Err(Obstacle::NotOpen),
            Self::RequestExtension if !state.awaits_answer() => Err(Obstacle::NotOpen),
            Self::RequestExtension if extension_pending => Err(Obstacle::ExtensionPending),
            // Who asks for more time has read the request.
            Self::RequestExtension if state == State::Sent => Ok(State::Seen),
            Self::RequestExtension => Ok(state),
            Self::GrantExtension | Self::RefuseExtension if extension_pending => Ok(state),
            Self::GrantExtension | Self::RefuseExtension => Err(Obstacle::NoExtensionPending),
        }
    }

    /// Whether a wish for more time is settled by it.
    pub fn settles_extension(self) -> bool {
        matches!(
            self,
            Self::Answer | Self::Withdraw | Self::GrantExtension | Self::RefuseExtension
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Sent,
        State::Seen,
        State::Answered,
        State::Returned,
        State::Accepted,
        State::Withdrawn,
    ];
    const STEPS: [Step; 7] = [
        Step::Answer,
        Step::Return,
        Step::Accept,
        Step::Withdraw,
        Step::RequestExtension,
        Step::GrantExtension,
        Step::RefuseExtension,
    ];

    #[test]
    fn nothing_happens_to_a_closed_request() {
        for state in [State::Accepted, State::Withdrawn] {
            for step in STEPS {
                // A wish for more time does not outlive the request.
                assert!(step.from(state, false).is_err(), "{step:?} from {state:?}");
            }
        }
    }

    #[test]
    fn an_answer_is_decided_once() {
        for state in STATES {
            let is_answered = state == State::Answered;
            assert_eq!(Step::Return.from(state, false).is_ok(), is_answered);
            assert_eq!(Step::Accept.from(state, false).is_ok(), is_answered);
        }
        assert_eq!(
            Step::Answer.from(State::Answered, false),
            Err(Obstacle::NotOpen)
        );
        assert_eq!(
            Step::Answer.from(State::Returned, false),
            Ok(State::Answered)
        );
    }

    #[test]
    fn more_time_is_asked_for_once_and_only_while_an_answer_is_due() {
        assert_eq!(
            Step::RequestExtension.from(State::Sent, false),
            Ok(State::Seen)
        );
        assert_eq!(
            Step::RequestExtension.from(State::Returned, false),
            Ok(State::Returned)
        );
        assert_eq!(
            Step::RequestExtension.from(State::Seen, true),
            Err(Obstacle::ExtensionPending)
        );
        assert_eq!(
            Step::RequestExtension.from(State::Answered, false),
            Err(Obstacle::NotOpen)
        );
        assert_eq!(
            Step::GrantExtension.from(State::Seen, false),
            Err(Obstacle::NoExtensionPending)
        );
    }

    #[test]
    fn no_step_is_open_to_both_sides() {
        for step in STEPS {
            let answers = step.permission() == "explanations.answer";
            assert_eq!(step.side() == Side::Asked, answers);
        }
    }
}
