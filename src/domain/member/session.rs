//! Sessions: stays of a member or an operator in the web console.
//!
//! A session ends by itself when it was not used for a while, and in any case some time after the sign-in. The browser has its secret, the
//! store its keyed hash.

use core::net::IpAddr;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{KeyId, MemberId, SessionId};

/// The longest name of a browser that is kept, in characters.
const AGENT: usize = 200;

/// A stay of a member or an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, by which it is shown and ended.
    pub id: SessionId,
    /// Whose it is.
    pub whose: SessionOf,
    /// The keyed hash of its secret.
    pub hash: [u8; 32],
    /// When its person signed in.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub seen_at: Timestamp,
    /// When its person proved last who it is: by the sign-in, or again before something grave.
    pub authenticated_at: Timestamp,
    /// The browser, as it calls itself; bounded, without control characters.
    pub agent: String,
    /// From where, coarsely: a network of addresses.
    pub origin: String,
}

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOf {
    /// A member's.
    Member(MemberId),
    /// An operator's, who showed this key.
    Operator(KeyId),
}

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Unused.
    pub idle: Duration,
    /// In any case.
    pub whole: Duration,
}

impl Session {
    /// Whether it goes on at `now`.
    pub fn lasts(&self, limits: SessionLimits, now: Timestamp) -> bool {
        now < self.ends_at(limits)
    }

    /// When it ends by itself, if it is not used again.
    pub fn ends_at(&self, limits: SessionLimits) -> Timestamp {
        (self.seen_at + limits.idle).min(self.created_at + limits.whole)
    }
}

/// What a browser calls itself, as it is kept and shown.
pub fn agent_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(AGENT).collect()
}

/// Where an address is, coarsely: its /24, or its /48.
pub fn origin_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_unused_and_in_any_case() {
        let at = Timestamp::from_secs;
        let limits = SessionLimits { idle: Duration::from_secs(10), whole: Duration::from_secs(100) };
        let session = |seen| Session {
            id: SessionId::from_u128(1),
            whose: SessionOf::Member(MemberId::from_u128(1)),
            hash: [0; 32],
            created_at: at(1000),
            seen_at: at(seen),
            authenticated_at: at(1000),
            agent: String::new(),
            origin: String::new(),
        };
        assert!(session(1000).lasts(limits, at(1009)) && !session(1000).lasts(limits, at(1010)));
        assert!(session(1095).lasts(limits, at(1099)) && !session(1095).lasts(limits, at(1100)));
    }

    #[test]
    fn what_is_kept_of_a_browser_is_coarse() {
        let origins = [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ];
        for (address, expected) in origins {
            assert_eq!(origin_of(address.parse().unwrap()), expected);
        }
        assert_eq!(agent_of("Mozilla\r\nX: y"), "MozillaX: y");
        assert_eq!(agent_of(&"a".repeat(1000)).len(), AGENT);
    }
}
