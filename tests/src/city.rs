//! A running city: everything in one process (`up`), or seven processes that talk over the network (`serve`).

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use chassis::testing;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{Browser, Http, Rpc, binary, browser, connect, eventually, process::Process};

/// The password of the demonstration accounts, as the start prints it.
pub const PASSWORD: &str = "civicmesh-demo-2026";

/// The services behind the gateway.
pub const SERVICES: [&str; 6] = [
    "identity",
    "indicators",
    "forecasting",
    "explanations",
    "feedback",
    "notifications",
];

/// Longest time a city may take to start, the demonstration included; a busy machine builds beside it.
const START: Duration = Duration::from_secs(120);

/// How a city is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The mail server.
    pub smtp: Option<String>,
    /// The receiver of traces.
    pub otlp: Option<String>,
    /// Starts without the demonstration.
    pub empty: bool,
    /// The account it runs as; this test's own if absent.
    pub user: Option<&'static str>,
    /// More settings of the gateway, where it is a process of its own.
    pub gateway: &'static [&'static str],
}

/// A running city. Ends, and leaves nothing behind, when dropped.
pub struct City {
    /// The gateway's address, as the start prints it.
    pub url: String,
    /// Where the services listen; known when each is a process of its own.
    pub ports: BTreeMap<&'static str, SocketAddr>,
    /// From the start to the printed address.
    pub start: Duration,
    /// What services prove themselves with, by name; known when each is a process of its own.
    pub secrets: BTreeMap<&'static str, String>,
    options: Options,
    processes: Vec<Process>,
    databases: Vec<String>,
    tokens: Mutex<BTreeMap<String, String>>,
    folder: TempDir,
}

impl City {
    /// Starts everything in one process, with its own Postgres.
    pub async fn up(options: Options) -> Self {
        let folder = folder();
        if let Some(user) = options.user {
            let data = folder.path().join("data");
            fs::create_dir(&data).unwrap();
            run(Command::new("chown").arg(user).arg(&data));
        }
        let mut city = Self {
            url: String::new(),
            ports: BTreeMap::new(),
            start: Duration::ZERO,
            secrets: BTreeMap::new(),
            options,
            processes: Vec::new(),
            databases: Vec::new(),
            tokens: Mutex::default(),
            folder,
        };
        city.launch().await;
        city
    }

    /// The data folder of `up`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The arguments of `up` on a port.
    #[must_use]
    pub fn arguments(&self, listen: &str) -> Vec<String> {
        let mut arguments = vec![
            "up".to_owned(),
            format!("--listen={listen}"),
            format!("--data={}", self.data().display()),
            format!("--console={}", console(self.folder.path()).display()),
            "--log=warn".to_owned(),
        ];
        arguments.extend(self.options.smtp.iter().map(|url| format!("--smtp={url}")));
        let otlp = self.options.otlp.iter();
        arguments.extend(otlp.map(|url| format!("--otlp-endpoint={url}")));
        if self.options.empty {
            arguments.push("--no-demo".to_owned());
        }
        arguments
    }

    async fn launch(&mut self) {
        let begun = Instant::now();
        // Once given, the port stays: it is part of the issuer that tokens name.
        if self.url.is_empty() {
            let [port] = testing::ports();
            self.url = format!("http://localhost:{port}");
        }
        let port = self.url.rsplit(':').next().unwrap();
        let arguments = self.arguments(&format!("127.0.0.1:{port}"));
        let mut process = Process::start("civicmesh up", &arguments, self.options.user);
        let line = process.line_with("  console ", START).await;
        self.start = begun.elapsed();
        let url = line.split_whitespace().last().unwrap();
        url.trim_end_matches('/').clone_into(&mut self.url);
        if !self.options.empty {
            process.line_with("Demonstration accounts", START).await;
        }
        self.processes = vec![process];
    }

    /// Kills everything at once, as a power cut would end it.
    pub async fn kill9(&mut self) {
        for process in &mut self.processes {
            process.kill9().await;
        }
    }

    /// Starts `up` again in the same folder.
    pub async fn restart(&mut self) {
        self.processes.clear();
        self.tokens.lock().await.clear();
        self.launch().await;
    }

    /// Ends in order, as on SIGTERM, and waits for it.
    pub async fn stop(&mut self) {
        for process in &self.processes {
            process.signal("TERM");
        }
        for process in &mut self.processes {
            let status = process.ended(Duration::from_secs(30)).await;
            assert!(
                status.success(),
                "{status}: {}",
                process.output().join("\n")
            );
        }
    }

    /// What the processes have written so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.processes.iter().flat_map(Process::output).collect()
    }

    /// Resident memory of everything that runs, Postgres included, in MiB.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let postmaster = postmaster(&self.data());
        let roots = self.processes.iter().filter_map(Process::id);
        roots.chain(postmaster).map(tree_memory).sum::<u64>() / 1024
    }
}

