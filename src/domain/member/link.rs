//! Secrets that are shown once and kept as a hash only: of invitations, mail addresses and sessions. A prefix, 256 bits and a checksum, so that secret
//! scanners find one that leaked, and a broken copy is told from one that ended.

use zeroize::Zeroizing;

use crate::base::hex::{hex_array, push_hex};
use crate::base::secret::Secret;

const SECRET_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// It joins a team, or sets a new password.
    Invitation,
    /// It shows that a mail address is a member's.
    Mail,
    /// It shows that a member is signed in.
    Session,
}

impl LinkKind {
    /// What such a secret begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            LinkKind::Invitation => "tbi_",
            LinkKind::Mail => "tbm_",
            LinkKind::Session => "tbs_",
        }
    }

    /// The text of a secret, from 256 bits of a cryptographic generator.
    pub fn text(self, secret: &[u8; 32]) -> Secret {
        let mut text = String::with_capacity(self.prefix().len() + SECRET_DIGITS + CHECKSUM_DIGITS);
        text.push_str(self.prefix());
        push_hex(&mut text, secret);
        let checksum = crc32fast::hash(text.as_bytes());
        push_hex(&mut text, &checksum.to_be_bytes());
        Secret::new(text)
    }

    /// Reads such a text; `None` if it is something else or not whole.
    pub fn read(self, text: &str) -> Option<Zeroizing<[u8; 32]>> {
        let (body, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_DIGITS)?)?;
        let secret = hex_array::<32>(body.strip_prefix(self.prefix())?).map(Zeroizing::new)?;
        let right = hex_array::<4>(checksum)? == crc32fast::hash(body.as_bytes()).to_be_bytes();
        right.then_some(secret)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_changed_text_is_none() {
        let text = LinkKind::Invitation.text(&[7; 32]).expose().to_owned();
        assert!(LinkKind::Session.read(&text).is_none(), "each kind is its own");
        assert!(text.starts_with("tbi_0707") && text.len() == 76, "{text}");
        for wrong in ["", "tbi_", &text[1..], &text[..75], &format!("{text} "), &text.replacen("07", "17", 1), "é"] {
            assert!(LinkKind::Invitation.read(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_survives_its_text(secret in any::<[u8; 32]>()) {
            let text = LinkKind::Invitation.text(&secret);
            prop_assert_eq!(LinkKind::Invitation.read(text.expose()).map(|read| *read), Some(secret));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            prop_assert!(LinkKind::Invitation.read(&text).is_none());
        }
    }
}
