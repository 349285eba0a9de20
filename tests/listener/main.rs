//! The gRPC listener, seen from outside: over real sockets, with clients that keep the rules and clients that don't.
//!
//! Time-outs are made short so that they pass; what is asserted is that something happens, never how fast.

#![expect(clippy::disallowed_methods, reason = "clients of a test run on the test's own runtime")]
#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod attacks;
mod audited;
mod calls;
mod connections;
mod drain;
mod dynamic;
mod fields;
mod identity;
mod matrix;
mod raw;
mod rules;
mod stub;
mod tls;

use std::future::Future;
use std::time::Duration;

/// A test that hangs fails instead.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("this should have happened long ago")
}
