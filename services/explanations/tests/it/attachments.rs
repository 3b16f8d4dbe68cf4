use super::{steps::send_back, *};

impl World {
    fn document(&self, to: &pb::Explanation, content: &[u8]) -> pb::UploadAttachmentRequest {
        pb::UploadAttachmentRequest {
            request_id: Uuid::now_v7().to_string(),
            explanation_id: to.id.clone(),
            name: "Tờ trình 12.pdf".to_owned(),
            content_type: "text/html".to_owned(),
            content: content.to_vec(),
        }
    }

    async fn download(&self, person: &str, explanation: &str, id: &str) -> Result<Vec<u8>, Status> {
        let request = pb::DownloadAttachmentRequest {
            explanation_id: explanation.to_owned(),
            id: id.to_owned(),
        };
        let body = self
            .client()
            .download_attachment(by(person, request))
            .await?
            .into_inner();
        assert_eq!(body.content_type, "application/pdf");
        Ok(body.data)
    }

    fn stored(&self) -> usize {
        std::fs::read_dir(&self.objects).unwrap().count()
    }
}

#[sqlx::test]
async fn a_document_is_uploaded_answered_with_and_downloaded(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let request = world.document(&asked, b"%PDF-1.7 hello");
    let document = client
        .upload_attachment(by(&world.head, request.clone()))
        .await
        .unwrap();
    let document = document.into_inner();
    // What the sender says of the type does not count.
    assert_eq!(document.content_type, "application/pdf");
    assert_eq!((document.size, document.sha256.len()), (14, 64));
    let again = client
        .upload_attachment(by(&world.head, request))
        .await
        .unwrap();
    assert_eq!(again.into_inner(), document);

    // Until the answer is given it is its uploader's alone.
    let early = world.download(&world.leader, &asked.id, &document.id).await;
    assert_eq!(early.unwrap_err().code(), Code::NotFound);
    world
        .download(&world.head, &asked.id, &document.id)
        .await
        .unwrap();

    let mut answer = world.answer(&asked);
    answer.attachment_ids = vec![document.id.clone()];
    let answered = client
        .answer_explanation(by(&world.head, answer))
        .await
        .unwrap()
        .into_inner();
    let answer = answered.thread.last().unwrap().answer.as_ref().unwrap();
    assert_eq!(answer.attachments, std::slice::from_ref(&document));
    let bytes = world
        .download(&world.leader, &asked.id, &document.id)
        .await
        .unwrap();
    assert_eq!(bytes, b"%PDF-1.7 hello");
    for (person, id) in [
        (&world.neighbour, document.id.as_str()),
        (&world.leader, &Uuid::now_v7().to_string()),
    ] {
        let status = world.download(person, &asked.id, id).await.unwrap_err();
        assert_eq!(told(&status), refused(Code::NotFound, "NOT_FOUND"));
    }
}

#[sqlx::test]
async fn a_document_serves_every_answer_of_its_own_request(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let request = by(&world.head, world.document(&asked, b"%PDF-1.7"));
    let document = client
        .upload_attachment(request)
        .await
        .unwrap()
        .into_inner();

    let mut answer = world.answer(&asked);
    answer.attachment_ids = vec![document.id.clone()];
    let answered = client.answer_explanation(by(&world.head, answer)).await;
    let request = by(&world.leader, send_back(&answered.unwrap().into_inner()));
    let returned = client.return_explanation(request).await.unwrap();
    let mut answer = world.answer(&returned.into_inner());
    answer.attachment_ids = vec![document.id.clone()];
    let answered = client.answer_explanation(by(&world.head, answer)).await;
    let thread = answered.unwrap().into_inner().thread;
    let given: Vec<_> = thread.iter().filter_map(|e| e.answer.as_ref()).collect();
    assert_eq!(given.len(), 2);
    for answer in given {
        assert_eq!(answer.attachments, std::slice::from_ref(&document));
    }

    let other = client
        .create_explanation(by(&world.vice, world.question()))
        .await
        .unwrap();
    let mut answer = world.answer(&other.into_inner());
    answer.attachment_ids = vec![document.id];
    let status = client
        .answer_explanation(by(&world.head, answer))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["attachment_ids"]);
}

#[sqlx::test]
async fn only_whole_documents_of_known_types_are_taken(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let mut large = b"%PDF-1.7".to_vec();
    large.resize(10 << 20, b' ');
    client
        .upload_attachment(by(&world.head, world.document(&asked, &large)))
        .await
        .unwrap();
    large.push(b' ');
    for content in [&b""[..], b"<script>", &large] {
        let request = by(&world.head, world.document(&asked, content));
        let status = client.upload_attachment(request).await.unwrap_err();
        assert_eq!(
            told(&status),
            refused(Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(fields(&status), ["content"]);
    }
    for name in ["", "../x.pdf", "a\nb.pdf"] {
        let mut request = world.document(&asked, b"%PDF-1.7");
        request.name = name.to_owned();
        let status = client
            .upload_attachment(by(&world.head, request))
            .await
            .unwrap_err();
        assert_eq!(fields(&status), ["name"]);
    }
    for person in [&world.department_head, &world.leader] {
        let request = by(person, world.document(&asked, b"%PDF-1.7"));
        let status = client.upload_attachment(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
    let request = by(&world.neighbour, world.document(&asked, b"%PDF-1.7"));
    let status = client.upload_attachment(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[sqlx::test]
async fn unused_documents_are_deleted_after_a_day(db: PgPool) {
    let world = world(db).await;
    let asked = world.asked().await;
    let mut client = world.client();
    let request = by(&world.head, world.document(&asked, b"%PDF-1.7"));
    client.upload_attachment(request).await.unwrap();
    let objects = chassis::objects::Objects::open(
        &testing::config(&[&format!(
            "--objects={}",
            world.objects.parent().unwrap().display()
        )]),
        explanations::NAME,
    )
    .unwrap();
    assert!(!explanations::clean_one(&world.db, &objects).await.unwrap());
    assert_eq!(world.stored(), 1);
    sqlx::query("UPDATE attachment SET create_time = create_time - interval '25 hours'")
        .execute(&world.db)
        .await
        .unwrap();
    assert!(explanations::clean_one(&world.db, &objects).await.unwrap());
    assert!(!explanations::clean_one(&world.db, &objects).await.unwrap());
    assert_eq!(world.stored(), 0);
}
