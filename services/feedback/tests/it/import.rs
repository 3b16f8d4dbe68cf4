use super::*;

#[sqlx::test]
async fn only_who_configures_the_whole_city_imports(db: PgPool) {
    let world = world(db).await;
    let mut staff = world.staff();
    let mut unchanged = world.layout();
    let status = staff
        .import_feedback(by(&world.local_configurator, unchanged.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "OUTSIDE_SCOPE")
    );
    let status = staff
        .import_feedback(by(&world.officer, unchanged.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        told(&status),
        refused(Code::PermissionDenied, "PERMISSION_MISSING")
    );
    unchanged.request_id = request_id();
    let answer = staff
        .import_feedback(by(&world.configurator, unchanged))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().changed, 0);
}
