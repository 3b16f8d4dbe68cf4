//! Identity as this service needs it: a server of the contract that knows everybody's address.

use chassis::Directory;
use proto::identity::v1::{self as pb, account_service_server};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

struct Accounts(Directory);

/// Serves on loopback; answers the address.
pub async fn serve(directory: Directory) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = account_service_server::AccountServiceServer::new(Accounts(directory));
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// The e-mail address of a person.
pub fn address(person: &str) -> String {
    format!("{person}@city.example")
}

type Answer<T> = Result<Response<T>, Status>;

fn not_asked_for<T>() -> Answer<T> {
    Err(Status::unimplemented("not asked for"))
}

#[tonic::async_trait]
impl account_service_server::AccountService for Accounts {
    async fn batch_get_contacts(
        &self,
        request: Request<pb::BatchGetContactsRequest>,
    ) -> Answer<pb::BatchGetContactsResponse> {
        assert!(request.metadata().contains_key("authorization"));
        let contacts = request
            .into_inner()
            .person_ids
            .into_iter()
            .filter_map(|id| self.0.principal(&id).map(|person| (id, person)))
            .map(|(person_id, person)| pb::Contact {
                display_name: person.display_name.clone(),
                language: "vi".to_owned(),
                email: address(&person_id),
                phone: String::new(),
                person_id,
            })
            .collect();
        Ok(Response::new(pb::BatchGetContactsResponse { contacts }))
    }

    async fn get_my_profile(&self, _: Request<pb::GetMyProfileRequest>) -> Answer<pb::Profile> {
        not_asked_for()
    }

    async fn set_my_language(&self, _: Request<pb::SetMyLanguageRequest>) -> Answer<pb::Profile> {
        not_asked_for()
    }

    async fn create_account(&self, _: Request<pb::CreateAccountRequest>) -> Answer<pb::Account> {
        not_asked_for()
    }

    async fn get_account(&self, _: Request<pb::GetAccountRequest>) -> Answer<pb::Account> {
        not_asked_for()
    }

    async fn list_accounts(
        &self,
        _: Request<pb::ListAccountsRequest>,
    ) -> Answer<pb::ListAccountsResponse> {
        not_asked_for()
    }

    async fn set_account_disabled(
        &self,
        _: Request<pb::SetAccountDisabledRequest>,
    ) -> Answer<pb::Account> {
        not_asked_for()
    }

    async fn create_grant(&self, _: Request<pb::CreateGrantRequest>) -> Answer<pb::Grant> {
        not_asked_for()
    }

    async fn revoke_grant(&self, _: Request<pb::RevokeGrantRequest>) -> Answer<pb::Grant> {
        not_asked_for()
    }

    async fn list_grants(
        &self,
        _: Request<pb::ListGrantsRequest>,
    ) -> Answer<pb::ListGrantsResponse> {
        not_asked_for()
    }

    async fn change_my_password(
        &self,
        _: Request<pb::ChangeMyPasswordRequest>,
    ) -> Answer<pb::ChangeMyPasswordResponse> {
        not_asked_for()
    }

    async fn list_roles(&self, _: Request<pb::ListRolesRequest>) -> Answer<pb::ListRolesResponse> {
        not_asked_for()
    }
}
