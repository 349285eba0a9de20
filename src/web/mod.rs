//! HTTP for people and probes. [`server`] bounds connections, whatever is served; [`health`] is what probes and Prometheus ask;
//! [`page`] is what all pages for people have in common: [`sign_in`], [`connect`], where people connect accounts, and [`console`], where they
//! look after their team's tokens; [`callbacks`] is where networks tell that a person took the consent back, and [`clients`] where they read of
//! our apps. [`in_words`] says errors in the words of `crate::text`.
//!
//! No rule of the broker lives here.

pub mod assets;
pub mod callbacks;
pub mod clients;
pub mod connect;
pub mod console;
mod cookie;
pub mod health;
mod in_words;
mod once;
mod own_page;
pub mod page;
#[cfg(test)]
mod route_tests;
pub mod server;
pub mod sign_in;
