use std::time::Instant;

use sqlx::PgPool;

use crate::{Setting, about_hundred, figure, indicator, target, this_month};

/// Not a benchmark, a figure to look at: it depends on the build and on what else the machine does.
#[sqlx::test]
async fn many_series_and_one_change_are_assessed_soon(db: PgPool) {
    let setting = Setting::new(db).await;
    let many: Vec<_> = (0..100)
        .map(|n| indicator(&format!("A.{n}"), "T04", setting.finance))
        .collect();
    let start = Instant::now();
    for indicator in &many {
        let figures = about_hundred(indicator, setting.city, 36, 0);
        setting
            .feed(
                indicator,
                &[target(indicator, setting.city, "1200")],
                &figures,
            )
            .await;
    }
    for indicator in &many {
        setting.assessed(indicator, setting.city).await;
    }
    eprintln!("100 series: {:?}", start.elapsed());
    setting.queue_is_empty().await;

    let start = Instant::now();
    let new = figure(&many[0], setting.city, this_month(), "140");
    let id = new.id.clone();
    setting.feed(&many[0], &[], &[new]).await;
    let seen = |item: &proto::forecasting::v1::RiskItem| {
        item.last_observation
            .as_ref()
            .is_some_and(|figure| figure.id == id)
    };
    setting.line(&many[0], setting.city, seen).await;
    eprintln!("one new figure: {:?}", start.elapsed());
}
