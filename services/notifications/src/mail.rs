//! One e-mail: built from a notice, handed to the SMTP server, and what the server's answer means.

use std::time::Duration;

use anyhow::Context;
use chassis::language::Language;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::{self, PoolConfig},
};
use proto::identity::v1::Contact;

use crate::{
    delivery::{Due, Outcome},
    text::{self, Text},
};

/// How long one command of the conversation may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers that refuse the sender's login, not the mail: 530 to 538. Whoever operates this must mend it.
const LOGIN_REFUSED: [u16; 4] = [530, 534, 535, 538];

/// Tells mail servers and holiday replies that no person wrote this (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The way to people's mailboxes.
#[derive(Clone)]
pub struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    public_url: String,
}

impl Post {
    /// Reads the settings; connects with the first mail.
    pub fn new(smtp: &str, from: &str, public_url: &str, connections: u32) -> anyhow::Result<Self> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp)
            .context("--smtp is not an address such as smtps://user:password@host:465")?
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(connections))
            .build();
        Ok(Self {
            transport,
            from: from.parse().context(
                "--mail-from is not an address such as Civicmesh <no-reply@city.example>",
            )?,
            public_url: public_url.trim_end_matches('/').to_owned(),
        })
    }

    /// Sends a mail; `pause` is how long to wait should it have to be sent later.
    pub async fn send(&self, due: &Due, contact: &Contact, pause: Duration) -> Outcome {
        let Ok(address) = contact.email.parse::<Address>() else {
            return Outcome::Never("the e-mail address is malformed".to_owned());
        };
        let message = match self.build(due, contact, address) {
            Ok(message) => message,
            Err(error) => return Outcome::Never(format!("{error:#}")),
        };
        match self.transport.send(message).await {
            Ok(_) => Outcome::Sent,
            Err(error) => outcome(&error, &contact.email, pause),
        }
    }

    fn build(&self, due: &Due, contact: &Contact, to: Address) -> anyhow::Result<Message> {
        let text = Text {
            title: due.title.clone(),
            body: due.body.clone(),
        };
        let link = format!("{}{}", self.public_url, due.path);
        let language = Language::parse(&due.language);
        let (plain, html) = text::mail(&text, &contact.display_name, &link, language);
        let name = Some(contact.display_name.clone()).filter(|name| !name.is_empty());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, to))
            .subject(text.title)
            // The same for every try, so that mail servers recognise a repeat.
            .message_id(Some(format!("<{}@{}>", due.id, self.from.email.domain())))
            .date_now()
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(plain, html))
            .context("the mail cannot be built")
    }
}

/// What a failure means. The text is for operators: the address is taken out of the server's answer.
fn outcome(error: &smtp::Error, address: &str, pause: Duration) -> Outcome {
    let code = error.status().map(u16::from);
    let mut told = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if !address.is_empty() {
        told = told.replace(address, "<recipient>");
    }
    let told = told.chars().take(500).collect();
    if error.is_permanent() && !code.is_some_and(|code| LOGIN_REFUSED.contains(&code)) {
        Outcome::Never(told)
    } else {
        Outcome::Later(pause, told)
    }
}
