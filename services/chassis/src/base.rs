//! What a running service has.

use std::sync::Arc;

use sqlx::{PgPool, migrate::Migrator};

use crate::{
    Config, Directory,
    auth::{Keys, Verifier, mesh_keys},
    mesh::Mesh,
    postgres,
};

/// What a running service has: its settings, its database, its view of the others. Cheap to clone.
#[derive(Clone)]
pub struct Base {
    /// The service's name, as in addresses, tokens and feeds.
    pub name: &'static str,
    /// The settings.
    pub config: Arc<Config>,
    /// The service's own database.
    pub db: PgPool,
    /// Units, people and rights.
    pub directory: Directory,
    /// What access tokens are verified with.
    pub verifier: Verifier,
    /// Channels to the other services.
    pub mesh: Mesh,
}

impl Base {
    /// Opens the database, brings its schema up to date, loads the directory, and looks for the others.
    pub async fn start(
        name: &'static str,
        config: &Config,
        migrations: &'static Migrator,
    ) -> anyhow::Result<Self> {
        let db = postgres::connect(config, migrations).await?;
        let mesh = Mesh::new(name, config)?;
        // Keys are public, and a token of our own cannot be had without identity either.
        let identity = mesh.channel("identity").pass_through();
        let keys = Keys::new(mesh_keys(identity, Some(db.clone())));
        Ok(Self {
            name,
            config: Arc::new(config.clone()),
            directory: Directory::load(Some(db.clone())).await?,
            verifier: Verifier::new(&config.public_url, keys),
            db,
            mesh,
        })
    }
}
