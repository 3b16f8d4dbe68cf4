//! What the directory knows at one moment, and the questions it answers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proto::identity::v1::{self as pb, export_directory_response::Entry};
use uuid::Uuid;

use super::{EVERYTHING, Grant, Principal, Role, Scope, Unit};
use crate::{
    calendar::city_date,
    language::Language,
    parse::{instant, optional_instant, timestamp},
};

/// Tokens live 10 minutes at most; an ended session needs no longer memory than that.
pub(super) const REVOKED_KEPT: TimeDelta = TimeDelta::hours(1);

#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub units: HashMap<Uuid, Arc<Unit>>,
    pub children: HashMap<Uuid, Vec<Uuid>>,
    pub roles: HashMap<String, Arc<Role>>,
    pub principals: HashMap<String, Arc<Principal>>,
    pub grants: HashMap<Uuid, Arc<Grant>>,
    pub held: HashMap<String, Vec<Uuid>>,
    pub revoked: HashMap<String, DateTime<Utc>>,
}

impl Snapshot {
    pub fn apply(&mut self, entry: Entry) -> anyhow::Result<()> {
        match entry {
            Entry::Unit(unit) => self.put_unit(Unit::try_from(unit)?),
            Entry::Role(role) => {
                self.roles
                    .insert(role.code.clone(), Arc::new(Role::from(role)));
            }
            Entry::Principal(principal) => {
                let principal = Principal::try_from(principal)?;
                self.principals
                    .insert(principal.id.clone(), Arc::new(principal));
            }
            Entry::Grant(grant) => self.put_grant(Grant::try_from(grant)?),
            Entry::SessionRevoked(session) => {
                let time = optional_instant("revoke_time", session.revoke_time)?;
                let time = time.unwrap_or_else(Utc::now);
                self.revoked
                    .retain(|_, time| *time > Utc::now() - REVOKED_KEPT);
                self.revoked.insert(session.session_id, time);
            }
            Entry::Cursor(_) => {}
        }
        Ok(())
    }

    pub fn apply_all(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if let Err(error) = self.apply(entry) {
                tracing::error!(error = format!("{error:#}"), "directory entry skipped");
            }
        }
    }

    fn put_unit(&mut self, unit: Unit) {
        if let Some(parent) = self.units.get(&unit.id).and_then(|old| old.parent_id)
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.retain(|id| *id != unit.id);
        }
        if let Some(parent) = unit.parent_id {
            self.children.entry(parent).or_default().push(unit.id);
        }
        self.units.insert(unit.id, Arc::new(unit));
    }

    fn put_grant(&mut self, grant: Grant) {
        let held = self.held.entry(grant.principal_id.clone()).or_default();
        if !held.contains(&grant.id) {
            held.push(grant.id);
        }
        self.grants.insert(grant.id, Arc::new(grant));
    }

    pub fn unit_by_code(&self, code: &str, today: NaiveDate) -> Option<Arc<Unit>> {
        self.units
            .values()
            .filter(|unit| unit.code == code)
            .max_by_key(|unit| (unit.is_valid_on(today), unit.valid_from))
            .cloned()
    }

    pub fn subtree(&self, id: Uuid) -> Vec<Uuid> {
        let mut seen = HashSet::from([id]);
        let mut found = vec![id];
        let mut next = 0;
        while let Some(unit) = found.get(next).copied() {
            for child in self.children.get(&unit).into_iter().flatten() {
                if seen.insert(*child) {
                    found.push(*child);
                }
            }
            next += 1;
        }
        found
    }

    pub fn ancestors(&self, id: Uuid) -> Vec<Uuid> {
        let mut found = Vec::new();
        let mut unit = id;
        while let Some(parent) = self.units.get(&unit).and_then(|unit| unit.parent_id) {
            // A ring in the tree would be identity's mistake; it must not hang every service.
            if found.contains(&parent) || parent == id {
                break;
            }
            found.push(parent);
            unit = parent;
        }
        found
    }

    /// The grants in force of a principal.
    pub fn in_force(
        &self,
        principal: &str,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let known = self
            .principals
            .get(principal)
            .filter(|principal| !principal.disabled);
        known.into_iter().flat_map(move |known| {
            self.held
                .get(&known.id)
                .into_iter()
                .flatten()
                .filter_map(|id| self.grants.get(id))
                .filter(move |grant| self.is_in_force(grant, known, now))
        })
    }

    fn is_in_force(&self, grant: &Grant, holder: &Principal, now: DateTime<Utc>) -> bool {
        let in_time =
            !grant.revoked && grant.valid_from <= now && grant.valid_to.is_none_or(|end| now < end);
        if !in_time {
            return false;
        }
        if grant.unit_id == EVERYTHING {
            return holder.service;
        }
        self.units
            .get(&grant.unit_id)
            .is_some_and(|unit| unit.valid_to.is_none_or(|last| city_date(now) <= last))
    }

    /// The grants in force of a principal whose role permits something.
    pub fn with_permission(
        &self,
        principal: &str,
        permission: &str,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        self.in_force(principal, now).filter(move |grant| {
            self.roles
                .get(&grant.role)
                .is_some_and(|role| role.permissions.contains(permission))
        })
    }

    fn covers_all(&self, grant: &Grant) -> bool {
        grant.unit_id == EVERYTHING
            || self
                .units
                .get(&grant.unit_id)
                .is_some_and(|unit| unit.is_root())
    }

    pub fn scope(&self, principal: &str, permission: &str, now: DateTime<Utc>) -> Scope {
        let mut scope = Scope::default();
        for grant in self.with_permission(principal, permission, now) {
            scope.all |= self.covers_all(grant);
            scope.units.extend(self.subtree(grant.unit_id));
            scope.fields.extend(grant.fields.iter().cloned());
        }
        if scope.all {
            return Scope {
                all: true,
                ..Scope::default()
            };
        }
        scope.units.sort_unstable();
        scope.units.dedup();
        scope.fields.sort_unstable();
        scope.fields.dedup();
        scope
    }

    pub fn permits(
        &self,
        principal: &str,
        permission: &str,
        unit: Uuid,
        field: Option<&str>,
        now: DateTime<Utc>,
    ) -> bool {
        let mut above = self.ancestors(unit);
        above.push(unit);
        self.with_permission(principal, permission, now)
            .any(|grant| self.grant_covers(grant, &above, field))
    }

    fn grant_covers(&self, grant: &Grant, units: &[Uuid], field: Option<&str>) -> bool {
        units.contains(&grant.unit_id)
            || self.covers_all(grant)
            || field.is_some_and(|field| grant.fields.iter().any(|own| own == field))
    }

    pub fn persons_with(
        &self,
        permission: &str,
        unit: Uuid,
        field: Option<&str>,
        now: DateTime<Utc>,
    ) -> Vec<Uuid> {
        let mut above = self.ancestors(unit);
        above.push(unit);
        let mut persons: Vec<Uuid> = self
            .principals
            .values()
            .filter(|principal| !principal.service)
            .filter(|principal| {
                self.with_permission(&principal.id, permission, now)
                    .any(|grant| self.grant_covers(grant, &above, field))
            })
            .filter_map(|principal| principal.id.parse().ok())
            .collect();
        persons.sort_unstable();
        persons
    }
}

