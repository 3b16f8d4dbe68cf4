use proto::{
    explanations::v1::{
        Answer, Explanation, ExplanationChanged, ExplanationState, ThreadEntry, ThreadEntryKind,
    },
    forecasting::v1::{self as pb, CourseKind},
    indicators::v1::Indicator,
};
use sqlx::PgPool;
use tonic::Code;

use crate::{
    Setting, about_hundred, because, by, indicator, invalid, new_id, refused, target, this_month,
    until,
};

async fn planned(setting: &Setting) -> Indicator {
    let up = indicator("UP", "T04", setting.finance);
    let figures = about_hundred(&up, setting.city, 36, 0);
    setting
        .feed(&up, &[target(&up, setting.city, "1300")], &figures)
        .await;
    setting.assessed(&up, setting.city).await;
    up
}

#[sqlx::test]
async fn an_outlook_says_what_would_meet_the_plan(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = planned(&setting).await;
    let outlook = setting.outlook(&setting.leader, &up, setting.city).await;
    let needed = &outlook.courses[0];
    assert_eq!(needed.kind(), CourseKind::Needed);
    assert!(needed.meets_target);
    let left = 13 - this_month().number();
    assert_eq!(needed.points.len(), usize::try_from(left).unwrap());
    let quarters: f64 = needed
        .quarters
        .iter()
        .map(|quarter| quarter.value.parse::<f64>().unwrap())
        .sum();
    assert!((quarters - 1300.0).abs() <= 2.0, "{quarters}");
    let kinds: Vec<_> = outlook.courses.iter().map(pb::Course::kind).collect();
    assert_eq!(
        kinds[1..],
        [CourseKind::Low, CourseKind::Base, CourseKind::High]
    );
    let text = outlook.explanation.unwrap();
    assert!(!text.text_vi.is_empty() && text.text_vi != text.text_en);
    assert_eq!(outlook.forecast.unwrap().history.len(), 36);
    assert!(outlook.notes.is_empty() && outlook.contributions.is_empty());
    // Its past is forecast after a while.
    until(async || {
        let outlook = setting.outlook(&setting.leader, &up, setting.city).await;
        (outlook.accuracy.unwrap().forecast_count > 20).then_some(())
    })
    .await;
}

fn answered(
    indicator: &Indicator,
    setting: &Setting,
    id: &str,
    state: ExplanationState,
    cause: &str,
) -> ExplanationChanged {
    let answer = (!cause.is_empty()).then(|| Answer {
        cause: cause.to_owned(),
        action: "Tăng ca".to_owned(),
        remedy_date: "2026-12-31".to_owned(),
        ..Default::default()
    });
    let mut explanation = Explanation {
        id: id.to_owned(),
        code: "YC-0001".to_owned(),
        indicator_id: indicator.id.clone(),
        subject_unit_id: setting.city.to_string(),
        unit_id: setting.finance.to_string(),
        field_code: "T04".to_owned(),
        ..Default::default()
    };
    explanation.set_state(state);
    let mut entry = ThreadEntry {
        id: new_id(),
        answer,
        create_time: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        }),
        ..Default::default()
    };
    entry.set_kind(ThreadEntryKind::Answer);
    ExplanationChanged {
        explanation: Some(explanation),
        entry: Some(entry),
        ..Default::default()
    }
}

#[sqlx::test]
async fn what_was_explained_is_told_to_those_who_may_read_explanations(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = planned(&setting).await;
    let id = new_id();
    let say = async |state, cause: &str| {
        let mut tx = setting.db.begin().await.unwrap();
        let changed = answered(&up, &setting, &id, state, cause);
        forecasting::note::note(&mut tx, &changed).await.unwrap();
        tx.commit().await.unwrap();
    };
    let notes = async |person: &str| setting.outlook(person, &up, setting.city).await.notes;
    say(ExplanationState::Sent, "").await;
    assert!(
        notes(&setting.leader).await.is_empty(),
        "nothing is said yet"
    );
    say(ExplanationState::Answered, "Chậm giải ngân").await;
    let told = notes(&setting.leader).await;
    assert_eq!((told.len(), told[0].cause.as_str()), (1, "Chậm giải ngân"));
    assert!(!told[0].accepted);
    say(ExplanationState::Accepted, "").await;
    let told = notes(&setting.leader).await;
    assert!(told[0].accepted && told[0].cause == "Chậm giải ngân");
    // Sees the forecast, and not what was explained.
    assert!(notes(&setting.finance_head).await.is_empty());
    say(ExplanationState::Withdrawn, "").await;
    assert!(notes(&setting.leader).await.is_empty());
}

