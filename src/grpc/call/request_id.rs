//! The name of one call, in its log lines and in its answer, so that a person can find the one by the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The metadata entry that carries it, both ways.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

/// The name of one call: 1 to 64 of `A-Z a-z 0-9 . _ : -`. A request extension of every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// As the answer carries it. No value comes twice, so that none is worth a place in the header table of the connection.
    pub(super) fn header(&self) -> HeaderValue {
        let mut header = HeaderValue::from_str(&self.0).expect("only visible ASCII gets in");
        header.set_sensitive(true);
        header
    }
}

/// Names calls that came without a name.
#[derive(Debug)]
pub struct RequestIds {
    origin: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Names calls after `origin`, which should differ between processes and workers.
    pub fn new(origin: u64) -> Self {
        Self { origin, next: AtomicU64::new(0) }
    }

    /// The client's own id, if it is well-formed; else a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(REQUEST_ID_HEADER).and_then(|given| given.to_str().ok());
        match given.filter(|given| is_well_formed(given)) {
            Some(given) => RequestId(given.into()),
            None => self.generate(),
        }
    }

    fn generate(&self) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [b'0'; 27];
        write_hex(self.origin, &mut text[..16]);
        text[16] = b'-';
        write_hex(count, &mut text[17..]);
        RequestId(str::from_utf8(&text).expect("hex digits and a hyphen are ASCII").into())
    }
}

/// Writes the low digits of `number` that fit. By hand, since `format!` costs more than the rest of the id.
fn write_hex(number: u64, into: &mut [u8]) {
    for (place, byte) in into.iter_mut().rev().enumerate() {
        let digit = (number >> (4 * place)) & 0xf;
        *byte = b"0123456789abcdef"[usize::try_from(digit).unwrap_or(0)];
    }
}

fn is_well_formed(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID_HEADER, HeaderValue::from_bytes(text).unwrap());
        headers
    }

    #[test]
    fn a_well_formed_id_is_kept() {
        let ids = RequestIds::new(7);
        for text in ["a", "0192f0c1-7e57-7000-8000-000000000001", "job:7/".trim_end_matches('/'), &"x".repeat(64)] {
            assert_eq!(ids.of(&given(text.as_bytes())).as_str(), text);
        }
    }

    #[test]
    fn any_other_is_replaced() {
        let ids = RequestIds::new(0xabc);
        let long = "x".repeat(65);
        for bad in [&b""[..], b"a b", b"{\"a\":1}", "ä".as_bytes(), b"a/b", long.as_bytes()] {
            let id = ids.of(&given(bad));
            assert!(id.as_str().starts_with("0000000000000abc-"), "{bad:?} gave {id:?}");
        }
    }

    #[test]
    fn generated_ids_differ_and_count() {
        let ids = RequestIds::new(u64::MAX);
        assert_eq!(ids.of(&HeaderMap::new()).as_str(), "ffffffffffffffff-0000000000");
        assert_eq!(ids.of(&HeaderMap::new()).as_str(), "ffffffffffffffff-0000000001");
    }
}
