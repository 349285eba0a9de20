//! What connections and calls may take. The defaults are the broker's; every one of them answers an attack or an accident
//! that was measured or reported, and tests watch them from outside.

use std::time::Duration;

use crate::grpc::call::Deadlines;

const KIB: usize = 1024;

/// The largest request message of every service, for `max_decoding_message_size`. 256 KiB, in bytes.
pub const MAX_REQUEST: usize = 256 * KIB;

/// The largest message of an import, which carries many tokens at once: 1 MiB of rows and 64 KiB of framing, in bytes.
pub const MAX_IMPORT_REQUEST: usize = (1024 + 64) * KIB;

/// The largest answer message, for `max_encoding_message_size`; tonic has no limit of its own. 1 MiB, in bytes.
pub const MAX_RESPONSE: usize = 1024 * KIB;

/// What connections and calls may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, over all workers.
    pub connections: usize,
    /// Connections at once from one peer: an IPv4 address, or the /64 network of an IPv6 address.
    pub connections_per_peer: usize,
    /// Connections accepted per second, and at once after a pause. At least 1.
    pub accepts_per_second: u32,
    /// The same for one peer, so that none takes the whole of [`Limits::accepts_per_second`]. At least 1.
    pub accepts_per_second_per_peer: u32,
    /// In which TLS must be agreed.
    pub handshake_timeout: Duration,
    /// In which the HTTP/2 preface must arrive, after TLS.
    pub preface_timeout: Duration,
    /// Calls at once on one connection.
    pub streams: u32,
    /// Unary calls at once in the process; an equal share for each worker.
    pub calls: usize,
    /// Streams and waiting acquires at once in the process; an equal share for each worker.
    pub long_calls: usize,
    /// Streams that a peer may have opened and reset before we took them up (CVE-2023-44487).
    pub pending_resets: usize,
    /// Streams that we may have to reset on one connection, for the peer's mistakes, before it is closed (RUSTSEC-2024-0003).
    pub local_error_resets: usize,
    /// All headers of one request, in bytes as HTTP/2 counts them.
    pub header_list: u32,
    /// After which a silent connection is asked for a sign of life.
    pub keepalive: Duration,
    /// In which the sign must come.
    pub keepalive_timeout: Duration,
    /// After which a connection without calls is closed. It may last up to twice as long.
    pub idle: Duration,
    /// After which a connection is told to come again, ± 10 % by chance, so that clients spread over new processes and don't
    /// come back all at once.
    pub connection_age: Duration,
    /// How long its calls may go on after that.
    pub connection_age_grace: Duration,
    /// How long calls may go on after the server was asked to stop.
    pub drain: Duration,
    /// How long one call may take.
    pub deadlines: Deadlines,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_peer: 64,
            accepts_per_second: 2000,
            accepts_per_second_per_peer: 200,
            handshake_timeout: Duration::from_secs(5),
            preface_timeout: Duration::from_secs(10),
            streams: 128,
            calls: 4096,
            long_calls: 32_768,
            pending_resets: 20,
            local_error_resets: 1024,
            header_list: 8 * 1024,
            keepalive: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            connection_age: Duration::from_secs(900),
            connection_age_grace: Duration::from_secs(30),
            drain: Duration::from_secs(20),
            deadlines: Deadlines::default(),
        }
    }
}
