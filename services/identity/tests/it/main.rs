//! Identity through its real RPCs and pages, on a database of each test's own.
#![expect(
    clippy::type_complexity,
    reason = "tables of what is spoilt in a request"
)]
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod accounts;
mod sign_in;
mod units;

use std::{collections::HashMap, io::Write, time::Duration};

use bytes::Bytes;
use chassis::testing;
use clap::Parser;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::identity::v1::{
    self as pb, account_service_client::AccountServiceClient,
    audit_service_client::AuditServiceClient, directory_service_client::DirectoryServiceClient,
    token_service_client::TokenServiceClient,
};
use sha2::{Digest, Sha256};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

pub const PASSWORD: &str = "a long first password";

/// Adds a token to calls.
#[derive(Clone)]
pub struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let value: MetadataValue<_> = format!("Bearer {}", self.0).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

pub type Signed = InterceptedService<Channel, Bearer>;

/// A running identity.
pub struct World {
    pub url: String,
    pub channel: Channel,
    pub city: String,
    pub health: String,
    pub ward: String,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// Starts identity on this database, without any unit.
    pub async fn bare(options: PgConnectOptions) -> Self {
        Self::issuing(options, None).await
    }

    /// Starts a second one on the same database.
    pub async fn replica(&self, options: PgConnectOptions) -> Self {
        Self::issuing(options, Some(&self.url)).await
    }

    async fn issuing(options: PgConnectOptions, issuer: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = tempfile::NamedTempFile::new().unwrap();
        for name in ["identity", "gateway", "civicmesh", "partner"] {
            let hash: String = Sha256::digest(format!("secret of {name}"))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            writeln!(clients, "{name} {hash}").unwrap();
        }
        let url = format!("http://{address}");
        let config = identity::Config::parse_from([
            "identity",
            "--database-url",
            options.to_url_lossy().as_str(),
            "--clients-file",
            clients.path().to_str().unwrap(),
            "--public-url",
            issuer.unwrap_or(&url),
            "--discovery",
            &format!("static:identity={url}"),
            "--client-secret",
            "secret of identity",
            "--allow-unsafe-database",
        ]);
        let shutdown = CancellationToken::new();
        let serve = identity::serve(config, listener, shutdown.clone());
        let running = tokio::spawn(async move {
            let _clients = clients;
            serve.await
        });
        Self {
            channel: Endpoint::from_shared(url.clone()).unwrap().connect_lazy(),
            url,
            city: String::new(),
            health: String::new(),
            ward: String::new(),
            shutdown,
            running,
        }
    }

    /// Starts identity with a city, a department and a ward.
    pub async fn start(options: PgConnectOptions) -> Self {
        let mut world = Self::bare(options).await;
        let units = vec![
            unit("79", pb::UnitKind::City),
            unit("D-HLT", pb::UnitKind::Department),
            unit("26740", pb::UnitKind::Ward),
        ];
        let request = pb::ImportUnitsRequest {
            request_id: id(),
            units,
            parent_keys: vec![String::new(), "79".into(), "79".into()],
            changes: Vec::new(),
        };
        world
            .directory(&world.service("civicmesh").await)
            .import_units(request)
            .await
            .unwrap();
        let units = world.all_units().await;
        world.city = units["79"].id.clone();
        world.health = units["D-HLT"].id.clone();
        world.ward = units["26740"].id.clone();
        world
    }

    pub async fn all_units(&self) -> HashMap<String, pb::Unit> {
        let request = pb::ListUnitsRequest {
            valid_on: "all".into(),
            page_size: 1000,
            ..Default::default()
        };
        let token = self.service("civicmesh").await;
        let units = self
            .directory(&token)
            .list_units(request)
            .await
            .unwrap()
            .into_inner()
            .units;
        units
            .into_iter()
            .map(|unit| (unit.key.clone(), unit))
            .collect()
    }

    /// The token of a service; waits for the service to serve.
    pub async fn service(&self, name: &str) -> String {
        let mut client = TokenServiceClient::new(self.channel.clone());
        let request = pb::IssueServiceTokenRequest {
            client_id: name.into(),
            client_secret: format!("secret of {name}"),
        };
        eventually(
            async || match client.issue_service_token(request.clone()).await {
                Ok(answer) => Some(answer.into_inner().access_token),
                Err(status)
                    if status.code() == Code::Unavailable && !self.running.is_finished() =>
                {
                    None
                }
                Err(status) => panic!("{status:?}"),
            },
        )
        .await
    }

    fn bearer(&self, token: &str) -> Signed {
        InterceptedService::new(self.channel.clone(), Bearer(token.into()))
    }

    pub fn directory(&self, token: &str) -> DirectoryServiceClient<Signed> {
        DirectoryServiceClient::new(self.bearer(token))
    }

    pub fn accounts(&self, token: &str) -> AccountServiceClient<Signed> {
        AccountServiceClient::new(self.bearer(token))
    }

    pub fn audit(&self, token: &str) -> AuditServiceClient<Signed> {
        AuditServiceClient::new(self.bearer(token))
    }

    /// Creates an account with a role in a unit.
    pub async fn person(&self, login: &str, role: &str, unit: &str) -> String {
        let mut admin = self.accounts(&self.service("civicmesh").await);
        let account = admin
            .create_account(new_account(login, unit))
            .await
            .unwrap();
        let principal_id = account.into_inner().id;
        admin
            .create_grant(new_grant(&principal_id, role, unit))
            .await
            .unwrap();
        principal_id
    }

    /// Signs a person in through the pages and answers the tokens.
    pub async fn sign_in(&self, login: &str) -> serde_json::Value {
        let code = sign_in::code(self, login, PASSWORD).await.unwrap();
        let (status, tokens) = sign_in::redeem(self, &code, sign_in::VERIFIER).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    /// The access token of a person who signed in.
    pub async fn token(&self, login: &str) -> String {
        self.sign_in(login).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn http(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

pub fn id() -> String {
    Uuid::now_v7().to_string()
}

pub fn unit(key: &str, kind: pb::UnitKind) -> pb::Unit {
    pb::Unit {
        key: key.into(),
        code: key.split('.').next().unwrap().into(),
        kind: kind.into(),
        name_vi: format!("Phường Bến Nghé {key}"),
        name_en: format!("Ward {key}"),
        valid_from: "2020-01-01".into(),
        ..Default::default()
    }
}

pub fn new_account(login: &str, unit: &str) -> pb::CreateAccountRequest {
    pb::CreateAccountRequest {
        request_id: id(),
        login: login.into(),
        display_name: format!("Person {login}"),
        home_unit_id: unit.into(),
        language: "vi".into(),
        email: format!("{login}@demo.example"),
        phone: String::new(),
        password: PASSWORD.into(),
    }
}

pub fn new_grant(principal: &str, role: &str, unit: &str) -> pb::CreateGrantRequest {
    pb::CreateGrantRequest {
        request_id: id(),
        principal_id: principal.into(),
        role: role.into(),
        unit_id: unit.into(),
        field_codes: Vec::new(),
        valid_to: None,
    }
}

/// The code and reason of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    let reason = status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

/// Awaits a condition, 5 seconds at most.
pub async fn eventually<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let found = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            clock.tick().await;
            if let Some(found) = condition().await {
                return found;
            }
        }
    });
    found
        .await
        .expect("the condition came true within 5 seconds")
}

/// Tokens that no service may accept, about a person.
pub fn forged(person: &str) -> Vec<String> {
    let mut tokens = testing::forged_tokens(person);
    tokens.push(testing::token(person));
    tokens
}
