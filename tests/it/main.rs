//! The one test binary: journeys, access, traces, restarts and the contract.
#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;
