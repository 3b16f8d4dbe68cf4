//! `serve` runs one service of the mesh, `up` all of them, `demo` fills a mesh; `forecast` and `screen` work on tables.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "civicmesh",
    version,
    about = "Executive governance of a large city: indicators, explanations, feedback"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine, with a private Postgres in a data folder
    Up(Box<civicmesh::up::Options>),
    /// Runs one service of the mesh
    #[command(subcommand)]
    Serve(Box<Service>),
    /// Loads the demonstration city into a running mesh, as the client `civicmesh`; a repeat adds nothing
    Demo(Box<Wrapped<chassis::Config>>),
    /// Forecasts the series of a table, without a mesh
    ///
    /// The table has the columns series_id, m (12, 4, 2 or 1 periods a year), h (1 to 120 periods ahead) and values (oldest
    /// first, blanks between, NA for gaps), and may have start (the first month, such as 2020-08), plan_k and plan_target:
    /// how many of the last values belong to the plan's year, and what its sum must reach.
    Forecast(civicmesh::batch::Tables),
    /// Screens newly reported values of a table for errors, without a mesh
    ///
    /// The table has the columns series_id, m (12, 4, 2 or 1 periods a year), history (oldest first, blanks between, NA for
    /// gaps) and reported, the value to screen, and may have start (the first month, such as 2020-08).
    Screen(civicmesh::batch::Tables),
}

#[derive(Subcommand)]
enum Service {
    /// People, units, rights, sign-in, audit
    Identity(Wrapped<identity::Config>),
    /// Catalogue, plan targets, figures, approval
    Indicators(Wrapped<indicators::Config>),
    /// Forecasts and the risk board
    Forecasting(Wrapped<forecasting::Config>),
    /// Explanation requests and answers
    Explanations(Wrapped<explanations::Config>),
    /// People's feedback
    Feedback(Wrapped<feedback::Config>),
    /// E-mail and notices
    Notifications(Wrapped<notifications::Config>),
    /// The only door: gRPC, REST, sessions, live, console
    Gateway(Wrapped<gateway::Config>),
}

#[derive(Args)]
struct Wrapped<C: Args> {
    #[command(flatten)]
    config: C,
}

macro_rules! serve {
    ($name:ident, $config:expr) => {{
        let config = $config;
        let _telemetry = chassis::telemetry::init(&config.base, stringify!($name))?;
        let address = config.base.listen;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--listen: {address} is taken or not of this machine"))?;
        $name::serve(config, listener, shutdown()?).await
    }};
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Up(options) => civicmesh::up::run(*options, shutdown()?).await,
        Command::Demo(wrapped) => {
            let _telemetry = chassis::telemetry::init(&wrapped.config, "civicmesh")?;
            let mesh = chassis::Mesh::new("civicmesh", &wrapped.config)?;
            civicmesh::demo::load(&mesh).await
        }
        Command::Forecast(tables) => civicmesh::batch::forecast(&tables),
        Command::Screen(tables) => civicmesh::batch::screen(&tables),
        Command::Serve(service) => match *service {
            Service::Identity(wrapped) => serve!(identity, wrapped.config),
            Service::Indicators(wrapped) => serve!(indicators, wrapped.config),
            Service::Forecasting(wrapped) => serve!(forecasting, wrapped.config),
            Service::Explanations(wrapped) => serve!(explanations, wrapped.config),
            Service::Feedback(wrapped) => serve!(feedback, wrapped.config),
            Service::Notifications(wrapped) => serve!(notifications, wrapped.config),
            Service::Gateway(wrapped) => serve!(gateway, wrapped.config),
        },
    }
}

/// Cancelled by SIGTERM and by Ctrl-C.
fn shutdown() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(token)
}
