//! Page tokens: where the next page begins, signed, and bound to the list and its filters.
//!
//! A page token is a cursor and a keyed hash over list, filters and cursor. It reveals nothing that the page did not, and it can be
//! neither made up nor used for another list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::service::Broker;

const LABEL: &str = "page token";
const HASH_LEN: usize = 32;

/// The page token was not given for this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page token is malformed or belongs to a list with other filters; begin again without one")]
pub struct PageTokenInvalid;

impl Broker {
    /// The token of the page that begins after `cursor`. `filters`: whatever the next request must have in common with this one.
    pub fn page_token(&self, list: &str, filters: &[u8], cursor: &[u8]) -> String {
        let hash = self.vault.mac_key(LABEL).sign(&[list.as_bytes(), filters, cursor]);
        URL_SAFE_NO_PAD.encode([&hash[..], cursor].concat())
    }

    /// The cursor in a page token; `None` for the first page, which has none.
    pub fn read_page_token(
        &self,
        list: &str,
        filters: &[u8],
        token: &str,
    ) -> Result<Option<Vec<u8>>, PageTokenInvalid> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| PageTokenInvalid)?;
        let (hash, cursor) = bytes.split_at_checked(HASH_LEN).ok_or(PageTokenInvalid)?;
        let right = self.vault.mac_key(LABEL).verify(&[list.as_bytes(), filters, cursor], hash);
        if right { Ok(Some(cursor.to_vec())) } else { Err(PageTokenInvalid) }
    }
}
