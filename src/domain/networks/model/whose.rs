//! How a network tells whose a token is: the account, the profiles it speaks for, and the scopes that were really granted.
//!
//! Places in answers are keys and positions joined by dots, as in `error_body`.

use std::num::NonZero;

use serde::Deserialize;

use super::{Purpose, Verified};

/// The look-up of the account that gave consent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLookup {
    /// The request, as `GET url`.
    pub request: String,
    /// The scopes without which it is not answered, beside those of the purpose `validate`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where its id stands.
    pub id: String,
    /// Where its name for people stands.
    pub name: Option<String>,
    /// Where the type of the account stands, and which types can be used; absent: any can.
    pub usable: Option<UsableTypes>,
    /// What a person does whose account can't be used, or is none at this network.
    pub otherwise: Option<String>,
    /// How sure this is.
    pub verified: Verified,
}

/// Which types of account can be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsableTypes {
    /// Where the type stands.
    pub at: String,
    /// The types, in the network's words; capitals make no difference.
    pub any: Vec<String>,
}

/// The list of the profiles that a person may act for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfilesLookup {
    /// The request, as `GET url`.
    pub request: String,
    /// Where the list stands.
    pub items: String,
    /// Where the id stands in each of them.
    pub id: String,
    /// Where the name for people stands.
    pub name: Option<String>,
    /// Where each of them is asked for its name, where the list has none.
    pub named_by: Option<NameLookup>,
    /// Where a token of the profile's own stands: the kind is derived by this list.
    pub token: Option<String>,
    /// Where the id of the person who lists them stands, for networks that tell it nowhere else.
    pub person: Option<String>,
    /// Where the person's roles or tasks stand: a text, or a list of texts.
    pub roles: Option<String>,
    /// What a purpose needs of them; a purpose that is not here needs none.
    #[serde(default)]
    pub needs: Vec<PurposeRoles>,
    /// Where the rest of a long list is.
    pub next: Option<NextPage>,
    /// How sure this is.
    pub verified: Verified,
}

/// The look-up of a profile's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameLookup {
    /// The request, as `GET url`; `{id}` stands for what is behind the last colon of the profile's id.
    pub request: String,
    /// Where the name stands.
    pub name: String,
}

/// The roles of which a purpose needs one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeRoles {
    /// The purpose.
    pub purpose: Purpose,
    /// One of these is needed.
    pub any: Vec<String>,
}

/// Where the rest of a list is.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WrittenNextPage")]
pub enum NextPage {
    /// Behind a mark that each page tells of the next one.
    Mark {
        /// Where the mark stands.
        at: String,
        /// The parameter that it is sent back in.
        parameter: String,
    },
    /// So many elements later. A page with fewer is the last one.
    Count {
        /// The parameter that says with which element a page begins; the first is 0.
        parameter: String,
        /// The elements of a page.
        step: NonZero<usize>,
    },
}

impl NextPage {
    /// The parameter that a page is asked for by.
    pub fn parameter(&self) -> &str {
        match self {
            Self::Mark { parameter, .. } | Self::Count { parameter, .. } => parameter,
        }
    }
}

/// As it is written in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNextPage {
    parameter: String,
    at: Option<String>,
    step: Option<NonZero<usize>>,
}

impl TryFrom<WrittenNextPage> for NextPage {
    type Error = &'static str;

    fn try_from(WrittenNextPage { parameter, at, step }: WrittenNextPage) -> Result<Self, Self::Error> {
        match (at, step) {
            (Some(at), None) => Ok(Self::Mark { at, parameter }),
            (None, Some(step)) => Ok(Self::Count { parameter, step }),
            _ => Err("must have exactly one of 'at' and 'step'"),
        }
    }
}

/// The list of the scopes that a person granted, where the token endpoint does not say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedLookup {
    /// The request, as `GET url`.
    pub request: String,
    /// Where the list stands.
    pub items: String,
    /// Where the scope stands in each of them.
    pub scope: String,
    /// Where its status stands.
    pub status: String,
    /// The status of one that was granted.
    pub granted: String,
    /// How sure this is.
    pub verified: Verified,
}
