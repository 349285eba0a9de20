//! The ground under every layer: time, ids, secrets, units and named tasks.
//!
//! Nothing here knows what a token is. Nothing here imports from another layer.

pub mod clock;
pub mod hex;
pub mod ids;
pub mod rate_clock;
pub mod secret;
pub mod tasks;
