//! A mail server that speaks SMTP on loopback and keeps what it takes. What it answers to a recipient can be set.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::watch,
    time::Instant,
};

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub data: String,
    pub taken: Instant,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    conversations: usize,
    /// Answers to `RCPT`, by address, each given once.
    answers: HashMap<String, VecDeque<String>>,
    /// So often the connection is cut after a mail instead of saying that it was taken.
    cuts: usize,
    /// Whether the answers to mails are held back.
    held: watch::Sender<bool>,
}

/// The server's address and what it has taken.
#[derive(Clone)]
pub struct Mailbox {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Mailbox {
    /// Serves on a free port of loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailbox = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = mailbox.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, state.clone()));
            }
        });
        mailbox
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The next answers to a recipient; "250" when they are used up.
    pub fn answer(&self, address: &str, answers: &[&str]) {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let mut state = self.state.lock().unwrap();
        state.answers.insert(address.to_owned(), answers);
    }

    /// Cuts the connection instead of the last answer, so often.
    pub fn cut(&self, times: usize) {
        self.state.lock().unwrap().cuts = times;
    }

    /// Holds the answers to mails back, or gives them.
    pub fn hold(&self, held: bool) {
        self.state.lock().unwrap().held.send_replace(held);
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to == address);
        mails
    }

    pub fn conversations(&self) -> usize {
        self.state.lock().unwrap().conversations
    }
}

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    state.lock().unwrap().conversations += 1;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ESMTP\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => "250-test\r\n250 8BITMIME".to_owned(),
            "HELO" | "MAIL" | "RSET" | "NOOP" => "250 ok".to_owned(),
            "RCPT" => {
                line.split(['<', '>'])
                    .nth(1)
                    .unwrap_or_default()
                    .clone_into(&mut to);
                next_answer(&state, &to)
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let data = data(&mut lines).await?;
                let is_told = take(&state, &to, data);
                let mut held = state.lock().unwrap().held.subscribe();
                let _ = held.wait_for(|held| !held).await;
                if !is_told {
                    return Ok(());
                }
                "250 taken".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not known".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn data(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> std::io::Result<String> {
    let mut data = String::new();
    while let Some(line) = lines.next_line().await? {
        if line == "." {
            break;
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
        data.push('\n');
    }
    Ok(data)
}

/// Keeps a mail; whether the client is told.
fn take(state: &Mutex<State>, to: &str, data: String) -> bool {
    let mut state = state.lock().unwrap();
    state.mails.push(Mail {
        to: to.to_owned(),
        data,
        taken: Instant::now(),
    });
    let is_cut = state.cuts > 0;
    state.cuts = state.cuts.saturating_sub(1);
    !is_cut
}

fn next_answer(state: &Mutex<State>, address: &str) -> String {
    let mut state = state.lock().unwrap();
    state
        .answers
        .get_mut(address)
        .and_then(VecDeque::pop_front)
        .unwrap_or_else(|| "250 ok".to_owned())
}
