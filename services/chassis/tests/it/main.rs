//! The chassis over real connections on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests; what they measure is worth seeing"
)]

mod connections;
mod consul;
mod fixture;
mod mesh;
mod server;
mod token;
