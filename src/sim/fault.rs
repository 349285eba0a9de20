//! What can go wrong at a network, on demand: spoilt answers, dying tokens, and other people who spend the same credit.

use std::str::FromStr;

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::ids::{ClassId, NetworkId};
use crate::domain::networks::Owner;

/// One fault at one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFault {
    /// Where.
    pub network: NetworkId,
    /// What.
    pub fault: Fault,
}

impl FromStr for NetworkFault {
    type Err = String;

    /// `network:kind`, and `,key=value` for each thing that the kind needs: `x:drop_replies,share=0.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected network:kind,key=value,… as in x:drop_replies,share=0.1";
        let (network, fault) = text.split_once(':').ok_or(FORM)?;
        let mut parts = fault.split(',');
        let mut fields = serde_json::Map::new();
        fields.insert("kind".to_owned(), Value::from(parts.next().unwrap_or_default()));
        for part in parts {
            let (key, value) = part.split_once('=').ok_or(FORM)?;
            fields.insert(key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)));
        }
        serde_json::from_value(json!({ "network": network, "fault": fields })).map_err(|error| error.to_string())
    }
}

/// What goes wrong. A `share` is the part of the calls that it hits, from 0 to 1; a fault of the same kind replaces the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The call is counted, and the connection closed without an answer.
    DropReplies {
        /// The part of the calls.
        share: f64,
    },
    /// A server error instead of an answer.
    ServerErrors {
        /// The part of the calls.
        share: f64,
        /// The HTTP status.
        status: u16,
        /// Whether the call was counted before it failed.
        counted: bool,
    },
    /// A page for people instead of an answer, as a proxy sends it.
    HtmlPages {
        /// The part of the calls.
        share: f64,
        /// The HTTP status, of an error.
        #[serde(default = "unavailable")]
        status: u16,
        /// Whether the call was counted before it failed.
        counted: bool,
    },
    /// The answer comes late.
    Delays {
        /// The part of the calls.
        share: f64,
        /// How late, in milliseconds of the machine's clock.
        millis: u64,
    },
    /// Ends all spoilt answers and delays.
    Calm,
    /// The network resets every token that it issued so far.
    ResetTokens,
    /// A person changes the password: all tokens of that person die.
    ChangePassword {
        /// The person.
        person: String,
    },
    /// One token is revoked.
    RevokeToken {
        /// The token.
        secret: String,
    },
    /// One token's time is over.
    ExpireToken {
        /// The token.
        secret: String,
    },
    /// A person takes a scope back: the tokens live on without it.
    LoseScope {
        /// The person.
        person: String,
        /// The scope.
        scope: String,
    },
    /// A person is locked out; the tokens work again after the unlocking.
    LockPerson {
        /// The person.
        person: String,
    },
    /// Ends it.
    UnlockPerson {
        /// The person.
        person: String,
    },
    /// Somebody else spends credit, as far as there is some left.
    SpendElsewhere {
        /// The class.
        class: ClassId,
        /// Whose account.
        owner: Owner,
        /// The id of the token (its secret), person, profile or app.
        of: String,
        /// How much.
        units: u64,
    },
    /// The limits of a class are reset before their time. A budget is topped up by it.
    ResetEarly {
        /// The class.
        class: ClassId,
    },
}

/// A fault that can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The network is not simulated.
    #[error("the network '{0}' is not simulated; see the list that was printed at the start")]
    NoSuchNetwork(NetworkId),
    /// No token, person, profile or app of that id is registered.
    #[error("nobody is known as '{0}' at this network; register a token of theirs first")]
    Nobody(String),
    /// The network has no such class.
    #[error("the network has no credit class '{0}'; see its entry in the catalogue")]
    NoSuchClass(ClassId),
    /// No token of the person has this scope.
    #[error("no token of '{person}' has the scope '{scope}'; see the tokens under /_sim/networks")]
    NoSuchScope {
        /// The person.
        person: String,
        /// The scope.
        scope: String,
    },
    /// A share is not between 0 and 1, or a status not that of a server error.
    #[error("{0}")]
    OutOfRange(&'static str),
    /// What a client tells of itself is not taken.
    #[error("the client's document is not taken: {0}")]
    Client(String),
}

/// The status of a page that says nothing else.
const fn unavailable() -> u16 {
    503
}

