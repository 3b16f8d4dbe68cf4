//! Why a call fails, and its one conversion to a status.

use chassis::{Refusal, internal};
use tonic::{Code, Status};

use crate::life::Obstacle;

/// Why a call fails.
#[derive(Debug)]
pub enum Error {
    /// The caller is told why.
    Refused(Refusal),
    /// The chassis has said why.
    Status(Status),
    /// A failure of our own: the caller is told only that there was one.
    Failed(anyhow::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        let (reason, vi, en) = match obstacle {
            Obstacle::NotOpen => (
                "NOT_OPEN",
                "yêu cầu không còn chờ bước này",
                "the request no longer waits for this step",
            ),
            Obstacle::NotAnswered => (
                "NOT_ANSWERED",
                "chưa có giải trình nào đang chờ xem xét",
                "there is no answer that waits for a decision",
            ),
            Obstacle::ExtensionPending => (
                "EXTENSION_PENDING",
                "đã có đề nghị gia hạn đang chờ quyết định",
                "an extension that was asked for still waits for a decision",
            ),
            Obstacle::NoExtensionPending => (
                "NO_EXTENSION_PENDING",
                "không có đề nghị gia hạn nào đang chờ",
                "no extension waits for a decision",
            ),
        };
        Refusal::new(Code::FailedPrecondition, reason, vi, en).into()
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into_status(crate::NAME),
            Error::Status(status) => status,
            Error::Failed(error) => internal(error),
        }
    }
}

/// Somebody changed the request since it was read.
pub fn etag_mismatch() -> Refusal {
    Refusal::new(
        Code::Aborted,
        "ETAG_MISMATCH",
        "yêu cầu vừa được thay đổi, hãy tải lại rồi thử lại",
        "the request was changed meanwhile, read it again and retry",
    )
}

/// The same leader's request about the same figure is still open.
pub fn already_open() -> Refusal {
    Refusal::new(
        Code::FailedPrecondition,
        "ALREADY_OPEN",
        "bạn đã có một yêu cầu giải trình chưa đóng về chỉ tiêu này",
        "your earlier request on this indicator is still open",
    )
}

/// Decisions are for whoever asked, and for the city's leaders.
pub fn not_requester() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "NOT_REQUESTER",
        "chỉ người yêu cầu hoặc lãnh đạo thành phố được quyết định",
        "only the requester or a leader of the city decides",
    )
}

/// Nobody answers an own question.
pub fn own_request() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "OWN_REQUEST",
        "người yêu cầu không tự giải trình",
        "the requester does not answer the own request",
    )
}

/// Steps are taken by persons, because the record names who took them.
pub fn not_a_person() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "NOT_A_PERSON",
        "thao tác này chỉ dành cho người dùng",
        "only persons may do this",
    )
}

/// More time is granted for what still lies ahead only.
pub fn extension_passed() -> Refusal {
    Refusal::new(
        Code::FailedPrecondition,
        "EXTENSION_PASSED",
        "thời hạn được đề nghị đã qua, hãy từ chối để đơn vị đề nghị thời hạn khác",
        "the deadline that was asked for has passed, refuse it so that the unit may ask for another",
    )
}

/// The figures cannot be had at the moment.
pub fn forecasting_unavailable() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        "FORECASTING_UNAVAILABLE",
        "chưa lấy được số liệu dự báo, hãy thử lại sau giây lát",
        "the forecast cannot be read for the moment, try again",
    )
}
