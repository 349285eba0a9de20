//! The rules: pure, synchronous, without clock and without I/O.

pub mod alert;
pub mod app;
pub mod audit;
pub mod certificate;
pub mod connection;
pub mod consent;
pub mod credit;
pub mod evidence;
pub mod incident;
pub mod job;
pub mod key;
pub mod lease;
pub mod load;
pub mod member;
pub mod networks;
pub mod notice;
pub mod pool;
pub mod probe;
pub mod profile;
pub mod queue;
pub mod reach;
pub mod renewal;
pub mod retry;
pub mod revocation;
pub mod team;
pub mod token;
