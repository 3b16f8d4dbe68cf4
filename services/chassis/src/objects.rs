//! Attachments and photos: bytes under a key, in a folder or, in clusters, a bucket.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};

use crate::Config;

/// A service's own store of bytes.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// Opens the store of one service, making its folder.
    pub fn open(config: &Config, service: &str) -> anyhow::Result<Self> {
        let folder = config.objects.join(service);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("--objects: {} cannot be made", folder.display()))?;
        let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
        })
    }

    /// Stores bytes durably. The same key again replaces them.
    pub async fn put(&self, key: &str, content: Bytes) -> anyhow::Result<()> {
        self.store
            .put(&Path::parse(key)?, content.into())
            .await
            .with_context(|| format!("object {key} not stored"))?;
        Ok(())
    }

    /// Reads bytes; none if there are none under the key.
    pub async fn get(&self, key: &str) -> anyhow::Result<Option<Bytes>> {
        match self.store.get(&Path::parse(key)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("object {key} not read")),
        }
    }

    /// Deletes bytes; nothing happens if there are none.
    pub async fn delete(&self, key: &str) -> anyhow::Result<()> {
        match self.store.delete(&Path::parse(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("object {key} not deleted")),
        }
    }
}
