//! Where a secret is kept: the part of a sealed text that is not in it.

use crate::base::ids::{TeamId, TokenId};

/// The one place in the store where a sealed text may be opened.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The row's key, as the store keeps it.
    pub row: &'a [u8],
    /// The column.
    pub column: &'static str,
    /// The team that owns the row. Its data key seals.
    pub team: &'a TeamId,
    /// Counts up each time the secret is replaced, so that an older text of the same row does not open.
    pub version: u64,
}

impl<'a> Place<'a> {
    /// A secret of a token: its `column` is `access` or `refresh`.
    pub fn of_token(id: &'a TokenId, team: &'a TeamId, version: u32, column: &'static str) -> Self {
        Self { table: "token", row: id.as_bytes(), column, team, version: version.into() }
    }

    /// The additional data of the seal: `header` and every component, each with its length before it, so that no two
    /// places share an encoding.
    pub(super) fn bind(&self, header: &[u8]) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let parts = [
            header,
            self.table.as_bytes(),
            self.row,
            self.column.as_bytes(),
            self.team.as_str().as_bytes(),
            version.as_slice(),
        ];
        join(&parts)
    }
}

/// The parts, each with its length before it.
pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_boundary_changes_the_encoding() {
        assert_ne!(join(&[b"ab", b"c"]), join(&[b"a", b"bc"]));
        assert_ne!(join(&[b"ab"]), join(&[b"ab", b""]));
    }
}
