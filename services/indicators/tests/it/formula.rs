use proto::{calendar::v1::Frequency, indicators::v1 as pb};
use sqlx::PgPool;

use crate::{Setting, by, invalid, new_id, refused};

fn term(code: &str, weight: &str) -> pb::FormulaTerm {
    pb::FormulaTerm {
        indicator_code: code.to_owned(),
        weight: weight.to_owned(),
        ..Default::default()
    }
}

/// A.3, how many per cent A.1 is of both.
fn share(setting: &Setting) -> pb::Indicator {
    let mut share = setting.indicator("A.3", "T04", setting.finance);
    share.formula = Some(pb::Formula {
        numerator: vec![term("A.1", "")],
        denominator: vec![term("A.1", "1.0"), term("A.2", "1")],
        factor: "100".to_owned(),
    });
    share
}

async fn import(
    setting: &Setting,
    indicators: Vec<pb::Indicator>,
) -> Result<tonic::Response<pb::ImportIndicatorsResponse>, tonic::Status> {
    let request = pb::ImportIndicatorsRequest {
        request_id: new_id(),
        indicators,
    };
    setting
        .indicators()
        .import_indicators(by(&setting.statistician, request))
        .await
}

async fn get(setting: &Setting, code: &str) -> pb::Indicator {
    let id = code.to_owned();
    let request = by(&setting.leader, pb::GetIndicatorRequest { id });
    let answer = setting.indicators().get_indicator(request).await;
    answer.unwrap().into_inner()
}

async fn due(setting: &Setting) -> usize {
    let request = by(&setting.statistician, pb::ListDueReportsRequest::default());
    let page = setting.submissions().list_due_reports(request).await;
    page.unwrap().into_inner().due_reports.len()
}

#[sqlx::test]
async fn a_formula_names_its_parts_and_nobody_is_asked_for_what_it_gives(db: PgPool) {
    let setting = Setting::new(db).await;
    let part = |code| setting.indicator(code, "T04", setting.finance);
    // The parts may come with it, and after it.
    let all = vec![share(&setting), part("A.1"), part("A.2")];
    let counts = import(&setting, all.clone()).await.unwrap().into_inner();
    assert_eq!(counts.added, 3);
    let formula = get(&setting, "A.3").await.formula.unwrap();
    let (one, other) = (get(&setting, "A.1").await, get(&setting, "A.2").await);
    assert_eq!(formula.numerator[0].indicator_id, one.id);
    assert_eq!(formula.denominator[0].weight, "1");
    assert_eq!(formula.denominator[1].indicator_id, other.id);
    assert_eq!(formula.factor, "100");
    // The same again is no new version.
    let counts = import(&setting, all).await.unwrap().into_inner();
    assert_eq!((counts.added, counts.corrected), (0, 0));

    let last_year = [("2025-12", "1")];
    for one in [&one.id, &other.id] {
        setting.publish(one, setting.city, &last_year).await;
    }
    assert_eq!(due(&setting).await, 2, "its parts only");
    setting
        .publish(&get(&setting, "A.3").await.id, setting.city, &last_year)
        .await;
    assert_eq!(due(&setting).await, 2, "although it was reported once");

    // What was reported and is calculated from now on is no longer asked for.
    let mut second = part("A.2");
    second.formula = Some(pb::Formula {
        numerator: vec![term("A.1", "2")],
        ..Default::default()
    });
    let mut alone = share(&setting);
    alone.formula.as_mut().unwrap().denominator.clear();
    import(&setting, vec![second, alone]).await.unwrap();
    assert_eq!(due(&setting).await, 1);
}

#[sqlx::test]
async fn an_unsound_formula_is_refused(db: PgPool) {
    let setting = Setting::new(db).await;
    let part = |code| setting.indicator(code, "T04", setting.finance);
    let all = vec![part("A.1"), part("A.2"), share(&setting)];
    import(&setting, all).await.unwrap();
    type Change = fn(&mut pb::Formula);
    let wrong: [(&str, Change); 7] = [
        ("formula", |one| one.numerator.clear()),
        ("formula", |one| {
            one.denominator = vec![term("A.2", "1"); 13]
        }),
        ("formula", |one| one.numerator[0] = term("A.9", "1")),
        ("formula", |one| one.numerator[0] = term("A.4", "1")),
        ("formula.factor", |one| one.factor = "0".to_owned()),
        ("formula.numerator[0].weight", |one| {
            one.numerator[0] = term("A.1", "1,5");
        }),
        ("formula.denominator[1].indicator_code", |one| {
            one.denominator[1] = term("", "1");
        }),
    ];
    for (field, change) in wrong {
        let mut again = setting.indicator("A.4", "T04", setting.finance);
        again.formula = share(&setting).formula;
        change(again.formula.as_mut().unwrap());
        let answer = import(&setting, vec![part("A.5"), again]).await;
        assert_eq!(refused(answer), invalid(&format!("indicators[1].{field}")));
    }
    // Another frequency is refused from the part's side, too.
    let mut quarterly = part("A.2");
    quarterly.set_frequency(Frequency::Quarter);
    let answer = import(&setting, vec![quarterly]).await;
    assert_eq!(refused(answer), invalid("indicators[0].formula"));
    assert!(get(&setting, "A.3").await.formula.is_some());
}

#[sqlx::test]
async fn what_is_calculated_may_be_a_part_but_not_of_itself(db: PgPool) {
    let setting = Setting::new(db).await;
    let part = |code| setting.indicator(code, "T04", setting.finance);
    let of = |code, parts: &[&str]| {
        let mut whole = part(code);
        whole.formula = Some(pb::Formula {
            numerator: parts.iter().map(|part| term(part, "1")).collect(),
            ..Default::default()
        });
        whole
    };
    let all = vec![
        of("A.5", &["A.4", "A.1"]),
        of("A.4", &["A.3"]),
        part("A.1"),
        part("A.2"),
        share(&setting),
    ];
    import(&setting, all).await.unwrap();

    // The middle of the chain would close it; who looks for the cause is told whose formulas these are.
    let circle = import(&setting, vec![part("A.7"), of("A.3", &["A.5", "A.7"])]).await;
    let told = circle.as_ref().unwrap_err().message().to_owned();
    assert!(
        told.contains("A.3, A.4, A.5") && !told.contains("A.7"),
        "{told}"
    );
    assert_eq!(refused(circle), invalid("indicators[1].formula"));
    // A reported part that would be calculated from what it is a part of.
    let circle = import(&setting, vec![of("A.2", &["A.4"])]).await;
    assert_eq!(refused(circle), invalid("indicators[0].formula"));

    // Each use counts: five times nine, and the five themselves, are 50; twice that is 102, too much.
    let many = |part| vec![part; 5];
    let nine = ["A.1"; 9];
    let all = vec![of("B.1", &nine), of("B.2", &many("B.1"))];
    import(&setting, all).await.unwrap();
    let answer = import(&setting, vec![of("B.3", &["B.2", "B.2"])]).await;
    assert_eq!(refused(answer), invalid("indicators[0].formula"));
    // Nor may a part grow until the whole is too large.
    import(&setting, vec![of("B.3", &["B.2"])]).await.unwrap();
    let answer = import(
        &setting,
        vec![of("B.1", &["A.1"; 12]), of("B.2", &["B.1"; 8])],
    )
    .await;
    assert_eq!(refused(answer), invalid("indicators[1].formula"));
    // What was in the way may go in the same import.
    import(&setting, vec![part("A.4"), of("A.3", &["A.5"])])
        .await
        .unwrap();
}
