use super::*;

#[sqlx::test]
async fn what_cannot_be_looked_for_is_named(db: PgPool) {
    let world = world(db).await;
    let mut staff = world.staff();
    let never = Some(prost_types::Timestamp {
        seconds: 8_210_266_876_799,
        nanos: 0,
    });
    let counted = pb::GetFeedbackStatisticsRequest {
        from: never,
        ..Default::default()
    };
    let status = staff
        .get_feedback_statistics(by(&world.officer, counted))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["from"]);
    let map = pb::GetFeedbackHeatMapRequest {
        category_code: "waste\0".to_owned(),
        ..Default::default()
    };
    let status = staff
        .get_feedback_heat_map(by(&world.officer, map))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["category_code"]);
    let cases: [(&str, fn(&mut pb::ListFeedbackRequest)); 2] = [
        ("query", |list| list.query = "rác\0".to_owned()),
        ("field_code", |list| list.field_code = "\0".to_owned()),
    ];
    for (field, spoil) in cases {
        let mut list = pb::ListFeedbackRequest::default();
        spoil(&mut list);
        let status = staff
            .list_feedback(by(&world.officer, list))
            .await
            .unwrap_err();
        assert_eq!(fields(&status), [field]);
    }
    let list = pb::ListFeedbackRequest {
        from: never,
        ..Default::default()
    };
    let status = staff
        .list_feedback(by(&world.officer, list))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["from"]);
}
