//! What a token may be used for.

use serde::Deserialize;

/// The scopes that one purpose needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeScopes {
    /// The purpose.
    pub purpose: Purpose,
    /// All of these are needed.
    pub scopes: Vec<String>,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Reading numbers: reach, followers, engagement.
    CollectStatistics,
    /// Reading posts, comments, mentions.
    CollectContent,
    /// Writing posts and answers.
    Publish,
    /// Paid promotion.
    Activate,
    /// Checking that a token lives.
    Validate,
    /// Listing the profiles that a token speaks for.
    ListPages,
}

impl Purpose {
    /// All of them, in the order of declaration.
    pub const ALL: [Purpose; 6] = [
        Purpose::CollectStatistics,
        Purpose::CollectContent,
        Purpose::Publish,
        Purpose::Activate,
        Purpose::Validate,
        Purpose::ListPages,
    ];

    /// The name used in configuration, SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::CollectStatistics => "collect_statistics",
            Purpose::CollectContent => "collect_content",
            Purpose::Publish => "publish",
            Purpose::Activate => "activate",
            Purpose::Validate => "validate",
            Purpose::ListPages => "list_pages",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Purpose> {
        Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// A set of purposes, in one byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purposes(u8);

impl Purposes {
    /// Whether `purpose` is in the set.
    pub const fn contains(self, purpose: Purpose) -> bool {
        self.0 & (1 << purpose as u8) != 0
    }

    /// The members, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = Purpose> {
        Purpose::ALL.into_iter().filter(move |purpose| self.contains(*purpose))
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as bits, as the store keeps it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set from its bits; bits without a purpose are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Purpose::ALL.into_iter().filter(|purpose| bits & (1 << *purpose as u8) != 0).collect()
    }
}

impl FromIterator<Purpose> for Purposes {
    fn from_iter<I: IntoIterator<Item = Purpose>>(purposes: I) -> Self {
        Self(purposes.into_iter().fold(0, |bits, purpose| bits | (1 << purpose as u8)))
    }
}
