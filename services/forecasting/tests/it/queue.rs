use proto::forecasting::v1::RiskStatus;
use sqlx::PgPool;

use crate::{Setting, about_hundred, figure, indicator, status, target, this_month, until};

/// How often a series failed and whether it says why.
async fn set_aside(setting: &Setting) -> (i16, bool) {
    until(async || {
        sqlx::query_as("SELECT attempts, error IS NOT NULL FROM recompute WHERE attempts = 3")
            .fetch_optional(&setting.db)
            .await
            .unwrap()
    })
    .await
}

#[sqlx::test]
async fn a_series_that_cannot_be_assessed_is_set_aside_and_stops_no_other(db: PgPool) {
    let setting = Setting::new(db).await;
    let bad = indicator("BAD", "T04", setting.finance);
    let good = indicator("GOOD", "T04", setting.finance);
    // What cannot be decoded, as after a fault of the disk.
    let mut tx = setting.db.begin().await.unwrap();
    let broken = figure(&bad, setting.ward, this_month().previous(), "100");
    forecasting::copy::keep_indicators(&mut tx, &setting.directory, &[bad.clone(), good.clone()])
        .await
        .unwrap();
    forecasting::copy::keep_observations(&mut tx, &setting.directory, &[broken])
        .await
        .unwrap();
    sqlx::query("UPDATE observation SET payload = '\\xff'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let figures = about_hundred(&good, setting.ward, 36, 0);
    forecasting::copy::keep_observations(&mut tx, &setting.directory, &figures)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    setting.assessed(&good, setting.ward).await;
    assert_eq!(set_aside(&setting).await, (3, true));

    // New figures let it be tried again.
    sqlx::query("DELETE FROM observation WHERE payload = '\\xff'")
        .execute(&setting.db)
        .await
        .unwrap();
    let figures = about_hundred(&bad, setting.ward, 36, 0);
    setting.feed(&bad, &[], &figures).await;
    setting.assessed(&bad, setting.ward).await;
    setting.queue_is_empty().await;
}

#[sqlx::test]
async fn what_the_source_no_longer_has_leaves_the_board(db: PgPool) {
    let setting = Setting::new(db).await;
    let gone = indicator("GONE", "T04", setting.finance);
    let kept = indicator("KEPT", "T04", setting.finance);
    let figures = about_hundred(&kept, setting.city, 36, 0);
    for one in [&gone, &kept] {
        let plan = target(one, setting.city, "900");
        let figures = about_hundred(one, setting.city, 36, 0);
        setting.feed(one, &[plan], &figures).await;
        setting.assessed(one, setting.city).await;
    }

    // The source is put back to a time without the one indicator and without the other's plan.
    let mut tx = setting.db.begin().await.unwrap();
    forecasting::copy::forget(&mut tx, &setting.directory)
        .await
        .unwrap();
    forecasting::copy::keep_indicators(&mut tx, &setting.directory, std::slice::from_ref(&kept))
        .await
        .unwrap();
    forecasting::copy::keep_observations(&mut tx, &setting.directory, &figures)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let is_grey = |item: &proto::forecasting::v1::RiskItem| status(item) == RiskStatus::Grey;
    setting.line(&kept, setting.city, is_grey).await;
    setting.queue_is_empty().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM assessment")
        .fetch_one(&setting.db)
        .await
        .unwrap();
    assert_eq!(left, 1);
}
