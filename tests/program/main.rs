//! The program itself, seen from outside: the real binary, real sockets, a real disk, and clients that are not ours.
//!
//! Each test starts its own broker on loopback with a port of the system's choice, bounds every wait generously, asserts that
//! things happen but never how fast, and leaves no process behind.

#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod audit;
mod bad_input;
mod bound;
mod canary;
mod cli;
mod clients;
mod config;
mod connect;
mod core_dumps;
mod crash;
mod first_day;
#[cfg(all(feature = "vault-transit", feature = "aws-kms"))]
mod key_services;
mod notices;
#[cfg(feature = "oidc")]
mod oidc;
mod prometheus;
mod readme;
mod renewal;
mod sealing;
mod simulate;
mod store_trouble;
mod support;
