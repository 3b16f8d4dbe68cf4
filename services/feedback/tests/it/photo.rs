use super::*;

impl World {
    async fn uploaded(&self) -> Uuid {
        let request = pb::UploadPhotoRequest {
            request_id: request_id(),
            content_type: "image/jpeg".to_owned(),
            content: b"\xff\xd8\xff\xda\x00\x02\x11\xff\xd9".to_vec(),
        };
        let photo = self.citizen().upload_photo(request).await.unwrap();
        photo.into_inner().id.parse().unwrap()
    }

    async fn file_with(&self, photo: Uuid) -> Result<String, Status> {
        let request = pb::FileFeedbackRequest {
            photo_ids: vec![photo.to_string()],
            ..self.filing()
        };
        let filed = self.citizen().file_feedback(request).await?;
        Ok(filed.into_inner().tracking_code)
    }

    async fn stored(&self, photo: Uuid) -> bool {
        let content = self.objects.get(&format!("photos/{photo}")).await;
        content.unwrap().is_some()
    }

    async fn prune(&self) -> bool {
        feedback::prune_one(&self.db, &self.objects).await.unwrap()
    }

    /// Deletes until the photo is gone; the service may be at it itself.
    async fn gone(&self, photo: Uuid) {
        until(async || {
            self.prune().await;
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM photo WHERE id = $1")
                .bind(photo)
                .fetch_one(&self.db)
                .await
                .unwrap();
            (left == 0).then_some(())
        })
        .await;
        assert!(!self.stored(photo).await);
    }
}

/// Lets the hour pass that a photo has to be used in. The service itself may then delete it at any time.
async fn pass(db: &PgPool, photo: Uuid) {
    sqlx::query("UPDATE photo SET create_time = create_time - interval '61 minutes' WHERE id = $1")
        .bind(photo)
        .execute(db)
        .await
        .unwrap();
}

#[sqlx::test]
async fn a_photo_is_uploaded_filed_and_downloaded(db: PgPool) {
    let world = world(db).await;
    let photo = world.uploaded().await;
    let code = world.file_with(photo).await.unwrap();
    let status = world.file_with(photo).await.unwrap_err();
    assert_eq!(fields(&status), ["photo_ids"], "a photo is used once");
    let item = world.item(&world.officer, &code).await;
    assert_eq!(item.photos.len(), 1);
    let request = pb::DownloadPhotoRequest {
        feedback_id: item.id,
        id: photo.to_string(),
    };
    let body = world
        .staff()
        .download_photo(by(&world.officer, request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(body.content_type, "image/jpeg");
    // What is used stays.
    pass(&world.db, photo).await;
    assert!(!world.prune().await);
    assert!(world.stored(photo).await);
}

#[sqlx::test]
async fn an_unused_photo_goes_with_its_bytes(db: PgPool) {
    let world = world(db).await;
    let photo = world.uploaded().await;
    assert!(!world.prune().await);
    assert!(world.stored(photo).await);
    pass(&world.db, photo).await;
    world.gone(photo).await;
    let status = world.file_with(photo).await.unwrap_err();
    assert_eq!(fields(&status), ["photo_ids"]);
}

#[sqlx::test]
async fn a_photo_that_is_being_filed_is_not_deleted(db: PgPool) {
    let world = world(db).await;
    let (photo, filing) = loop {
        let photo = world.uploaded().await;
        pass(&world.db, photo).await;
        let mut filing = world.db.begin().await.unwrap();
        let locked = sqlx::query("SELECT 1 FROM photo WHERE id = $1 FOR UPDATE")
            .bind(photo)
            .execute(&mut *filing)
            .await
            .unwrap();
        // Else the service deleted it in between.
        if locked.rows_affected() == 1 {
            break (photo, filing);
        }
    };
    assert!(!world.prune().await);
    assert!(world.stored(photo).await);
    filing.rollback().await.unwrap();
    world.gone(photo).await;
}

#[sqlx::test]
async fn bytes_that_a_killed_upload_left_are_deleted(db: PgPool) {
    let world = world(db).await;
    // As far as an upload came that was killed before it could say that the bytes are stored.
    let photo = Uuid::now_v7();
    sqlx::query("INSERT INTO photo (id, content_type, size) VALUES ($1, 'image/jpeg', 1)")
        .bind(photo)
        .execute(&world.db)
        .await
        .unwrap();
    let content = b"x".to_vec().into();
    world
        .objects
        .put(&format!("photos/{photo}"), content)
        .await
        .unwrap();
    let status = world.file_with(photo).await.unwrap_err();
    assert_eq!(fields(&status), ["photo_ids"]);
    pass(&world.db, photo).await;
    world.gone(photo).await;
}
