//! The one way an error leaves a service: a code, a reason for programs, a text for people in both languages.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::say;

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
            format!("không tìm thấy {kind} {id}"),
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
        Status::with_error_details(inner.code, say(inner.vi, inner.en), details)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.into_status("civicmesh")
    }
}

/// Logs a failure of our own once, with its source chain, and tells the caller only that there was one.
pub fn internal(error: impl Into<anyhow::Error>) -> Status {
    let error = error.into();
    let unavailable = error.downcast_ref::<sqlx::Error>().is_some_and(|error| {
        matches!(
            error,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)
        )
    });
    tracing::error!(error = format!("{error:#}"), "request failed");
    if unavailable {
        Refusal::new(
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            "cơ sở dữ liệu tạm thời không sẵn sàng, hãy thử lại",
            "the database is not available for the moment, try again",
        )
        .into()
    } else {
        Refusal::new(Code::Internal, "INTERNAL", "lỗi nội bộ", "internal error").into()
    }
}
