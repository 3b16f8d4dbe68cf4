//! Step 1: the demonstration city is there, whole, its sources named, what is made up labelled.

use std::collections::BTreeMap;

use e2e::{City, Http};
use serde_json::Value;

use super::World;

pub async fn is_whole(city: &City, world: &World) {
    let rest = city.rest("chairman").await;
    units(&rest, world).await;
    catalogue(&rest).await;
    figures(&rest, world).await;
    accounts(city).await;
}

async fn list(rest: &Http, path: &str, query: &[(&str, &str)], name: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let mut query = query.to_vec();
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let page = rest.get_with(path, &query).await.ok();
        all.extend(page[name].as_array().unwrap().iter().cloned());
        page["nextPageToken"]
            .as_str()
            .unwrap()
            .clone_into(&mut token);
        if token.is_empty() {
            return all;
        }
    }
}

async fn units(rest: &Http, world: &World) {
    let query = [("valid_on", "all"), ("page_size", "500")];
    let units = list(rest, "/v1/units", &query, "units").await;
    let mut current = BTreeMap::<&str, usize>::new();
    let mut ended = BTreeMap::<&str, usize>::new();
    for unit in &units {
        let kind = unit["kind"].as_str().unwrap();
        let open = unit["validTo"].as_str().unwrap().is_empty();
        *(if open { &mut current } else { &mut ended })
            .entry(kind)
            .or_default() += 1;
    }
    assert_eq!(
        [
            current["UNIT_KIND_WARD"],
            current["UNIT_KIND_COMMUNE"],
            current["UNIT_KIND_SPECIAL_ZONE"]
        ],
        [113, 54, 1],
        "the 168 units of 2025-07-01"
    );
    assert_eq!(ended["UNIT_KIND_DISTRICT"], 22);
    assert!(!current.contains_key("UNIT_KIND_DISTRICT"));
    assert!(ended["UNIT_KIND_WARD"] + ended["UNIT_KIND_COMMUNE"] >= 312);
    assert!(current["UNIT_KIND_DEPARTMENT"] >= 20, "{current:?}");
    eprintln!("units today {current:?}, ended {ended:?}");

    // Sài Gòn came from wards of the former District 1, each with the share that went into it.
    let path = format!("/v1/units/{}/changes", world.saigon());
    let changes = rest.get(&path).await.ok();
    let changes = changes["changes"].as_array().unwrap().clone();
    assert!(changes.len() >= 2, "{changes:?}");
    for change in &changes {
        assert_eq!(change["date"], "2025-07-01");
        assert_eq!(change["toKey"], "26740");
        let weight: f64 = change["weight"].as_str().unwrap().parse().unwrap();
        assert!(weight > 0.0 && weight <= 1.0, "{change}");
    }
    let before = changes[0]["fromKey"].as_str().unwrap();
    let ended = units.iter().find(|unit| unit["key"] == before).unwrap();
    assert_eq!(ended["validTo"], "2025-06-30", "{ended}");
    eprintln!("Sài Gòn came from {} units", changes.len());
}

async fn catalogue(rest: &Http) {
    let indicators = list(rest, "/v1/indicators", &[("page_size", "50")], "indicators").await;
    assert_eq!(indicators.len(), 67);
    let of_finance = rest
        .get_with(
            "/v1/indicators",
            &[("query", "giai ngan"), ("field_code", "T04")],
        )
        .await
        .ok();
    let found = of_finance["indicators"].as_array().unwrap();
    assert!(found.len() >= 2, "marks and case are ignored: {of_finance}");
}

async fn figures(rest: &Http, world: &World) {
    let mut printed = 0;
    let mut made_up = 0;
    for indicator in list(
        rest,
        "/v1/indicators",
        &[("page_size", "200")],
        "indicators",
    )
    .await
    {
        let query = [
            ("indicator_id", indicator["id"].as_str().unwrap()),
            ("unit_id", &world.city),
            ("every_version", "true"),
            ("page_size", "5000"),
        ];
        for figure in list(rest, "/v1/observations", &query, "observations").await {
            let source = figure["source"].as_str().unwrap();
            assert!(!source.is_empty(), "a figure without a source: {figure}");
            if figure["illustrative"] == true {
                assert!(source.starts_with("minh họa"), "{figure}");
                made_up += 1;
            } else {
                printed += 1;
            }
        }
    }
    eprintln!("figures of the city: {printed} printed, {made_up} illustrative");
    assert!(printed >= 61, "{printed}");
    assert!(made_up >= 3_000, "{made_up}");

    let query = [("unit_id", world.city.as_str()), ("page_size", "2000")];
    let targets = list(rest, "/v1/targets", &query, "targets").await;
    let printed = targets
        .iter()
        .filter(|target| target["illustrative"] == false);
    assert!(printed.count() >= 5, "plans as printed");
    assert!(targets.iter().all(|target| target["source"] != ""));
}

/// One account per role signs in, in its own language.
async fn accounts(city: &City) {
    for (login, role, language) in [
        ("chairman", "city_leader", "vi"),
        ("vicechair", "city_leader", "en"),
        ("finance.officer", "reporting_officer", "vi"),
        ("saigon.case", "case_officer", "vi"),
        ("platform", "platform_admin", "en"),
    ] {
        let me = city.rest(login).await.get("/v1/me").await.ok();
        assert_eq!(me["grants"][0]["role"], role, "{me}");
        assert_eq!(me["principal"]["language"], language, "{me}");
    }
    let refused = city.stranger().get("/v1/me").await;
    assert_eq!(refused.status, 401, "{}", refused.text());
}
