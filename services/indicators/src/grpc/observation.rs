use chassis::{
    Caller, Claimed, RequestKey,
    events::{self, Fact},
    page,
};
use proto::indicators::v1::{self as pb, observation_service_server::ObservationService};
use sqlx::PgConnection;
use tonic::{Request, Response, Status};

use super::Grpc;
use crate::{
    catalogue::Catalogue,
    error::Error,
    observation::{self, Filter, Observation, Record},
    parse,
    reach::Reach,
};

#[tonic::async_trait]
impl ObservationService for Grpc {
    async fn list_observations(
        &self,
        request: Request<pb::ListObservationsRequest>,
    ) -> Result<Response<pb::ListObservationsResponse>, Status> {
        let scope = Caller::of(&request)?.scope("indicators.read");
        let reach = Reach::of(&self.base.db, scope).await?;
        let request = request.get_ref();
        let size = page::size(request.page_size, 500, 5000)?;
        let after = page::after(&request.page_token)?;
        let filter = Filter::read(request)?;
        let (db, limit) = (&self.base.db, size as i64 + 1);
        let mut observations = if request.every_version {
            observation::list_all(db, &reach, &filter, after, limit).await?
        } else {
            observation::list_best(db, &reach, &filter, after, limit).await?
        };
        let next_page_token = page::cut(&mut observations, size, |last| {
            (
                last.indicator_id,
                last.unit_id,
                last.period_index,
                last.known_time,
                last.id,
            )
        });
        Ok(Response::new(pb::ListObservationsResponse {
            observations: observations.iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn import_observations(
        &self,
        request: Request<pb::ImportObservationsRequest>,
    ) -> Result<Response<pb::ImportObservationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let catalogue = self.catalogue_of(request).await?;
        let units = request
            .observations
            .iter()
            .map(|figure| figure.unit_id.as_str());
        parse::await_units(&self.base.directory, units).await;
        let records = request
            .observations
            .iter()
            .enumerate()
            .map(|(at, message)| {
                Record::read(caller, &self.base.directory, &catalogue, message)
                    .map_err(|error| error.of_entry("observations", at))
            });
        let records: Vec<Record> = records.collect::<Result<_, _>>()?;

        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(
            &caller.id(),
            "ImportObservations",
            &request.request_id,
            request,
        )?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let added =
            observation::record(&mut tx, &self.base.directory, &records, &caller.id()).await?;
        publish(&mut tx, &added, &records, &catalogue, &caller.id()).await?;
        let answer = pb::ImportObservationsResponse {
            added: i32::try_from(added.len()).unwrap_or(i32::MAX),
        };
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }
}

impl Grpc {
    async fn catalogue_of(
        &self,
        request: &pb::ImportObservationsRequest,
    ) -> Result<Catalogue, Error> {
        if request.observations.is_empty() || request.observations.len() > 5000 {
            return Err(Error::invalid(
                "observations",
                "phải có từ 1 đến 5.000 số liệu",
                "must be 1 to 5,000 figures",
            ));
        }
        let ids = request
            .observations
            .iter()
            .map(|figure| figure.indicator_id.as_str());
        Catalogue::read(&self.base.db, ids).await
    }
}

/// States that figures were recorded.
pub(super) async fn publish(
    tx: &mut PgConnection,
    added: &[Observation],
    records: &[Record],
    catalogue: &Catalogue,
    actor: &str,
) -> Result<(), Error> {
    let by_owner: std::collections::HashMap<_, _> = records
        .iter()
        .map(|record| (record.observation.id, record.by_owner))
        .collect();
    let facts: Vec<pb::ObservationRecorded> = added
        .iter()
        .map(|observation| pb::ObservationRecorded {
            observation: Some(observation.into()),
        })
        .collect();
    let facts = added.iter().zip(&facts).filter_map(|(figure, message)| {
        let indicator = catalogue.of(figure.indicator_id)?;
        let by_owner = by_owner.get(&figure.id).copied().unwrap_or_default();
        Some(Fact {
            subject: super::series(figure.indicator_id, figure.unit_id),
            unit_ids: super::units(
                figure.unit_id,
                indicator.responsible(figure.unit_id, by_owner),
            ),
            field_code: Some(indicator.field_code.clone()),
            actor: actor.to_owned(),
            message,
        })
    });
    events::publish_all(tx, facts).await?;
    Ok(())
}
