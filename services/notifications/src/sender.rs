//! Sends what is in the queue, woken by the database as soon as something is put there.
//!
//! A delivery is taken with a lease, spoken through with the SMTP server, and settled. A process that dies before the
//! conversation leaves a lease that ends, and the mail goes then. One that dies after the server's 250 and before the
//! settling statement (a millisecond or two; retried while the database is away) leaves one too, and the mail goes
//! twice: SMTP has no way to ask whether a message arrived. Both carry the same Message-ID, by which many mail servers
//! and programs show it once. So: at least once, twice only after a crash in that gap.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chassis::{mesh::Mesh, telemetry};
use proto::identity::v1::{
    BatchGetContactsRequest, Contact, account_service_client::AccountServiceClient,
};
use rand::RngExt as _;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty, info_span};

use crate::{
    delivery::{self, Due, Outcome},
    mail::Post,
};

/// How long a taken delivery is left to its sender. Longer than a conversation may take.
const LEASE: Duration = Duration::from_secs(60);
/// How long a conversation may take.
const CONVERSATION: Duration = Duration::from_secs(40);
/// How long identity may take to tell addresses.
const CONTACTS: Duration = Duration::from_secs(5);
/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How long a lost wake-up delays a delivery at most.
const POLL: Duration = Duration::from_secs(30);
/// How long to wait when the database is away.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// Tries to settle what the server took; together shorter than the lease.
const SETTLING: usize = 15;

/// What the sender works with.
#[derive(Clone)]
pub struct Sender {
    pub db: PgPool,
    pub mesh: Mesh,
    pub post: Post,
    /// Conversations at once.
    pub connections: usize,
    /// The pause before the second try; each further one is twice as long.
    pub first_pause: Duration,
}

/// Sends until told to stop, then finishes the conversations under way.
pub async fn run(sender: Sender, shutdown: CancellationToken) -> anyhow::Result<()> {
    let sender = Arc::new(sender);
    let mut under_way = JoinSet::new();
    while let Err(error) = send(&sender, &mut under_way, &shutdown).await {
        tracing::warn!(%error, "the queue of mails cannot be read");
        let pause = tokio::time::sleep(DATABASE_PAUSE);
        if shutdown.run_until_cancelled(pause).await.is_none() {
            break;
        }
    }
    while under_way.join_next().await.is_some() {}
    Ok(())
}

/// Sends until told to stop, as long as the database answers. What was taken by then is under way.
async fn send(
    sender: &Arc<Sender>,
    under_way: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> sqlx::Result<()> {
    let mut wake = PgListener::connect_with(&sender.db).await?;
    wake.listen(delivery::CHANNEL).await?;
    while !shutdown.is_cancelled() {
        let free = sender.connections.saturating_sub(under_way.len());
        if free > 0 {
            let due = delivery::claim(&sender.db, free, LEASE).await?;
            start(sender, due, under_way).await;
        }
        let has_room = under_way.len() < sender.connections;
        let turn = if has_room {
            delivery::next_turn(&sender.db).await?
        } else {
            None
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            // None: the connection was lost, and perhaps a wake-up with it.
            woken = wake.try_recv() => {
                woken?;
                while wake.next_buffered().is_some() {}
            }
            Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "sending a mail failed badly, it goes again when its lease ends");
                }
            }
            () = tokio::time::sleep(turn.unwrap_or(POLL).min(POLL)) => {}
        }
    }
    Ok(())
}

/// Asks for the addresses of what was taken, and starts the conversations.
async fn start(sender: &Arc<Sender>, due: Vec<Due>, under_way: &mut JoinSet<()>) {
    let Some(first) = due.first() else {
        return;
    };
    let asking = info_span!("mail addresses");
    telemetry::follow(&asking, &first.traceparent);
    let people = due.iter().map(|due| due.person_id.to_string()).collect();
    let contacts = contacts(sender, people).instrument(asking).await;
    for due in due {
        let contact = match &contacts {
            Ok(contacts) => Ok(contacts.get(&due.person_id.to_string()).cloned()),
            Err(problem) => Err(problem.clone()),
        };
        let span = info_span!(
            "smtp send",
            otel.kind = "client",
            otel.status_code = Empty,
            delivery.id = %due.id,
            delivery.attempts = due.attempts,
        );
        telemetry::follow(&span, &due.traceparent);
        under_way.spawn(deliver(sender.clone(), due, contact).instrument(span));
    }
}

async fn contacts(
    sender: &Sender,
    person_ids: Vec<String>,
) -> Result<HashMap<String, Contact>, String> {
    let mut client = AccountServiceClient::new(sender.mesh.channel("identity"));
    let call = client.batch_get_contacts(BatchGetContactsRequest { person_ids });
    match timeout(CONTACTS, call).await {
        Ok(Ok(answer)) => Ok(answer
            .into_inner()
            .contacts
            .into_iter()
            .map(|contact| (contact.person_id.clone(), contact))
            .collect()),
        Ok(Err(status)) => Err(format!("identity answered {:?}", status.code())),
        Err(_) => Err("identity did not answer".to_owned()),
    }
}

/// One conversation, from the address to the settled row.
async fn deliver(sender: Arc<Sender>, due: Due, contact: Result<Option<Contact>, String>) {
    let pause = pause(sender.first_pause, due.attempts, rand::rng().random());
    let outcome = match contact {
        Ok(Some(contact)) if !contact.email.is_empty() => {
            timeout(CONVERSATION, sender.post.send(&due, &contact, pause))
                .await
                .unwrap_or_else(|_| Outcome::Later(pause, "the server is too slow".to_owned()))
        }
        Ok(_) => Outcome::Never("the person has no e-mail address".to_owned()),
        Err(problem) => Outcome::Later(pause, problem),
    };
    match &outcome {
        Outcome::Sent => tracing::info!(delivery.id = %due.id, "mail sent"),
        Outcome::Later(_, problem) | Outcome::Never(problem) => {
            Span::current().record("otel.status_code", "ERROR");
            tracing::warn!(delivery.id = %due.id, attempts = due.attempts, problem, "mail not sent");
        }
    }
    for _ in 0..SETTLING {
        match delivery::settle(&sender.db, &due, &outcome).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, delivery.id = %due.id, "a delivery could not be settled");
                tokio::time::sleep(DATABASE_PAUSE).await;
            }
        }
    }
}

/// The pause after so many tries: doubled each time up to an hour, a quarter more or less by chance (0 to 1).
fn pause(first: Duration, attempts: i32, chance: f64) -> Duration {
    let doublings = attempts.clamp(1, 20).unsigned_abs() - 1;
    first
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE)
        .mul_f64(0.75 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_differ() {
        let first = Duration::from_secs(5);
        assert_eq!(pause(first, 1, 0.5), first);
        assert_eq!(pause(first, 3, 0.5), first * 4);
        assert_eq!(pause(first, 100, 0.5), LONGEST_PAUSE);
        assert_eq!(pause(first, 1, 0.0), Duration::from_millis(3750));
        assert_eq!(pause(first, 1, 1.0), Duration::from_millis(6250));
    }

    #[test]
    fn a_lease_outlives_a_conversation() {
        assert!(LEASE > CONVERSATION + CONTACTS);
    }
}
