//! Who must hear what, by which medium, in which language. This service owns people's notices and the queue of mails;
//! it follows the feeds of explanations, indicators and feedback, and asks identity for addresses.

mod audience;
mod consume;
mod delivery;
mod error;
mod grpc;
mod mail;
mod notification;
mod sender;
mod text;

use std::time::Duration;

use anyhow::Context;
use chassis::{
    Base, Server,
    config::{Secret, parse_duration},
};
use chrono::{DateTime, Utc};
use proto::notifications::v1::notification_service_server::NotificationServiceServer;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use consume::{Explanations, FeedbackItems, Indicators};
use notification::Media;
use sender::Sender;

/// The service's name in addresses, tokens, feeds and errors.
pub const NAME: &str = "notifications";

/// The service's schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Settings of the service.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub base: chassis::Config,

    /// Mail server: `smtps://user:password@host:465`, or `smtp://…?tls=required` for STARTTLS; no mail goes if absent.
    #[arg(long, env = "CIVICMESH_SMTP", hide_env_values = true)]
    pub smtp: Option<Secret>,

    /// Whom mails are from.
    #[arg(
        long,
        env = "CIVICMESH_MAIL_FROM",
        default_value = "civicmesh <no-reply@localhost>"
    )]
    pub mail_from: String,

    /// Mails sent at once at most.
    #[arg(long, env = "CIVICMESH_MAIL_CONNECTIONS", default_value_t = 4)]
    pub mail_connections: u8,

    /// Pause before a mail's second try; each further one is twice as long, up to an hour.
    #[arg(long, env = "CIVICMESH_MAIL_PAUSE", default_value = "5s", value_parser = parse_duration)]
    pub mail_pause: Duration,
}

/// Serves until told to stop.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let base = Base::start(NAME, &config.base, &MIGRATIONS).await?;
    server(base, &config, shutdown.clone())?
        .serve(listener, shutdown)
        .await
}

/// The server over what a running service has.
pub fn server(base: Base, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Server> {
    let media = Media {
        directory: base.directory.clone(),
        mail: config.smtp.is_some(),
    };
    let grpc = grpc::Grpc { base: base.clone() };
    let mut server = Server::new(base.clone())
        .grpc(NotificationServiceServer::new(grpc))
        .consume(Explanations(media.clone()))
        .consume(Indicators(media.clone()))
        .consume(FeedbackItems(media));
    if let Some(smtp) = &config.smtp {
        let connections = config.mail_connections.max(1);
        let post = mail::Post::new(
            smtp.expose(),
            &config.mail_from,
            &base.config.public_url,
            connections.into(),
        )
        .context("e-mail is not set up")?;
        let sender = Sender {
            db: base.db,
            mesh: base.mesh,
            post,
            connections: connections.into(),
            first_pause: config.mail_pause,
        };
        server = server.finishing_task("mail", sender::run(sender, shutdown));
    } else {
        tracing::warn!("no --smtp: notices appear in the console only");
    }
    Ok(server)
}

/// A time for the wire.
fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}