fn optional_id(text: &str) -> anyhow::Result<Option<Uuid>> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(text.parse().context("id")?))
}

impl TryFrom<pb::Unit> for Unit {
    type Error = anyhow::Error;

    fn try_from(unit: pb::Unit) -> anyhow::Result<Self> {
        let has_point = unit.longitude != 0.0 || unit.latitude != 0.0;
        let predecessor = |one: &pb::Predecessor| -> anyhow::Result<(Uuid, f64)> {
            let id = one.unit_id.parse().context("predecessor")?;
            Ok((id, one.weight.parse().context("weight")?))
        };
        Ok(Self {
            id: unit.id.parse().context("unit id")?,
            kind: unit.kind(),
            parent_id: optional_id(&unit.parent_id)?,
            valid_from: unit.valid_from.parse().context("valid_from")?,
            valid_to: match unit.valid_to.as_str() {
                "" => None,
                date => Some(date.parse().context("valid_to")?),
            },
            key: unit.key,
            code: unit.code,
            name_vi: unit.name_vi,
            name_en: unit.name_en,
            fields: unit.field_codes,
            point: has_point.then_some((unit.longitude, unit.latitude)),
            predecessors: (unit.predecessors.iter())
                .map(predecessor)
                .collect::<anyhow::Result<_>>()?,
        })
    }
}

impl From<&Unit> for pb::Unit {
    fn from(unit: &Unit) -> Self {
        let (longitude, latitude) = unit.point.unwrap_or_default();
        Self {
            id: unit.id.to_string(),
            key: unit.key.clone(),
            code: unit.code.clone(),
            kind: unit.kind.into(),
            name_vi: unit.name_vi.clone(),
            name_en: unit.name_en.clone(),
            parent_id: unit.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            valid_from: unit.valid_from.to_string(),
            valid_to: unit
                .valid_to
                .map(|date| date.to_string())
                .unwrap_or_default(),
            field_codes: unit.fields.clone(),
            longitude,
            latitude,
            predecessors: (unit.predecessors.iter())
                .map(|(id, weight)| pb::Predecessor {
                    unit_id: id.to_string(),
                    weight: weight.to_string(),
                })
                .collect(),
        }
    }
}

impl From<pb::Role> for Role {
    fn from(role: pb::Role) -> Self {
        Self {
            code: role.code,
            name_vi: role.name_vi,
            name_en: role.name_en,
            permissions: role.permissions.into_iter().collect(),
        }
    }
}

impl TryFrom<pb::Principal> for Principal {
    type Error = anyhow::Error;

    fn try_from(principal: pb::Principal) -> anyhow::Result<Self> {
        Ok(Self {
            home_unit: optional_id(&principal.home_unit_id)?,
            language: Language::parse(&principal.language),
            id: principal.id,
            display_name: principal.display_name,
            disabled: principal.disabled,
            service: principal.service,
        })
    }
}

