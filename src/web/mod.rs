//! HTTP for people and probes. [`server`] bounds connections, whatever is served; [`health`] is what probes and Prometheus ask.
//!
//! No rule of the broker lives here.

pub mod health;
pub mod server;
