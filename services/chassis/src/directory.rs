//! The unit tree, people, roles and grants, in memory in every process: no service asks identity on a request's path.
//!
//! Identity exports the whole once and then sends changes. Every replica follows for itself, so that a grant that is
//! withdrawn takes effect everywhere at once, and keeps what it knows in its own database, so that it starts and serves
//! while identity is away.

mod follow;
mod snapshot;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, NaiveDate, Utc};
use proto::identity::v1::{UnitKind, export_directory_response::Entry};
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{language::Language, say};
pub use follow::EVENT_TYPES;
use snapshot::Snapshot;

/// The unit of a grant that covers everything; only services hold such grants.
pub const EVERYTHING: Uuid = Uuid::nil();

/// The permission that a service of the mesh has and an integrator has not.
pub const MESH_PERMISSION: &str = "mesh.call";

/// A unit of the city's organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Its id.
    pub id: Uuid,
    /// Unique and stable for one area in time.
    pub key: String,
    /// The official code.
    pub code: String,
    /// What kind of unit.
    pub kind: UnitKind,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// The unit above.
    pub parent_id: Option<Uuid>,
    /// First day it exists.
    pub valid_from: NaiveDate,
    /// Last day it exists.
    pub valid_to: Option<NaiveDate>,
    /// Codes of the fields it is in charge of, city-wide.
    pub fields: Vec<String>,
    /// A point inside it, degrees east and north.
    pub point: Option<(f64, f64)>,
    /// The units that it came from, with the share of each that went into it.
    pub predecessors: Vec<(Uuid, f64)>,
}

impl Unit {
    /// Whether it exists on this day.
    #[must_use]
    pub fn is_valid_on(&self, date: NaiveDate) -> bool {
        self.valid_from <= date && !self.has_ended_by(date)
    }

    /// Whether its last day lies before this one.
    #[must_use]
    pub fn has_ended_by(&self, date: NaiveDate) -> bool {
        self.valid_to.is_some_and(|last| last < date)
    }

    /// Its name in the caller's language.
    #[must_use]
    pub fn name(&self) -> &str {
        say(&self.name_vi, &self.name_en)
    }

    /// Whether a grant here covers the whole city.
    fn is_root(&self) -> bool {
        self.parent_id.is_none() || self.kind == UnitKind::City
    }
}

/// A role: a name for a set of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its code.
    pub code: String,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// What it permits.
    pub permissions: BTreeSet<String>,
}

/// A person or a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// UUID of a person, client id of a service.
    pub id: String,
    /// The name that records show.
    pub display_name: String,
    /// The unit a person works in.
    pub home_unit: Option<Uuid>,
    /// The language to write in.
    pub language: Language,
    /// No longer lets anybody in.
    pub disabled: bool,
    /// Not a person.
    pub service: bool,
}

/// A role held in a unit and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// Who holds it.
    pub principal_id: String,
    /// The role's code.
    pub role: String,
    /// The unit; `EVERYTHING` for services.
    pub unit_id: Uuid,
    /// Fields that it also covers city-wide.
    pub fields: Vec<String>,
    /// When it begins.
    pub valid_from: DateTime<Utc>,
    /// When it ends.
    pub valid_to: Option<DateTime<Utc>>,
    /// It was withdrawn.
    pub revoked: bool,
    /// Who lent it.
    pub delegator_id: Option<String>,
}

/// Where a caller holds a permission. In SQL: `($1 OR unit_id = ANY($2) OR field_code = ANY($3))`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Everywhere.
    pub all: bool,
    /// In these units, those below included.
    pub units: Vec<Uuid>,
    /// In these fields, in any unit.
    pub fields: Vec<String>,
}

impl Scope {
    /// Whether it covers anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.units.is_empty() && self.fields.is_empty()
    }

    /// Whether it covers a thing of this unit and field.
    #[must_use]
    pub fn covers(&self, unit: Uuid, field: Option<&str>) -> bool {
        self.all
            || self.units.contains(&unit)
            || field.is_some_and(|field| self.fields.iter().any(|own| own == field))
    }

    /// Whether it covers all that another one does.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.all
            || (!other.all
                && other.units.iter().all(|unit| self.units.contains(unit))
                && other.fields.iter().all(|field| self.fields.contains(field)))
    }
}

