//! Who calls, for handlers.

use std::sync::Arc;

use chrono::Utc;
use tonic::Request;
use uuid::Uuid;

use super::{
    Claims, Kind, not_everywhere, outside_scope, permission_missing, session_ended, token_missing,
};
use crate::{
    Refusal,
    directory::{Directory, MESH_PERMISSION, Scope},
};

/// The caller of a request: a person or a service with a verified token.
#[derive(Clone, Debug)]
pub struct Caller {
    claims: Arc<Claims>,
    directory: Directory,
}

impl Caller {
    /// A caller, for the layer and for those who act outside of a request.
    #[must_use]
    pub fn new(claims: Arc<Claims>, directory: Directory) -> Self {
        Self { claims, directory }
    }

    /// The caller of a request; refused when there was no token (only public methods are reached without).
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Refusal> {
        Self::optional(request).ok_or_else(token_missing)
    }

    /// The caller of a request, if there is one.
    #[must_use]
    pub fn optional<T>(request: &Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    /// UUID of the person, client id of the service.
    #[must_use]
    pub fn id(&self) -> String {
        self.claims.sub.clone()
    }

    /// The person; none for a service.
    #[must_use]
    pub fn person(&self) -> Option<Uuid> {
        match self.claims.kind {
            Kind::Person => self.claims.sub.parse().ok(),
            Kind::Service => None,
        }
    }

    /// Whether a service calls.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.claims.kind == Kind::Service
    }

    /// Whether a service of the mesh calls, not an integrator's.
    #[must_use]
    pub fn is_of_mesh(&self) -> bool {
        self.is_service() && self.holds(MESH_PERMISSION)
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether the token has ended meanwhile: for streams, which outlive the check at their start.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.claims.exp <= Utc::now().timestamp()
    }

    /// Refuses when the session was revoked or the account disabled meanwhile.
    pub fn demand_current(&self) -> Result<(), Refusal> {
        let claims = &self.claims;
        let is_revoked = claims
            .sid
            .as_deref()
            .is_some_and(|session| self.directory.is_revoked(session));
        let is_disabled = self
            .directory
            .principal(&claims.sub)
            .is_some_and(|principal| principal.disabled || principal.service != self.is_service());
        if is_revoked || is_disabled {
            return Err(session_ended());
        }
        Ok(())
    }

    /// Whether the caller holds a permission in any unit.
    #[must_use]
    pub fn holds(&self, permission: &str) -> bool {
        self.directory.holds(&self.claims.sub, permission)
    }

    /// Where the caller holds a permission.
    #[must_use]
    pub fn scope(&self, permission: &str) -> Scope {
        self.directory.scope(&self.claims.sub, permission)
    }

    /// Refuses unless the caller holds a permission for a thing of this unit and field.
    pub fn require(
        &self,
        permission: &str,
        unit: Uuid,
        field: Option<&str>,
    ) -> Result<(), Refusal> {
        if self
            .directory
            .permits(&self.claims.sub, permission, unit, field)
        {
            Ok(())
        } else if self.holds(permission) {
            Err(outside_scope(permission))
        } else {
            Err(permission_missing(permission))
        }
    }

    /// Refuses unless the caller holds a permission in the whole city, for what belongs to no single unit.
    pub fn require_everywhere(&self, permission: &str) -> Result<(), Refusal> {
        if self.scope(permission).all {
            Ok(())
        } else if self.holds(permission) {
            Err(not_everywhere(permission))
        } else {
            Err(permission_missing(permission))
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::identity::v1::UnitKind;

    use super::*;
    use crate::testing::{City, claims};

    #[test]
    fn what_belongs_to_no_unit_is_for_those_of_the_whole_city() {
        let mut city = City::new();
        let ward = city.unit("W1", UnitKind::Ward, Some(city.root));
        city.role("operator", &["a.operate"]);
        let (local, central, other) = (
            city.person("Local", ward),
            city.person("Central", ward),
            city.person("Other", ward),
        );
        city.grant(&local, "operator", ward, &["T06"]);
        city.grant(&central, "operator", city.root, &[]);
        let directory = city.directory();
        let reason = |person: &str| {
            let caller = Caller::new(Arc::new(claims(person)), directory.clone());
            let outcome = caller.require_everywhere("a.operate");
            outcome.err().map(|refusal| refusal.reason())
        };
        assert_eq!(reason(&central), None);
        assert_eq!(reason(&local), Some("OUTSIDE_SCOPE"));
        assert_eq!(reason(&other), Some("PERMISSION_MISSING"));
    }
}
