//! The gRPC API: each handler checks, converts, calls a service, and converts back. No rule of the broker lives here.
//!
//! The API itself is `proto/tokenbroker/v1`; [`pb`] is the Rust that is made from it. [`listener`] accepts connections and
//! bounds them; [`call`] bounds and watches each call on them, whatever the handler does. [`client`] is the way in for our own
//! command line.

pub mod alert_service;
pub mod audit_service;
pub mod authorization;
pub mod call;
pub mod caller;
mod change;
pub mod client;
pub mod connection_service;
pub mod consent_service;
pub mod convert;
mod fields;
pub mod incident_service;
pub mod job_service;
pub mod key_service;
pub mod lease_service;
pub mod listener;
mod load_message;
pub mod load_service;
pub mod member_service;
mod network_message;
pub mod network_service;
pub mod notice_service;
mod page;
pub mod pb;
pub mod profile_service;
pub mod push_service;
mod refusals;
pub mod status;
pub mod team_service;
pub mod token_service;
pub mod unary;
mod watch_refusals;
#[cfg(test)]
mod watch_tests;
mod watching;
