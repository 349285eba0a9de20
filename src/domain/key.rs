//! The text of an API key: `tbk_`, the key's id, `_`, a 256-bit secret and a checksum.
//!
//! The prefix and the checksum let secret scanners find a leaked key and let a slip of the keyboard be told from a key
//! that was revoked, before anything is looked up. Whether a key is known is not decided here: the broker keeps only
//! a keyed hash of the secret.

use zeroize::Zeroizing;

use crate::base::hex::{hex_array, push_hex};
use crate::base::ids::KeyId;
use crate::base::secret::Secret;

/// What every key begins with.
const PREFIX: &str = "tbk_";
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;
/// The length of a key's text in bytes.
const LENGTH: usize = PREFIX.len() + ID_DIGITS + 1 + SECRET_DIGITS + CHECKSUM_DIGITS;

/// A key of a collector or an operator, with its secret. It has no `Debug`, `Display` or `Clone`, and is overwritten when dropped.
pub struct ApiKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

/// The text is not an API key. The text itself is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It is something else.
    #[error("this is not an API key; a key begins with '{PREFIX}'")]
    Prefix,
    /// Some of it is missing, or there is more than a key.
    #[error("an API key has {LENGTH} characters, this text has {0}; copy the whole key, without quotes or spaces")]
    Length(usize),
    /// A character that no key has.
    #[error(
        "an API key is '{PREFIX}', {ID_DIGITS} hex digits, '_' and hex digits, all in lower case; copy the key again"
    )]
    Digits,
    /// The checksum does not belong to the rest.
    #[error("the API key was changed on its way: its checksum does not fit; copy the key again")]
    Checksum,
}

impl ApiKey {
    /// A key from its id and 256 bits that the caller took from a cryptographic generator.
    pub fn from_random(id: KeyId, secret: [u8; 32]) -> Self {
        Self { id, secret: Zeroizing::new(secret) }
    }

    /// Reads a key's text. The error does not depend on whether such a key exists.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let digits = text.strip_prefix(PREFIX).ok_or(ApiKeyError::Prefix)?;
        if text.len() != LENGTH {
            return Err(ApiKeyError::Length(text.chars().count()));
        }
        let (body, checksum) = text.split_at_checked(LENGTH - CHECKSUM_DIGITS).ok_or(ApiKeyError::Digits)?;
        let checksum = hex_array::<4>(checksum).ok_or(ApiKeyError::Digits)?;
        let (id, secret) = digits.split_at_checked(ID_DIGITS).ok_or(ApiKeyError::Digits)?;
        let id = hex_array::<16>(id).ok_or(ApiKeyError::Digits)?;
        let secret = secret.strip_prefix('_').and_then(|rest| rest.get(..SECRET_DIGITS));
        let secret = secret.and_then(hex_array::<32>).ok_or(ApiKeyError::Digits)?;
        let secret = Zeroizing::new(secret);
        if crc32fast::hash(body.as_bytes()).to_be_bytes() != checksum {
            return Err(ApiKeyError::Checksum);
        }
        Ok(Self { id: KeyId::from_u128(u128::from_be_bytes(id)), secret })
    }

    /// The id, by which the key is looked up, shown and revoked.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The 256 bits whose keyed hash the store keeps.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The text that is shown once, to the person who made the key.
    pub fn text(&self) -> Secret {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        push_hex(&mut text, self.id.as_bytes());
        text.push('_');
        push_hex(&mut text, self.secret.as_slice());
        let checksum = crc32fast::hash(text.as_bytes());
        push_hex(&mut text, &checksum.to_be_bytes());
        Secret::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> String {
        ApiKey::from_random(KeyId::from_u128(0xab), [7; 32]).text().expose().to_owned()
    }

    #[test]
    fn the_text_has_the_published_shape() {
        let text = sample();
        assert_eq!(text.len(), LENGTH);
        assert!(text.starts_with("tbk_000000000000000000000000000000ab_0707"), "{text}");
    }

    #[test]
    fn each_mistake_has_its_message() {
        let text = sample();
        let upper = format!("tbk_{}", text["tbk_".len()..].to_uppercase());
        let separated = text.replacen("ab_", "ab-", 1);
        let wide = format!("{}é", &text[..LENGTH - 2]);
        let cases = [
            ("", ApiKeyError::Prefix),
            ("Bearer tbk_", ApiKeyError::Prefix),
            ("tbk_", ApiKeyError::Length(4)),
            (&text[..LENGTH - 1], ApiKeyError::Length(LENGTH - 1)),
            (&format!("{text} "), ApiKeyError::Length(LENGTH + 1)),
            (&upper, ApiKeyError::Digits),
            (&separated, ApiKeyError::Digits),
            (&wide, ApiKeyError::Digits),
            (&text.replacen("07", "17", 1), ApiKeyError::Checksum),
        ];
        for (wrong, expected) in cases {
            assert_eq!(ApiKey::parse(wrong).err(), Some(expected), "{wrong}");
        }
    }

    #[test]
    fn no_message_repeats_the_text() {
        let text = sample().replacen("07", "zz", 1);
        let message = ApiKey::parse(&text).err().unwrap().to_string();
        assert!(!message.contains("0707"), "{message}");
    }

    proptest! {
        #[test]
        fn a_key_survives_its_text(id in any::<u128>(), secret in any::<[u8; 32]>()) {
            let key = ApiKey::from_random(KeyId::from_u128(id), secret);
            let read = ApiKey::parse(key.text().expose()).unwrap();
            prop_assert_eq!(read.id(), key.id());
            prop_assert_eq!(read.secret(), key.secret());
        }

        #[test]
        fn any_changed_character_is_noticed(at in 0..LENGTH, to in "[0-9a-zA-Z_]") {
            let text = sample();
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert!(ApiKey::parse(&changed).is_err());
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            prop_assert!(ApiKey::parse(&text).is_err());
        }
    }
}
