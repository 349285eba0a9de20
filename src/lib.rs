//! token-broker: keeps social-network access tokens sealed, leases them to collectors with exact credit, balances the
//! collection over them, and says when a team's *token load* is too high.
//!
//! The layers, from the ground up; each imports only from those above it in this list:
//! [`base`], [`domain`], [`grpc`], [`cli`].

pub mod base;
pub mod cli;
pub mod domain;
pub mod grpc;