fn save(
    indicator: &Indicator,
    setting: &Setting,
    name: &str,
    value: &str,
) -> pb::SaveScenarioRequest {
    pb::SaveScenarioRequest {
        request_id: new_id(),
        indicator_id: indicator.id.clone(),
        unit_id: setting.city.to_string(),
        name: name.to_owned(),
        periods: vec![this_month().to_string()],
        values: vec![value.to_owned()],
        ..Default::default()
    }
}

async fn kept(setting: &Setting, indicator: &Indicator) -> Vec<pb::Scenario> {
    let request = pb::ListScenariosRequest {
        indicator_id: indicator.id.clone(),
        unit_id: setting.city.to_string(),
    };
    let answer = setting
        .client()
        .list_scenarios(by(&setting.leader, request))
        .await;
    answer.unwrap().into_inner().scenarios
}

#[sqlx::test]
async fn scenarios_are_kept_compared_and_deleted_by_their_maker(db: PgPool) {
    let setting = Setting::new(db).await;
    let up = planned(&setting).await;
    let client = || setting.client();
    let good = save(&up, &setting, "Tháng tốt", "400");
    let first = client()
        .save_scenario(by(&setting.leader, good.clone()))
        .await;
    let first = first.unwrap().into_inner();
    let again = client().save_scenario(by(&setting.leader, good)).await;
    assert_eq!(again.unwrap().into_inner().id, first.id, "a repeat");
    let other = save(&up, &setting, "Tháng tốt", "50");
    client()
        .save_scenario(by(&setting.finance_head, other))
        .await
        .unwrap();
    let better = save(&up, &setting, " Tháng tốt ", "410");
    let better = client().save_scenario(by(&setting.leader, better)).await;
    assert_eq!(
        better.unwrap().into_inner().id,
        first.id,
        "of the same name"
    );

    let all = kept(&setting, &up).await;
    let outturns: Vec<f64> = all
        .iter()
        .map(|one| one.assessment.as_ref().unwrap().outturn.parse().unwrap())
        .collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].values, ["410"]);
    assert!(outturns[0] > outturns[1] + 300.0, "{outturns:?}");

    let delete = |id: &str| pb::DeleteScenarioRequest { id: id.to_owned() };
    assert_eq!(all[1].principal_name, "Finance head");
    let theirs = delete(&all[1].id);
    let refusal = client()
        .delete_scenario(by(&setting.leader, theirs))
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    // Who does not see its series is not told that it is there.
    let unseen = delete(&all[1].id);
    client()
        .delete_scenario(by(&setting.ward_head, unseen))
        .await
        .unwrap();
    assert_eq!(kept(&setting, &up).await.len(), 2, "somebody else's");
    for _ in 0..2 {
        client()
            .delete_scenario(by(&setting.leader, delete(&first.id)))
            .await
            .unwrap();
        assert_eq!(kept(&setting, &up).await.len(), 1);
    }

    for at in 0..20 {
        let one = save(&up, &setting, &format!("Kịch bản {at}"), "100");
        client()
            .save_scenario(by(&setting.leader, one))
            .await
            .unwrap();
    }
    let much = client()
        .save_scenario(by(&setting.leader, save(&up, &setting, "21", "1")))
        .await;
    let too_many = because(Code::ResourceExhausted, "TOO_MANY_SCENARIOS");
    assert_eq!(refused(much), too_many);
    for name in ["", "  ", "a\u{0}", &"x".repeat(101)] {
        let unnamed = client()
            .save_scenario(by(&setting.leader, save(&up, &setting, name, "1")))
            .await;
        assert_eq!(refused(unnamed), invalid("name"));
    }
    let hidden = save(&up, &setting, "Ẩn", "1");
    let hidden = client().save_scenario(by(&setting.ward_head, hidden)).await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
    let request = pb::ListScenariosRequest {
        indicator_id: up.id.clone(),
        unit_id: setting.city.to_string(),
    };
    let hidden = client()
        .list_scenarios(by(&setting.ward_head, request))
        .await;
    assert_eq!(refused(hidden), because(Code::NotFound, "NOT_FOUND"));
}
