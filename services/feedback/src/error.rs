//! What can go wrong, and how it leaves the service.

use chassis::Refusal;
use tonic::{Code, Status};

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such thing, or none that the caller may see.
    #[error("{0} {1} not found")]
    NotFound(&'static str, String),
    /// The item is answered or refused.
    #[error("closed")]
    Closed,
    /// No unit has the item yet.
    #[error("not routed")]
    NotRouted,
    /// There is no answer to rate.
    #[error("not answered")]
    NotAnswered,
    /// It was answered too long ago to be rated.
    #[error("rating closed")]
    RatingClosed,
    /// The item changed since it was read.
    #[error("etag mismatch")]
    EtagMismatch,
    /// The chassis or a rule refuses.
    #[error("refused")]
    Refused(Box<Status>),
    /// The database fails.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// Something else of ours fails.
    #[error("internal")]
    Internal(anyhow::Error),
}

impl Error {
    /// A field of the request is wrong.
    pub fn invalid(field: impl Into<String>, vi: impl Into<String>, en: impl Into<String>) -> Self {
        Refusal::invalid(field, vi, en).into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal.into_status("feedback")))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let refusal = match error {
            Error::Refused(status) => return *status,
            Error::Database(source) => return chassis::internal(source),
            Error::Internal(source) => return chassis::internal(source),
            Error::NotFound(kind, id) => Refusal::not_found(kind, id),
            Error::Closed => Refusal::new(
                Code::FailedPrecondition,
                "CLOSED",
                "phản ánh này đã có kết quả hoặc đã bị từ chối",
                "this feedback is answered or refused",
            ),
            Error::NotRouted => Refusal::new(
                Code::FailedPrecondition,
                "NOT_ROUTED",
                "phản ánh này chưa được chuyển đến đơn vị nào, hãy chuyển trước",
                "no unit has this feedback yet, route it first",
            ),
            Error::NotAnswered => Refusal::new(
                Code::FailedPrecondition,
                "NOT_ANSWERED",
                "phản ánh này chưa có kết quả để đánh giá",
                "this feedback has no answer to rate yet",
            ),
            Error::RatingClosed => Refusal::new(
                Code::FailedPrecondition,
                "RATING_CLOSED",
                "đã quá 30 ngày kể từ khi có kết quả nên không thể đánh giá nữa",
                "more than 30 days have passed since the answer, it can no longer be rated",
            ),
            Error::EtagMismatch => Refusal::new(
                Code::Aborted,
                "ETAG_MISMATCH",
                "phản ánh đã thay đổi từ khi được mở, hãy tải lại",
                "the feedback changed since it was read, load it again",
            ),
        };
        refusal.into_status("feedback")
    }
}
