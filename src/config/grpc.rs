//! The listener for collectors and operators.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Reader, Section, default_of};
use super::units::ByteSize;

/// The listener for collectors and operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grpc {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificates and keys.
    pub tls: Tls,
    /// Whether tokens may travel unencrypted beyond this machine.
    pub insecure_plaintext: bool,
    /// Whether clients may ask for the descriptors.
    pub reflection: bool,
    /// Threads that serve; 0: one per core. 0 to 256.
    pub workers: usize,
    /// The longest that a call may take, and what a call without a deadline gets. 100 ms to 5 min.
    pub deadline: Duration,
    /// Whether a unary call without a deadline is refused; else it gets `deadline`.
    pub require_deadline: bool,
    /// How long calls may go on after the broker was asked to stop. 0 s to 20 s.
    pub drain: Duration,
    /// What one connection, peer or call may take.
    pub limits: Limits,
}

/// Certificates and keys of the listener. A certificate and its key stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The authority whose certificates clients show, PEM; `None`: clients show keys only.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may also come without a certificate.
    pub client_certificates: ClientCertificates,
}

/// What is asked of clients where certificates have an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Whoever connects shows a certificate, also with a key.
    Required,
    /// Who shows no certificate needs a key.
    Optional,
}

impl ClientCertificates {
    const WORDS: [(&'static str, Self); 2] = [("required", Self::Required), ("optional", Self::Optional)];
}

/// What one connection, peer or call may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. 1 to 1,000,000.
    pub connections: usize,
    /// Connections at once from one address. 1 to 1,000,000.
    pub connections_per_peer: usize,
    /// Connections accepted per second. 1 to 1,000,000.
    pub accepts_per_second: usize,
    /// In which TLS must be agreed. 100 ms to 1 min.
    pub handshake_timeout: Duration,
    /// In which the HTTP/2 preface must arrive. 100 ms to 1 min.
    pub preface_timeout: Duration,
    /// Calls at once on a connection. 1 to 10,000.
    pub streams: usize,
    /// Calls at once in the process; more are refused with a time to retry. 1 to 1,000,000.
    pub calls: usize,
    /// Streams that a peer may have opened and reset before they were accepted. 1 to 10,000.
    pub pending_resets: usize,
    /// Streams that we may have to reset on one connection before it is closed. 1 to 100,000.
    pub local_error_resets: usize,
    /// A request's headers. 1 KiB to 64 KiB.
    pub header_list: ByteSize,
    /// After which a silent connection is asked for a sign of life. 5 s to 1 h.
    pub keepalive: Duration,
    /// In which the sign must come. 1 s to 1 min.
    pub keepalive_timeout: Duration,
    /// After which a connection is told to come again, ± 10 % by chance. 10 s to 24 h.
    pub connection_age: Duration,
    /// How long its calls may go on after that. 1 s to 10 min.
    pub connection_age_grace: Duration,
}

impl Grpc {
    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.tls.cert.is_some() && self.tls.key.is_some()
    }
}

impl Section for Grpc {
    fn read(from: &mut Reader<'_>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 7070));
        Self {
            listen: from.parsed("listen", listen, "an address and a port such as \"127.0.0.1:7070\""),
            tls: Tls {
                cert: from.optional_path("tls_cert"),
                key: from.optional_path("tls_key"),
                client_ca: from.optional_path("client_ca"),
                client_certificates: from.word(
                    "client_certificates",
                    ClientCertificates::Required,
                    &ClientCertificates::WORDS,
                ),
            },
            insecure_plaintext: from.switch("insecure_plaintext", false),
            reflection: from.switch("reflection", true),
            workers: from.count("workers", 0, 0..=256),
            deadline: from.span("deadline", seconds(10), Duration::from_millis(100)..=seconds(300)),
            require_deadline: from.switch("require_deadline", false),
            drain: from.span("drain", seconds(20), seconds(0)..=seconds(20)),
            limits: from.section("limits"),
        }
    }
}

impl Section for Limits {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            connections: from.count("connections", 20_000, 1..=1_000_000),
            connections_per_peer: from.count("connections_per_peer", 64, 1..=1_000_000),
            accepts_per_second: from.count("accepts_per_second", 2000, 1..=1_000_000),
            handshake_timeout: from.span("handshake_timeout", seconds(5), Duration::from_millis(100)..=seconds(60)),
            preface_timeout: from.span("preface_timeout", seconds(10), Duration::from_millis(100)..=seconds(60)),
            streams: from.count("streams", 128, 1..=10_000),
            calls: from.count("calls", 4096, 1..=1_000_000),
            pending_resets: from.count("pending_resets", 20, 1..=10_000),
            local_error_resets: from.count("local_error_resets", 1024, 1..=100_000),
            header_list: from.size("header_list", ByteSize::kib(8), ByteSize::kib(1)..=ByteSize::kib(64)),
            keepalive: from.span("keepalive", seconds(30), seconds(5)..=seconds(3600)),
            keepalive_timeout: from.span("keepalive_timeout", seconds(10), seconds(1)..=seconds(60)),
            connection_age: from.span("connection_age", seconds(900), seconds(10)..=seconds(86_400)),
            connection_age_grace: from.span("connection_age_grace", seconds(30), seconds(1)..=seconds(600)),
        }
    }
}

impl Default for Grpc {
    fn default() -> Self {
        default_of()
    }
}

impl Default for Limits {
    fn default() -> Self {
        default_of()
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
