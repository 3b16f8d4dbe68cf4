//! Why a call fails, and its one conversion to a status.

use chassis::{Refusal, internal};
use tonic::{Code, Status};

/// Why a call fails.
#[derive(Debug)]
pub enum Error {
    /// The caller is told why.
    Refused(Refusal),
    /// The chassis has said why.
    Status(Status),
    /// The database failed: the caller is told only that something did.
    Database(sqlx::Error),
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
        Self::Database(error)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into_status(crate::NAME),
            Error::Status(status) => status,
            Error::Database(error) => internal(error),
        }
    }
}

/// Notices are a person's own.
pub fn not_a_person() -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "NOT_A_PERSON",
        "chỉ người dùng mới có thông báo",
        "only persons have notices",
    )
}

/// Only what was given up is tried again by hand.
pub fn not_parked() -> Refusal {
    Refusal::new(
        Code::FailedPrecondition,
        "NOT_PARKED",
        "thư này chưa bị dừng, hệ thống vẫn tự gửi",
        "this delivery is not parked, it is sent without help",
    )
}
