//! The only door: gRPC and gRPC-Web pass through, REST is made from the descriptors, browsers keep their session here,
//! watch what changes, and load the console. No rule of the domain lives here, and no database.

use std::{path::PathBuf, sync::Arc};

use chassis::{
    Directory,
    access::Rules,
    auth::{AuthLayer, Keys, Verifier, mesh_keys},
    lifecycle::Lifecycle,
    mesh::Mesh,
    telemetry::ServerLayer,
};
use futures::FutureExt as _;
use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_web::GrpcWebLayer;
use tower::Layer as _;

mod body;
pub mod contract;
pub mod door;
mod front;
pub mod grpc;
pub mod limits;
pub mod live;
pub mod proxy;
pub mod session;
pub mod statics;
pub mod transcode;

use contract::{Contract, OWN};
use door::Door;
use grpc::PassThrough;
use limits::{Limits, Rate};
use live::{Hub, Live};
use session::Session;
use statics::Statics;
use transcode::{Rest, RouteTable, openapi};

/// The gateway's settings.
#[derive(clap::Args, Clone, Debug)]
pub struct Config {
    /// What every process has.
    #[command(flatten)]
    pub base: chassis::Config,

    /// Folder with the console as it was built.
    #[arg(
        long,
        env = "CIVICMESH_CONSOLE",
        default_value = "gateway/console/dist"
    )]
    pub console: PathBuf,

    /// File with the secret that session cookies are encrypted with, 32 characters at least; the same for all replicas.
    #[arg(long, env = "CIVICMESH_COOKIE_KEY_FILE", default_value = "cookie-key")]
    pub cookie_key_file: PathBuf,

    /// How many proxies of our own stand before the gateway and append to `x-forwarded-for`.
    #[arg(long, env = "CIVICMESH_TRUSTED_PROXIES", default_value_t = 0)]
    pub trusted_proxies: usize,

    /// Calls a second, and at once, of one person or service.
    #[arg(long, env = "CIVICMESH_RATE_CALLER", default_value = "50:300")]
    pub rate_caller: Rate,

    /// Calls a second, and at once, of one address without a token.
    #[arg(long, env = "CIVICMESH_RATE_ADDRESS", default_value = "20:200")]
    pub rate_address: Rate,

    /// Writes a second, and at once, of one address without a token.
    #[arg(long, env = "CIVICMESH_RATE_PUBLIC_WRITE", default_value = "0.2:20")]
    pub rate_public_write: Rate,

    /// Bytes of one request at most.
    #[arg(long, env = "CIVICMESH_BODY_LIMIT", default_value_t = 24 * 1024 * 1024)]
    pub body_limit: usize,
}

/// A gateway, being put together.
pub struct Gateway {
    /// The settings.
    pub config: Config,
    /// What it serves: every service of these descriptors, without a word of code for any.
    pub contract: DescriptorPool,
    /// Channels to the services.
    pub mesh: Mesh,
    /// What access tokens are verified with.
    pub verifier: Verifier,
    /// People and rights; followed while it serves, in memory only.
    pub directory: Directory,
}

impl Gateway {
    /// The gateway of the whole contract.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let mesh = Mesh::new(OWN, &config.base)?;
        let keys = Keys::new(mesh_keys(mesh.channel("identity").pass_through(), None));
        Ok(Self {
            contract: proto::DESCRIPTORS.clone(),
            verifier: Verifier::new(&config.base.public_url, keys),
            directory: Directory::default(),
            mesh,
            config,
        })
    }

    /// Serves until shutdown is cancelled and the drain is over.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self {
            config,
            contract,
            mesh,
            verifier,
            directory,
        } = self;
        let rules = Rules::read(&contract, &[])?;
        let contract = Arc::new(Contract::read(contract)?);
        let routes = Arc::new(RouteTable::read(&contract)?);
        let description = openapi::describe(&contract, &routes, &config.base.public_url);
        let limits = Limits::new(
            config.rate_caller,
            config.rate_address,
            config.rate_public_write,
        );
        let auth = AuthLayer::new(rules, verifier, directory.clone());
        let door = Arc::new(Door::new(auth, limits, config.trusted_proxies));
        let session = Session::open(&config, &mesh)?;
        let hub = Arc::new(Hub::default());

        let known = directory.clone();
        let (lifecycle, health) = Lifecycle::new(
            OWN,
            Arc::new(config.base.clone()),
            mesh.discovery().clone(),
            None,
            Vec::new(),
        )
        .await;
        let lifecycle = lifecycle.ready_when(move || known.is_loaded());
        let local = Routes::new(Live::service(hub.clone(), directory.clone())).add_service(health);
        let local = front::with_reflection(local, &contract.pool)?;
        let pass = PassThrough::new(
            contract.clone(),
            door.clone(),
            session.clone(),
            &mesh,
            local,
            config.body_limit,
        );
        let grpc = lifecycle.guard().layer(pass);
        let rest = Rest::new(routes, session.clone(), grpc.clone(), config.body_limit);
        let http = front::router(front::Parts {
            rest,
            door: door.clone(),
            description,
            statics: Statics::new(&config.console),
            is_https: config.base.public_url.starts_with("https://"),
            others: door
                .counted(session::routes(session).merge(proxy::routes(
                    &mesh,
                    &door,
                    &config.base.public_url,
                )))
                .merge(lifecycle.probes()),
        });
        let front = front::Front::new(GrpcWebLayer::new().layer(grpc), http);
        let front = ServerLayer::new(OWN).layer(front);

        let follow = directory.follow(mesh.channel("identity"), shutdown.clone());
        let mut tasks = vec![("directory", follow.map(Ok).boxed())];
        for source in &live::SOURCES {
            let channel = mesh.channel(source.service);
            let follow = live::follow(source, channel, hub.clone(), shutdown.clone());
            tasks.push((source.service, follow.map(Ok).boxed()));
        }
        lifecycle.serve(listener, front, tasks, shutdown).await
    }
}

/// Serves until shutdown is cancelled and the drain is over.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    Gateway::new(config)?.serve(listener, shutdown).await
}
