//! Roles and grants.

use chassis::{
    Caller, Directory, Refusal,
    calendar::city_date,
    directory::{EVERYTHING, Scope},
    events::{self, Fact},
};
use chrono::{DateTime, Utc};
use proto::identity::v1 as pb;
use sqlx::{PgConnection, PgExecutor};
use tonic::Code;
use uuid::Uuid;

use crate::{error::Result, parse::timestamp, unit};

/// Roles of the mesh's own services; not for giving, whatever the caller holds.
pub const RESERVED: [&str; 2] = ["mesh", "installer"];

/// A grant as stored.
#[derive(Clone)]
pub struct Grant {
    pub id: Uuid,
    pub principal_id: String,
    pub role: String,
    pub unit_id: Uuid,
    pub field_codes: Vec<String>,
    pub valid_from: DateTime<Utc>,
    pub valid_to: Option<DateTime<Utc>>,
    pub revoke_time: Option<DateTime<Utc>>,
    pub delegator_id: String,
    pub create_time: DateTime<Utc>,
}

impl From<Grant> for pb::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            principal_id: grant.principal_id,
            role: grant.role,
            unit_id: grant.unit_id.to_string(),
            field_codes: grant.field_codes,
            valid_from: Some(timestamp(grant.valid_from)),
            valid_to: grant.valid_to.map(timestamp),
            revoked: grant.revoke_time.is_some(),
            delegator_id: grant.delegator_id,
        }
    }
}

/// A grant to make.
pub struct New {
    pub principal_id: String,
    pub role: String,
    pub unit_id: Uuid,
    pub field_codes: Vec<String>,
    pub valid_to: Option<DateTime<Utc>>,
}

/// All roles, by code.
pub async fn roles(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<pb::Role>> {
    let rows = sqlx::query!("SELECT code, name_vi, name_en, permissions FROM role ORDER BY code")
        .fetch_all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| pb::Role {
            code: row.code,
            name_vi: row.name_vi,
            name_en: row.name_en,
            permissions: row.permissions,
        })
        .collect())
}

fn exceeds(vi: &str, en: &str) -> Refusal {
    Refusal::new(Code::PermissionDenied, "EXCEEDS_OWN_RIGHTS", vi, en)
}

/// Whether the caller may give this: a role that a role of the caller's lists there, or whose every permission the
/// caller holds there; never to himself; city-wide fields only if the caller's own rights cover them.
pub async fn check(
    db: impl PgExecutor<'_>,
    directory: &Directory,
    caller: &Caller,
    new: &New,
) -> Result<()> {
    caller.require("identity.manage_grants", new.unit_id, None)?;
    if caller.id() == new.principal_id {
        return Err(exceeds(
            "không ai tự cấp quyền cho chính mình",
            "nobody grants to himself",
        )
        .into());
    }
    let rows = sqlx::query!("SELECT code, permissions, may_grant FROM role")
        .fetch_all(db)
        .await?;
    let wanted = rows
        .iter()
        .find(|row| row.code == new.role)
        .ok_or_else(|| Refusal::invalid("role", "không có vai trò này", "there is no such role"))?;
    let mut above = directory.ancestors(new.unit_id);
    above.push(new.unit_id);
    let holder = directory.grants_of(&caller.id());
    let lists_it = holder
        .iter()
        .filter(|grant| grant.unit_id == EVERYTHING || above.contains(&grant.unit_id))
        .any(|grant| {
            rows.iter()
                .any(|row| row.code == grant.role && row.may_grant.contains(&new.role))
        });
    let holds_all = || {
        wanted
            .permissions
            .iter()
            .all(|permission| directory.permits(&caller.id(), permission, new.unit_id, None))
    };
    if RESERVED.contains(&new.role.as_str()) || !(lists_it || holds_all()) {
        return Err(exceeds(
            "vai trò này có quyền mà bạn không được cấp ở đơn vị này",
            "this role permits what you may not give in this unit",
        )
        .into());
    }
    let own = caller.scope("identity.manage_grants");
    if !own.all
        && !new
            .field_codes
            .iter()
            .all(|field| own.fields.contains(field))
    {
        return Err(exceeds(
            "quyền của bạn không bao gồm lĩnh vực này trên toàn Thành phố",
            "your rights do not cover this field city-wide",
        )
        .into());
    }
    Ok(())
}

pub async fn create(tx: &mut PgConnection, new: New, actor: &str) -> Result<Grant> {
    let grant = sqlx::query_as!(
        Grant,
        "INSERT INTO role_grant (id, principal_id, role, unit_id, field_codes, valid_from, valid_to)
         VALUES ($1, $2, $3, $4, $5, now(), $6)
         RETURNING id, principal_id, role, unit_id, field_codes, valid_from, valid_to, revoke_time, delegator_id, create_time",
        Uuid::now_v7(),
        new.principal_id,
        new.role,
        new.unit_id,
        &new.field_codes,
        new.valid_to
    )
    .fetch_one(&mut *tx)
    .await?;
    state(tx, std::slice::from_ref(&grant), actor).await?;
    Ok(grant)
}