impl City {
    /// Starts seven processes, each with its own database in the server that `DATABASE_URL` names, and loads the
    /// demonstration through the same door as platform teams do.
    pub async fn serve(options: Options) -> Self {
        let begun = Instant::now();
        let folder = folder();
        let server = server();
        let ports: BTreeMap<_, _> = SERVICES
            .into_iter()
            .chain(["gateway"])
            .zip(testing::ports::<7>())
            .map(|(name, port)| (name, SocketAddr::from(([127, 0, 0, 1], port))))
            .collect();
        let names = SERVICES.into_iter().chain(["gateway", "civicmesh"]);
        let secrets: BTreeMap<_, _> = names.map(|name| (name, secret())).collect();
        let mut city = Self {
            url: format!("http://localhost:{}", ports["gateway"].port()),
            ports,
            start: Duration::ZERO,
            secrets,
            options,
            processes: Vec::new(),
            databases: Vec::new(),
            tokens: Mutex::default(),
            folder,
        };
        city.write_secrets();
        let run = uuid::Uuid::now_v7().simple().to_string();
        for name in SERVICES {
            let database = format!("e2e_{}_{name}", &run[20..]);
            create_database(&server, &database).await;
            city.databases.push(database);
        }
        for name in SERVICES.into_iter().chain(["gateway"]) {
            let process = city.run_service(name);
            city.processes.push(process);
        }
        for (name, address) in city.ports.clone() {
            wait_until_serving(name, address).await;
        }
        city.start = begun.elapsed();
        if !city.options.empty {
            city.load_demonstration().await;
        }
        city
    }

    fn write_secrets(&self) {
        let mut clients = String::new();
        for (name, secret) in &self.secrets {
            let hash = hexadecimal(&Sha256::digest(secret.as_bytes()));
            clients.push_str(&format!("{name} {hash}\n"));
        }
        fs::write(self.folder.path().join("clients"), clients).unwrap();
        fs::write(self.folder.path().join("cookie-key"), secret()).unwrap();
    }

    fn discovery(&self) -> String {
        let addresses = SERVICES.map(|name| format!("{name}=http://{}", self.ports[name]));
        format!("--discovery=static:{}", addresses.join(","))
    }

    /// Kills one of the services that `serve` started, as a node that is lost does.
    pub async fn kill_service(&mut self, name: &str) {
        self.processes[place(name)].kill9().await;
    }

    /// Starts a service again that was killed, and waits until it serves.
    pub async fn restart_service(&mut self, name: &'static str) {
        self.processes[place(name)] = self.run_service(name);
        wait_until_serving(name, self.ports[name]).await;
    }

    fn run_service(&self, name: &'static str) -> Process {
        let folder = self.folder.path();
        let mut arguments = vec![
            "serve".to_owned(),
            name.to_owned(),
            format!("--listen={}", self.ports[name]),
            format!("--public-url={}", self.url),
            format!("--client-secret={}", self.secrets[name]),
            format!("--objects={}", folder.join("objects").display()),
            self.discovery(),
            "--log=warn".to_owned(),
            "--trace-share=1".to_owned(),
        ];
        let otlp = self.options.otlp.iter();
        arguments.extend(otlp.map(|url| format!("--otlp-endpoint={url}")));
        if name != "gateway" {
            let url = database_url(&server(), &self.databases[place(name)]);
            arguments.push(format!("--database-url={url}"));
            // The server of the tests may be quick rather than safe.
            arguments.push("--allow-unsafe-database".to_owned());
            arguments.push("--database-connections=6".to_owned());
        }
        match name {
            "identity" => {
                arguments.push(format!(
                    "--clients-file={}",
                    folder.join("clients").display()
                ));
            }
            "notifications" => {
                let smtp = self.options.smtp.iter();
                arguments.extend(smtp.map(|url| format!("--smtp={url}")));
            }
            "gateway" => {
                arguments.push(format!("--console={}", console(folder).display()));
                let key = folder.join("cookie-key");
                arguments.push(format!("--cookie-key-file={}", key.display()));
                arguments.extend(self.options.gateway.iter().map(ToString::to_string));
            }
            _ => {}
        }
        let title = format!("civicmesh serve {name}");
        Process::start(&title, &arguments, None)
    }

    async fn load_demonstration(&self) {
        let arguments = [
            "demo".to_owned(),
            self.discovery(),
            format!("--client-secret={}", self.secrets["civicmesh"]),
        ];
        let begun = Instant::now();
        let mut loader = Process::start("civicmesh demo", &arguments, None);
        let status = loader.ended(START).await;
        assert!(status.success(), "{}", loader.output().join("\n"));
        eprintln!("demonstration loaded in {:.1?}", begun.elapsed());
    }
}

