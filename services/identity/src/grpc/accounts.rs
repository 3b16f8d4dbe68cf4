//! `AccountService`.

use chassis::{Caller, Refusal, RequestKey, page};
use chrono::Utc;
use proto::identity::v1::{
    self as pb, account_service_server::AccountService, export_directory_response::Entry,
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::once;
use crate::{
    account,
    error::{Error, Result as Outcome},
    grant, parse,
    password::{self, Attempt, Taken},
    session,
    state::Identity,
};

const ACCOUNTS: &str = "identity.manage_accounts";
const GRANTS: &str = "identity.manage_grants";

/// The caller as a person, for what services have not.
fn person(caller: &Caller) -> Result<Uuid, Refusal> {
    caller.person().ok_or_else(|| {
        Refusal::new(
            Code::PermissionDenied,
            "NOT_A_PERSON",
            "chỉ dành cho người dùng, không dành cho dịch vụ",
            "this is for people, not for services",
        )
    })
}

impl Identity {
    /// The caller, with what the directory knows of the rights.
    fn profile(&self, caller: &Caller, principal: pb::Principal) -> pb::Profile {
        let id = caller.id();
        let grants = self.directory.grants_of(&id);
        pb::Profile {
            home_unit: principal
                .home_unit_id
                .parse()
                .ok()
                .and_then(|id| self.directory.unit(id))
                .map(|unit| unit.as_ref().into()),
            principal: Some(principal),
            grants: grants.iter().map(|grant| grant.as_ref().into()).collect(),
            permissions: self.directory.permissions_of(&id).into_iter().collect(),
        }
    }

    async fn replace_password(
        &self,
        request: &pb::ChangeMyPasswordRequest,
        caller: &Caller,
    ) -> Outcome<()> {
        let id = person(caller)?;
        password::check("new_password", &request.new_password)?;
        // A stolen session must not be a way to guess the password.
        let attempt = Attempt::new(&id.to_string(), None);
        if let Taken::No(_) = attempt.begin(&self.db).await? {
            return Err(Refusal::new(
                Code::ResourceExhausted,
                "TOO_MANY_ATTEMPTS",
                "thử sai quá nhiều lần, hãy chờ rồi thử lại",
                "too many wrong attempts, wait before trying again",
            )
            .into());
        }
        let known = account::password_hash(&self.db, id).await?;
        if !password::verify(&request.current_password, known).await? {
            return Err(Refusal::new(
                Code::PermissionDenied,
                "WRONG_PASSWORD",
                "mật khẩu hiện tại không đúng",
                "the current password is wrong",
            )
            .into());
        }
        attempt.succeeded(&self.db).await?;
        Ok(())
    }
}

#[tonic::async_trait]
impl AccountService for Identity {
    async fn get_my_profile(
        &self,
        request: Request<pb::GetMyProfileRequest>,
    ) -> Result<Response<pb::Profile>, Status> {
        let caller = Caller::of(&request)?;
        let principal = self
            .directory
            .principal(&caller.id())
            .ok_or_else(|| Refusal::not_found("principal", caller.id()))?;
        let profile = self.profile(caller, principal.as_ref().into());
        Ok(Response::new(profile))
    }

    async fn set_my_language(
        &self,
        request: Request<pb::SetMyLanguageRequest>,
    ) -> Result<Response<pb::Profile>, Status> {
        let caller = Caller::of(&request)?;
        let id = person(caller)?;
        let language = request.get_ref().language.as_str();
        if !["vi", "en"].contains(&language) {
            return Err(
                Refusal::invalid("language", "phải là vi hoặc en", "must be vi or en").into(),
            );
        }
        let mut tx = self.db.begin().await.map_err(Error::from)?;
        let account = account::set_language(&mut tx, id, language).await?;
        tx.commit().await.map_err(Error::from)?;
        self.apply(vec![Entry::Principal((&account).into())]).await;
        Ok(Response::new(self.profile(caller, (&account).into())))
    }

    async fn change_my_password(
        &self,
        request: Request<pb::ChangeMyPasswordRequest>,
    ) -> Result<Response<pb::ChangeMyPasswordResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        let id = person(&caller)?;
        // Only the id counts: the hash of a request with passwords must not be kept.
        let body = pb::ChangeMyPasswordRequest {
            request_id: request.request_id.clone(),
            ..Default::default()
        };
        let key = RequestKey::new(&caller.id(), "ChangeMyPassword", &body.request_id, &body)?;
        let answer = once(self, key, async |tx| {
            self.replace_password(&request, &caller).await?;
            let hash = password::hash(&request.new_password).await?;
            account::set_password_hash(&mut *tx, id, &hash).await?;
            let own = caller
                .claims()
                .sid
                .as_deref()
                .and_then(|id| id.parse().ok());
            session::end_all(tx, id, own, &caller.id()).await?;
            Ok(pb::ChangeMyPasswordResponse {})
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_roles(
        &self,
        _: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        let mut roles = grant::roles(&self.db).await.map_err(Error::from)?;
        roles.retain(|role| !grant::RESERVED.contains(&role.code.as_str()));
        Ok(Response::new(pb::ListRolesResponse { roles }))
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> Result<Response<pb::Account>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        account::check(&request)?;
        password::check("password", &request.password)?;
        let home_unit = parse::id("home_unit_id", &request.home_unit_id)?;
        if self.directory.unit(home_unit).is_none() {
            let refusal = Refusal::invalid(
                "home_unit_id",
                "không có đơn vị này",
                "there is no such unit",
            );
            return Err(refusal.into());
        }
        caller.require(ACCOUNTS, home_unit, None)?;
        let body = pb::CreateAccountRequest {
            password: String::new(),
            ..request.clone()
        };
        let key = RequestKey::new(&caller.id(), "CreateAccount", &body.request_id, &body)?;
        let actor = caller.id();
        // The installer makes the demonstration, whose passwords are public.
        let held = self.directory.grants_of(&actor);
        let must_change = !held.iter().any(|grant| grant.role == "installer");
        let answer = once(self, key, async |tx| {
            let hash = password::hash(&request.password).await?;
            let account =
                account::create(tx, &request, home_unit, &hash, must_change, &actor).await?;
            Ok(account.into())
        });
        Ok(Response::new(answer.await?))
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::Account>, Status> {
        let scope = Caller::of(&request)?.scope(ACCOUNTS);
        let id = parse::id("id", &request.get_ref().id)?;
        let account = account::get(&self.db, id, &scope).await?;
        Ok(Response::new(account.into()))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let scope = Caller::of(&request)?.scope(ACCOUNTS);
        let request = request.into_inner();
        let size = page::size(request.page_size, 50, 200)?;
        let after: Option<String> = page::after(&request.page_token)?;
        let units = parse::optional_id("unit_id", &request.unit_id)?
            .map(|unit| self.directory.subtree(unit));
        let mut accounts = account::list(
            &self.db,
            &scope,
            units.as_deref(),
            &request.query,
            &after.unwrap_or_default(),
            size as i64 + 1,
        )
        .await?;
        let next_page_token = page::cut(&mut accounts, size, |account| account.login.clone());
        Ok(Response::new(pb::ListAccountsResponse {
            accounts: accounts.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn set_account_disabled(
        &self,
        request: Request<pb::SetAccountDisabledRequest>,
    ) -> Result<Response<pb::Account>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        let id = parse::id("id", &request.id)?;
        let key = RequestKey::new(
            &caller.id(),
            "SetAccountDisabled",
            &request.request_id,
            &request,
        )?;
        account::get(&self.db, id, &caller.scope(ACCOUNTS)).await?;
        let answer = once(self, key, async |tx| {
            let actor = caller.id();
            let account =
                account::set_disabled(tx, id, request.disabled, &request.etag, &actor).await?;
            if request.disabled {
                session::end_all(tx, id, None, &actor).await?;
            }
            Ok(account.into())
        });
        Ok(Response::new(answer.await?))
    }

    async fn create_grant(
        &self,
        request: Request<pb::CreateGrantRequest>,
    ) -> Result<Response<pb::Grant>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        let key = RequestKey::new(&caller.id(), "CreateGrant", &request.request_id, &request)?;
        let unit_id = parse::id("unit_id", &request.unit_id)?;
        if self.directory.unit(unit_id).is_none() {
            let refusal =
                Refusal::invalid("unit_id", "không có đơn vị này", "there is no such unit");
            return Err(refusal.into());
        }
        if self.directory.principal(&request.principal_id).is_none() {
            let refusal = Refusal::invalid(
                "principal_id",
                "không có người hoặc dịch vụ này",
                "there is no such person or service",
            );
            return Err(refusal.into());
        }
        let valid_to = request
            .valid_to
            .map(|time| parse::instant("valid_to", time))
            .transpose()?;
        if valid_to.is_some_and(|end| end <= Utc::now()) {
            let refusal = Refusal::invalid("valid_to", "phải ở tương lai", "must be in the future");
            return Err(refusal.into());
        }
        let new = grant::New {
            principal_id: request.principal_id,
            role: request.role,
            unit_id,
            field_codes: request.field_codes,
            valid_to,
        };
        grant::check(&self.db, &self.directory, &caller, &new).await?;
        let answer = once(self, key, async |tx| {
            Ok(grant::create(tx, new, &caller.id()).await?.into())
        });
        Ok(Response::new(answer.await?))
    }

    async fn revoke_grant(
        &self,
        request: Request<pb::RevokeGrantRequest>,
    ) -> Result<Response<pb::Grant>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        let key = RequestKey::new(&caller.id(), "RevokeGrant", &request.request_id, &request)?;
        let id = parse::id("id", &request.id)?;
        let scope = caller.scope(GRANTS);
        let answer = once(self, key, async |tx| {
            Ok(grant::revoke(tx, id, &scope, &caller.id()).await?.into())
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_grants(
        &self,
        request: Request<pb::ListGrantsRequest>,
    ) -> Result<Response<pb::ListGrantsResponse>, Status> {
        let scope = Caller::of(&request)?.scope(GRANTS);
        let request = request.into_inner();
        let size = page::size(request.page_size, 50, 200)?;
        let filter = grant::Filter {
            before: page::after(&request.page_token)?,
            limit: size as i64 + 1,
            principal_id: request.principal_id,
            include_ended: request.include_ended,
        };
        let mut grants = grant::list(&self.db, &scope, filter).await?;
        let next_page_token = page::cut(&mut grants, size, |grant| (grant.create_time, grant.id));
        Ok(Response::new(pb::ListGrantsResponse {
            grants: grants.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn batch_get_contacts(
        &self,
        request: Request<pb::BatchGetContactsRequest>,
    ) -> Result<Response<pb::BatchGetContactsResponse>, Status> {
        let request = request.into_inner();
        if request.person_ids.len() > 500 {
            let refusal = Refusal::invalid("person_ids", "tối đa 500 người", "at most 500 persons");
            return Err(refusal.into());
        }
        let ids: Vec<Uuid> = request
            .person_ids
            .iter()
            .enumerate()
            .map(|(index, id)| parse::id(&format!("person_ids[{index}]"), id))
            .collect::<Result<_, _>>()?;
        let contacts = account::contacts(&self.db, &ids).await?;
        Ok(Response::new(pb::BatchGetContactsResponse { contacts }))
    }
}
