//! The contract's service: parse, call, convert.

use std::collections::BTreeSet;

use bytes::Bytes;
use chassis::{
    Base, Caller, Claimed, Refusal, RequestKey, calendar::Holidays, objects::Objects, page,
};
use proto::{
    explanations::v1::{self as pb, explanation_service_server::ExplanationService},
    google::api::HttpBody,
};
use tonic::{Request, Response, Status};

use crate::{
    attachment::{self, Document},
    create::{self, Question},
    deadline,
    error::{Error, not_a_person},
    explanation::{self, Explanation, Filter, Viewer},
    life::Obstacle,
    parse, seen,
    step::{self, Act},
    thread,
};

/// Documents of one answer at most.
const MOST_ATTACHMENTS: usize = 10;

/// The service over its database, objects and the rest of the mesh.
#[derive(Clone)]
pub struct Grpc {
    pub base: Base,
    pub objects: Objects,
}

impl Grpc {
    /// One step of a request, from the parsed call to the answer.
    async fn step(
        &self,
        caller: &Caller,
        key: RequestKey,
        id: &str,
        etag: &str,
        act: Act,
    ) -> Result<Response<pb::Explanation>, Status> {
        let target = (parse::id("id", id)?, parse::etag(etag)?);
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer));
        }
        let answer = step::take(&mut tx, caller, &self.base.directory, target, act).await?;
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    async fn find(&self, viewer: &Viewer, id: uuid::Uuid) -> Result<Explanation, Error> {
        let found = explanation::get(&self.base.db, viewer, id).await?;
        Ok(found.ok_or_else(|| Refusal::not_found("explanation", id.to_string()))?)
    }
}

macro_rules! key {
    ($caller:expr, $method:literal, $message:expr) => {
        RequestKey::new(&$caller.id(), $method, &$message.request_id, $message)?
    };
}

