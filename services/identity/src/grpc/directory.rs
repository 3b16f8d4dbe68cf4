//! `DirectoryService`.

use std::pin::Pin;

use chassis::{Caller, RequestKey, calendar::city_date, events, page, parse::known};
use chrono::Utc;
use futures::Stream;
use proto::identity::v1::{
    self as pb, directory_service_server::DirectoryService, export_directory_response::Entry,
};
use tonic::{Code, Request, Response, Status};

use super::once;
use crate::{parse, state, state::Identity, unit};

#[tonic::async_trait]
impl DirectoryService for Identity {
    async fn get_unit(
        &self,
        request: Request<pb::GetUnitRequest>,
    ) -> Result<Response<pb::Unit>, Status> {
        let id = parse::id("id", &request.get_ref().id)?;
        let unit = unit::get(&self.db, id).await?;
        Ok(Response::new(unit.into()))
    }

    async fn list_units(
        &self,
        request: Request<pb::ListUnitsRequest>,
    ) -> Result<Response<pb::ListUnitsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, 200, 1000)?;
        let filter = unit::Filter {
            kinds: request
                .kinds
                .iter()
                .map(|kind| known("kinds", *kind))
                .collect::<Result<_, _>>()?,
            valid_on: match request.valid_on.as_str() {
                "" => Some(city_date(Utc::now())),
                "all" => None,
                date => Some(parse::date("valid_on", date)?),
            },
            after: page::after(&request.page_token)?,
            limit: size as i64 + 1,
            query: request.query,
        };
        let mut units = unit::list(&self.db, filter).await?;
        let next_page_token = page::cut(&mut units, size, |unit| {
            (unit.kind.clone(), unit.code.clone(), unit.id)
        });
        Ok(Response::new(pb::ListUnitsResponse {
            units: units.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn list_unit_changes(
        &self,
        request: Request<pb::ListUnitChangesRequest>,
    ) -> Result<Response<pb::ListUnitChangesResponse>, Status> {
        let id = parse::id("unit_id", &request.get_ref().unit_id)?;
        let changes = unit::changes(&self.db, id).await?;
        Ok(Response::new(pb::ListUnitChangesResponse { changes }))
    }

    async fn import_units(
        &self,
        request: Request<pb::ImportUnitsRequest>,
    ) -> Result<Response<pb::ImportUnitsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let request = request.into_inner();
        let key = RequestKey::new(&caller.id(), "ImportUnits", &request.request_id, &request)?;
        if !caller.scope("identity.manage_units").all {
            return Err(chassis::Refusal::new(
                Code::PermissionDenied,
                "OUTSIDE_SCOPE",
                "chỉ người quản trị toàn Thành phố được thay đổi cây đơn vị",
                "only an administrator of the whole city changes the unit tree",
            )
            .into());
        }
        let answer = once(self, key, async |tx| {
            unit::import(tx, &request, &caller.id()).await
        });
        Ok(Response::new(answer.await?))
    }

    type ExportDirectoryStream =
        Pin<Box<dyn Stream<Item = Result<pb::ExportDirectoryResponse, Status>> + Send>>;

    async fn export_directory(
        &self,
        _: Request<pb::ExportDirectoryRequest>,
    ) -> Result<Response<Self::ExportDirectoryStream>, Status> {
        // The cursor first: what is stated while the tables are read comes again through the feed, nothing is missed.
        let cursor = events::newest_cursor(&self.db)
            .await
            .map_err(chassis::internal)?;
        let entries = state::entries(&self.db).await.map_err(chassis::internal)?;
        let entries = entries
            .into_iter()
            .chain([Entry::Cursor(cursor)])
            .map(|entry| Ok(pb::ExportDirectoryResponse { entry: Some(entry) }));
        Ok(Response::new(Box::pin(futures::stream::iter(entries))))
    }
}
