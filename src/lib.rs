//! token-broker: keeps social-network access tokens sealed, leases them to collectors with exact credit, balances the
//! collection over them, and says when a team's *token load* is too high.
//!
//! The layers, from the ground up; each imports only from those before it:
//! [`base`], [`config`], [`telemetry`], [`text`], [`domain`], [`vault`], [`store`], [`outbound`], [`engine`], [`service`], then
//! [`grpc`] and [`web`] side by side, and over all of them [`app`] and [`cli`]. [`sim`] holds simulated networks and knows [`base`]
//! and [`domain`] only.

pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod grpc;
pub mod outbound;
pub mod service;
pub mod sim;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod vault;
pub mod web;

/// Tests weigh the memory that the program would use, so they allocate as it does.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
