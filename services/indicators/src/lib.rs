//! Owns the catalogue of indicators, plan targets, reported figures and their approval, and the reporting calendar.

mod catalogue;
mod duty;
mod entry;
mod error;
mod formula;
mod grpc;
mod indicator;
mod measure;
pub mod number;
mod observation;
mod opinion;
mod parse;
mod reach;
mod remark;
mod submission;
mod target;

use chassis::{Base, Server};
use proto::indicators::v1::{
    indicator_service_server::IndicatorServiceServer,
    observation_service_server::ObservationServiceServer,
    submission_service_server::SubmissionServiceServer, target_service_server::TargetServiceServer,
};
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
    let base = Base::start("indicators", &config.base, &MIGRATIONS).await?;
    server(base).serve(listener, shutdown).await
}

/// The server, ready to serve.
#[must_use]
pub fn server(base: Base) -> Server {
    let grpc = grpc::Grpc::new(base.clone());
    Server::new(base)
        .grpc(IndicatorServiceServer::new(grpc.clone()))
        .grpc(TargetServiceServer::new(grpc.clone()))
        .grpc(ObservationServiceServer::new(grpc.clone()))
        .grpc(SubmissionServiceServer::new(grpc))
        .open_feed("indicators.read")
}
