//! The chassis over real connections on loopback and on a real Postgres.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests; what they measure is worth seeing"
)]

mod connections;
mod consul;
mod database;
mod feed;
mod fixture;
mod mesh;
mod migration;
mod parking;
mod recovery;
mod request;
mod server;
mod source;
mod token;
mod traps;
