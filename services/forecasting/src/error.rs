//! What can go wrong, and how it leaves the service.

use chassis::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such series, or none that the caller may see.
    #[error("no series of indicator {0} and unit {1}")]
    NotFound(Uuid, Uuid),
    /// A field of the request is wrong.
    #[error("{field}: {en}")]
    Invalid {
        /// Its path.
        field: &'static str,
        /// What is wrong, in Vietnamese.
        vi: &'static str,
        /// What is wrong, in English.
        en: &'static str,
    },
    /// The thresholds changed since they were read.
    #[error("etag mismatch")]
    EtagMismatch,
    /// The caller keeps as many scenarios of the series as is allowed.
    #[error("too many scenarios")]
    TooManyScenarios,
    /// Somebody else keeps the scenario.
    #[error("scenario of somebody else")]
    OthersScenario,
    /// The service's own changes cannot be followed now.
    #[error("changes are not followed")]
    NotFollowed,
    /// The chassis refuses.
    #[error("refused")]
    Refused(Status),
    /// The database fails.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// What the database keeps cannot be read.
    #[error("stored message")]
    Stored(#[from] prost::DecodeError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into_status("forecasting"))
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
            Error::Stored(source) => return chassis::internal(source),
            Error::NotFound(indicator, unit) => {
                Refusal::not_found("forecast", format!("{indicator}/{unit}"))
            }
            Error::Invalid { field, vi, en } => Refusal::invalid(field, vi, en),
            Error::TooManyScenarios => Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_SCENARIOS",
                "mỗi người giữ tối đa 20 kịch bản cho một chỉ tiêu, hãy xóa bớt",
                "20 scenarios are kept of a person and a series at most, delete some",
            ),
            Error::OthersScenario => Refusal::new(
                Code::PermissionDenied,
                "OTHERS_SCENARIO",
                "chỉ người lưu kịch bản mới được xóa",
                "only the person who keeps a scenario may delete it",
            ),
            Error::NotFollowed => Refusal::new(
                Code::Unavailable,
                "CHANGES_UNAVAILABLE",
                "hiện chưa theo dõi được thay đổi, hãy thử lại sau ít giây",
                "changes cannot be followed now, try again in a few seconds",
            ),
            Error::EtagMismatch => Refusal::new(
                Code::Aborted,
                "ETAG_MISMATCH",
                "ngưỡng đã thay đổi từ khi được mở, hãy tải lại",
                "the thresholds changed since they were read, load them again",
            ),
        };
        refusal.into_status("forecasting")
    }
}
