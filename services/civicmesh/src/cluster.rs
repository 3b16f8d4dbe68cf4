//! A private Postgres cluster in a data folder: made at the first start, found again at the next, never the system's.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

const USER: &str = "civicmesh";

/// A running private cluster. It outlives a killed process; the next start takes it over.
pub struct Cluster {
    bin: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    password: String,
    owner: Option<(u32, u32)>,
}

impl Cluster {
    /// Starts the cluster of a data folder, making it the first time.
    pub fn start(folder: &Path, bin: Option<&Path>) -> anyhow::Result<Self> {
        let bin = find_binaries(bin)?;
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = folder.canonicalize()?;
        let owner = unprivileged_owner(&folder)?;
        let password = password(&folder, owner)?;
        let cluster = Self {
            bin,
            data: folder.join("postgres"),
            socket: socket_folder(&folder),
            password,
            owner,
        };
        cluster.own_folder(&cluster.data)?;
        cluster.own_folder(&cluster.socket)?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.initialise(&folder)?;
        }
        if !cluster.is_running() {
            cluster.launch()?;
        }
        Ok(cluster)
    }

    /// The address of one database of the cluster.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let socket = self.socket.display();
        format!(
            "postgres://{USER}:{}@localhost/{database}?host={socket}",
            self.password
        )
    }

    /// Creates a database unless it is there.
    pub async fn ensure_database(&self, name: &str) -> anyhow::Result<()> {
        use sqlx::{Connection, PgConnection};
        let mut postgres = PgConnection::connect(&self.url("postgres")).await?;
        let there = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut postgres)
            .await?;
        if there.is_none() {
            anyhow::ensure!(
                name.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{name:?} is no database name"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .execute(&mut postgres)
                .await?;
        }
        postgres.close().await?;
        Ok(())
    }

    /// Stops the cluster, ending its connections.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.run(
            "pg_ctl",
            &[
                "-D",
                text(&self.data)?,
                "-m",
                "fast",
                "-w",
                "-t",
                "20",
                "stop",
            ],
        )
    }

    fn initialise(&self, folder: &Path) -> anyhow::Result<()> {
        let password = folder.join("postgres.password");
        self.run(
            "initdb",
            &[
                "-D",
                text(&self.data)?,
                "-U",
                USER,
                "-A",
                "scram-sha-256",
                "--pwfile",
                text(&password)?,
            ]
            .into_iter()
            .chain(["--locale=C.UTF-8", "-E", "UTF8", "--data-checksums"])
            .collect::<Vec<_>>(),
        )
    }

    fn is_running(&self) -> bool {
        text(&self.data).is_ok_and(|data| self.run("pg_ctl", &["-D", data, "status"]).is_ok())
            && self.socket.join(".s.PGSQL.5432").exists()
    }

    fn launch(&self) -> anyhow::Result<()> {
        // Sized for one machine that also runs everything else; durability is left at Postgres's safe defaults.
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c port=5432 -c max_connections=120 \
             -c shared_buffers=48MB -c max_wal_size=256MB -c jit=off -c autovacuum_max_workers=2 \
             -c max_parallel_workers_per_gather=0",
            text(&self.socket)?
        );
        let log = self.data.join("server.log");
        self.run(
            "pg_ctl",
            &[
                "-D",
                text(&self.data)?,
                "-l",
                text(&log)?,
                "-w",
                "-t",
                "60",
                "-o",
                &options,
                "start",
            ],
        )
        .with_context(|| format!("Postgres did not start; its log is {}", log.display()))
    }

    fn own_folder(&self, path: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))?;
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.bin.join(program));
        // The server that pg_ctl leaves behind must not hold our pipes, so output goes to a file, not to us.
        let notes = tempfile()?;
        command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(notes.try_clone()?)
            .stderr(notes.try_clone()?)
            .env("LC_ALL", "C.UTF-8");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // A signal to our process group (Ctrl-C) must not reach the server before we stop it in order.
        command.process_group(0);
        let status = command
            .status()
            .with_context(|| format!("{program} cannot be run"))?;
        if !status.success() {
            bail!("{program} failed: {}", read_back(notes).trim());
        }
        Ok(())
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

fn tempfile() -> anyhow::Result<fs::File> {
    let path = std::env::temp_dir().join(format!("civicmesh-{}", uuid::Uuid::now_v7()));
    let file = fs::OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn read_back(mut file: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.read_to_string(&mut text);
    text
}

/// Where `initdb`, `pg_ctl` and `postgres` are.
fn find_binaries(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|name| folder.join(name).exists())
    };
    if let Some(folder) = given {
        anyhow::ensure!(
            complete(folder),
            "--postgres: {} holds no initdb, pg_ctl and postgres",
            folder.display()
        );
        return Ok(folder.to_owned());
    }
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|line| PathBuf::from(line.trim()));
    let mut found: Vec<PathBuf> = [
        "/usr/lib/postgresql",
        "/Applications/Postgres.app/Contents/Versions",
    ]
    .iter()
    .filter_map(|parent| fs::read_dir(parent).ok())
    .flat_map(|entries| {
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("bin"))
    })
    .collect();
    found.sort();
    found.reverse();
    let fixed = [
        "/usr/local/pgsql/bin",
        "/opt/homebrew/opt/postgresql/bin",
        "/usr/bin",
    ];
    told.into_iter()
        .chain(found)
        .chain(fixed.map(PathBuf::from))
        .find(|folder| complete(folder))
        .context(
            "no Postgres server on this machine. Install it (Debian, Ubuntu: apt-get install postgresql; \
             macOS: brew install postgresql) or name its folder with --postgres",
        )
}

/// As root, the account that Postgres runs as; it refuses to run as root itself.
fn unprivileged_owner(folder: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").map_or(1, |proc| proc.uid()) != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let find = |name: &str| {
        accounts.lines().find_map(|line| {
            let mut parts = line.split(':');
            (parts.next() == Some(name)).then_some(())?;
            Some((parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?))
        })
    };
    let owner = find("postgres")
        .or_else(|| find("nobody"))
        .context("no account postgres or nobody to run Postgres as")?;
    for parent in folder.ancestors() {
        let mode = fs::metadata(parent)?.permissions().mode();
        if mode & 0o001 == 0 {
            fs::metadata(folder)?;
            if parent == folder {
                fs::set_permissions(parent, fs::Permissions::from_mode(mode | 0o011))?;
            } else {
                bail!(
                    "as root, Postgres runs as another account, which cannot enter {}: choose another --data folder",
                    parent.display()
                );
            }
        }
    }
    Ok(Some(owner))
}

/// The cluster's password, made at the first start.
fn password(folder: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<String> {
    let path = folder.join("postgres.password");
    if let Ok(password) = fs::read_to_string(&path) {
        return Ok(password.trim().to_owned());
    }
    let password = crate::secret();
    crate::write_secret(&path, &password)?;
    if let Some((user, group)) = owner {
        chown(&path, Some(user), Some(group))?;
    }
    Ok(password)
}

/// Socket paths end at about 100 bytes; a deep data folder gets its socket in the temporary folder.
fn socket_folder(folder: &Path) -> PathBuf {
    let near = folder.join("run");
    if near.as_os_str().len() < 80 {
        return near;
    }
    let name = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        folder.as_os_str().as_encoded_bytes(),
    );
    std::env::temp_dir().join(format!("civicmesh-{}", name.simple()))
}
