//! What can go wrong, and how it leaves the service.

use chassis::Refusal;
use tonic::{Code, Status};

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such thing, or none that the caller may see.
    #[error("{0} {1} not found")]
    NotFound(&'static str, String),
    /// A field of the request is wrong.
    #[error("{field}: {en}")]
    Invalid {
        /// Its path.
        field: String,
        /// What is wrong, in Vietnamese.
        vi: String,
        /// What is wrong, in English.
        en: String,
    },
    /// Another figure of the same period waits for approval.
    #[error("another figure of the period waits")]
    AlreadySubmitted,
    /// Whoever entered a figure never approves it.
    #[error("own figure")]
    OwnFigure,
    /// The submission does not wait for a decision.
    #[error("not submitted")]
    NotSubmitted,
    /// The submission changed since it was read.
    #[error("etag mismatch")]
    EtagMismatch,
    /// The chassis refuses.
    #[error("refused")]
    Refused(Status),
    /// The database fails.
    #[error("database")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            vi: vi.into(),
            en: en.into(),
        }
    }

    /// The same for one entry of an import: "value" becomes "observations[3].value", and what the entry names but there
    /// is not is an invalid field too.
    #[must_use]
    pub fn of_entry(self, list: &str, at: usize) -> Self {
        let invalid = match self {
            Self::NotFound(kind, id) => Self::invalid(
                format!("{kind}_id"),
                format!("không tìm thấy {id}"),
                format!("{id} not found"),
            ),
            other => other,
        };
        invalid.within(&format!("{list}[{at}]"))
    }

    /// The same, with the field named as part of a message: "value" becomes "target.value".
    #[must_use]
    pub fn within(self, entry: &str) -> Self {
        match self {
            Self::Invalid { field, vi, en } => Self::Invalid {
                field: format!("{entry}.{field}"),
                vi,
                en,
            },
            other => other,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into_status("indicators"))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let refusal = match error {
            Error::Refused(status) => return status,
            Error::Database(source) => return chassis::internal(source),
            Error::NotFound(kind, id) => Refusal::not_found(kind, id),
            Error::Invalid { field, vi, en } => Refusal::invalid(field, vi, en),
            Error::AlreadySubmitted => Refusal::new(
                Code::FailedPrecondition,
                "ALREADY_SUBMITTED",
                "đã có một số liệu của kỳ này đang chờ duyệt",
                "another figure of this period waits for approval",
            ),
            Error::OwnFigure => Refusal::new(
                Code::PermissionDenied,
                "OWN_FIGURE",
                "người nhập số liệu không được tự duyệt, hãy nhờ người khác",
                "whoever entered a figure does not decide on it, ask somebody else",
            ),
            Error::NotSubmitted => Refusal::new(
                Code::FailedPrecondition,
                "NOT_SUBMITTED",
                "số liệu này không ở trạng thái chờ duyệt",
                "this figure does not wait for approval",
            ),
            Error::EtagMismatch => Refusal::new(
                Code::Aborted,
                "ETAG_MISMATCH",
                "nội dung đã thay đổi từ khi được mở, hãy tải lại",
                "it changed since it was read, load it again",
            ),
        };
        refusal.into_status("indicators")
    }
}
