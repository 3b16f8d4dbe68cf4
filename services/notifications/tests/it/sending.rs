use explanations::ThreadEntryKind::Request as Asked;

use tokio::net::TcpStream;

use super::{identity::address, *};

/// The header of a mail, unfolded.
fn header(mail: &str, name: &str) -> String {
    let unfolded = mail.replace("\n ", " ");
    let prefix = format!("{name}: ");
    let line = unfolded.lines().find(|line| line.starts_with(&prefix));
    line.unwrap().strip_prefix(&prefix).unwrap().to_owned()
}

#[sqlx::test]
async fn each_of_the_unit_gets_one_mail_at_once(db: PgPool) {
    let world = world(db).await;
    let to = address(&world.head);
    // By now the service follows the feeds.
    world.step(Asked, &world.leader).await;
    world.delivery(&world.head, pb::DeliveryState::Sent).await;

    let stated = Instant::now();
    let id = world.step(Asked, &world.leader).await;
    let mail = until(async || world.mailbox.mails_to(&to).get(1).cloned()).await;
    let delay = mail.taken.duration_since(stated);
    eprintln!("from the commit to the server's 250: {delay:?}");
    assert!(delay < Duration::from_secs(2));

    assert!(header(&mail.data, "From").contains("<no-reply@city.example>"));
    assert!(header(&mail.data, "To").contains(&to));
    assert_eq!(header(&mail.data, "Auto-Submitted"), "auto-generated");
    assert!(header(&mail.data, "Content-Type").starts_with("multipart/alternative"));
    // Quoted-printable breaks long lines.
    let link = format!("http://localhost:8080/explanations/{id}");
    assert!(mail.data.replace("=\n", "").contains(&link));

    until(async || (world.facts::<pb::DeliveryChanged>().await.len() == 4).then_some(())).await;
    let delivery = world.delivery(&world.head, pb::DeliveryState::Sent).await;
    assert_eq!(delivery.attempts, 1);
    assert!(delivery.send_time.is_some() && delivery.next_attempt_time.is_none());
    let message_id = header(&mail.data, "Message-ID");
    assert_eq!(message_id, format!("<{}@city.example>", delivery.id));
    // The unit's people and nobody else.
    let mut people: Vec<_> = world
        .mailbox
        .mails()
        .into_iter()
        .map(|mail| mail.to)
        .collect();
    people.sort();
    people.dedup();
    let mut expected = [to, address(&world.deputy)];
    expected.sort();
    assert_eq!(people, expected);
}

#[sqlx::test]
async fn a_second_replica_and_a_restart_send_nothing_twice(db: PgPool) {
    let mut world = world(db).await;
    let second = start(&world.db, &world.directory, &world.config).await;
    for _ in 0..3 {
        world.step(Asked, &world.leader).await;
    }
    until(async || (world.mailbox.mails().len() == 6).then_some(())).await;
    second.stop().await.unwrap();
    let restarted = start(&world.db, &world.directory, &world.config).await;
    std::mem::replace(&mut world.replica, restarted)
        .stop()
        .await
        .unwrap();
    // The feed is read from its beginning again, as after a lost cursor.
    sqlx::query("UPDATE chassis.consumer SET cursor = NULL, holder = NULL, lease_end_time = now()")
        .execute(&world.db)
        .await
        .unwrap();
    let id = world.step(Asked, &world.leader).await;
    let notices = world.notices_of(&world.head, 4).await;
    assert_eq!(notices[0].path, format!("/explanations/{id}"));
    until(async || (world.mailbox.mails().len() >= 8).then_some(())).await;
    world.delivery(&world.head, pb::DeliveryState::Sent).await;
    world.delivery(&world.deputy, pb::DeliveryState::Sent).await;
    assert_eq!(world.mailbox.mails().len(), 8);
    assert_eq!(world.notices(&world.head).await.len(), 4);
}

#[sqlx::test]
async fn a_passing_refusal_is_tried_again(db: PgPool) {
    let world = world(db).await;
    let to = address(&world.deputy);
    let greylisted = format!("451 4.7.1 <{to}> greylisted");
    world.mailbox.answer(&to, &[&greylisted, &greylisted]);
    world.step(Asked, &world.leader).await;
    let delivery = world.delivery(&world.deputy, pb::DeliveryState::Sent).await;
    assert_eq!((delivery.attempts, delivery.last_error.as_str()), (3, ""));
    assert_eq!(world.mailbox.mails_to(&to).len(), 1);
    // One refusal holds nobody else up.
    assert_eq!(
        world
            .delivery(&world.head, pb::DeliveryState::Sent)
            .await
            .attempts,
        1
    );
}

