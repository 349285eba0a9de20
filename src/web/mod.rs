//! HTTP for people and probes. [`server`] bounds connections, whatever is served; [`health`] is what probes and Prometheus ask;
//! [`page`] is what all pages for people have in common, and [`sign_in`] the first of them.
//!
//! No rule of the broker lives here.

mod cookie;
pub mod health;
pub mod page;
pub mod server;
pub mod sign_in;
