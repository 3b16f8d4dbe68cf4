//! Accounts of people.

use chassis::{
    Refusal,
    directory::Scope,
    events::{self, Fact},
};
use chrono::{DateTime, Utc};
use proto::identity::v1 as pb;
use sqlx::{PgConnection, PgExecutor};
use tonic::Code;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    parse::{fold, timestamp},
    unit::like,
};

/// An account as stored, without its password.
pub struct Account {
    pub id: Uuid,
    pub login: String,
    pub display_name: String,
    pub home_unit_id: Uuid,
    pub language: String,
    pub email: String,
    pub phone: String,
    pub disabled: bool,
    pub version: i64,
    pub create_time: DateTime<Utc>,
}

impl From<&Account> for pb::Principal {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            display_name: account.display_name.clone(),
            home_unit_id: account.home_unit_id.to_string(),
            language: account.language.clone(),
            disabled: account.disabled,
            service: false,
        }
    }
}

impl From<Account> for pb::Account {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            login: account.login,
            display_name: account.display_name,
            home_unit_id: account.home_unit_id.to_string(),
            language: account.language,
            email: account.email,
            phone: account.phone,
            disabled: account.disabled,
            create_time: Some(timestamp(account.create_time)),
            etag: account.version.to_string(),
        }
    }
}

/// A login as people may type it: case does not count.
#[must_use]
pub fn normal_login(login: &str) -> String {
    login.trim().to_ascii_lowercase()
}

/// Checks what a new account is made of; every problem at once.
pub fn check(request: &pb::CreateAccountRequest) -> Result<()> {
    let mut problems: Vec<(&str, &str, &str)> = Vec::new();
    let login = &request.login;
    let allowed = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-_".contains(letter)
    };
    if !(3..=64).contains(&login.len()) || !login.chars().all(allowed) {
        problems.push((
            "login",
            "phải có 3 đến 64 ký tự a-z, 0-9, \".\", \"-\", \"_\"",
            "must be 3 to 64 of a-z, 0-9, \".\", \"-\", \"_\"",
        ));
    }
    if request.display_name.trim().is_empty() || request.display_name.chars().count() > 200 {
        problems.push((
            "display_name",
            "phải có, tối đa 200 ký tự",
            "must be given, at most 200 characters",
        ));
    }
    if !["", "vi", "en"].contains(&request.language.as_str()) {
        problems.push(("language", "phải là vi hoặc en", "must be vi or en"));
    }
    if !request.email.is_empty() && (request.email.len() > 254 || !request.email.contains('@')) {
        problems.push((
            "email",
            "không phải địa chỉ thư điện tử",
            "is not an e-mail address",
        ));
    }
    let digits = request.phone.strip_prefix('+').unwrap_or_default();
    if !request.phone.is_empty()
        && (!(8..=15).contains(&digits.len())
            || !digits.chars().all(|digit| digit.is_ascii_digit()))
    {
        problems.push((
            "phone",
            "phải có dạng +84901234567",
            "must be like +84901234567",
        ));
    }
    let Some((field, vi, en)) = problems.first() else {
        return Ok(());
    };
    let refusal = Refusal::invalid(*field, *vi, *en);
    let rest = problems.iter().skip(1);
    Err(rest
        .fold(refusal, |refusal, (field, vi, en)| {
            refusal.field(*field, *vi, *en)
        })
        .into())
}

pub async fn create(
    tx: &mut PgConnection,
    request: &pb::CreateAccountRequest,
    home_unit: Uuid,
    password_hash: &str,
    must_change_password: bool,
    actor: &str,
) -> Result<Account> {
    let language = if request.language == "en" { "en" } else { "vi" };
    let account = sqlx::query_as!(
        Account,
        "INSERT INTO account (id, login, display_name, home_unit_id, language, email, phone, password_hash,
            must_change_password)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time",
        Uuid::now_v7(),
        request.login,
        request.display_name.trim(),
        home_unit,
        language,
        request.email,
        request.phone,
        password_hash,
        must_change_password
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(|error| match constraint(&error) {
        Some("account_login_unique") => Refusal::new(
            Code::AlreadyExists,
            "LOGIN_TAKEN",
            "tên đăng nhập này đã có người dùng",
            "this login is taken",
        )
        .into(),
        _ => Error::from(error),
    })?;
    state(tx, &account, actor).await?;
    Ok(account)
}

fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// States the account as it is now.
async fn state(tx: &mut PgConnection, account: &Account, actor: &str) -> Result<()> {
    let fact = Fact {
        subject: account.id.to_string(),
        unit_ids: vec![account.home_unit_id],
        field_code: None,
        actor: actor.to_owned(),
        message: &pb::PrincipalChanged {
            principal: Some(account.into()),
        },
    };
    Ok(events::publish(tx, fact).await?)
}

/// One account; outside the scope it does not exist.
pub async fn get(db: impl PgExecutor<'_>, id: Uuid, scope: &Scope) -> Result<Account> {
    let account = sqlx::query_as!(
        Account,
        "SELECT id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time
         FROM account WHERE id = $1 AND ($2 OR home_unit_id = ANY($3))",
        id,
        scope.all,
        &scope.units
    )
    .fetch_optional(db)
    .await?;
    Ok(account.ok_or_else(|| Refusal::not_found("account", id))?)
}

/// Accounts of these units (none: all of the scope), by login.
pub async fn list(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    units: Option<&[Uuid]>,
    query: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Account>> {
    let accounts = sqlx::query_as!(
        Account,
        "SELECT id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time
         FROM account
         WHERE login > $1 AND ($2 OR home_unit_id = ANY($3)) AND ($4::uuid[] IS NULL OR home_unit_id = ANY($4))
            AND (login LIKE $5 OR lower(display_name) LIKE $6)
         ORDER BY login LIMIT $7",
        after,
        scope.all,
        &scope.units,
        units,
        format!("%{}%", like(&fold(query))),
        format!("%{}%", like(&query.to_lowercase())),
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(accounts)
}

/// All accounts, for the directory.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as!(
        Account,
        "SELECT id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time FROM account"
    )
    .fetch_all(db)
    .await
}

pub async fn set_disabled(
    tx: &mut PgConnection,
    id: Uuid,
    disabled: bool,
    etag: &str,
    actor: &str,
) -> Result<Account> {
    let account = sqlx::query_as!(
        Account,
        "UPDATE account SET disabled = $2, version = version + 1 WHERE id = $1 AND version::text = $3
         RETURNING id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time",
        id,
        disabled,
        etag
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| {
        Refusal::new(
            Code::Aborted,
            "ETAG_MISMATCH",
            "tài khoản đã thay đổi, hãy đọc lại rồi thử lại",
            "the account changed since it was read, read it again",
        )
    })?;
    state(tx, &account, actor).await?;
    Ok(account)
}

pub async fn set_language(tx: &mut PgConnection, id: Uuid, language: &str) -> Result<Account> {
    let account = sqlx::query_as!(
        Account,
        "UPDATE account SET language = $2, version = version + 1 WHERE id = $1
         RETURNING id, login, display_name, home_unit_id, language, email, phone, disabled, version, create_time",
        id,
        language
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Refusal::not_found("account", id))?;
    state(tx, &account, &id.to_string()).await?;
    Ok(account)
}

/// How to reach these persons.
pub async fn contacts(db: impl PgExecutor<'_>, persons: &[Uuid]) -> Result<Vec<pb::Contact>> {
    let rows = sqlx::query!(
        "SELECT id, display_name, language, email, phone FROM account
         WHERE id = ANY($1) AND NOT disabled AND (email <> '' OR phone <> '') ORDER BY id",
        persons
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| pb::Contact {
            person_id: row.id.to_string(),
            display_name: row.display_name,
            language: row.language,
            email: row.email,
            phone: row.phone,
        })
        .collect())
}

/// What a sign-in needs of an account.
pub struct Credentials {
    pub id: Uuid,
    pub home_unit_id: Uuid,
    pub password_hash: String,
    /// Somebody else knows the password.
    pub must_change_password: bool,
}

/// The account of a login that lets its person in.
pub async fn by_login(db: impl PgExecutor<'_>, login: &str) -> Result<Option<Credentials>> {
    let credentials = sqlx::query_as!(
        Credentials,
        "SELECT id, home_unit_id, password_hash, must_change_password
         FROM account WHERE login = $1 AND NOT disabled",
        login
    )
    .fetch_optional(db)
    .await?;
    Ok(credentials)
}

/// The password's hash of an account that lets its person in.
pub async fn password_hash(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<String>> {
    let hash = sqlx::query_scalar!(
        "SELECT password_hash FROM account WHERE id = $1 AND NOT disabled",
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(hash)
}

/// Sets the password that the person chose.
pub async fn set_password_hash(db: impl PgExecutor<'_>, id: Uuid, hash: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE account SET password_hash = $2, must_change_password = false WHERE id = $1",
        id,
        hash
    )
    .execute(db)
    .await?;
    Ok(())
}
