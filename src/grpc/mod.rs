//! The gRPC API: each handler checks, converts, calls a service, and converts back. No rule of the broker lives here.
//!
//! The API itself is `proto/tokenbroker/v1`; [`pb`] is the Rust that is made from it.

pub mod client;
pub mod pb;
