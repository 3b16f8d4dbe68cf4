//! The token that this service calls others with.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use http::HeaderValue;
use proto::identity::v1 as pb;
use tokio::{sync::Mutex, time::Instant};
use tonic::Status;

use super::MeshChannel;
use crate::config::Secret;

/// After a refusal identity is not asked again for this long.
const PAUSE: Duration = Duration::from_millis(500);

/// Where the token comes from.
#[derive(Clone)]
pub enum TokenSource {
    /// No token: calls are anonymous.
    None,
    /// A fixed one, for tests.
    Fixed(HeaderValue),
    /// Identity, for this service's secret.
    Identity(Arc<Issued>),
}

impl TokenSource {
    /// Asks identity, through a channel that adds no token itself.
    #[must_use]
    pub fn identity(name: &'static str, secret: Secret, channel: MeshChannel) -> Self {
        Self::Identity(Arc::new(Issued {
            name,
            secret,
            channel,
            state: Mutex::new(State::default()),
        }))
    }

    /// The value of `authorization`; none for anonymous calls.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, Status> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(header) => Ok(Some(header.clone())),
            Self::Identity(issued) => issued.header().await.map(Some),
        }
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, refused: &HeaderValue) {
        if let Self::Identity(issued) = self {
            let mut state = issued.state.lock().await;
            if state
                .token
                .as_ref()
                .is_some_and(|token| token.header == *refused)
            {
                state.token = None;
            }
        }
    }
}

/// Tokens issued by identity, kept until 80 % of their life has passed.
pub struct Issued {
    name: &'static str,
    secret: Secret,
    channel: MeshChannel,
    // Held while asking, so that one caller asks and the others wait for the answer.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refused: Option<(Instant, Status)>,
}

struct Token {
    header: HeaderValue,
    renew: Instant,
    expire: Instant,
}

impl Issued {
    async fn header(&self) -> Result<HeaderValue, Status> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renew) {
            return Ok(token.header.clone());
        }
        if let Some((when, status)) = &state.refused
            && now < *when + PAUSE
        {
            return state.usable().ok_or_else(|| status.clone());
        }
        match self.ask().await {
            Ok(token) => {
                let header = token.header.clone();
                state.token = Some(token);
                state.refused = None;
                Ok(header)
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), "identity gives no token");
                state.refused = Some((Instant::now(), status.clone()));
                state.usable().ok_or(status)
            }
        }
    }

    async fn ask(&self) -> Result<Token, Status> {
        let mut client = pb::token_service_client::TokenServiceClient::new(self.channel.clone());
        let answer = client
            .issue_service_token(pb::IssueServiceTokenRequest {
                client_id: self.name.to_owned(),
                client_secret: self.secret.expose().to_owned(),
            })
            .await?
            .into_inner();
        let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token))
            .map_err(|_| Status::internal("identity's token is not a header"))?;
        header.set_sensitive(true);
        let expire = answer.expire_time.unwrap_or_default().seconds;
        let life = u64::try_from(expire - Utc::now().timestamp()).unwrap_or(0);
        let (now, life) = (Instant::now(), Duration::from_secs(life));
        Ok(Token {
            header,
            renew: now + life.mul_f64(0.8),
            expire: now + life,
        })
    }
}

impl State {
    /// A token past its time of renewal is still good while identity is away.
    fn usable(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        (Instant::now() < token.expire).then(|| token.header.clone())
    }
}
