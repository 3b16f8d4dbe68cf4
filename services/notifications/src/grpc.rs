//! The contract's service: parse, call, convert.

use chassis::{Base, Caller, Claimed, Refusal, RequestKey, page, parse::known};
use proto::notifications::v1::{self as pb, notification_service_server::NotificationService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    delivery::{self, State},
    error::{Error, not_a_person, not_parked},
    notification,
};

/// The permission of operators.
const OPERATE: &str = "notifications.operate";

/// The service over its database.
#[derive(Clone)]
pub struct Grpc {
    pub base: Base,
}

fn parse_id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::parse_str(text).map_err(|_| Refusal::invalid("id", "phải là một UUID", "must be a UUID"))
}

/// The state to filter by; none for all.
fn parse_state(number: i32) -> Result<Option<State>, Refusal> {
    Ok(match known("state", number)? {
        pb::DeliveryState::Unspecified => None,
        pb::DeliveryState::Waiting => Some(State::Waiting),
        pb::DeliveryState::Sent => Some(State::Sent),
        pb::DeliveryState::Parked => Some(State::Parked),
    })
}

#[tonic::async_trait]
impl NotificationService for Grpc {
    async fn list_my_notifications(
        &self,
        request: Request<pb::ListMyNotificationsRequest>,
    ) -> Result<Response<pb::ListMyNotificationsResponse>, Status> {
        let person = Caller::of(&request)?.person().ok_or_else(not_a_person)?;
        let message = request.get_ref();
        let size = page::size(message.page_size, 50, 200)?;
        let after = page::after(&message.page_token)?;
        let db = &self.base.db;
        let mut rows = notification::list(db, person, message.unread_only, after, size + 1).await?;
        let next_page_token = page::cut(&mut rows, size, |row| (row.create_time, row.id));
        Ok(Response::new(pb::ListMyNotificationsResponse {
            notifications: rows.into_iter().map(Into::into).collect(),
            next_page_token,
            unread: notification::unread(db, person).await?,
        }))
    }

    async fn mark_notifications_read(
        &self,
        request: Request<pb::MarkNotificationsReadRequest>,
    ) -> Result<Response<pb::MarkNotificationsReadResponse>, Status> {
        let person = Caller::of(&request)?.person().ok_or_else(not_a_person)?;
        let id = parse_id(&request.get_ref().id)?;
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        if !notification::mark_read(&mut tx, person, id).await? {
            return Err(Refusal::not_found("notification", id.to_string()).into());
        }
        let unread = notification::unread(&mut *tx, person).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(pb::MarkNotificationsReadResponse { unread }))
    }

    async fn list_deliveries(
        &self,
        request: Request<pb::ListDeliveriesRequest>,
    ) -> Result<Response<pb::ListDeliveriesResponse>, Status> {
        let scope = Caller::of(&request)?.scope(OPERATE);
        let message = request.get_ref();
        let size = page::size(message.page_size, 50, 200)?;
        let after = page::after(&message.page_token)?;
        let state = parse_state(message.state)?;
        let mut rows = delivery::list(&self.base.db, &scope, state, after, size + 1).await?;
        let next_page_token = page::cut(&mut rows, size, |row| (row.create_time, row.id));
        Ok(Response::new(pb::ListDeliveriesResponse {
            deliveries: rows.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn retry_delivery(
        &self,
        request: Request<pb::RetryDeliveryRequest>,
    ) -> Result<Response<pb::Delivery>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = RequestKey::new(&caller.id(), "RetryDelivery", &message.request_id, message)?;
        let scope = caller.scope(OPERATE);
        let id = parse_id(&message.id)?;
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let unknown = || Refusal::not_found("delivery", id.to_string());
        delivery::get(&mut *tx, &scope, id)
            .await?
            .ok_or_else(unknown)?;
        if !delivery::retry(&mut tx, id).await? {
            return Err(Error::from(not_parked()).into());
        }
        let delivery = delivery::get(&mut *tx, &scope, id)
            .await?
            .ok_or_else(unknown)?;
        let answer = delivery::publish(&mut tx, delivery, &caller.id())
            .await
            .map_err(Error::from)?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }
}
