//! `civicmesh up`: every service, the gateway and a private Postgres in one process and one folder.

use std::{
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use chassis::{Mesh, config::DiscoverySource};
use clap::{Args, FromArgMatches};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{cluster::Cluster, demo, hexadecimal, secret, write_secret};

const SERVICES: [&str; 6] = [
    "identity",
    "indicators",
    "forecasting",
    "explanations",
    "feedback",
    "notifications",
];

/// Settings of `civicmesh up`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Address of the gateway, the only one that others need
    #[arg(long, env = "CIVICMESH_UP_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Folder of everything that lasts: database, attachments, secrets
    #[arg(long, env = "CIVICMESH_UP_DATA", default_value = "civicmesh-data")]
    pub data: PathBuf,

    /// Address that browsers use; http://localhost:PORT if absent
    #[arg(long, env = "CIVICMESH_UP_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Folder of the built console
    #[arg(
        long,
        env = "CIVICMESH_UP_CONSOLE",
        default_value = "gateway/console/dist"
    )]
    pub console: PathBuf,

    /// Folder of Postgres's own programs; looked for in the usual places if absent
    #[arg(long, env = "CIVICMESH_UP_POSTGRES")]
    pub postgres: Option<PathBuf>,

    /// Starts empty, without the demonstration city
    #[arg(long, env = "CIVICMESH_UP_NO_DEMO")]
    pub no_demo: bool,

    /// Mail server, such as smtp://localhost:25; without one no e-mail is sent
    #[arg(long, env = "CIVICMESH_UP_SMTP")]
    pub smtp: Option<String>,

    /// OTLP/gRPC receiver of traces, metrics and logs
    #[arg(long, env = "CIVICMESH_UP_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// Share of requests traced, 0 to 1
    #[arg(long, env = "CIVICMESH_UP_TRACE_SHARE", default_value_t = 1.0)]
    pub trace_share: f64,

    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, env = "CIVICMESH_UP_LOG", default_value = "warn")]
    pub log: String,
}

/// Runs everything until it is told to stop or a service fails.
pub async fn run(options: Options, shutdown: CancellationToken) -> anyhow::Result<()> {
    let start = Instant::now();
    let door = TcpListener::bind(options.listen).await.with_context(|| {
        format!(
            "{} is taken: stop what listens there or choose another --listen address",
            options.listen
        )
    })?;
    let address = door.local_addr()?;
    let _lock = lock(&options.data)?;
    let folder = options.data.canonicalize()?;
    let base = base_config(&options, address)?;
    let _telemetry = chassis::telemetry::init(&base, "civicmesh")?;

    let cluster = {
        let (folder, bin) = (folder.clone(), options.postgres.clone());
        tokio::task::spawn_blocking(move || Cluster::start(&folder, bin.as_deref())).await??
    };
    let outcome = serve_all(&options, base, &folder, &cluster, door, shutdown, start).await;
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    outcome
}

