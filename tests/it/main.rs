//! The one test binary: the contract, journeys, access, traces and restarts over real processes.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod contract;
mod journey;
mod restart;
mod trace;