/// Withdraws a grant; one that was withdrawn before stays as it is. Outside the scope it does not exist.
pub async fn revoke(tx: &mut PgConnection, id: Uuid, scope: &Scope, actor: &str) -> Result<Grant> {
    let before = sqlx::query_as!(
        Grant,
        "SELECT id, principal_id, role, unit_id, field_codes, valid_from, valid_to, revoke_time, delegator_id, create_time
         FROM role_grant WHERE id = $1 AND ($2 OR unit_id = ANY($3)) AND unit_id <> $4 FOR UPDATE",
        id,
        scope.all,
        &scope.units,
        EVERYTHING
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Refusal::not_found("grant", id))?;
    if before.revoke_time.is_some() {
        return Ok(before);
    }
    sqlx::query!(
        "UPDATE role_grant SET revoke_time = now() WHERE id = $1",
        id
    )
    .execute(&mut *tx)
    .await?;
    let grant = Grant {
        revoke_time: Some(Utc::now()),
        ..before
    };
    state(tx, std::slice::from_ref(&grant), actor).await?;
    Ok(grant)
}

/// Which grants are listed.
pub struct Filter {
    pub principal_id: String,
    pub include_ended: bool,
    /// The last of the previous page.
    pub before: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
}

/// Grants in the scope, newest first.
pub async fn list(db: impl PgExecutor<'_>, scope: &Scope, filter: Filter) -> Result<Vec<Grant>> {
    let (time, id) = filter.before.unzip();
    let grants = sqlx::query_as!(
        Grant,
        "SELECT g.id, g.principal_id, g.role, g.unit_id, g.field_codes, g.valid_from, g.valid_to, g.revoke_time,
            g.delegator_id, g.create_time
         FROM role_grant g LEFT JOIN unit u ON u.id = g.unit_id
         WHERE ($1 OR g.unit_id = ANY($2)) AND ($3 = '' OR g.principal_id = $3)
            AND ($4 OR (g.revoke_time IS NULL AND (g.valid_to IS NULL OR g.valid_to > now())
                AND (u.valid_to IS NULL OR u.valid_to >= $5)))
            AND ($6::timestamptz IS NULL OR (g.create_time, g.id) < ($6, $7))
         ORDER BY g.create_time DESC, g.id DESC LIMIT $8",
        scope.all,
        &scope.units,
        filter.principal_id,
        filter.include_ended,
        city_date(Utc::now()),
        time,
        id,
        filter.limit
    )
    .fetch_all(db)
    .await?;
    Ok(grants)
}

/// All grants that are or will be in force, for the directory.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Grant>> {
    sqlx::query_as!(
        Grant,
        "SELECT id, principal_id, role, unit_id, field_codes, valid_from, valid_to, revoke_time, delegator_id, create_time
         FROM role_grant WHERE revoke_time IS NULL AND (valid_to IS NULL OR valid_to > now())"
    )
    .fetch_all(db)
    .await
}

/// Ends the grants of units that end, on the unit's last day. Successors get none by themselves.
pub async fn end_with_units(tx: &mut PgConnection, actor: &str) -> Result<()> {
    let ending = sqlx::query!(
        r#"SELECT g.id, u.valid_to AS "last!" FROM role_grant g JOIN unit u ON u.id = g.unit_id
         WHERE u.valid_to IS NOT NULL AND g.revoke_time IS NULL"#
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = ending.iter().map(|row| row.id).collect();
    let ends: Vec<DateTime<Utc>> = ending.iter().map(|row| unit::end_of(row.last)).collect();
    let grants = sqlx::query_as!(
        Grant,
        "UPDATE role_grant g SET valid_to = e.valid_to
         FROM unnest($1::uuid[], $2::timestamptz[]) AS e (id, valid_to)
         WHERE g.id = e.id AND (g.valid_to IS NULL OR g.valid_to > e.valid_to)
         RETURNING g.id, g.principal_id, g.role, g.unit_id, g.field_codes, g.valid_from, g.valid_to, g.revoke_time,
            g.delegator_id, g.create_time",
        &ids,
        &ends
    )
    .fetch_all(&mut *tx)
    .await?;
    state(tx, &grants, actor).await
}

/// States grants as they are now.
async fn state(tx: &mut PgConnection, grants: &[Grant], actor: &str) -> Result<()> {
    for grant in grants {
        let fact = Fact {
            subject: grant.id.to_string(),
            unit_ids: vec![grant.unit_id],
            field_code: None,
            actor: actor.to_owned(),
            message: &pb::GrantChanged {
                grant: Some(grant.clone().into()),
            },
        };
        events::publish(&mut *tx, fact).await?;
    }
    Ok(())
}