impl City {
    /// A program of a person who signed in with code and PKCE, over REST.
    pub async fn rest(&self, login: &str) -> Http {
        Http::with_token(&self.url, &self.token(login).await)
    }

    /// The same over gRPC through the gateway.
    pub async fn rpc(&self, login: &str) -> Rpc {
        connect(&self.url, Some(&self.token(login).await))
    }

    /// A service's own token, for its secret.
    pub async fn service_token(&self, name: &str) -> String {
        let body = serde_json::json!({"clientId": name, "clientSecret": self.secrets[name]});
        let answer = self.stranger().post("/v1/service-tokens", &body).await.ok();
        answer["accessToken"].as_str().unwrap().to_owned()
    }

    /// The address of a service's database, when each is a process of its own.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let index = SERVICES
            .iter()
            .position(|service| *service == name)
            .unwrap();
        database_url(&server(), &self.databases[index])
    }

    /// A person's browser after signing in.
    pub async fn browser(&self, login: &str) -> Browser {
        Browser::sign_in(&self.url, login, PASSWORD, "/").await.0
    }

    /// A person's access token; each person signs in once, for the tokens outlive a test.
    pub async fn token(&self, login: &str) -> String {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(login) {
            return token.clone();
        }
        let token = browser::program_token(&self.url, login, PASSWORD).await;
        tokens.insert(login.to_owned(), token.clone());
        token
    }

    /// Somebody without an account, over REST.
    #[must_use]
    pub fn stranger(&self) -> Http {
        Http::new(&self.url)
    }
}

impl Drop for City {
    fn drop(&mut self) {
        for process in &self.processes {
            process.signal("TERM");
        }
        self.processes.clear();
        // After a kill the private Postgres runs on; a test leaves nothing behind.
        if let Some(postmaster) = postmaster(&self.data()) {
            let _ = Command::new("kill")
                .args(["-QUIT", &postmaster.to_string()])
                .status();
        }
        if !self.databases.is_empty() {
            let mut psql = Command::new("psql");
            psql.arg("-q").arg(server());
            for database in &self.databases {
                psql.args([
                    "-c",
                    &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
                ]);
            }
            let _ = psql.status();
        }
    }
}

/// A folder that other accounts may enter, for Postgres does not run as root.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The console as it was built, or a page that stands for it.
fn console(folder: &Path) -> PathBuf {
    let built = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../gateway/console/dist"
    ));
    if built.join("index.html").exists() {
        return built.to_owned();
    }
    let page = folder.join("console");
    fs::create_dir_all(&page).unwrap();
    for name in ["index.html", "portal.html"] {
        fs::write(page.join(name), "<!doctype html><title>civicmesh</title>").unwrap();
    }
    page
}

fn secret() -> String {
    hexadecimal(&rand::random::<[u8; 32]>())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the test server is, is said as sqlx::test wants it"
)]
fn server() -> String {
    std::env::var("DATABASE_URL")
        .expect("DATABASE_URL names no Postgres server: run the tests under scripts/postgres")
}

fn database_url(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = address.rsplit_once('/').unwrap();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{host}/{name}{query}")
}

async fn create_database(server: &str, name: &str) {
    let mut postgres = PgConnection::connect(server).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(statement)
        .execute(&mut postgres)
        .await
        .unwrap();
    postgres.close().await.unwrap();
}

/// Which of the processes of `serve` a service is; the gateway is the last.
fn place(name: &str) -> usize {
    let mut services = SERVICES.into_iter();
    services
        .position(|service| service == name)
        .unwrap_or(SERVICES.len())
}

async fn wait_until_serving(name: &str, address: SocketAddr) {
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    eventually(&format!("{name} serves"), START, async || {
        let mut health = HealthClient::new(channel.clone());
        let request = HealthCheckRequest {
            service: String::new(),
        };
        let answer = health.check(request).await.ok()?.into_inner();
        (answer.status() == ServingStatus::Serving).then_some(())
    })
    .await;
}

fn postmaster(data: &Path) -> Option<u32> {
    let text = fs::read_to_string(data.join("postgres/postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// Resident memory of a process and all below it that is not shared with others, in KiB.
fn tree_memory(root: u32) -> u64 {
    let mut sum = 0;
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        // Proportional: what two processes share is counted once.
        let share = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let share = share.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        sum += share.unwrap_or_default();
        let below = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let below = below.unwrap_or_default();
        open.extend(
            below
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    sum
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// The binary must be readable by the account that the city runs as.
#[must_use]
pub fn binary_is_public() -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    binary().ancestors().all(|path| mode(path) & 0o001 != 0)
}
