//! A real SMTP server (aiosmtpd), so that what is sent is what a mail server takes.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{eventually, target};

/// A message as the server took it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// When, in seconds since 1970.
    pub time: f64,
    /// The envelope's sender.
    pub sender: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// Its `Message-ID`.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// Its `Content-Language`; empty if absent.
    pub language: String,
    /// Its plain text.
    pub text: String,
    /// Its HTML; empty if it has none.
    pub html: String,
}

const INSTALLS: &str = "scripts/test installs Python's aiosmtpd";

/// A running SMTP server; ends when dropped.
pub struct MailServer {
    port: u16,
    kept: Arc<Mutex<Vec<Mail>>>,
    _process: Child,
}

impl MailServer {
    /// Starts one.
    ///
    /// # Panics
    /// Where Python with aiosmtpd is missing; scripts/test installs it.
    pub async fn start() -> Self {
        let python = target().join("tools/python/bin/python");
        let mut process = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/smtp.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; {INSTALLS}", python.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap();
        let port = port.expect(INSTALLS).parse().unwrap();
        let kept = Arc::<Mutex<Vec<Mail>>>::default();
        let keeper = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mail = serde_json::from_str(&line).unwrap();
                keeper.lock().unwrap().push(mail);
            }
        });
        Self {
            port,
            kept,
            _process: process,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it has taken for a recipient so far, oldest first.
    #[must_use]
    pub fn taken(&self, recipient: &str) -> Vec<Mail> {
        let kept = self.kept.lock().unwrap();
        kept.iter()
            .filter(|mail| mail.recipients.iter().any(|to| to == recipient))
            .cloned()
            .collect()
    }

    /// Waits for a message to a recipient whose text or HTML holds something.
    pub async fn wait(&self, recipient: &str, holds: &str, limit: Duration) -> Mail {
        eventually(
            &format!("an e-mail to {recipient} with {holds:?}"),
            limit,
            async || {
                self.taken(recipient)
                    .into_iter()
                    .find(|mail| mail.text.contains(holds) || mail.html.contains(holds))
            },
        )
        .await
    }
}
