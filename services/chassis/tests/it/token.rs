//! The token that calls carry.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chassis::{language::Language, mesh::Mesh, testing};
use proto::identity::v1::{
    self as pb,
    token_service_server::{TokenService, TokenServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::fixture::{Fixture, READ, Replica, call, send};

#[derive(Clone, Default)]
struct Identity {
    issued: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl TokenService for Identity {
    async fn issue_service_token(
        &self,
        request: Request<pb::IssueServiceTokenRequest>,
    ) -> Result<Response<pb::IssueServiceTokenResponse>, Status> {
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        Ok(Response::new(pb::IssueServiceTokenResponse {
            access_token: format!("{}-{}-{number}", request.client_id, request.client_secret),
            expire_time: Some(prost_types::Timestamp {
                seconds: chrono::Utc::now().timestamp() + 600,
                nanos: 0,
            }),
        }))
    }

    async fn get_keys(
        &self,
        _: Request<pb::GetKeysRequest>,
    ) -> Result<Response<pb::GetKeysResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn start(identity: Identity) -> (Replica, Mesh) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = tonic::service::Routes::new(TokenServiceServer::new(identity));
    tokio::spawn(chassis::connections::serve_connections(
        listener,
        routes,
        chassis::connections::Limits::default(),
        tokio_util::sync::CancellationToken::new(),
    ));
    let replica = Replica::start(Fixture::new("one")).await;
    let discovery = format!(
        "--discovery=static:identity=http://{address},a={}",
        replica.url()
    );
    let config = testing::config(&[&discovery, "--client-secret=s"]);
    (replica, Mesh::new("test", &config).unwrap())
}

#[tokio::test]
async fn one_token_is_asked_for_and_kept() {
    let identity = Identity::default();
    let (_replica, mesh) = start(identity.clone()).await;
    let calls = (0..20).map(|_| call(mesh.channel("a"), READ, "header"));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.unwrap(), "Bearer test-s-0 vi");
    }
    assert_eq!(identity.issued.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_token_is_not_used_again() {
    let identity = Identity::default();
    let (_replica, mesh) = start(identity.clone()).await;
    let status = call(mesh.channel("a"), READ, "refuse").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    let answer = call(mesh.channel("a"), READ, "header").await.unwrap();
    assert_eq!(answer, "Bearer test-s-1 vi");
}

#[tokio::test]
async fn a_request_keeps_the_token_it_has() {
    let identity = Identity::default();
    let (_replica, mesh) = start(identity.clone()).await;
    let request = || {
        let mut request = Request::new(pb::GetUnitRequest {
            id: "header".into(),
        });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", "Bearer own".parse().unwrap());
        metadata.insert("accept-language", "en".parse().unwrap());
        request
    };
    for channel in [mesh.channel("a"), mesh.channel("a").pass_through()] {
        let answer = send(channel, READ, request()).await.unwrap();
        assert_eq!(answer, "Bearer own en");
    }
    let anonymous = call(mesh.channel("a").pass_through(), READ, "header");
    let answer = Language::En.scope(anonymous).await.unwrap();
    assert_eq!(answer, " en");
    assert_eq!(identity.issued.load(Ordering::SeqCst), 0);
}
