//! The one way an error leaves a service: a code, a reason for programs, a text for people in both languages.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    postgres::{Fault, fault},
    say,
};

/// Why a call is refused. Becomes a `Status` with `google.rpc` details, its message in the caller's language.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.en)]
pub struct Refusal(Box<Inner>);

// Boxed: results are passed along by every function, refusals are rare.
#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    reason: &'static str,
    fields: Vec<(String, String, String)>,
    resource: Option<(&'static str, String)>,
    retry_after: Option<Duration>,
    vi: String,
    en: String,
}

impl Refusal {
    /// A refusal with a reason that programs act on, such as "ALREADY_DECIDED", and its text in Vietnamese and English.
    pub fn new(
        code: Code,
        reason: &'static str,
        vi: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            code,
            reason,
            fields: Vec::new(),
            resource: None,
            retry_after: None,
            vi: vi.into(),
            en: en.into(),
        }))
    }

    /// A field of the request is malformed or out of range.
    pub fn invalid(field: impl Into<String>, vi: impl Into<String>, en: impl Into<String>) -> Self {
        let (vi, en) = (vi.into(), en.into());
        Self::new(
            Code::InvalidArgument,
            "INVALID_FIELD",
            vi.clone(),
            en.clone(),
        )
        .field(field, vi, en)
    }

    /// There is no such thing, or none that the caller may see.
    pub fn not_found(kind: &'static str, id: impl Into<String>) -> Self {
        let id = id.into();
        let mut refusal = Self::new(
            Code::NotFound,
            "NOT_FOUND",
            format!("không tìm thấy mục {id}"),
            format!("{kind} {id} not found"),
        );
        refusal.0.resource = Some((kind, id));
        refusal
    }

    /// Names a further field that is wrong, so that all problems are told at once.
    #[must_use]
    pub fn field(
        mut self,
        field: impl Into<String>,
        vi: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        self.0.fields.push((field.into(), vi.into(), en.into()));
        self
    }

    /// Says when the same call may succeed.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.0.retry_after = Some(pause);
        self
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason that programs act on.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// Makes the status, with `domain` naming the service.
    #[must_use]
    pub fn into_status(self, domain: &str) -> Status {
        let inner = *self.0;
        let mut details = ErrorDetails::new();
        details.set_error_info(inner.reason, domain, HashMap::new());
        for (field, vi, en) in inner.fields {
            details.add_bad_request_violation(field, say(vi, en));
        }
        if let Some((kind, id)) = inner.resource {
            details.set_resource_info(kind, id, "", "");
        }
        if inner.retry_after.is_some() {
            details.set_retry_info(inner.retry_after);
        }
        Status::with_error_details(inner.code, say(inner.vi, inner.en), details)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.into_status("civicmesh")
    }
}

/// When a caller may come again after a passing failure of the database.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Logs a failure once, with its source chain, and tells the caller no more than whether to try again.
pub fn internal(error: impl Into<anyhow::Error>) -> Status {
    let error = error.into();
    let text = format!("{error:#}");
    let refusal = match fault(&error) {
        Some(Fault::Away) => Refusal::new(
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            "cơ sở dữ liệu tạm thời không sẵn sàng, hãy thử lại",
            "the database is not available for the moment, try again",
        )
        .retry_after(RETRY_AFTER),
        Some(Fault::Contention) => Refusal::new(
            Code::Aborted,
            "CONTENTION",
            "có thao tác khác đang làm việc trên cùng dữ liệu, hãy thử lại",
            "another write works on the same data, try again",
        )
        .retry_after(RETRY_AFTER),
        Some(Fault::Value) => {
            tracing::info!(error = text, "a value cannot be stored");
            return Refusal::new(
                Code::InvalidArgument,
                "VALUE_NOT_STORABLE",
                "yêu cầu có ký tự không hợp lệ hoặc thời điểm quá xa",
                "the request holds an invalid character or a time too far away",
            )
            .into();
        }
        Some(Fault::Statement) | None => {
            Refusal::new(Code::Internal, "INTERNAL", "lỗi nội bộ", "internal error")
        }
    };
    tracing::error!(error = text, "request failed");
    refusal.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_tried_again() {
        let status = internal(sqlx::Error::PoolTimedOut);
        assert_eq!(status.code(), Code::Unavailable);
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(RETRY_AFTER));
        let status = internal(anyhow::anyhow!("a table is missing"));
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), "lỗi nội bộ");
    }
}
