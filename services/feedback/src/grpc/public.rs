//! What people do, without an account.

use bytes::Bytes;
use chassis::{Claimed, RequestKey, calendar::Holidays};
use proto::feedback::v1::{self as pb, public_feedback_service_server::PublicFeedbackService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, parse_id};
use crate::{
    category,
    error::Error,
    feedback::{self, Filing},
    photo, text,
};

/// Who writes without an account.
const CITIZEN: &str = "citizen";

#[tonic::async_trait]
impl PublicFeedbackService for Grpc {
    async fn file_feedback(
        &self,
        request: Request<pb::FileFeedbackRequest>,
    ) -> Result<Response<pb::FileFeedbackResponse>, Status> {
        Ok(Response::new(self.file(request.into_inner()).await?))
    }

    async fn upload_photo(
        &self,
        request: Request<pb::UploadPhotoRequest>,
    ) -> Result<Response<pb::Photo>, Status> {
        Ok(Response::new(self.upload(request.into_inner()).await?))
    }

    async fn track_feedback(
        &self,
        request: Request<pb::TrackFeedbackRequest>,
    ) -> Result<Response<pb::TrackedFeedback>, Status> {
        let code = text::read_tracking_code(&request.get_ref().tracking_code);
        let mut db = self.base.db.acquire().await.map_err(Error::from)?;
        let item = feedback::track(&mut *db, &code).await?;
        Ok(Response::new(self.tracked(&mut db, item).await?))
    }

    async fn rate_feedback(
        &self,
        request: Request<pb::RateFeedbackRequest>,
    ) -> Result<Response<pb::TrackedFeedback>, Status> {
        Ok(Response::new(self.rate(request.into_inner()).await?))
    }

    async fn list_categories(
        &self,
        _: Request<pb::ListCategoriesRequest>,
    ) -> Result<Response<pb::ListCategoriesResponse>, Status> {
        let categories = category::list(&self.base.db)
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        Ok(Response::new(pb::ListCategoriesResponse { categories }))
    }

    async fn locate_point(
        &self,
        request: Request<pb::LocatePointRequest>,
    ) -> Result<Response<pb::LocatePointResponse>, Status> {
        let id = self.locate(request.get_ref().point.as_ref())?;
        let unit = self.base.directory.unit(id);
        let (name_vi, name_en) = unit
            .map(|unit| (unit.name_vi.clone(), unit.name_en.clone()))
            .unwrap_or_default();
        Ok(Response::new(pb::LocatePointResponse {
            unit_id: id.to_string(),
            name_vi,
            name_en,
        }))
    }
}

impl Grpc {
    fn locate(&self, point: Option<&pb::Point>) -> Result<Uuid, Error> {
        point
            .and_then(|point| self.places.locate(point.longitude, point.latitude))
            .ok_or_else(|| {
                Error::invalid(
                    "point",
                    "vị trí nằm ngoài địa bàn thành phố, hãy chọn lại trên bản đồ",
                    "the point lies outside the city, choose it again on the map",
                )
            })
    }

    async fn file(
        &self,
        request: pb::FileFeedbackRequest,
    ) -> Result<pb::FileFeedbackResponse, Error> {
        let key = RequestKey::new(CITIZEN, "FileFeedback", &request.request_id, &request)?;
        let title = text::line("title", &request.title, 5, 120)?;
        let body = text::passage("body", &request.body, 10, 4000)?;
        let address = text::line("address", &request.address, 0, 200)?;
        let category_code = text::line("category_code", &request.category_code, 0, 100)?;
        let contact = contact(request.contact.unwrap_or_default())?;
        let place_unit_id = self.locate(request.point.as_ref())?;
        if request.photo_ids.len() > 5 {
            return Err(Error::invalid(
                "photo_ids",
                "tối đa 5 ảnh",
                "5 photos at most",
            ));
        }
        let photos = request
            .photo_ids
            .iter()
            .map(|id| parse_id("photo_ids", id))
            .collect::<Result<Vec<_>, _>>()?;

        let mut tx = self.base.db.begin().await?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(answer);
        }
        let category = category::get(&mut *tx, &category_code).await?;
        let holidays = Holidays::read(&mut *tx).await?;
        let now = feedback::now(&mut *tx).await?;
        let point = request.point.unwrap_or_default();
        let filing = Filing {
            title,
            body,
            longitude: point.longitude,
            latitude: point.latitude,
            address,
            place_unit_id,
            contact,
            answer_deadline: holidays
                .after_working_days(now, category.answer_working_days.cast_unsigned()),
        };
        let item = feedback::file(&mut tx, &category, filing).await?;
        photo::attach(&mut tx, item.id, &photos).await?;
        let tracking_code = item.tracking_code.clone();
        let tracked = self.tracked(&mut tx, item).await?;
        let answer = pb::FileFeedbackResponse {
            tracking_code,
            feedback: Some(tracked),
        };
        key.keep(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    }

    async fn upload(&self, request: pb::UploadPhotoRequest) -> Result<pb::Photo, Error> {
        let key = RequestKey::new(CITIZEN, "UploadPhoto", &request.request_id, &request)?;
        let (content_type, content) = photo::clean(Bytes::from(request.content))?;
        let photo = photo::Photo {
            id: Uuid::now_v7(),
            content_type: content_type.to_owned(),
            size: i64::try_from(content.len()).unwrap_or(i64::MAX),
        };
        photo::announce(&self.base.db, &photo).await?;
        self.objects.put(&photo::key(photo.id), content).await?;
        let mut tx = self.base.db.begin().await?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(answer); // the copy is deleted as unused
        }
        photo::mark_stored(&mut tx, photo.id).await?;
        let answer: pb::Photo = photo.into();
        key.keep(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    }

    async fn rate(&self, request: pb::RateFeedbackRequest) -> Result<pb::TrackedFeedback, Error> {
        let key = RequestKey::new(CITIZEN, "RateFeedback", &request.request_id, &request)?;
        if !(1..=5).contains(&request.rating) {
            return Err(Error::invalid(
                "rating",
                "phải từ 1 đến 5",
                "must be 1 to 5",
            ));
        }
        let comment = text::passage("comment", &request.comment, 0, 1000)?;
        let code = text::read_tracking_code(&request.tracking_code);
        let mut tx = self.base.db.begin().await?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(answer);
        }
        let item = feedback::track(&mut *tx, &code).await?;
        let item = feedback::rate(&mut tx, &item, request.rating, comment).await?;
        let answer = self.tracked(&mut tx, item).await?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    }
}

fn contact(contact: pb::Contact) -> Result<pb::Contact, Error> {
    let email = text::line("contact.email", &contact.email, 0, 254)?;
    if !email.is_empty() && !email.contains('@') {
        return Err(Error::invalid(
            "contact.email",
            "không phải địa chỉ thư điện tử",
            "is no e-mail address",
        ));
    }
    let phone = text::line("contact.phone", &contact.phone, 0, 20)?;
    if !phone
        .chars()
        .all(|letter| letter.is_ascii_digit() || "+ .-()".contains(letter))
    {
        return Err(Error::invalid(
            "contact.phone",
            "không phải số điện thoại",
            "is no phone number",
        ));
    }
    Ok(pb::Contact {
        name: text::line("contact.name", &contact.name, 0, 100)?,
        phone,
        email,
    })
}
