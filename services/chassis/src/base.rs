//! What a running service has.

use std::sync::Arc;

use sqlx::{PgPool, migrate::Migrator};

use crate::{Config, mesh::Mesh, postgres};

/// What a running service has: its settings, its database, its view of the others. Cheap to clone.
#[derive(Clone)]
pub struct Base {
    /// The service's name, as in addresses, tokens and feeds.
    pub name: &'static str,
    /// The settings.
    pub config: Arc<Config>,
    /// The service's own database.
    pub db: PgPool,
    /// Channels to the other services.
    pub mesh: Mesh,
}

impl Base {
    /// Opens the database, brings its schema up to date, and looks for the others.
    pub async fn start(
        name: &'static str,
        config: &Config,
        migrations: &'static Migrator,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name,
            config: Arc::new(config.clone()),
            db: postgres::connect(config, migrations).await?,
            mesh: Mesh::new(name, config)?,
        })
    }
}
