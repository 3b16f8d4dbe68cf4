use chassis::{
    Caller, Claimed, RequestKey,
    events::{self, Fact},
    page,
};
use proto::indicators::v1::{self as pb, target_service_server::TargetService};
use sqlx::PgConnection;
use tonic::{Request, Response, Status};

use super::Grpc;
use crate::{
    catalogue::Catalogue,
    duty,
    error::Error,
    parse,
    reach::Reach,
    target::{self, Target},
};

#[tonic::async_trait]
impl TargetService for Grpc {
    async fn list_targets(
        &self,
        request: Request<pb::ListTargetsRequest>,
    ) -> Result<Response<pb::ListTargetsResponse>, Status> {
        let scope = Caller::of(&request)?.scope("indicators.read");
        let reach = Reach::of(&self.base.db, scope).await?;
        let request = request.get_ref();
        let size = page::size(request.page_size, 200, 2000)?;
        let after = page::after(&request.page_token)?;
        let mut targets =
            target::list(&self.base.db, &reach, request, after, size as i64 + 1).await?;
        let next_page_token = page::cut(&mut targets, size, |last| {
            (
                last.indicator_id,
                last.unit_id,
                last.period.clone(),
                last.id,
            )
        });
        Ok(Response::new(pb::ListTargetsResponse {
            targets: targets.iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn set_target(
        &self,
        request: Request<pb::SetTargetRequest>,
    ) -> Result<Response<pb::Target>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let message = request
            .target
            .as_ref()
            .ok_or_else(|| Error::invalid("target", "phải có", "must be given"))?;
        let ids = std::iter::once(message.indicator_id.as_str());
        let catalogue = Catalogue::read(&self.base.db, ids).await?;
        let target = Target::read(caller, &self.base.directory, &catalogue, message)
            .map_err(|error| error.within("target"))?;

        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(&caller.id(), "SetTarget", &request.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let targets = std::slice::from_ref(&target);
        let changed = self.set(&mut tx, targets, &catalogue, &caller.id()).await?;
        let target = target::get_like(&mut *tx, &target).await?;
        target.demand_set_over(&request.etag, changed > 0)?;
        let answer = pb::Target::from(&target);
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    async fn import_targets(
        &self,
        request: Request<pb::ImportTargetsRequest>,
    ) -> Result<Response<pb::ImportTargetsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.get_ref();
        let catalogue = self.read_catalogue(request).await?;
        let units = request.targets.iter().map(|target| target.unit_id.as_str());
        parse::await_units(&self.base.directory, units).await;
        let targets = read_all(caller, &self.base.directory, &catalogue, request)?;

        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        let key = RequestKey::new(&caller.id(), "ImportTargets", &request.request_id, request)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let added = self
            .set(&mut tx, &targets, &catalogue, &caller.id())
            .await?;
        let answer = pb::ImportTargetsResponse {
            added: i32::try_from(added).unwrap_or(i32::MAX),
        };
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }
}

impl Grpc {
    async fn read_catalogue(&self, request: &pb::ImportTargetsRequest) -> Result<Catalogue, Error> {
        if request.targets.is_empty() || request.targets.len() > 2000 {
            return Err(Error::invalid(
                "targets",
                "phải có từ 1 đến 2.000 chỉ tiêu kế hoạch",
                "must be 1 to 2,000 targets",
            ));
        }
        let ids = request
            .targets
            .iter()
            .map(|target| target.indicator_id.as_str());
        Catalogue::read(&self.base.db, ids).await
    }

    /// Sets targets, begins the duties that follow from them, and states the facts; answers how many changed.
    async fn set(
        &self,
        tx: &mut PgConnection,
        targets: &[Target],
        catalogue: &Catalogue,
        actor: &str,
    ) -> Result<usize, Error> {
        let changed = target::set(tx, targets, actor).await?;
        let duties = target::duties(&changed, catalogue);
        duty::begin(tx, &self.base.directory, &duties).await?;
        let facts: Vec<pb::TargetSet> = changed
            .iter()
            .map(|target| pb::TargetSet {
                target: Some(target.into()),
            })
            .collect();
        let facts = changed.iter().zip(&facts).filter_map(|(target, message)| {
            let indicator = catalogue.of(target.indicator_id)?;
            let responsible = indicator.responsible(target.unit_id, target.by_owner);
            Some(Fact {
                subject: super::series(target.indicator_id, target.unit_id),
                unit_ids: super::units(target.unit_id, responsible),
                field_code: Some(indicator.field_code.clone()),
                actor: actor.to_owned(),
                message,
            })
        });
        events::publish_all(tx, facts).await?;
        Ok(changed.len())
    }
}

fn read_all(
    caller: &Caller,
    directory: &chassis::Directory,
    catalogue: &Catalogue,
    request: &pb::ImportTargetsRequest,
) -> Result<Vec<Target>, Error> {
    let mut seen = std::collections::HashSet::new();
    let mut targets = Vec::with_capacity(request.targets.len());
    for (at, message) in request.targets.iter().enumerate() {
        let target = Target::read(caller, directory, catalogue, message)
            .map_err(|error| error.of_entry("targets", at))?;
        let key = (
            target.indicator_id,
            target.unit_id,
            target.period.clone(),
            message.author,
            message.kind,
        );
        if !seen.insert(key) {
            let repeated = Error::invalid("period", "bị lặp lại", "is repeated");
            return Err(repeated.of_entry("targets", at));
        }
        targets.push(target);
    }
    Ok(targets)
}
