//! Consent: what a person agreed to when connecting an account, in the words that were shown.
//!
//! Each agreement and each withdrawal is a record of its own; the last one holds. A token's purposes never go beyond it.

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, TokenId};
use crate::domain::networks::Purposes;

/// The texts that persons agree to, by version, the newest last. A text is never changed: a new one gets a new version.
pub const TEXTS: [(&str, &str); 1] = [("2026-11", include_str!("2026-11.txt"))];

/// The version that is shown to persons now.
pub const NEWEST: &str = TEXTS[TEXTS.len() - 1].0;

/// What a person agreed to, or withdrew, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The token that it is about.
    pub token: TokenId,
    /// When.
    pub at: Timestamp,
    /// What holds from then on.
    pub purposes: Purposes,
    /// What was withdrawn; none where the person agreed.
    pub withdrawn: Purposes,
    /// The version of the text that was agreed to; empty where an operator stated the consent.
    pub text_version: String,
    /// The member who said so; `None`: an operator, or the broker.
    pub member: Option<MemberId>,
}

impl Consent {
    /// The same without some purposes.
    pub fn withdraw(&self, withdrawn: Purposes, at: Timestamp, member: Option<MemberId>) -> Consent {
        let left = self.purposes.bits() & !withdrawn.bits();
        let gone = self.purposes.bits() & withdrawn.bits();
        let (purposes, withdrawn) = (Purposes::from_bits(left), Purposes::from_bits(gone));
        Consent { at, purposes, withdrawn, member, ..self.clone() }
    }

    /// Whether `purposes` stay within what was agreed to.
    pub fn covers(&self, purposes: Purposes) -> bool {
        purposes.bits() & !self.purposes.bits() == 0
    }
}

/// The text of a version; `None` if there is none.
pub fn text_of(version: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == version).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Purpose;

    #[test]
    fn a_withdrawal_leaves_what_was_not_withdrawn() {
        let all: Purposes = [Purpose::CollectContent, Purpose::Publish].into_iter().collect();
        let agreed = Consent {
            token: TokenId::from_u128(1),
            at: Timestamp::EPOCH,
            purposes: all,
            withdrawn: Purposes::default(),
            text_version: NEWEST.to_owned(),
            member: None,
        };
        let asked: Purposes = [Purpose::Publish, Purpose::Activate].into_iter().collect();
        let left = agreed.withdraw(asked, Timestamp::from_secs(1), Some(MemberId::from_u128(1)));
        assert_eq!(left.purposes, [Purpose::CollectContent].into_iter().collect());
        assert_eq!(
            left.withdrawn,
            [Purpose::Publish].into_iter().collect(),
            "what was never agreed to is not withdrawn"
        );
        assert!(agreed.covers(all) && !left.covers(all) && left.covers(Purposes::default()));
    }

    #[test]
    fn every_version_has_its_text() {
        for (version, text) in TEXTS {
            assert_eq!(text_of(version), Some(text));
            assert!(text.contains("withdraw"), "{version}");
        }
        assert_eq!((text_of(NEWEST), text_of("")), (Some(TEXTS[TEXTS.len() - 1].1), None));
    }
}
