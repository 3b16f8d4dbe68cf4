//! Loading in bulk: categories, boundaries, and items of the past. A repeat changes nothing.

use chassis::{
    Directory,
    calendar::Holidays,
    parse::{instant, optional_instant},
};
use chrono::{DateTime, Utc};
use proto::feedback::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{category, error::Error, feedback, place, place::Places, rollup, text};

/// Adds or corrects categories.
pub async fn categories(db: &mut PgConnection, entries: &[pb::Category]) -> Result<u64, Error> {
    let mut changed = 0;
    for (number, entry) in entries.iter().enumerate() {
        let name = |field: &str| format!("categories[{number}].{field}");
        let unit = match entry.route_unit_id.as_str() {
            "" => None,
            id => Some(parse_id(name("route_unit_id"), id)?),
        };
        let line = |field: &str, text: &str| text::line(name(field), text, 1, 200);
        if !(1..=10_080).contains(&entry.route_minutes)
            || !(1..=90).contains(&entry.answer_working_days)
        {
            return Err(Error::invalid(
                name("answer_working_days"),
                "thời hạn chuyển phải từ 1 đến 10080 phút, thời hạn trả lời từ 1 đến 90 ngày làm việc",
                "routing takes 1 to 10080 minutes, answering 1 to 90 working days",
            ));
        }
        changed += sqlx::query!(
            "INSERT INTO category (code, name_vi, name_en, field_code, route_unit_id, screened, route_minutes,
                answer_working_days)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (code) DO UPDATE SET name_vi = EXCLUDED.name_vi, name_en = EXCLUDED.name_en,
                field_code = EXCLUDED.field_code, route_unit_id = EXCLUDED.route_unit_id,
                screened = EXCLUDED.screened, route_minutes = EXCLUDED.route_minutes,
                answer_working_days = EXCLUDED.answer_working_days
            WHERE (category.name_vi, category.name_en, category.field_code, category.route_unit_id, category.screened,
                category.route_minutes, category.answer_working_days) IS DISTINCT FROM (EXCLUDED.name_vi,
                EXCLUDED.name_en, EXCLUDED.field_code, EXCLUDED.route_unit_id, EXCLUDED.screened,
                EXCLUDED.route_minutes, EXCLUDED.answer_working_days)",
            line("code", &entry.code)?,
            line("name_vi", &entry.name_vi)?,
            line("name_en", &entry.name_en)?,
            text::line(name("field_code"), &entry.field_code, 0, 200)?,
            unit,
            entry.screened,
            entry.route_minutes,
            entry.answer_working_days
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
    }
    Ok(changed)
}

/// Adds or corrects boundaries.
pub async fn boundaries(db: &mut PgConnection, entries: &[pb::Boundary]) -> Result<u64, Error> {
    let mut ids = Vec::with_capacity(entries.len());
    let mut shapes = Vec::with_capacity(entries.len());
    for (number, entry) in entries.iter().enumerate() {
        ids.push(parse_id(
            format!("boundaries[{number}].unit_id"),
            &entry.unit_id,
        )?);
        if place::parse(&entry.geojson).is_err() {
            return Err(Error::invalid(
                format!("boundaries[{number}].geojson"),
                "phải là Polygon hoặc MultiPolygon theo GeoJSON",
                "must be a GeoJSON Polygon or MultiPolygon",
            ));
        }
        shapes.push(entry.geojson.clone());
    }
    Ok(sqlx::query!(
        "INSERT INTO boundary (unit_id, geojson) SELECT * FROM unnest($1::uuid[], $2::text[])
        ON CONFLICT (unit_id) DO UPDATE SET geojson = EXCLUDED.geojson, update_time = now()
        WHERE boundary.geojson <> EXCLUDED.geojson",
        &ids,
        &shapes
    )
    .execute(db)
    .await?
    .rows_affected())
}

