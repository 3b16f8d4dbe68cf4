//! A service on loopback, as in production but for its database, its keys and its directory.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use clap::{Args, FromArgMatches};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::transport::{Channel, Endpoint};

use crate::{Base, Config, Directory, Server, mesh::Mesh, postgres};

/// The settings' defaults, changed by flags such as "--drain=1s". No other service is known unless a flag says so.
#[must_use]
pub fn config(flags: &[&str]) -> Config {
    let command = Config::augment_args(clap::Command::new("test"));
    let flags = ["test", "--discovery=static:"]
        .into_iter()
        .chain(flags.iter().copied());
    let matches = command.args_override_self(true).get_matches_from(flags);
    Config::from_arg_matches(&matches).unwrap()
}

/// What a service has, over the database of a test; the tables of the chassis are made.
pub async fn base(name: &'static str, db: PgPool, directory: Directory, config: Config) -> Base {
    postgres::migrate_chassis(&db).await.unwrap();
    Base {
        name,
        mesh: Mesh::new(name, &config).unwrap(),
        config: Arc::new(config),
        db,
        directory,
        verifier: super::verifier(),
    }
}

/// Free ports, for programs that must be told theirs. They are below those that systems give to whoever asks for any
/// (32768 and up on Linux), so that nobody gets one by chance before its program binds it, or while it is restarted.
#[must_use]
pub fn ports<const N: usize>() -> [u16; N] {
    // Held until all are known, so that none is given twice.
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let port = rand::random_range(20_000..32_000);
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let bound = std::net::TcpListener::bind(address)
                .and_then(|tcp| UdpSocket::bind(address).map(|udp| (tcp, udp)));
            if let Ok(sockets) = bound {
                held.push(sockets);
                return port;
            }
        }
    })
}

/// A server that serves on loopback; cut off when dropped, so that its database can be dropped too.
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    shutdown: CancellationToken,
    ended: AbortOnDropHandle<anyhow::Result<()>>,
}

/// Serves on a free port of loopback.
pub async fn run(server: Server) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let ended = AbortOnDropHandle::new(tokio::spawn(server.serve(listener, shutdown.clone())));
    Running {
        address,
        shutdown,
        ended,
    }
}

impl Running {
    /// A connection for generated clients.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .tcp_nodelay(true)
            .connect_lazy()
    }

    /// Stops as on SIGTERM and waits for the end.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        self.ended.await?
    }
}