async fn serve_all(
    options: &Options,
    mut base: chassis::Config,
    folder: &Path,
    cluster: &Cluster,
    door: TcpListener,
    shutdown: CancellationToken,
    start: Instant,
) -> anyhow::Result<()> {
    for name in SERVICES {
        cluster.ensure_database(name).await?;
    }
    let secrets = Secrets::open(folder)?;
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for name in SERVICES {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push((
            name.to_owned(),
            format!("http://{}", listener.local_addr()?),
        ));
        listeners.push(listener);
    }
    base.discovery = DiscoverySource::Static(addresses);

    let stop = shutdown.child_token();
    let mut running = JoinSet::new();
    for (name, listener) in SERVICES.into_iter().zip(listeners) {
        let mut config = base.clone();
        config.listen = listener.local_addr()?;
        config.database_url = cluster.url(name).parse()?;
        config.client_secret = secrets.of(name)?.parse()?;
        let service = service(name, config, options, &secrets, listener, stop.clone())?;
        running.spawn(async move { (name, service.await) });
    }
    let mut config = base.clone();
    config.client_secret = secrets.of("gateway")?.parse()?;
    let gateway = gateway::serve(
        gateway_config(config, options, &secrets)?,
        door,
        stop.clone(),
    );
    running.spawn(async move { ("gateway", gateway.await) });

    let mut own = base.clone();
    own.client_secret = secrets.of("civicmesh")?.parse()?;
    let welcome = welcome(options, own, folder, start);
    let mut failure = None;
    tokio::pin!(welcome);
    let mut welcomed = false;
    loop {
        tokio::select! {
            done = &mut welcome, if !welcomed => {
                welcomed = true;
                if let Err(error) = done {
                    failure.get_or_insert(error);
                    stop.cancel();
                }
            }
            ended = running.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let (name, outcome) = ended.context("a service panicked")?;
                    match outcome {
                        Err(error) => { failure.get_or_insert(error.context(name)); }
                        Ok(()) if !stop.is_cancelled() => {
                            failure.get_or_insert(anyhow::anyhow!("{name} ended by itself"));
                        }
                        Ok(()) => {}
                    }
                    // One service cannot be missing: all end in order, and the reason is told.
                    stop.cancel();
                    welcomed = true;
                }
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

fn service(
    name: &'static str,
    config: chassis::Config,
    options: &Options,
    secrets: &Secrets,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<BoxFuture<'static, anyhow::Result<()>>> {
    Ok(match name {
        "identity" => {
            let clients = secrets.clients_file.clone();
            let mut own: identity::Config = defaults("identity", &["--clients-file", &clients])?;
            own.base = config;
            Box::pin(identity::serve(own, listener, stop))
        }
        "indicators" => {
            let mut own: indicators::Config = defaults("indicators", &[])?;
            own.base = config;
            Box::pin(indicators::serve(own, listener, stop))
        }
        "forecasting" => {
            let mut own: forecasting::Config = defaults("forecasting", &[])?;
            own.base = config;
            Box::pin(forecasting::serve(own, listener, stop))
        }
        "explanations" => {
            let mut own: explanations::Config = defaults("explanations", &[])?;
            own.base = config;
            Box::pin(explanations::serve(own, listener, stop))
        }
        "feedback" => {
            let mut own: feedback::Config = defaults("feedback", &[])?;
            own.base = config;
            Box::pin(feedback::serve(own, listener, stop))
        }
        "notifications" => {
            let smtp = options
                .smtp
                .as_ref()
                .map_or(vec![], |smtp| vec!["--smtp", smtp.as_str()]);
            let mut own: notifications::Config = defaults("notifications", &smtp)?;
            own.base = config;
            Box::pin(notifications::serve(own, listener, stop))
        }
        other => bail!("{other} is no service"),
    })
}

fn gateway_config(
    base: chassis::Config,
    options: &Options,
    secrets: &Secrets,
) -> anyhow::Result<gateway::Config> {
    let console = options.console.to_string_lossy();
    let mut config: gateway::Config = defaults(
        "gateway",
        &[
            "--console",
            &console,
            "--cookie-key-file",
            &secrets.cookie_key_file,
        ],
    )?;
    config.base = base;
    Ok(config)
}

/// A service's settings as they are without flags, but for the ones given.
fn defaults<C: Args + FromArgMatches>(name: &'static str, given: &[&str]) -> anyhow::Result<C> {
    let command = C::augment_args(clap::Command::new(name));
    let matches =
        command.try_get_matches_from(std::iter::once(name).chain(given.iter().copied()))?;
    Ok(C::from_arg_matches(&matches)?)
}

fn base_config(options: &Options, address: SocketAddr) -> anyhow::Result<chassis::Config> {
    let mut config: chassis::Config = defaults("up", &[])?;
    config.public_url = options
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://localhost:{}", address.port()));
    config.listen = address;
    config.objects = options.data.canonicalize()?.join("objects");
    config.otlp_endpoint.clone_from(&options.otlp_endpoint);
    config.trace_share = options.trace_share;
    config.log.clone_from(&options.log);
    config.database_connections = 6;
    Ok(config)
}

/// Two processes must not share a data folder.
fn lock(data: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(data)
        .with_context(|| format!("--data: {} cannot be made", data.display()))?;
    let path = data.join("lock");
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.try_lock()
        .map_err(|_| anyhow::anyhow!("another civicmesh runs in {}", data.display()))?;
    Ok(file)
}

/// What the services prove themselves with, made at the first start.
struct Secrets {
    folder: PathBuf,
    clients_file: String,
    cookie_key_file: String,
}

impl Secrets {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("secrets");
        fs::create_dir_all(&folder)?;
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let secrets = Self {
            clients_file: path("clients"),
            cookie_key_file: path("cookie-key"),
            folder: folder.clone(),
        };
        let mut lines = String::new();
        for name in SERVICES.into_iter().chain(["gateway", "civicmesh"]) {
            let hash = hexadecimal(&Sha256::digest(secrets.of(name)?.as_bytes()));
            lines.push_str(&format!("{name} {hash}\n"));
        }
        write_secret(Path::new(&secrets.clients_file), &lines)?;
        secrets.of("cookie-key")?;
        Ok(secrets)
    }

    fn of(&self, name: &str) -> anyhow::Result<String> {
        let path = self.folder.join(name);
        if let Ok(secret) = fs::read_to_string(&path) {
            return Ok(secret.trim().to_owned());
        }
        let secret = secret();
        write_secret(&path, &secret)?;
        Ok(secret)
    }
}

/// Waits until everything serves, loads the demonstration city once, says where to go.
async fn welcome(
    options: &Options,
    config: chassis::Config,
    folder: &Path,
    start: Instant,
) -> anyhow::Result<()> {
    let mesh = Mesh::new("civicmesh", &config)?;
    tokio::time::timeout(Duration::from_secs(60), wait_until_ready(&mesh))
        .await
        .context("the services were not ready within 60 seconds; --log info says more")?;
    let mut text = format!(
        "civicmesh is ready after {:.1} s\n  console         {url}/\n  public portal   {url}/portal\n  data            {data}\n",
        start.elapsed().as_secs_f64(),
        url = config.public_url,
        data = folder.display(),
    );
    if !options.no_demo {
        let loaded = folder.join("demo.loaded");
        if !loaded.exists() {
            let start = Instant::now();
            demo::load(&mesh)
                .await
                .context("the demonstration city was not loaded")?;
            write_secret(&loaded, env!("CARGO_PKG_VERSION"))?;
            text.push_str(&format!(
                "  demonstration   loaded in {:.1} s\n",
                start.elapsed().as_secs_f64()
            ));
        }
        text.push_str(&format!(
            "\nDemonstration accounts, password {}\n",
            demo::PASSWORD
        ));
        for (login, role) in demo::accounts() {
            text.push_str(&format!("  {login:<18}{role}\n"));
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    std::io::stdout().flush()?;
    Ok(())
}

async fn wait_until_ready(mesh: &Mesh) {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    for name in SERVICES {
        let mut client = HealthClient::new(mesh.channel(name));
        loop {
            let answer = client
                .check(HealthCheckRequest {
                    service: String::new(),
                })
                .await;
            if answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
