//! What a reader may see. The seam to `auth`: until that lands, whoever admits the request puts a `Cut` into it.

use tonic::{Request, Status};
use uuid::Uuid;

/// The units and fields whose events a reader may see.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Everything.
    pub all: bool,
    /// These units.
    pub units: Vec<Uuid>,
    /// These fields, in every unit.
    pub fields: Vec<String>,
}

/// A reader: who it is and what it may see.
#[derive(Clone, Debug)]
pub struct Cut {
    principal: String,
    scope: Scope,
}

impl Cut {
    /// A reader of this scope.
    #[must_use]
    pub fn new(principal: String, scope: Scope) -> Self {
        Self { principal, scope }
    }

    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request
            .extensions()
            .get()
            .cloned()
            .ok_or_else(|| Status::unauthenticated("who are you?"))
    }

    pub(super) fn principal(&self) -> String {
        self.principal.clone()
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope.clone()
    }
}
