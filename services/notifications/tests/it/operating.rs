use explanations::ThreadEntryKind::Request as Asked;

use super::{identity::address, *};

fn retry(id: &str) -> pb::RetryDeliveryRequest {
    pb::RetryDeliveryRequest {
        request_id: Uuid::now_v7().to_string(),
        id: id.to_owned(),
    }
}

#[sqlx::test]
async fn a_refused_mail_is_parked_and_tried_again_by_hand(db: PgPool) {
    let world = world(db).await;
    let to = address(&world.deputy);
    world
        .mailbox
        .answer(&to, &[&format!("550 5.1.1 <{to}> user unknown")]);
    world.step(Asked, &world.leader).await;
    let parked = world
        .delivery(&world.deputy, pb::DeliveryState::Parked)
        .await;
    assert_eq!(parked.attempts, 1);
    assert!(parked.next_attempt_time.is_none() && parked.send_time.is_none());
    // Operators see the server's answer, but no address.
    assert!(
        parked.last_error.contains("user unknown"),
        "{}",
        parked.last_error
    );
    assert!(!parked.last_error.contains(&to));

    let mut client = world.client();
    let request = retry(&parked.id);
    let first = client
        .retry_delivery(by(&world.operator, request.clone()))
        .await
        .unwrap();
    assert_eq!(first.get_ref().state(), pb::DeliveryState::Waiting);
    world.delivery(&world.deputy, pb::DeliveryState::Sent).await;
    let again = client
        .retry_delivery(by(&world.operator, request))
        .await
        .unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    assert_eq!(world.mailbox.mails_to(&to).len(), 1);

    let late = client
        .retry_delivery(by(&world.operator, retry(&parked.id)))
        .await;
    assert_eq!(
        told(&late.unwrap_err()),
        refused(Code::FailedPrecondition, "NOT_PARKED")
    );
    let states: Vec<_> = world
        .facts::<pb::DeliveryChanged>()
        .await
        .into_iter()
        .filter_map(|changed| changed.delivery)
        .filter(|delivery| delivery.id == parked.id)
        .map(|delivery| delivery.state())
        .collect();
    assert_eq!(
        states,
        [
            pb::DeliveryState::Parked,
            pb::DeliveryState::Waiting,
            pb::DeliveryState::Sent
        ]
    );
}

#[sqlx::test]
async fn deliveries_are_paged_and_for_operators_only(db: PgPool) {
    let world = world(db).await;
    world.step(Asked, &world.leader).await;
    world.delivery(&world.head, pb::DeliveryState::Sent).await;
    world.delivery(&world.deputy, pb::DeliveryState::Sent).await;
    let mut client = world.client();
    let mut request = pb::ListDeliveriesRequest {
        page_size: 1,
        state: pb::DeliveryState::Sent.into(),
        ..Default::default()
    };
    let first = client
        .list_deliveries(by(&world.operator, request.clone()))
        .await
        .unwrap();
    let first = first.into_inner();
    request.page_token = first.next_page_token;
    let second = client
        .list_deliveries(by(&world.operator, request.clone()))
        .await
        .unwrap();
    let second = second.into_inner();
    assert_eq!(second.next_page_token, "");
    assert_ne!(first.deliveries[0].id, second.deliveries[0].id);

    request.state = pb::DeliveryState::Parked.into();
    request.page_token.clear();
    let parked = client
        .list_deliveries(by(&world.operator, request.clone()))
        .await
        .unwrap();
    assert_eq!(parked.into_inner().deliveries, []);
    request.state = 99;
    let status = client
        .list_deliveries(by(&world.operator, request))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::InvalidArgument, "INVALID_FIELD")
    );

    let request = by(&world.head, pb::ListDeliveriesRequest::default());
    let status = client.list_deliveries(request).await.unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "PERMISSION_MISSING")
    );
    let unknown = retry(&Uuid::now_v7().to_string());
    let status = client
        .retry_delivery(by(&world.operator, unknown))
        .await
        .unwrap_err();
    assert_eq!(told(&status), refused(Code::NotFound, "NOT_FOUND"));
}
