//! Identity owns the unit tree, people, roles and grants, sign-in (OpenID Provider), and the audit log of the mesh.

mod account;
pub mod audit;
mod client;
mod error;
mod grant;
mod grpc;
mod key;
mod oidc;
mod parse;
mod password;
mod session;
mod state;
mod unit;

use std::{path::PathBuf, time::Duration};

use chassis::{Base, Directory, Server, auth::Verifier};
use clap::Parser;
use proto::identity::v1::{
    account_service_server::AccountServiceServer, audit_service_server::AuditServiceServer,
    directory_service_server::DirectoryServiceServer, token_service_server::TokenServiceServer,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use state::Identity;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// How often old sessions and failures are forgotten and keys looked at.
const CHORES: Duration = Duration::from_secs(60);

/// The settings of this service.
#[derive(Parser, Clone, Debug)]
#[command(name = "identity", about = "People, units, roles, sign-in, audit")]
pub struct Config {
    /// What every service has.
    #[command(flatten)]
    pub base: chassis::Config,

    /// File of the services that prove themselves by a secret, one a line: NAME SHA256-OF-SECRET.
    #[arg(long, env = "CIVICMESH_CLIENTS_FILE")]
    pub clients_file: Option<PathBuf>,
}

/// Serves until shutdown is cancelled.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut base = Base::start("identity", &config.base, &MIGRATIONS).await?;
    if let Some(path) = &config.clients_file {
        client::put(&base.db, &client::read(path)?).await?;
    }
    // Identity is its own source: the directory and the keys come from its tables, not through the mesh.
    let signer = key::Signer::load(base.db.clone()).await?;
    base.verifier = Verifier::new(&base.config.public_url, signer.keys());
    base.directory = Directory::of(state::entries(&base.db).await?)?;

    let identity = Identity::new(&base, signer);
    let mut server = Server::new(base.clone())
        .grpc(
            DirectoryServiceServer::new(identity.clone())
                .max_decoding_message_size(chassis::server::MAX_MESSAGE),
        )
        .grpc(AccountServiceServer::new(identity.clone()))
        .grpc(TokenServiceServer::new(identity.clone()))
        .grpc(AuditServiceServer::new(identity.clone()))
        .http(oidc::router(identity.clone()))
        .task("own directory", identity.clone().keep_directory())
        .task("chores", chores(identity));
    for source in audit::SOURCES {
        server = server.consume(audit::Recorder(source));
    }
    server.serve(listener, shutdown).await
}

async fn chores(identity: Identity) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(CHORES);
    loop {
        clock.tick().await;
        let done = async {
            identity.signer.refresh().await?;
            session::prune(&identity.db).await?;
            password::prune(&identity.db).await?;
            anyhow::Ok(())
        };
        if let Err(error) = done.await {
            tracing::warn!(
                error = format!("{error:#}"),
                "chores not done, tried again in a minute"
            );
        }
    }
}
