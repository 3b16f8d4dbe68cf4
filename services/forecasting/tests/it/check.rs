use proto::forecasting::v1 as pb;
use sqlx::PgPool;
use tonic::Code;

use crate::{Setting, about_hundred, because, by, indicator, invalid, new_id, refused, this_month};

#[sqlx::test]
async fn an_unusual_value_is_told(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = indicator("UP", "T04", setting.finance);
    setting
        .feed(&up, &[], &about_hundred(&up, setting.city, 48, 0))
        .await;
    setting.assessed(&up, setting.city).await;
    let ask = |value: &str| pb::CheckValueRequest {
        indicator_id: up.id.clone(),
        unit_id: setting.city.to_string(),
        value: value.to_owned(),
        period: Some(this_month().into()),
    };
    let check = async |request| {
        setting
            .client()
            .check_value(by(&setting.leader, request))
            .await
    };
    let usual = check(ask("101")).await.unwrap().into_inner();
    assert!(!usual.unusual, "{usual:?}");
    let (low, high): (f64, f64) = (
        usual.expected_low.parse().unwrap(),
        usual.expected_high.parse().unwrap(),
    );
    assert!(low < 101.0 && 101.0 < high);
    let tenfold = check(ask("1000")).await.unwrap().into_inner();
    assert_eq!(tenfold.suspicion, "FACTOR_OF_10");
    assert_eq!(tenfold.suggested, "100");
    assert!(tenfold.score > usual.score);
    assert!(
        tenfold.reason_vi.starts_with("lớn gấp 10 lần")
            && tenfold.reason_vi.ends_with("có lẽ là 100")
    );
    assert!(
        tenfold.reason_en.starts_with("10 times"),
        "{}",
        tenfold.reason_en
    );
    assert!(usual.reason_vi.is_empty());

    assert_eq!(refused(check(ask("1,5")).await), invalid("value"));
    let mut wrong = ask("1");
    wrong.period = None;
    assert_eq!(refused(check(wrong.clone()).await), invalid("period"));
    wrong.period = Some(proto::calendar::v1::Period {
        code: "2026-Q4".to_owned(),
    });
    assert_eq!(refused(check(wrong).await), invalid("period"));
    let mut none = ask("1");
    none.indicator_id = new_id();
    assert_eq!(
        refused(check(none).await),
        because(Code::NotFound, "NOT_FOUND")
    );
    let hidden = setting
        .client()
        .check_value(by(&setting.ward_head, ask("1")))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
}
