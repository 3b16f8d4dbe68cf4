//! What every service of the mesh is built on. No word of the domain lives here.

pub mod access;
pub mod auth;
pub mod config;
pub mod directory;
pub mod events;
pub mod language;
pub mod objects;
pub mod postgres;
mod refusal;
pub mod request;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use auth::Caller;
pub use config::Config;
pub use directory::Directory;
pub use language::say;
pub use refusal::{Refusal, internal};
pub use request::{Claimed, RequestKey};
