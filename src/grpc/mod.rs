//! The gRPC API: each handler checks, converts, calls a service, and converts back. No rule of the broker lives here.
//!
//! The API itself is `proto/tokenbroker/v1`; [`pb`] is the Rust that is made from it. [`listener`] accepts connections and
//! bounds them; [`call`] bounds and watches each call on them, whatever the handler does. [`client`] is the way in for our own
//! command line.

pub mod call;
pub mod caller;
pub mod client;
pub mod convert;
pub mod lease_service;
pub mod listener;
pub mod pb;
pub mod status;
