//! `TokenService` and `AuditService`.

use chassis::{Caller, Refusal, page};
use prost_types::Timestamp;
use proto::identity::v1::{
    self as pb, audit_service_server::AuditService, token_service_server::TokenService,
};
use tonic::{Code, Request, Response, Status};

use crate::{audit, client, error::Error, state::Identity};

#[tonic::async_trait]
impl TokenService for Identity {
    async fn issue_service_token(
        &self,
        request: Request<pb::IssueServiceTokenRequest>,
    ) -> Result<Response<pb::IssueServiceTokenResponse>, Status> {
        let request = request.into_inner();
        let client = client::find(&self.db, &request.client_id)
            .await
            .map_err(Error::from)?
            .filter(|client| client.is_service && client.proves_itself(&request.client_secret))
            .ok_or_else(|| {
                Refusal::new(
                    Code::Unauthenticated,
                    "CLIENT_REFUSED",
                    "dịch vụ không được biết hoặc sai khóa bí mật",
                    "the service is unknown or its secret is wrong",
                )
            })?;
        let (access_token, seconds) = client::token(&self.signer, &self.issuer, &client)?;
        Ok(Response::new(pb::IssueServiceTokenResponse {
            access_token,
            expire_time: Some(Timestamp { seconds, nanos: 0 }),
        }))
    }

    async fn get_keys(
        &self,
        _: Request<pb::GetKeysRequest>,
    ) -> Result<Response<pb::GetKeysResponse>, Status> {
        let jwks = self.signer.jwks();
        Ok(Response::new(pb::GetKeysResponse { jwks }))
    }
}

#[tonic::async_trait]
impl AuditService for Identity {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let scope = Caller::of(&request)?.scope("audit.read");
        let request = request.into_inner();
        let size = page::size(request.page_size, 50, 200)?;
        let filter = audit::Filter {
            before: page::after(&request.page_token)?,
            limit: size as i64 + 1,
            actor: request.actor,
            subject: request.subject,
            source: request.source,
        };
        let units = (!scope.all).then_some(scope.units.as_slice());
        let mut entries = audit::list(&self.db, filter, units).await?;
        let next_page_token = page::cut(&mut entries, size, |entry| entry.number);
        Ok(Response::new(pb::ListAuditEntriesResponse {
            entries,
            next_page_token,
        }))
    }
}
