//! How members sign in, and how long they stay.

use std::path::PathBuf;
use std::time::Duration;

use super::Oidc;
use super::reader::{Reader, Section, default_of};
use super::units::ByteSize;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// What OWASP's Password Storage Cheat Sheet asks of argon2id at least: memory in MiB, with passes over it.
const LEAST: [(u64, usize); 5] = [(46, 1), (19, 2), (12, 3), (9, 4), (7, 5)];

/// How members sign in, and how long they stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Memory that the hash of a password takes. 7 MiB to 1 GiB.
    pub password_memory: ByteSize,
    /// Passes over that memory. 1 to 10; what is too few for the memory is refused.
    pub password_passes: usize,
    /// Passwords that are hashed at once; further ones wait. 1 to 64.
    pub hashes_at_once: usize,
    /// Wrong tries to sign in with one mail address in a minute from one network address; from all together, 20 times as many. 1 to 60.
    pub tries_per_member: usize,
    /// Tries to sign in or join from one network address in a minute; all people behind a proxy share one. 1 to 10,000.
    pub tries_per_address: usize,
    /// A list of breached passwords that are refused: their SHA-1 hashes in ascending order, one a line; `None`: only what is easy to guess is
    /// refused.
    pub breached_passwords_file: Option<PathBuf>,
    /// After which a session ends that is not used. 1 min to 1 day.
    pub idle: Duration,
    /// After which a session ends in any case. 5 min to 30 days.
    pub whole: Duration,
    /// The OpenID Connect provider by which members sign in, too; `None`: by password only.
    pub oidc: Option<Oidc>,
}

impl SignIn {
    /// Whether a hash costs an attacker enough.
    pub(super) fn is_dear_enough(&self) -> bool {
        LEAST.iter().any(|(mib, passes)| self.password_memory.as_u64() >= mib * MIB && self.password_passes >= *passes)
    }
}

impl Section for SignIn {
    fn read(from: &mut Reader<'_>) -> Self {
        let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
        let memory = ByteSize::mib(7)..=ByteSize::mib(1024);
        Self {
            password_memory: from.size("password_memory", ByteSize::mib(19), memory),
            password_passes: from.count("password_passes", 2, 1..=10),
            hashes_at_once: from.count("hashes_at_once", 2, 1..=64),
            tries_per_member: from.count("tries_per_member", 5, 1..=60),
            tries_per_address: from.count("tries_per_address", 60, 1..=10_000),
            breached_passwords_file: from.optional_path("breached_passwords_file"),
            idle: from.span("idle", minute * 15, minute..=day),
            whole: from.span("whole", minute * 480, minute * 5..=day * 30),
            oidc: from.section("oidc"),
        }
    }
}

impl Default for SignIn {
    fn default() -> Self {
        default_of()
    }
}