#[tonic::async_trait]
impl ExplanationService for Grpc {
    async fn create_explanation(
        &self,
        request: Request<pb::CreateExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "CreateExplanation", message);
        let question = Question {
            indicator_id: parse::id("indicator_id", &message.indicator_id)?,
            subject_unit_id: parse::id("subject_unit_id", &message.subject_unit_id)?,
            unit_id: parse::optional_id("unit_id", &message.unit_id)?,
            deadline: parse::time("deadline", message.deadline)?,
            message: parse::text("message", &message.message)?,
        };
        let answer = create::ask(&self.base, caller, key, question).await?;
        Ok(Response::new(answer))
    }

    async fn get_explanation(
        &self,
        request: Request<pb::GetExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let caller = Caller::of(&request)?;
        let viewer = Viewer::new(caller, &[]);
        let id = parse::id("id", &request.get_ref().id)?;
        let mut explanation = self.find(&viewer, id).await?;
        if seen::mark(&self.base, caller, &explanation).await? {
            explanation = self.find(&viewer, id).await?;
        }
        let mut connection = self.base.db.acquire().await.map_err(Error::from)?;
        let thread = thread::list(&mut connection, id).await?;
        Ok(Response::new(explanation.to_whole(thread)?))
    }

    async fn list_explanations(
        &self,
        request: Request<pb::ListExplanationsRequest>,
    ) -> Result<Response<pb::ListExplanationsResponse>, Status> {
        let viewer = Viewer::new(Caller::of(&request)?, &[]);
        let message = request.get_ref();
        let size = page::size(message.page_size, 50, 200)?;
        let after = page::after(&message.page_token)?;
        let filter = Filter {
            open_only: message.open_only,
            unit_id: parse::optional_id("unit_id", &message.unit_id)?,
            indicator_id: parse::optional_id("indicator_id", &message.indicator_id)?,
        };
        let mut rows = explanation::list(&self.base.db, &viewer, filter, after, size + 1).await?;
        let next_page_token = page::cut(&mut rows, size, Explanation::key);
        Ok(Response::new(pb::ListExplanationsResponse {
            explanations: rows
                .iter()
                .map(|row| row.to_whole(Vec::new()))
                .collect::<Result<_, _>>()?,
            next_page_token,
        }))
    }

    async fn list_deadlines(
        &self,
        _: Request<pb::ListDeadlinesRequest>,
    ) -> Result<Response<pb::ListDeadlinesResponse>, Status> {
        let now = explanation::now(&self.base.db).await?;
        let holidays = Holidays::read(&self.base.db).await.map_err(Error::from)?;
        let deadlines = deadline::PROPOSED.map(|days| pb::Deadline {
            working_days: days.cast_signed(),
            deadline: Some(parse::timestamp(holidays.after_working_days(now, days))),
        });
        Ok(Response::new(pb::ListDeadlinesResponse {
            deadlines: deadlines.into(),
        }))
    }

    async fn answer_explanation(
        &self,
        request: Request<pb::AnswerExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "AnswerExplanation", message);
        if message.attachment_ids.len() > MOST_ATTACHMENTS {
            return Err(Refusal::invalid(
                "attachment_ids",
                format!("nhiều nhất {MOST_ATTACHMENTS} tài liệu"),
                format!("must be at most {MOST_ATTACHMENTS} documents"),
            )
            .into());
        }
        let ids: BTreeSet<_> = message
            .attachment_ids
            .iter()
            .map(|id| parse::id("attachment_ids", id))
            .collect::<Result<_, _>>()?;
        let act = Act::Answer {
            cause: parse::text("cause", &message.cause)?,
            action: parse::text("action", &message.action)?,
            remedy_date: parse::date("remedy_date", &message.remedy_date)?,
            attachment_ids: ids.into_iter().collect(),
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn return_explanation(
        &self,
        request: Request<pb::ReturnExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "ReturnExplanation", message);
        let act = Act::Return {
            reason: parse::text("reason", &message.reason)?,
            deadline: parse::optional_time("deadline", message.deadline)?,
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn accept_explanation(
        &self,
        request: Request<pb::AcceptExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "AcceptExplanation", message);
        let act = Act::Accept {
            note: parse::remark("note", &message.note)?,
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn withdraw_explanation(
        &self,
        request: Request<pb::WithdrawExplanationRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "WithdrawExplanation", message);
        let act = Act::Withdraw {
            reason: parse::remark("reason", &message.reason)?,
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn request_extension(
        &self,
        request: Request<pb::RequestExtensionRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "RequestExtension", message);
        let act = Act::RequestExtension {
            deadline: parse::time("deadline", message.deadline)?,
            reason: parse::text("reason", &message.reason)?,
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn decide_extension(
        &self,
        request: Request<pb::DecideExtensionRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, message) = (Caller::of(&request)?, request.get_ref());
        let key = key!(caller, "DecideExtension", message);
        let act = Act::DecideExtension {
            grant: message.grant,
            note: parse::remark("note", &message.note)?,
        };
        self.step(caller, key, &message.id, &message.etag, act)
            .await
    }

    async fn upload_attachment(
        &self,
        request: Request<pb::UploadAttachmentRequest>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let caller = Caller::of(&request)?.clone();
        let uploader_id = caller.person().ok_or_else(not_a_person)?;
        let message = request.into_inner();
        let key = RequestKey::new(
            &caller.id(),
            "UploadAttachment",
            &message.request_id,
            &message,
        )?;
        let id = parse::id("explanation_id", &message.explanation_id)?;
        let viewer = Viewer::new(&caller, &["explanations.answer"]);
        let explanation = self.find(&viewer, id).await?;
        caller.require("explanations.answer", explanation.unit_id, None)?;
        if !explanation.state.is_open() {
            return Err(Error::from(Obstacle::NotOpen).into());
        }
        let document = Document::read(&message.name, &message.content)?;

        attachment::announce(&self.base.db, id, uploader_id, &document).await?;
        let content = Bytes::from(message.content);
        self.objects
            .put(&document.key(), content)
            .await
            .map_err(Error::from)?;
        let mut tx = self.base.db.begin().await.map_err(Error::from)?;
        if let Claimed::Before(answer) = key.claim(&mut tx).await? {
            return Ok(Response::new(answer)); // the copy is cleaned up as unused
        }
        attachment::mark_stored(&mut tx, document.id).await?;
        let answer = pb::Attachment::from(document);
        key.keep(&mut tx, &answer).await?;
        tx.commit().await.map_err(Error::from)?;
        Ok(Response::new(answer))
    }

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<HttpBody>, Status> {
        let caller = Caller::of(&request)?;
        let viewer = Viewer::new(caller, &[]);
        let message = request.get_ref();
        let explanation_id = parse::id("explanation_id", &message.explanation_id)?;
        let id = parse::id("id", &message.id)?;
        let explanation = self.find(&viewer, explanation_id).await?;
        let unknown = || Refusal::not_found("attachment", id.to_string());
        let document = attachment::get(&self.base.db, explanation.id, id, caller.person())
            .await?
            .ok_or_else(unknown)?;
        let content = self
            .objects
            .get(&document.key())
            .await
            .map_err(Error::from)?
            .ok_or_else(unknown)?;
        Ok(Response::new(HttpBody {
            content_type: document.content_type,
            data: content.into(),
            extensions: Vec::new(),
        }))
    }
}
