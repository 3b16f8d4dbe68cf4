//! What every service of the mesh is built on. No word of the domain lives here.

pub mod access;
pub mod auth;
mod base;
pub mod body;
pub mod calendar;
pub mod config;
pub mod connections;
pub mod deadline;
pub mod directory;
pub mod discovery;
pub mod events;
pub mod guard;
pub mod language;
pub mod lifecycle;
pub mod mesh;
pub mod methods;
pub mod objects;
pub mod page;
pub mod parse;
pub mod postgres;
mod refusal;
pub mod request;
pub mod server;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use auth::Caller;
pub use base::Base;
pub use config::Config;
pub use directory::Directory;
pub use language::say;
pub use mesh::{Mesh, MeshChannel};
pub use refusal::{Refusal, internal};
pub use request::{Claimed, RequestKey};
pub use server::Server;