#[sqlx::test]
async fn a_mail_is_given_up_after_twelve_tries(db: PgPool) {
    let world = world(db).await;
    let to = address(&world.deputy);
    world.mailbox.answer(&to, &["421 busy"; 12]);
    // So that the tries do not take an hour.
    let hurry = tokio::spawn(hurry(world.db.clone()));
    world.step(Asked, &world.leader).await;
    let delivery = world
        .delivery(&world.deputy, pb::DeliveryState::Parked)
        .await;
    hurry.abort();
    assert_eq!(delivery.attempts, 12);
    assert!(
        delivery.last_error.contains("busy"),
        "{}",
        delivery.last_error
    );
    assert_eq!(world.mailbox.mails_to(&to).len(), 0);
}

/// Brings every next try forward.
async fn hurry(db: PgPool) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        sqlx::query("UPDATE delivery SET next_attempt_time = now() WHERE state = 'WAITING'")
            .execute(&db)
            .await
            .unwrap();
        sqlx::query("SELECT pg_notify('notifications_delivery', '')")
            .execute(&db)
            .await
            .unwrap();
    }
}

#[sqlx::test]
async fn a_lost_answer_repeats_the_same_message(db: PgPool) {
    let world = world(db).await;
    world.mailbox.cut(1);
    world.step(Asked, &world.leader).await;
    world.delivery(&world.head, pb::DeliveryState::Sent).await;
    world.delivery(&world.deputy, pb::DeliveryState::Sent).await;
    let mails = world.mailbox.mails();
    assert_eq!(mails.len(), 3);
    let mut ids: Vec<_> = mails
        .iter()
        .map(|mail| header(&mail.data, "Message-ID"))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[sqlx::test]
async fn what_a_dead_sender_left_is_sent_when_its_lease_ends(db: PgPool) {
    let world = world(db).await;
    world.mailbox.answer(&address(&world.head), &["550 no"]);
    world.step(Asked, &world.leader).await;
    let parked = world.delivery(&world.head, pb::DeliveryState::Parked).await;
    // As a process leaves it that was killed during the conversation, a minute ago.
    sqlx::query("UPDATE delivery SET state = 'SENDING', next_attempt_time = now() WHERE id = $1")
        .bind(parked.id.parse::<Uuid>().unwrap())
        .execute(&world.db)
        .await
        .unwrap();
    let restarted = start(&world.db, &world.directory, &world.config).await;
    world.delivery(&world.head, pb::DeliveryState::Sent).await;
    assert_eq!(world.mailbox.mails_to(&address(&world.head)).len(), 1);
    restarted.stop().await.unwrap();
}

#[sqlx::test]
async fn a_replica_that_is_replaced_finishes_its_mail(db: PgPool) {
    let mut world = world(db).await;
    world.config.mail_connections = 1;
    let old = start(&world.db, &world.directory, &world.config).await;
    std::mem::replace(&mut world.replica, old)
        .stop()
        .await
        .unwrap();
    // The mail server takes its time: each replica holds one conversation.
    world.mailbox.hold(true);
    world.step(Asked, &world.leader).await;
    until(async || (world.mailbox.mails().len() == 1).then_some(())).await;
    let new = start(&world.db, &world.directory, &world.config).await;
    let old = std::mem::replace(&mut world.replica, new);
    until(async || (world.mailbox.mails().len() == 2).then_some(())).await;

    let address = old.running.address;
    let stopping = tokio::spawn(old.stop());
    // Its door is closed: only the conversation holds it up.
    until(async || TcpStream::connect(address).await.err()).await;
    assert!(!stopping.is_finished());
    world.mailbox.hold(false);
    stopping.await.unwrap().unwrap();
    for person in [&world.head, &world.deputy] {
        let delivery = world.delivery(person, pb::DeliveryState::Sent).await;
        assert_eq!(delivery.attempts, 1);
        assert_eq!(
            world
                .mailbox
                .mails_to(&super::identity::address(person))
                .len(),
            1
        );
    }
}

#[sqlx::test]
async fn without_a_mail_server_notices_stay_in_the_console(db: PgPool) {
    let world = world_with(db, false).await;
    world.step(Asked, &world.leader).await;
    world.notices_of(&world.head, 1).await;
    assert_eq!(world.deliveries().await, []);
    assert_eq!(world.mailbox.conversations(), 0);
}
