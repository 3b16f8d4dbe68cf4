//! Categories: how an item is routed and how long it may take.

use proto::feedback::v1 as pb;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::Error;

/// A category.
#[derive(Clone, Debug)]
pub struct Category {
    /// Its code.
    pub code: String,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// Its field.
    pub field_code: String,
    /// The unit such items go to; none for the ward of the place.
    pub route_unit_id: Option<Uuid>,
    /// Waits for a dispatcher.
    pub screened: bool,
    /// Minutes to route.
    pub route_minutes: i32,
    /// Working days to answer.
    pub answer_working_days: i32,
}

impl From<Category> for pb::Category {
    fn from(category: Category) -> Self {
        Self {
            code: category.code,
            name_vi: category.name_vi,
            name_en: category.name_en,
            field_code: category.field_code,
            route_unit_id: category
                .route_unit_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            route_minutes: category.route_minutes,
            answer_working_days: category.answer_working_days,
            screened: category.screened,
        }
    }
}

/// All categories, at most 200, by name.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Category>, Error> {
    Ok(sqlx::query_as!(
        Category,
        "SELECT code, name_vi, name_en, field_code, route_unit_id, screened, route_minutes, answer_working_days
        FROM category ORDER BY name_vi LIMIT 200"
    )
    .fetch_all(db)
    .await?)
}

/// The category of a code.
pub async fn get(db: impl PgExecutor<'_>, code: &str) -> Result<Category, Error> {
    sqlx::query_as!(
        Category,
        "SELECT code, name_vi, name_en, field_code, route_unit_id, screened, route_minutes, answer_working_days
        FROM category WHERE code = $1",
        code
    )
    .fetch_optional(db)
    .await?
    .ok_or_else(|| {
        Error::invalid(
            "category_code",
            "không có lĩnh vực phản ánh này, hãy chọn trong danh sách",
            "there is no such category, choose one of the list",
        )
    })
}
