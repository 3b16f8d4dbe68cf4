//! What every service of the mesh is built on. No word of the domain lives here.

pub mod config;
pub mod language;
mod refusal;

pub use config::Config;
pub use language::say;
pub use refusal::{Refusal, internal};
