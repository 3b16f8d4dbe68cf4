//! How long a whole city takes to be assessed anew, and what reads notice of it: 41,000 series of three years
//! of months. `scripts/bench recompute` runs it; loopback only, some minutes.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "prints figures for people"
)]

use std::time::{Duration, Instant};

use e2e::{City, Options, Rpc, connect, median};
use prost::Message;
use proto::{
    calendar::v1::Frequency,
    forecasting::v1::{ListRiskItemsRequest, forecast_service_client::ForecastServiceClient},
    identity::v1::Unit,
    indicators::v1::{
        Comparator, Direction, Indicator, Observation, Target, TargetKind, Vintage, YearRule,
    },
    period::Period,
};
use sqlx::PgPool;
use uuid::Uuid;

/// As many as 205 indicators of 200 units have.
const SERIES: usize = 41_000;
const MONTHS: i32 = 36;

#[tokio::main]
async fn main() {
    let mut city = City::serve(Options::default()).await;
    let db = PgPool::connect(&city.database("forecasting"))
        .await
        .unwrap();
    let token = city.token("chairman").await;
    let rpc = connect(
        &format!("http://{}", city.ports["forecasting"]),
        Some(&token),
    );
    let entries: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT data FROM chassis.directory_entry WHERE kind = 'unit' ORDER BY key",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    // Of units that ended nothing is expected.
    let units = entries.iter().map(|data| Unit::decode(&**data).unwrap());
    let lasting = units.filter(|unit| unit.valid_to.is_empty());
    let units: Vec<String> = lasting.map(|unit| unit.id).collect();
    let indicators = SERIES.div_ceil(units.len());
    settled(&db).await;
    let quiet = reads(&rpc, Duration::from_secs(3)).await;

    let begun = Instant::now();
    for _ in 0..indicators {
        feed(&db, &units).await;
    }
    let series = indicators * units.len();
    println!(
        "{series} series written in {:.0} s",
        begun.elapsed().as_secs_f64()
    );

    for (what, is_first) in [("for the first time", true), ("again, unchanged", false)] {
        let begun = Instant::now();
        sqlx::query(
            "INSERT INTO recompute (indicator_id, unit_id) SELECT DISTINCT indicator_id, unit_id FROM target
            ON CONFLICT DO NOTHING",
        )
        .execute(&db)
        .await
        .unwrap();
        sqlx::query("SELECT pg_notify('recompute', '')")
            .execute(&db)
            .await
            .unwrap();
        let busy = reads(&rpc, Duration::from_secs(5)).await;
        settled(&db).await;
        let took = begun.elapsed().as_secs_f64();
        let forecast: i64 =
            sqlx::query_scalar("SELECT count(*) FROM assessment WHERE status_rank <= 3")
                .fetch_one(&db)
                .await
                .unwrap();
        assert!(
            forecast >= series as i64,
            "only {forecast} have a probability"
        );
        println!(
            "assessed {what} in {took:.1} s, {:.0} series a second",
            series as f64 / took
        );
        if is_first {
            println!(
                "a page of the board: median {quiet:.1?} at rest, {busy:.1?} meanwhile, {:.1} ×",
                busy.as_secs_f64() / quiet.as_secs_f64()
            );
        }
    }
    city.stop().await;
}

/// Waits until nothing is queued.
async fn settled(db: &PgPool) {
    loop {
        let is_waiting: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM recompute)")
            .fetch_one(db)
            .await
            .unwrap();
        if !is_waiting {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The median of reading a page of the board for a while.
async fn reads(rpc: &Rpc, span: Duration) -> Duration {
    let begun = Instant::now();
    let mut lengths = Vec::new();
    while begun.elapsed() < span {
        let start = Instant::now();
        let request = ListRiskItemsRequest {
            page_size: 50,
            ..Default::default()
        };
        ForecastServiceClient::new(rpc.clone())
            .list_risk_items(request)
            .await
            .unwrap();
        lengths.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    median(lengths)
}

/// Writes an indicator with a target and seasonal, noisy figures of each unit, without queueing them.
async fn feed(db: &PgPool, units: &[String]) {
    let id = Uuid::now_v7();
    let mut indicator = Indicator {
        id: id.to_string(),
        code: id.to_string(),
        field_code: "T04".to_owned(),
        owner_unit_id: units[0].clone(),
        report_days: 5,
        version: 1,
        ..Default::default()
    };
    indicator.set_frequency(Frequency::Month);
    indicator.set_direction(Direction::Up);
    indicator.set_year_rule(YearRule::Sum);
    sqlx::query("INSERT INTO indicator (id, version, payload) VALUES ($1, 1, $2)")
        .bind(id)
        .bind(indicator.encode_to_vec())
        .execute(db)
        .await
        .unwrap();
    let first = Period::containing(Frequency::Month, chrono::Utc::now().date_naive()).plus(-MONTHS);
    let (mut owners, mut indices, mut figures, mut targets) = (vec![], vec![], vec![], vec![]);
    for unit in units {
        let owner: Uuid = unit.parse().unwrap();
        for at in 0..MONTHS {
            let season = f64::from(at % 12) * 3.0;
            let value = 100.0 + f64::from(at) * 0.5 + season + rand::random_range(-5.0..5.0);
            let mut figure = Observation {
                id: Uuid::now_v7().to_string(),
                indicator_id: id.to_string(),
                unit_id: unit.clone(),
                period: Some(first.plus(at).into()),
                value: format!("{value:.2}"),
                ..Default::default()
            };
            figure.set_vintage(Vintage::Official);
            owners.push(owner);
            indices.push(first.plus(at).index());
            figures.push(figure.encode_to_vec());
        }
        let mut target = Target {
            id: Uuid::now_v7().to_string(),
            indicator_id: id.to_string(),
            unit_id: unit.clone(),
            period: Period::new(Frequency::Year, first.plus(MONTHS).year(), 1).map(Into::into),
            value: "1600".to_owned(),
            version: 1,
            ..Default::default()
        };
        target.set_kind(TargetKind::Base);
        target.set_comparator(Comparator::AtLeast);
        targets.push(target.encode_to_vec());
    }
    sqlx::query(
        "INSERT INTO observation (id, indicator_id, unit_id, period_index, vintage, known_time, payload)
        SELECT gen_random_uuid(), $1, n.unit_id, n.period_index, 3, now(), n.payload
        FROM unnest($2::uuid[], $3::integer[], $4::bytea[]) AS n (unit_id, period_index, payload)",
    )
    .bind(id)
    .bind(&owners)
    .bind(&indices)
    .bind(&figures)
    .execute(db)
    .await
    .unwrap();
    let units: Vec<Uuid> = units.iter().map(|unit| unit.parse().unwrap()).collect();
    sqlx::query(
        "INSERT INTO target (id, indicator_id, unit_id, version, payload)
        SELECT gen_random_uuid(), $1, n.unit_id, 1, n.payload
        FROM unnest($2::uuid[], $3::bytea[]) AS n (unit_id, payload)",
    )
    .bind(id)
    .bind(&units)
    .bind(&targets)
    .execute(db)
    .await
    .unwrap();
}
