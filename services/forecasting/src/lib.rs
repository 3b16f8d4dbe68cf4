//! Owns forecasts, the probability of meeting each plan target, and the risk board. Follows the indicators service's
//! feed into copies of its own and assesses a series anew whenever something that it rests on changed.

mod accuracy;
mod add_up;
mod assess;
mod board;
mod check;
pub mod copy;
mod course;
mod derive;
mod error;
mod explain;
mod follow;
mod grpc;
mod judge;
mod keep;
mod lend;
mod lineage;
mod load;
pub mod model;
pub mod note;
mod outlook;
mod overview;
mod prediction;
mod recompute;
mod scenario;
mod threshold;
mod timeline;
mod watch;

use chassis::{Base, Server};
use proto::forecasting::v1::forecast_service_server::ForecastServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The schema.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// The service's settings.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    /// Settings that every process has.
    #[command(flatten)]
    pub base: chassis::Config,
}

/// Serves until shutdown.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let base = Base::start("forecasting", &config.base, &MIGRATIONS).await?;
    server(base).serve(listener, shutdown).await
}

/// The server, ready to serve.
#[must_use]
pub fn server(base: Base) -> Server {
    let watch = watch::Watch::default();
    Server::new(base.clone())
        .grpc(ForecastServiceServer::new(grpc::Grpc::new(
            base.clone(),
            watch.clone(),
        )))
        .open_feed("forecasting.read")
        .consume(follow::Follower::new(&base))
        .consume(note::Notes)
        .task("watch", watch.run(base.clone()))
        .task("recompute", recompute::work(base))
}
