//! Mail addresses, as people type them and as mail servers take them.
//!
//! What is taken is what can be sent to without quoting: a local part of letters, digits and the signs that RFC 5322 calls *atext*, and the
//! name of a host. Letters beyond ASCII are taken in both (RFC 6531, IDN). Nothing that could end a header line gets in.

use std::fmt;
use std::str::FromStr;

use url::Host;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, less the brackets).
const MOST: usize = 254;
/// The longest local part, in bytes (RFC 5321, 4.5.3.1.1).
const MOST_LOCAL: usize = 64;
/// What a local part may hold beside letters and digits (RFC 5322, 3.2.3).
const SIGNS: &str = "!#$%&'*+-/=?^_`{|}~.";

/// A mail address. Two are the same if they differ in upper and lower case only, or in how the host's name is written.
#[derive(Clone, PartialEq, Eq)]
pub struct MailAddress {
    text: String,
    key: String,
}

/// The text is no mail address. The text itself is not part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailAddressError {
    /// It has line breaks or other control characters.
    #[error("must not have line breaks or other control characters")]
    Control,
    /// It is too long.
    #[error("must have at most {MOST} bytes, and at most {MOST_LOCAL} before the '@'")]
    Long,
    /// Something is missing, or something is there that an address can't have.
    #[error("must be a mail address such as 'ada@example.com', without a name, quotes or spaces")]
    Form,
}

impl MailAddress {
    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address in lower case, with the host's name in ASCII: the same for all that are the same.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name of the host, in ASCII.
    pub fn host(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, host)| host)
    }

    /// Whether mail to both reaches the same.
    pub fn is_same(&self, other: &MailAddress) -> bool {
        self.key == other.key
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for MailAddress {
    type Err = MailAddressError;

    fn from_str(text: &str) -> Result<Self, MailAddressError> {
        if text.chars().any(char::is_control) {
            return Err(MailAddressError::Control);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(MailAddressError::Form)?;
        if text.len() > MOST || local.len() > MOST_LOCAL {
            return Err(MailAddressError::Long);
        }
        let taken = |c: char| c.is_alphanumeric() || SIGNS.contains(c);
        let is_local = !local.is_empty() && local.chars().all(taken) && local.split('.').all(|atom| !atom.is_empty());
        let host = host_of(domain).filter(|_| is_local).ok_or(MailAddressError::Form)?;
        Ok(Self { text: text.to_owned(), key: format!("{}@{host}", local.to_lowercase()) })
    }
}

/// The name of a host in ASCII; `None` if it is none.
fn host_of(domain: &str) -> Option<String> {
    let taken = |c: char| c.is_alphanumeric() || c == '-';
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(taken) && !label.starts_with('-') && !label.ends_with('-');
    if !domain.split('.').all(is_label) {
        return None;
    }
    let Host::Domain(host) = Host::parse(domain).ok()? else { return None };
    (host.len() <= 253 && host.split('.').all(|label| label.len() <= 63)).then_some(host)
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_taken_as_people_have_them() {
        for good in [
            "ada@example.com",
            "Ada.Lovelace+tokens@mail.example.co.uk",
            "o'brien@example.ie",
            "ada@localhost",
            "jürgen@bücher.example",
            "用户@例子.广告",
        ] {
            assert_eq!(good.parse::<MailAddress>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn each_mistake_has_its_message() {
        use MailAddressError::{Control, Form, Long};
        let cases = [
            ("ada@example.com\n", Control),
            ("ada@example.com\r\nBcc: all@example.com", Control),
            ("ada\u{0}@example.com", Control),
            ("\u{85}ada@example.com", Control),
            (&format!("{}@example.com", "a".repeat(65)), Long),
            (&format!("ada@{}.com", "a.".repeat(130)), Long),
            ("", Form),
            ("ada", Form),
            ("@example.com", Form),
            ("ada@", Form),
            ("ada@@example.com", Form),
            ("Ada <ada@example.com>", Form),
            ("\"ada\"@example.com", Form),
            ("ada @example.com", Form),
            ("ada,bob@example.com", Form),
            (".ada@example.com", Form),
            ("a..da@example.com", Form),
            ("ada@example..com", Form),
            ("ada@-example.com", Form),
            ("ada@exa_mple.com", Form),
            ("ada@127.0.0.1", Form),
            ("ada@[127.0.0.1]", Form),
            ("ada@exam%70le.com", Form),
            ("ada\u{202e}@example.com", Form),
            (&format!("ada@{}.com", "a".repeat(64)), Form),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<MailAddress>().err(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn the_same_person_is_known_however_the_address_is_written() {
        let same = |a: &str, b: &str| a.parse::<MailAddress>().unwrap().is_same(&b.parse().unwrap());
        assert!(same("Ada@Example.COM", "ada@example.com"));
        assert!(same("ada@Bücher.example", "ada@xn--bcher-kva.example"));
        assert!(!same("ada@example.com", "ada@example.org"));
        assert!(!same("ada+a@example.com", "ada@example.com"));
    }

    proptest! {
        #[test]
        fn what_is_taken_can_stand_in_a_header(text in "\\PC{0,20}@\\PC{0,20}") {
            if let Ok(address) = text.parse::<MailAddress>() {
                prop_assert!(!address.as_str().chars().any(|c| c.is_control() || c.is_whitespace() || "<>\"(),:;\\".contains(c)));
                prop_assert!(address.is_same(&address.key().parse().unwrap()), "its key is the same address");
            }
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = text.parse::<MailAddress>();
        }
    }
}