/// The directory of a process. Cheap to clone; every question is answered from memory.
#[derive(Clone, Default)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    snapshot: ArcSwap<Snapshot>,
    /// The cursor up to which identity's feed is contained; held while the snapshot is replaced.
    cursor: Mutex<Option<String>>,
    /// Whether anything was ever loaded.
    loaded: watch::Sender<bool>,
    db: Option<PgPool>,
    /// Made by hand or by identity itself: it follows nobody.
    fixed: bool,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let snapshot = self.inner.snapshot.load();
        f.debug_struct("Directory")
            .field("units", &snapshot.units.len())
            .field("principals", &snapshot.principals.len())
            .field("grants", &snapshot.grants.len())
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// A directory that knows these entries and follows nobody: identity's own, and those of tests.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> anyhow::Result<Self> {
        let directory = Self {
            inner: Arc::new(Inner {
                fixed: true,
                ..Inner::default()
            }),
        };
        directory.replace(entries)?;
        Ok(directory)
    }

    /// Replaces all that is known.
    pub fn replace(&self, entries: impl IntoIterator<Item = Entry>) -> anyhow::Result<()> {
        let mut snapshot = Snapshot::default();
        for entry in entries {
            snapshot.apply(entry)?;
        }
        let _writing = self
            .inner
            .cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.inner.snapshot.store(Arc::new(snapshot));
        self.inner.loaded.send_replace(true);
        Ok(())
    }

    /// Takes in changes. One that cannot be read is logged and skipped: it must not stop the others.
    pub fn apply(&self, entries: impl IntoIterator<Item = Entry>) {
        let _writing = self
            .inner
            .cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::clone(&self.inner.snapshot.load());
        snapshot.apply_all(entries);
        self.inner.snapshot.store(Arc::new(snapshot));
    }

    /// Whether anything was ever loaded; until then nobody holds any right.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        *self.inner.loaded.borrow()
    }

    /// Waits until something was loaded.
    pub async fn loaded(&self) {
        let mut loaded = self.inner.loaded.subscribe();
        // The sender lives as long as the directory does.
        let _ = loaded.wait_for(|loaded| *loaded).await;
    }

    /// A unit, ended ones too.
    #[must_use]
    pub fn unit(&self, id: Uuid) -> Option<Arc<Unit>> {
        self.inner.snapshot.load().units.get(&id).cloned()
    }

    /// The unit that bears an official code today, else the last that bore it.
    #[must_use]
    pub fn unit_by_code(&self, code: &str) -> Option<Arc<Unit>> {
        self.inner
            .snapshot
            .load()
            .unit_by_code(code, crate::calendar::city_date(Utc::now()))
    }

    /// The unit of a key.
    #[must_use]
    pub fn unit_by_key(&self, key: &str) -> Option<Arc<Unit>> {
        let snapshot = self.inner.snapshot.load();
        snapshot
            .units
            .values()
            .find(|unit| unit.key == key)
            .cloned()
    }

    /// Every unit that ever was, in no order.
    #[must_use]
    pub fn units(&self) -> Vec<Arc<Unit>> {
        self.inner.snapshot.load().units.values().cloned().collect()
    }

    /// A unit and all below it, ended ones too.
    #[must_use]
    pub fn subtree(&self, id: Uuid) -> Vec<Uuid> {
        self.inner.snapshot.load().subtree(id)
    }

    /// The units above one, the nearest first.
    #[must_use]
    pub fn ancestors(&self, id: Uuid) -> Vec<Uuid> {
        self.inner.snapshot.load().ancestors(id)
    }

    /// A person or service.
    #[must_use]
    pub fn principal(&self, id: &str) -> Option<Arc<Principal>> {
        self.inner.snapshot.load().principals.get(id).cloned()
    }

    /// A role.
    #[must_use]
    pub fn role(&self, code: &str) -> Option<Arc<Role>> {
        self.inner.snapshot.load().roles.get(code).cloned()
    }

    /// The grants in force of a principal.
    #[must_use]
    pub fn grants_of(&self, principal: &str) -> Vec<Arc<Grant>> {
        let snapshot = self.inner.snapshot.load();
        snapshot.in_force(principal, Utc::now()).cloned().collect()
    }

    /// All that a principal is permitted, in whatever unit.
    #[must_use]
    pub fn permissions_of(&self, principal: &str) -> BTreeSet<String> {
        let snapshot = self.inner.snapshot.load();
        snapshot
            .in_force(principal, Utc::now())
            .filter_map(|grant| snapshot.roles.get(&grant.role))
            .flat_map(|role| role.permissions.iter().cloned())
            .collect()
    }

    /// Whether a principal holds a permission in any unit.
    #[must_use]
    pub fn holds(&self, principal: &str, permission: &str) -> bool {
        let snapshot = self.inner.snapshot.load();
        snapshot
            .with_permission(principal, permission, Utc::now())
            .next()
            .is_some()
    }

    /// Where a principal holds a permission.
    #[must_use]
    pub fn scope(&self, principal: &str, permission: &str) -> Scope {
        self.inner
            .snapshot
            .load()
            .scope(principal, permission, Utc::now())
    }

    /// Whether a principal holds a permission for a thing of this unit and field.
    #[must_use]
    pub fn permits(
        &self,
        principal: &str,
        permission: &str,
        unit: Uuid,
        field: Option<&str>,
    ) -> bool {
        self.inner
            .snapshot
            .load()
            .permits(principal, permission, unit, field, Utc::now())
    }

    /// The persons who hold a permission for a thing of this unit and field, services and disabled accounts left out.
    #[must_use]
    pub fn persons_with(&self, permission: &str, unit: Uuid, field: Option<&str>) -> Vec<Uuid> {
        self.inner
            .snapshot
            .load()
            .persons_with(permission, unit, field, Utc::now())
    }

    /// Whether a session was ended before its time.
    #[must_use]
    pub fn is_revoked(&self, session: &str) -> bool {
        self.inner.snapshot.load().revoked.contains_key(session)
    }
}