impl TryFrom<pb::Grant> for Grant {
    type Error = anyhow::Error;

    fn try_from(grant: pb::Grant) -> anyhow::Result<Self> {
        Ok(Self {
            id: grant.id.parse().context("grant id")?,
            unit_id: grant.unit_id.parse().context("grant unit")?,
            valid_from: instant("valid_from", grant.valid_from).context("valid_from")?,
            valid_to: optional_instant("valid_to", grant.valid_to).context("valid_to")?,
            principal_id: grant.principal_id,
            role: grant.role,
            fields: grant.field_codes,
            revoked: grant.revoked,
            delegator_id: Some(grant.delegator_id).filter(|id| !id.is_empty()),
        })
    }
}

impl From<&Principal> for pb::Principal {
    fn from(principal: &Principal) -> Self {
        Self {
            id: principal.id.clone(),
            display_name: principal.display_name.clone(),
            home_unit_id: principal
                .home_unit
                .map(|id| id.to_string())
                .unwrap_or_default(),
            language: principal.language.code().to_owned(),
            disabled: principal.disabled,
            service: principal.service,
        }
    }
}

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            principal_id: grant.principal_id.clone(),
            role: grant.role.clone(),
            unit_id: grant.unit_id.to_string(),
            field_codes: grant.fields.clone(),
            valid_from: Some(timestamp(grant.valid_from)),
            valid_to: grant.valid_to.map(timestamp),
            revoked: grant.revoked,
            delegator_id: grant.delegator_id.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::City;

    #[test]
    fn a_grant_covers_the_subtree_and_its_fields() {
        let mut city = City::new();
        let district = city.unit("D1", pb::UnitKind::District, Some(city.root));
        let ward = city.unit("W1", pb::UnitKind::Ward, Some(district));
        let other = city.unit("W2", pb::UnitKind::Ward, Some(city.root));
        let health = city.unit("SYT", pb::UnitKind::Department, Some(city.root));
        city.role("head", &["a.read"]);
        let local = city.person("Local", district);
        city.grant(&local, "head", district, &[]);
        let doctor = city.person("Doctor", health);
        city.grant(&doctor, "head", health, &["T15"]);
        let leader = city.person("Leader", city.root);
        city.grant(&leader, "head", city.root, &[]);
        let directory = city.directory();

        let mut expected = vec![district, ward];
        expected.sort_unstable();
        assert_eq!(directory.scope(&local, "a.read").units, expected);
        assert!(directory.permits(&local, "a.read", ward, None));
        assert!(!directory.permits(&local, "a.read", other, Some("T15")));
        assert!(!directory.permits(&local, "a.write", ward, None));
        assert!(directory.permits(&doctor, "a.read", other, Some("T15")));
        assert!(!directory.permits(&doctor, "a.read", other, Some("T16")));
        assert!(directory.scope(&leader, "a.read").all);
        assert_eq!(directory.ancestors(ward), [district, city.root]);

        let mut both: Vec<Uuid> = [&local, &leader]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        both.sort_unstable();
        assert_eq!(directory.persons_with("a.read", ward, None), both);
    }

    #[test]
    fn time_revocation_and_ended_units_are_respected() {
        let mut city = City::new();
        let ward = city.unit("W1", pb::UnitKind::Ward, Some(city.root));
        city.role("head", &["a.read"]);
        let person = city.person("An", ward);
        let id = city.grant(&person, "head", ward, &[]);
        let directory = city.directory();
        let snapshot = directory.inner.snapshot.load();
        let now = Utc::now();
        let holds = |snapshot: &Snapshot, now| snapshot.in_force(&person, now).next().is_some();
        assert!(holds(&snapshot, now));
        assert!(!holds(&snapshot, now - TimeDelta::days(3650)));

        let grant = Grant::clone(&snapshot.grants[&id]);
        let mut ended = Snapshot::clone(&snapshot);
        ended.put_grant(Grant {
            valid_to: Some(now),
            ..grant.clone()
        });
        assert!(!holds(&ended, now));
        let mut revoked = Snapshot::clone(&snapshot);
        revoked.put_grant(Grant {
            revoked: true,
            ..grant
        });
        assert!(!holds(&revoked, now));
        let mut dissolved = Snapshot::clone(&snapshot);
        let last = city_date(now);
        dissolved.put_unit(Unit {
            valid_to: Some(last),
            ..Unit::clone(&snapshot.units[&ward])
        });
        assert!(holds(&dissolved, now), "a unit's last day still counts");
        assert!(!holds(&dissolved, now + TimeDelta::days(1)));
    }

    #[test]
    fn only_services_hold_everything() {
        let mut city = City::new();
        city.role("head", &["a.read"]);
        let person = city.person("An", city.root);
        city.grant(&person, "head", EVERYTHING, &[]);
        let service = city.service("robot", "head");
        let directory = city.directory();
        assert!(directory.scope(&person, "a.read").is_empty());
        assert!(directory.scope(&service, "a.read").all);
    }
}
