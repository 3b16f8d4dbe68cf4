//! Which ward, commune or special zone a point lies in.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use geo::{BoundingRect, Contains, MultiPolygon, Point};
use rstar::{AABB, RTree, RTreeObject};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The city's boundaries in memory: some hundred shapes, found by their boxes first.
#[derive(Clone, Default)]
pub struct Places(Arc<ArcSwap<Layout>>);

#[derive(Default)]
struct Layout {
    tree: RTree<Place>,
    update_time: Option<DateTime<Utc>>,
}

struct Place {
    unit_id: Uuid,
    shape: MultiPolygon<f64>,
    envelope: AABB<[f64; 2]>,
}

impl RTreeObject for Place {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

impl Places {
    /// The unit that a point lies in.
    #[must_use]
    pub fn locate(&self, longitude: f64, latitude: f64) -> Option<Uuid> {
        let layout = self.0.load();
        let point = Point::new(longitude, latitude);
        layout
            .tree
            .locate_in_envelope_intersecting(AABB::from_point([longitude, latitude]))
            .find(|place| place.shape.contains(&point))
            .map(|place| place.unit_id)
    }

    /// Reads the boundaries again if they changed; every replica asks from time to time.
    pub async fn refresh(&self, db: &PgPool) -> anyhow::Result<()> {
        let mut db = db.acquire().await?;
        self.refresh_from(&mut db).await
    }

    /// Reads the boundaries again if they changed, as the transaction sees them.
    pub async fn refresh_from(&self, db: &mut PgConnection) -> anyhow::Result<()> {
        let newest = sqlx::query_scalar!("SELECT max(update_time) FROM boundary")
            .fetch_one(&mut *db)
            .await?;
        if newest == self.0.load().update_time {
            return Ok(());
        }
        let rows = sqlx::query!("SELECT unit_id, geojson FROM boundary")
            .fetch_all(&mut *db)
            .await?;
        let layout = tokio::task::spawn_blocking(move || -> anyhow::Result<Layout> {
            let places = rows
                .into_iter()
                .map(|row| place(row.unit_id, &row.geojson))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Layout {
                tree: RTree::bulk_load(places),
                update_time: newest,
            })
        });
        self.0.store(Arc::new(layout.await??));
        Ok(())
    }
}

fn place(unit_id: Uuid, geojson: &str) -> anyhow::Result<Place> {
    let shape = parse(geojson).with_context(|| format!("boundary of {unit_id}"))?;
    let bounds = shape.bounding_rect().context("a boundary without points")?;
    let envelope = AABB::from_corners(bounds.min().into(), bounds.max().into());
    Ok(Place {
        unit_id,
        shape,
        envelope,
    })
}

/// Reads a GeoJSON Polygon or MultiPolygon.
pub fn parse(geojson: &str) -> anyhow::Result<MultiPolygon<f64>> {
    let geometry: geojson::Geometry = geojson.parse::<geojson::GeoJson>()?.try_into()?;
    match geo::Geometry::<f64>::try_from(geometry)? {
        geo::Geometry::Polygon(polygon) => Ok(polygon.into()),
        geo::Geometry::MultiPolygon(shape) => Ok(shape),
        _ => anyhow::bail!("neither Polygon nor MultiPolygon"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[106,10],[107,10],[107,11],[106,11],[106,10]],
        [[106.4,10.4],[106.6,10.4],[106.6,10.6],[106.4,10.6],[106.4,10.4]]]}"#;

    #[test]
    fn a_hole_is_outside() {
        let layout = Layout {
            tree: RTree::bulk_load(vec![place(Uuid::nil(), SQUARE).unwrap()]),
            update_time: None,
        };
        let places = Places(Arc::new(ArcSwap::from_pointee(layout)));
        assert_eq!(places.locate(106.1, 10.1), Some(Uuid::nil()));
        assert_eq!(places.locate(106.5, 10.5), None);
        assert_eq!(places.locate(108.0, 10.5), None);
    }

    #[test]
    fn a_line_is_no_boundary() {
        assert!(parse(r#"{"type":"LineString","coordinates":[[0,0],[1,1]]}"#).is_err());
    }
}
