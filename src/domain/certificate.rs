//! The names by which client certificates are known: one DNS name or URI of a certificate's subject alternative names.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const LONGEST: usize = 255;

/// A DNS name, kept in lower case, or a URI such as a SPIFFE id, kept as it is. A text with a colon is a URI: no DNS name has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateName(Box<str>);

/// The text names no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' names no certificate; write a DNS name such as 'worker-1.example', without wildcards, or a URI such as \
     'spiffe://example/worker-1', of at most {LONGEST} characters"
)]
pub struct CertificateNameError(String);

impl CertificateName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= LONGEST && (is_uri(text) || is_dns_name(text)) {
            let kept = if text.contains(':') { text.to_owned() } else { text.to_ascii_lowercase() };
            return Ok(Self(kept.into()));
        }
        Err(CertificateNameError(text.chars().take(LONGEST).collect()))
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A scheme (RFC 3986, section 3.1), a colon, and more without spaces.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_dns_name(text: &str) -> bool {
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(of_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_lose_their_case_and_uris_keep_it() {
        let cases = [
            ("Worker-1.Example", "worker-1.example"),
            ("localhost", "localhost"),
            ("spiffe://Example/Worker", "spiffe://Example/Worker"),
            ("urn:uuid:1-2", "urn:uuid:1-2"),
        ];
        for (text, kept) in cases {
            assert_eq!(text.parse::<CertificateName>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn what_names_no_one_certificate_is_refused() {
        let long = format!("urn:{}", "x".repeat(LONGEST));
        for text in ["", ".", "a..b", "*.example", "a b", "spiffe:", ":a", "1a:b", "urn:a b", "ümlaut.example", &long]
        {
            assert!(text.parse::<CertificateName>().is_err(), "{text}");
        }
    }
}
