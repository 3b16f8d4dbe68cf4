//! A process of the mesh, its output kept and shown when a test fails.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

/// Lines kept of one process; a test that says more has other troubles.
const KEPT: usize = 2_000;

/// The built binary, of the same profile as this test.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/it-…, target/release/examples/bench
    let profile = own.ancestors().nth(2).and_then(Path::file_name).unwrap();
    let path = crate::target().join(profile).join("civicmesh");
    assert!(
        path.exists(),
        "{} is not built: run `cargo build -p civicmesh` first, as scripts/test does",
        path.display()
    );
    path
}

/// A running process.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `civicmesh` with these arguments, as another account if one is given.
    #[must_use]
    pub fn start(name: &str, arguments: &[String], user: Option<&str>) -> Self {
        let mut command = match user {
            None => Command::new(binary()),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid", user, "--regid", "nogroup", "--clear-groups"])
                    .arg(binary());
                command
            }
        };
        // Settings come from the test alone, not from where it happens to run.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("CIVICMESH_") {
                command.env_remove(variable);
            }
        }
        let mut child = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let readers = vec![
            keep(child.stdout.take().unwrap(), &lines),
            keep(child.stderr.take().unwrap(), &lines),
        ];
        Self {
            name: name.to_owned(),
            child,
            lines,
            readers,
        }
    }

    /// What it has written so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line that holds a text.
    ///
    /// # Panics
    /// When the process ends or the time is over before.
    pub async fn line_with(&mut self, text: &str, limit: Duration) -> String {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let found = self.output().into_iter().find(|line| line.contains(text));
            if let Some(line) = found {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() && !self.readers.is_empty() {
                self.read_rest().await;
                continue;
            }
            if ended.is_some() || tokio::time::Instant::now() > deadline {
                let how = ended.map_or("the time is over".to_owned(), |how| how.to_string());
                panic!(
                    "{} never said {text:?} ({how}):\n{}",
                    self.name,
                    self.output().join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills it as the kernel would when memory ends: nothing is put in order.
    pub async fn kill9(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Sends a signal such as "TERM".
    pub fn signal(&self, signal: &str) {
        if let Some(id) = self.child.id() {
            let _ = std::process::Command::new("kill")
                .args([&format!("-{signal}"), &id.to_string()])
                .status();
        }
    }

    /// Waits for its end.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let status = tokio::time::timeout(limit, self.child.wait())
            .await
            .unwrap_or_else(|_| {
                panic!(
                    "{} did not end within {limit:?}:\n{}",
                    self.name,
                    self.output().join("\n")
                )
            })
            .unwrap();
        self.read_rest().await;
        status
    }

    /// Waits for what an ended process said last, unless a process of its own holds on to its output.
    async fn read_rest(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
    }

    /// The process's own number.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.output();
            let last = lines.len().saturating_sub(60);
            eprintln!("== {}\n{}", self.name, lines[last..].join("\n"));
        }
        self.signal("TERM");
        // What does not end in order within its own limit of 10 seconds is ended.
        for _ in 0..240 {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.start_kill();
    }
}

fn keep(
    output: impl AsyncRead + Send + Unpin + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let kept = Arc::clone(lines);
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            let mut kept = kept.lock().unwrap();
            if kept.len() < KEPT {
                kept.push(line);
            }
        }
    })
}
