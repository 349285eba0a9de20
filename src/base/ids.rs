//! Identifiers: one type per noun, so that a lease can't be passed where a token is meant.
//!
//! An id is 128 random or time-ordered bits and is written as a prefix and 32 hex digits (`tok_0192…`). Teams and
//! networks are named by people and are slugs.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use dashmap::DashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The text is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}; expected {expected}")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    expected: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ordered by time (UUID version 7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// From the 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            /// The 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// The 16 bytes, as the store keeps them.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id in an address that anybody may have typed. What is no id is the nil id, which nothing has.
            pub fn typed(text: &str) -> Self {
                text.parse().unwrap_or(Self(Uuid::nil()))
            }

            /// From the 16 bytes that the store kept.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, ParseIdError> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| ParseIdError {
                    text: format!("{} bytes", bytes.len()),
                    what: $what,
                    expected: "16 bytes".to_owned(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError {
                        text: text.chars().take(64).collect(),
                        what: $what,
                        expected: concat!($prefix, "_ and 32 hex digits").to_owned(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One grant that the broker holds.
    TokenId = "tok", "a token id";
    /// One right of one collector to use one token.
    LeaseId = "lse", "a lease id";
    /// One collector's registration.
    CollectorId = "col", "a collector id";
    /// One key of a collector or an operator.
    KeyId = "key", "a key id";
    /// One try to connect an account.
    ConnectionId = "con", "a connection id";
    /// One opening of an alert.
    AlertId = "alr", "an alert id";
    /// One block of credit, taken durably by one process.
    BlockId = "blk", "a block id";
    /// One run of one broker process.
    ProcessId = "prc", "a process id";
    /// One row of the audit.
    AuditId = "aud", "an audit id";
    /// One person of a team.
    MemberId = "mem", "a member id";
    /// One stay of a member in the web console.
    SessionId = "ses", "a session id";
    /// One message to the outside.
    OutboxId = "out", "an outbox id";
    /// One fact that people may want to hear.
    EventId = "evt", "an event id";
    /// One long-running job.
    JobId = "job", "a job id";
    /// One destination of a team.
    DestinationId = "dst", "a destination id";
    /// One browser of a member that gets push messages.
    PushSubscriptionId = "psh", "a push subscription id";
    /// One incident.
    IncidentId = "inc", "an incident id";
    /// One form of a page that is done once, however often it is sent.
    FormId = "frm", "a form id";
}

impl BlockId {
    /// A new id, the successor of the one before it in this process. Beginning and step are unlike those of any other process, as
    /// ids that [`BlockId::generate`] makes are, but it costs no look at the clock and no randomness: blocks are taken on the hot path.
    pub fn in_sequence() -> Self {
        static FIRST: LazyLock<(u64, u64)> = LazyLock::new(|| Uuid::now_v7().as_u64_pair());
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        let (high, low) = *FIRST;
        Self(Uuid::from_u64_pair(high, low.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed))))
    }
}

/// A map from ids. Its hash is a few instructions, and safe only because the ids in it are made by the broker: nobody outside can
/// choose them so that they collide. Not for texts, and not for ids that a client makes up.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// As [`IdMap`], shared between threads.
pub type SharedIdMap<K, V> = DashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The hash of [`IdMap`]: folds the bits of an id and spreads them over the word.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl IdHasher {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.fold(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    /// The length before the bytes: the same for all ids.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                if is_slug(text, $max) {
                    return Ok(Self(text.into()));
                }
                Err(ParseIdError {
                    text: text.chars().take(64).collect(),
                    what: $what,
                    expected: format!("1 to {} of a-z, 0-9, '_', '-' or '.', beginning with a letter or digit", $max),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

slugs! {
    /// A tenant, as its operator named it (`acme`).
    TeamId, "a team id", 63;
    /// A network of the catalogue (`x`, `facebook`).
    NetworkId, "a network id", 63;
    /// Our registration at a network, as its operator named it (`default`).
    AppId, "an app id", 63;
    /// A kind of token at a network (`user`, `page`).
    KindId, "a token kind", 63;
    /// A credit class of a network (`search`).
    ClassId, "a credit class", 63;
    /// A kind of network call (`tweets.search_recent`).
    OperationId, "an operation", 127;
}

fn is_slug(text: &str, max: usize) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let made_well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    starts_well && text.len() <= max && text.chars().all(made_well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = TokenId::generate();
        assert_eq!(id.to_string().parse::<TokenId>(), Ok(id));
        assert_eq!(TokenId::from_slice(id.as_bytes()), Ok(id));
    }

    #[test]
    fn an_id_of_another_noun_is_refused() {
        let lease = LeaseId::generate().to_string();
        assert!(lease.parse::<TokenId>().unwrap_err().to_string().contains("tok_"));
        assert!("tok_12".parse::<TokenId>().is_err());
    }

    #[test]
    fn blocks_in_sequence_are_different_and_in_order() {
        let ids: Vec<BlockId> = (0..100).map(|_| BlockId::in_sequence()).collect();
        assert!(ids.windows(2).all(|pair| pair[0].as_u128() != pair[1].as_u128()));
    }

    #[test]
    fn ids_spread_over_the_word() {
        let hash = |bits: u128| {
            let mut hasher = IdHasher::default();
            std::hash::Hash::hash(&TokenId::from_u128(bits), &mut hasher);
            hasher.finish()
        };
        // What a hash table looks at: the lowest bits and the highest seven. Ids that differ in one half only must differ there.
        for halves in [0, 64] {
            let ids = (0..4096_u128).map(|number| hash(number << halves));
            let seen: std::collections::BTreeSet<(u64, u64)> = ids.map(|hash| (hash & 0xFFF, hash >> 57)).collect();
            assert!(seen.len() > 4000, "{} of 4096 at bit {halves}", seen.len());
        }
    }

    #[test]
    fn slugs_are_checked() {
        assert!("acme-2.eu".parse::<TeamId>().is_ok());
        for bad in ["", "Acme", "-acme", "a b", &"a".repeat(64)] {
            assert!(bad.parse::<TeamId>().is_err(), "{bad:?}");
        }
    }
}