/// How one answer is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// No answer at all.
    Dropped,
    /// A server error of this status.
    ServerError(u16),
    /// A page for people, of this status.
    Html(u16),
}

/// What happens to one call by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chance {
    /// How its answer is spoilt, if it is.
    pub(super) spoilt: Option<Spoilt>,
    /// Whether the call is counted all the same.
    pub(super) counted: bool,
    /// How late the answer comes, in milliseconds.
    pub(super) delay_millis: u64,
}

/// The spoilt answers of one network: one fault of each kind at most.
#[derive(Debug, Default)]
pub(super) struct Spoiling {
    faults: Vec<Fault>,
}

impl Spoiling {
    /// Takes a fault of the spoiling kinds, in place of one of the same kind. Others are left alone.
    pub(super) fn set(&mut self, fault: &Fault) -> Result<(), FaultError> {
        if *fault == Fault::Calm {
            self.faults.clear();
            return Ok(());
        }
        let Some(share) = share_of(fault) else { return Ok(()) };
        if !(0.0..=1.0).contains(&share) {
            return Err(FaultError::OutOfRange("a share must be from 0 to 1"));
        }
        if matches!(fault, Fault::ServerErrors { status, .. } if !(500..=599).contains(status)) {
            return Err(FaultError::OutOfRange("the status of a server error must be from 500 to 599"));
        }
        if matches!(fault, Fault::HtmlPages { status, .. } if !(400..=599).contains(status)) {
            return Err(FaultError::OutOfRange("the status of a page must be from 400 to 599"));
        }
        self.faults.retain(|old| std::mem::discriminant(old) != std::mem::discriminant(fault));
        self.faults.push(fault.clone());
        Ok(())
    }

    /// Draws lots for one call. The first fault that spoils the answer wins.
    pub(super) fn draw(&self, random: &mut StdRng) -> Chance {
        let mut chance = Chance { spoilt: None, counted: true, delay_millis: 0 };
        for fault in &self.faults {
            let hit = random.random_bool(share_of(fault).unwrap_or_default());
            match fault {
                Fault::Delays { millis, .. } if hit => chance.delay_millis = *millis,
                _ if !hit || chance.spoilt.is_some() => {}
                Fault::DropReplies { .. } => chance.spoilt = Some(Spoilt::Dropped),
                Fault::ServerErrors { status, counted, .. } => {
                    chance.spoilt = Some(Spoilt::ServerError(*status));
                    chance.counted = *counted;
                }
                Fault::HtmlPages { status, counted, .. } => {
                    chance.spoilt = Some(Spoilt::Html(*status));
                    chance.counted = *counted;
                }
                _ => {}
            }
        }
        chance
    }
}

/// The part of the calls that a fault hits; `None` for a fault that does not spoil answers.
fn share_of(fault: &Fault) -> Option<f64> {
    match fault {
        Fault::DropReplies { share }
        | Fault::ServerErrors { share, .. }
        | Fault::HtmlPages { share, .. }
        | Fault::Delays { share, .. } => Some(*share),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_in_one_line() {
        let at = |fault| NetworkFault { network: "x".parse().unwrap(), fault };
        let anna = || "anna".to_owned();
        let cases = [
            ("x:calm", at(Fault::Calm)),
            ("x:drop_replies,share=0.1", at(Fault::DropReplies { share: 0.1 })),
            (
                "x:server_errors,share=1,status=503,counted=true",
                at(Fault::ServerErrors { share: 1.0, status: 503, counted: true }),
            ),
            ("x:html_pages,share=1,counted=false", at(Fault::HtmlPages { share: 1.0, status: 503, counted: false })),
            (
                "x:html_pages,share=1,status=429,counted=false",
                at(Fault::HtmlPages { share: 1.0, status: 429, counted: false }),
            ),
            ("x:change_password,person=anna", at(Fault::ChangePassword { person: anna() })),
            (
                "x:lose_scope,person=anna,scope=a:b.c",
                at(Fault::LoseScope { person: anna(), scope: "a:b.c".to_owned() }),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "x", "x:", "x:drop_replies,share", "x:calm,share=1,,", "X Y:calm", "x:drop_replies,share=lots"]
        {
            assert!(text.parse::<NetworkFault>().is_err(), "{text}");
        }
    }
}
