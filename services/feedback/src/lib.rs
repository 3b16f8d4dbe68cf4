//! People's feedback: filed at a place, routed by category and place, answered against two clocks, rated; with counts by
//! unit, field and place, and a heat map. Owns items, photos, categories, boundaries and the counts.

mod category;
mod error;
mod feedback;
mod grpc;
mod import;
mod photo;
mod place;
mod rollup;
mod text;

use std::time::Duration;

use chassis::{Base, Server, objects::Objects, server::MAX_MESSAGE};
use clap::Args;
use proto::feedback::v1::{
    feedback_service_server::FeedbackServiceServer,
    public_feedback_service_server::PublicFeedbackServiceServer,
};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use photo::prune_one;

use crate::{grpc::Grpc, place::Places, rollup::Rollup};

/// The service's name.
pub const NAME: &str = "feedback";

/// The service's schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// How often boundaries and unused photos are looked at.
const CHORES: Duration = Duration::from_secs(10);

/// Settings of the service.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// What every service has.
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
    server(base).await?.serve(listener, shutdown).await
}

/// The server over a database whose schema is there.
pub async fn server(base: Base) -> anyhow::Result<Server> {
    let grpc = Grpc {
        objects: Objects::open(&base.config, NAME)?,
        places: Places::default(),
        base: base.clone(),
    };
    grpc.places.refresh(&base.db).await?;
    let chores = chores(grpc.clone());
    Ok(Server::new(base)
        .grpc(PublicFeedbackServiceServer::new(grpc.clone()).max_decoding_message_size(MAX_MESSAGE))
        .grpc(
            FeedbackServiceServer::new(grpc)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .open_feed("feedback.read")
        .consume(Rollup)
        .task("chores", chores))
}

/// Follows boundaries that another replica took in, and deletes photos that nobody used.
async fn chores(grpc: Grpc) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(CHORES);
    loop {
        ticks.tick().await;
        if let Err(error) = grpc.places.refresh(&grpc.base.db).await {
            tracing::warn!(error = format!("{error:#}"), "boundaries not read");
        }
        loop {
            match photo::prune_one(&grpc.base.db, &grpc.objects).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "unused photos not deleted");
                    break;
                }
            }
        }
    }
}
