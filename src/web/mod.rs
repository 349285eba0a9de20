//! HTTP for people and probes. [`server`] bounds connections, whatever is served; [`health`] is what probes and Prometheus ask;
//! [`page`] is what all pages for people have in common: [`sign_in`], and [`connect`], where people connect accounts;
//! [`callbacks`] is where networks tell that a person took the consent back.
//!
//! No rule of the broker lives here.

pub mod callbacks;
pub mod connect;
mod cookie;
pub mod health;
pub mod page;
pub mod server;
pub mod sign_in;
