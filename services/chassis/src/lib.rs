//! What every service of the mesh is built on. No word of the domain lives here.

pub mod config;
pub mod events;
pub mod language;
pub mod objects;
pub mod postgres;
mod refusal;
pub mod request;
pub mod telemetry;

pub use config::Config;
pub use language::say;
pub use refusal::{Refusal, internal};
pub use request::{Claimed, RequestKey};
