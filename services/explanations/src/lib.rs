//! Explanation requests (yêu cầu giải trình): a leader asks about a figure, the unit in charge answers by a deadline,
//! the leader decides. This service owns the requests, their threads and documents, and the frozen evidence.

mod attachment;
mod create;
mod deadline;
mod document;
mod error;
mod evidence;
mod explanation;
mod grpc;
mod life;
mod parse;
mod seen;
mod step;
mod thread;

pub use attachment::clean_one;
use chassis::{Base, Server, objects::Objects, server::MAX_MESSAGE};
use proto::explanations::v1::explanation_service_server::ExplanationServiceServer;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The service's name in addresses, tokens, feeds and errors.
pub const NAME: &str = "explanations";

/// The service's schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Settings of the service.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub base: chassis::Config,
}

/// Serves until told to stop.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let base = Base::start(NAME, &config.base, &MIGRATIONS).await?;
    server(base)?.serve(listener, shutdown).await
}

/// The server over what a running service has.
pub fn server(base: Base) -> anyhow::Result<Server> {
    let objects = Objects::open(&base.config, NAME)?;
    let clean = attachment::clean(base.db.clone(), objects.clone());
    let grpc = grpc::Grpc {
        base: base.clone(),
        objects,
    };
    // tonic's own limit is below the largest document.
    let service = ExplanationServiceServer::new(grpc).max_decoding_message_size(MAX_MESSAGE);
    Ok(Server::new(base)
        .grpc(service)
        .open_feed("explanations.read")
        .task("unused documents", clean))
}