/// Adds items of the past that are not there yet, counted but not announced: nobody must be told of them now.
pub async fn items(
    db: &mut PgConnection,
    places: &Places,
    directory: &Directory,
    entries: &[pb::PastFeedback],
) -> Result<u64, Error> {
    let holidays = Holidays::read(&mut *db).await?;
    let categories = category::list(&mut *db).await?;
    let mut added = 0;
    for (number, entry) in entries.iter().enumerate() {
        let name = |field: &str| format!("items[{number}].{field}");
        let category = categories
            .iter()
            .find(|category| category.code == entry.category_code)
            .ok_or_else(|| {
                Error::invalid(
                    name("category_code"),
                    "không có lĩnh vực này",
                    "there is no such category",
                )
            })?;
        let point = entry.point.unwrap_or_default();
        let place = places
            .locate(point.longitude, point.latitude)
            .ok_or_else(|| {
                Error::invalid(
                    name("point"),
                    "điểm nằm ngoài thành phố",
                    "the point lies outside the city",
                )
            })?;
        let created = instant(&name("create_time"), entry.create_time)?;
        let answered = optional_instant(&name("answer_time"), entry.answer_time)?;
        if answered.is_some_and(|answered| answered < created) {
            return Err(Error::invalid(
                name("answer_time"),
                "không được trước lúc tiếp nhận",
                "must not be before the item came in",
            ));
        }
        let past = Past {
            created,
            title: text::line(name("title"), &entry.title, 1, 200)?,
            body: text::passage(name("body"), &entry.body, 0, 4000)?,
            answer: text::passage(name("answer"), &entry.answer, 0, 4000)?,
            key: text::line(name("key"), &entry.key, 1, 200)?,
            routed: optional_instant(&name("route_time"), entry.route_time)?,
            answered,
            deadline: holidays
                .after_working_days(created, category.answer_working_days.cast_unsigned()),
            place,
            unit: category.route_unit_id.unwrap_or(place),
        };
        added += u64::from(add(db, category, entry, &past, directory).await?);
    }
    Ok(added)
}

struct Past {
    title: String,
    body: String,
    answer: String,
    key: String,
    created: DateTime<Utc>,
    routed: Option<DateTime<Utc>>,
    answered: Option<DateTime<Utc>>,
    deadline: DateTime<Utc>,
    place: Uuid,
    unit: Uuid,
}

#[expect(clippy::too_many_lines, reason = "one row of many columns")]
async fn add(
    db: &mut PgConnection,
    category: &category::Category,
    entry: &pb::PastFeedback,
    past: &Past,
    directory: &Directory,
) -> Result<bool, Error> {
    let routed = past.routed.or(past.answered);
    let unit = routed.map(|_| past.unit);
    let state = match (past.answered, routed) {
        (Some(_), _) => "answered",
        (None, Some(_)) => "routed",
        (None, None) => "received",
    };
    let channel = match entry.channel() {
        pb::Channel::Hotline => "hotline",
        pb::Channel::App => "app",
        _ => "web",
    };
    let list_key = past.answered.map_or(past.deadline.timestamp(), |time| {
        20_000_000_000 - time.timestamp()
    });
    let id = sqlx::query_scalar!(
        "INSERT INTO feedback (id, tracking_code, category_code, field_code, title, body, folded, longitude, latitude,
            address, place_unit_id, unit_id, channel, state, create_time, route_deadline, route_time, answer_deadline,
            answer_time, rating, illustrative, import_key, list_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11, $12, $13, $14,
            $14::timestamptz + make_interval(mins => $15), $16, $17, $18, $19, $20, $21, $22)
        ON CONFLICT (import_key) DO NOTHING RETURNING id",
        Uuid::now_v7(),
        text::tracking_code(),
        category.code,
        category.field_code,
        past.title,
        past.body,
        text::fold(&past.title),
        entry.point.unwrap_or_default().longitude,
        entry.point.unwrap_or_default().latitude,
        past.place,
        unit,
        channel,
        state,
        past.created,
        category.route_minutes,
        routed,
        past.deadline,
        past.answered,
        entry.rating.clamp(0, 5),
        entry.illustrative,
        past.key,
        list_key
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(id) = id else { return Ok(false) };
    let actor = unit
        .and_then(|unit| directory.unit(unit))
        .map(|unit| unit.name_vi.clone())
        .unwrap_or_default();
    sqlx::query!(
        "INSERT INTO feedback_step (id, feedback_id, kind, create_time, actor_id, actor_name, unit_id, text)
        SELECT s.id, $1, s.kind, s.time, 'import', s.actor, s.unit, s.text
        FROM (VALUES ($2::uuid, 'received', $5::timestamptz, '', NULL::uuid, ''),
            ($3, 'routed', $6, '', $8::uuid, ''), ($4, 'answered', $7, $9, $8, $10))
            AS s (id, kind, time, actor, unit, text)
        WHERE s.time IS NOT NULL",
        id,
        Uuid::now_v7(),
        Uuid::now_v7(),
        Uuid::now_v7(),
        past.created,
        routed,
        past.answered,
        unit,
        actor,
        past.answer
    )
    .execute(&mut *db)
    .await?;
    let scope = chassis::directory::Scope {
        all: true,
        ..Default::default()
    };
    let item = feedback::get(&mut *db, &scope, id).await?;
    rollup::count(db, &item.into()).await?;
    Ok(true)
}

fn parse_id(field: String, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::invalid(field, "phải là một UUID", "must be a UUID"))
}
