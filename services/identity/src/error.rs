//! What can go wrong, and its one conversion to a status.

use chassis::{Refusal, internal};
use tonic::Status;

/// A refusal that the caller is told, or a failure of our own that is logged.
#[derive(Debug)]
pub enum Error {
    /// Told as it is.
    Refused(Status),
    /// The database failed.
    Database(sqlx::Error),
    /// Something else of ours failed.
    Internal(anyhow::Error),
}

/// What the functions of this service answer.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into_status("identity"))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(status) => status,
            Error::Database(error) => internal(error),
            Error::Internal(error) => internal(error),
        }
    }
}
