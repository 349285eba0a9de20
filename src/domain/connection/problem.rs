//! Why a try to connect did not succeed: what happened, and what to do. Kept by name with what it is about, so that each reader is told in the own
//! words: programs by [`std::fmt::Display`], people by the words of their page. Texts of the catalogue and of networks are handed on as they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::networks::{ErrorClass, Purpose};

/// What a person does whose account is not the right one, where the catalogue does not say it.
const OTHERWISE: &str = "Sign in with another account.";

/// Why a try did not succeed. Never holds a secret. `network`: the name of the network for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The network sent the person back without a code.
    #[error("{why} {network} said: {said}")]
    Refused {
        /// The network.
        network: String,
        /// What that means.
        why: Refusal,
        /// Its own words: foreign text.
        said: String,
    },
    /// The answer says that somebody else gave it.
    #[error(
        "The answer says that it comes from somebody else than {network}. Nothing was connected. Open the connect link again; if it happens \
         again, tell whoever sent it."
    )]
    OtherIssuer {
        /// The network.
        network: String,
    },
    /// The answer does not say who gave it, though it must.
    #[error(
        "The answer does not say that it comes from {network}. Nothing was connected. Open the connect link again; if it happens again, tell \
         whoever sent it."
    )]
    NoIssuer {
        /// The network.
        network: String,
    },
    /// There is neither a code nor an error.
    #[error("{network} sent no code. Open the connect link again.")]
    NoCode {
        /// The network.
        network: String,
    },
    /// The token endpoint can't be reached or does not answer.
    #[error("{network} did not give the tokens: {why}. Open the connect link again in some minutes.")]
    TokensSilent {
        /// The network.
        network: String,
        /// What broke, for experts.
        why: String,
    },
    /// The token endpoint refuses.
    #[error("{network} did not give the tokens: it answered {status}. Open the connect link again.")]
    TokensRefused {
        /// The network.
        network: String,
        /// The HTTP status.
        status: u16,
    },
    /// The token endpoint refuses the app.
    #[error(
        "{network} did not give the tokens: it answered {status}. An operator must look at the app's client id and secret (`apps update`), and \
         at its redirect address at the network."
    )]
    AppRefused {
        /// The network.
        network: String,
        /// The HTTP status.
        status: u16,
    },
    /// What the token endpoint gave can't be read.
    #[error("{network} did not give the tokens: {why}. Open the connect link again.")]
    TokensUnreadable {
        /// The network.
        network: String,
        /// What is wrong, for experts.
        why: String,
    },
    /// Scopes that the purposes need were not granted.
    #[error(
        "Some of the permissions were not granted: {}. Without them {} can't be done. Open the connect link again and leave them switched on.",
        scopes.join(", "), of(purposes)
    )]
    ScopesDeclined {
        /// The scopes.
        scopes: Vec<String>,
        /// What is wanted.
        purposes: Vec<Purpose>,
    },
    /// The catalogue does not say how tokens are asked for.
    #[error("{network} can't be asked for tokens as it is described in the catalogue. Tell an operator.")]
    Unaskable {
        /// The network.
        network: String,
    },
    /// A token that works without its key is a secret like any other: not what was asked for (RFC 9449, section 5).
    #[error(
        "{network} gave tokens that are bound to no key, though they must be. Nothing was connected. Tell an operator."
    )]
    Unbound {
        /// The network.
        network: String,
    },
    /// The token reply names nobody, though it must.
    #[error("{network} did not say whose account it is. Nothing was connected.")]
    Nobody {
        /// The network.
        network: String,
    },
    /// Something of the broker's own is not in order.
    #[error("The broker could not go on: {why}.")]
    Broker {
        /// What, for experts.
        why: String,
    },
    /// The network does not say whose account it is.
    #[error("{}", look_up_in_words(network, why))]
    NotTold {
        /// The network.
        network: String,
        /// Why.
        why: LookUp,
    },
    /// The network can't be asked whose account it is.
    #[error("{network} could not be asked whose account this is: {why}. Open the connect link again.")]
    LookUpSilent {
        /// The network.
        network: String,
        /// What broke, for experts.
        why: String,
    },
    /// The account is of a type that can't be used.
    #[error("The account '{account}' of {network} can't be used. {otherwise} Then open the connect link again.")]
    AccountUnusable {
        /// The network.
        network: String,
        /// The account's name: foreign text.
        account: String,
        /// What the person does, as the catalogue says.
        otherwise: String,
    },
    /// The network tells of no account.
    #[error("{network} tells of no account that could be used. {otherwise} Then open the connect link again.")]
    NoAccount {
        /// The network.
        network: String,
        /// What the person does, as the catalogue says.
        otherwise: String,
    },
    /// Another account came back than the one to be healed.
    #[error("{}", other_account_in_words(network, gave.as_deref(), held, *by_profile))]
    OtherAccount {
        /// The network.
        network: String,
        /// The account that came, by name and id as far as they are known, else its first profile: foreign text. `None`: nothing is known of it.
        gave: Option<String>,
        /// The account to be healed, or what its token speaks for.
        held: String,
        /// Whether `held` is a profile: nobody signs in as one, but as somebody who can act for it.
        #[serde(default)]
        by_profile: bool,
    },
    /// The person can act for no profile.
    #[error(
        "{network} was connected, but there is none that you can act for, or you left all of them out when you gave consent. What is needed: \
         {native}. Then open the connect link again."
    )]
    NoProfile {
        /// The network.
        network: String,
        /// The permission at the network that is needed, as the catalogue says.
        native: String,
    },
    /// The person can act for profiles, but not with the rights that are needed.
    #[error(
        "{network} was connected, but you can act for none with the rights that are needed: {obstacle}. What is needed: {native}. Then open \
         the connect link again."
    )]
    NoRights {
        /// The network.
        network: String,
        /// What hinders the first of them.
        obstacle: Obstacle,
        /// The permission at the network that is needed, as the catalogue says.
        native: String,
    },
    /// The token reply and the account's server name different persons.
    #[error(
        "{network} and the account's server say different things about whose account it is. Nothing was connected; tell an operator."
    )]
    NotItsOwn {
        /// The network.
        network: String,
    },
    /// The account's identifier is none.
    #[error("{network} names the account '{account}', which is no identifier of one.")]
    NoIdentifier {
        /// The network.
        network: String,
        /// What it names: foreign text.
        account: String,
    },
    /// The account's identity document names no server.
    #[error(
        "The account '{account}' names no server on which it lives. Mend its identity document, then open the connect link again."
    )]
    NoServer {
        /// The account.
        account: String,
    },
    /// The account's server does not say who grants its tokens.
    #[error("The account's server {server} does not say who grants its tokens.")]
    NoGranter {
        /// The server.
        server: String,
    },
    /// Tokens of the account are granted by somebody else.
    #[error(
        "The account '{account}' lives on {server}, whose tokens are granted by {issuer} and not by {network}. An operator can describe that \
         server in a catalogue file of its own, with its addresses; then connect the account there."
    )]
    OtherGranter {
        /// The network.
        network: String,
        /// The account.
        account: String,
        /// Its server.
        server: String,
        /// Who grants tokens there.
        issuer: String,
    },
    /// It can't be found out where the account lives.
    #[error(
        "It could not be found out on which server the account of {network} lives: {why}. Open the connect link again in some minutes."
    )]
    ServerSilent {
        /// The network.
        network: String,
        /// What broke, for experts.
        why: String,
    },
    /// Told by an earlier version of the broker, in its words.
    #[error("{message}")]
    Earlier {
        /// What kind of trouble it was.
        kind: ProblemKind,
        /// Its words.
        message: String,
    },
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The person said no at the network.
    Denied,
    /// The network refused, or failed.
    NetworkRefused,
    /// The network can't be reached or does not answer.
    NetworkSilent,
    /// Scopes that a purpose needs were not granted.
    ScopesDeclined,
    /// The person has not the permission at the network that is needed.
    PermissionMissing,
    /// The account is of a type that can't be used.
    AccountUnusable,
    /// Another account came back than the one to be healed.
    OtherAccount,
}

/// What an error of an authorization endpoint means for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The person said no.
    #[error("Consent was not given. If that was a mistake, open the connect link again and agree.")]
    Denied,
    /// What the catalogue says of this error, which somebody else must mend.
    #[error("{0} Whoever administers the account must allow it, or an operator connect another app.")]
    Known(String),
    /// The app may not ask for these scopes.
    #[error(
        "The app may not ask for these permissions: an operator must have them approved at the network, or ask for fewer."
    )]
    Scopes,
    /// The app is not in order there.
    #[error(
        "The network refused. An operator must look at how the app is registered there (client id, redirect address)."
    )]
    App,
    /// The network has trouble.
    #[error(
        "The network has trouble. Open the connect link again in some minutes; if it happens again, tell an operator."
    )]
    Trouble,
}

/// Why a network does not say whose a new token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookUp {
    /// A limit of the account is used up.
    AccountLimit {
        /// After how many minutes it is less so; `None`: not known.
        minutes: Option<u64>,
    },
    /// A limit of the app is used up.
    AppLimit {
        /// After how many minutes it is less so; `None`: not known.
        minutes: Option<u64>,
    },
    /// The app may not ask.
    App,
    /// The token may not ask.
    Permission,
    /// The account is of a type that can't be used.
    Unusable {
        /// What the person does, as the catalogue says.
        otherwise: String,
    },
    /// The network wants something of the person first.
    HeldBack,
    /// The token that was just given is not taken.
    Token,
    /// It could not say it now.
    Unclear,
}

/// Why a profile can't be connected, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The network gave no token for it.
    #[error("the network gave no token for it: allow this profile, too, when you give consent")]
    NoToken,
    /// The person's role does not suffice.
    #[error(
        "your role there does not suffice: {}{}; ask its administrator for it",
        needs.iter().map(Need::to_string).collect::<Vec<_>>().join("; "),
        native.as_deref().map(|native| format!(" ({native})")).unwrap_or_default()
    )]
    Role {
        /// What is needed.
        needs: Vec<Need>,
        /// The same in the words of the catalogue.
        native: Option<String>,
    },
    /// The token that is to be healed speaks for others.
    #[error("the token to be healed is of another profile; connect this one by itself")]
    OfAnother,
    /// Told by an earlier version of the broker, in its words.
    #[error("{0}")]
    Earlier(String),
}

/// A role that is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} for {}", any.join(" or "), purpose.as_str())]
pub struct Need {
    /// One of these would do.
    pub any: Vec<String>,
    /// What for.
    pub purpose: Purpose,
}

impl Problem {
    /// What kind of trouble it is.
    pub const fn kind(&self) -> ProblemKind {
        use ProblemKind as Kind;
        match self {
            Self::Refused { why: Refusal::Denied, .. } => Kind::Denied,
            Self::TokensSilent { .. } | Self::LookUpSilent { .. } | Self::ServerSilent { .. } => Kind::NetworkSilent,
            Self::ScopesDeclined { .. } => Kind::ScopesDeclined,
            Self::NoProfile { .. } | Self::NoRights { .. } | Self::NotTold { why: LookUp::Permission, .. } => {
                Kind::PermissionMissing
            }
            Self::NotTold { why: LookUp::Unusable { .. } | LookUp::HeldBack, .. }
            | Self::AccountUnusable { .. }
            | Self::NoAccount { .. }
            | Self::NoIdentifier { .. }
            | Self::NoServer { .. }
            | Self::NoGranter { .. }
            | Self::OtherGranter { .. } => Kind::AccountUnusable,
            Self::OtherAccount { .. } => Kind::OtherAccount,
            Self::Refused { .. }
            | Self::OtherIssuer { .. }
            | Self::NoIssuer { .. }
            | Self::NoCode { .. }
            | Self::TokensRefused { .. }
            | Self::AppRefused { .. }
            | Self::TokensUnreadable { .. }
            | Self::Unaskable { .. }
            | Self::Unbound { .. }
            | Self::Nobody { .. }
            | Self::Broker { .. }
            | Self::NotTold { .. }
            | Self::NotItsOwn { .. } => Kind::NetworkRefused,
            Self::Earlier { kind, .. } => *kind,
        }
    }
}

impl LookUp {
    /// What an answer of that class means, where a network is asked whose a new token is. `otherwise`: what a person does whose account is not
    /// the right one, as the catalogue says. Only what the network says of the account blames the account.
    pub fn of(class: ErrorClass, retry_after: Option<Duration>, otherwise: Option<&str>) -> Self {
        use ErrorClass as Class;
        let minutes = retry_after.map(|wait| wait.as_secs().div_ceil(60).max(1));
        match class {
            Class::RateLimitedToken | Class::RateLimitedResource => Self::AccountLimit { minutes },
            Class::RateLimitedApp | Class::QuotaExhaustedApp | Class::PublishQuota => Self::AppLimit { minutes },
            Class::AppLevel | Class::BadRequest | Class::WrongTokenKind => Self::App,
            Class::PermissionLost => Self::Permission,
            Class::ResourceDenied => Self::Unusable { otherwise: otherwise_of(otherwise) },
            Class::UserCheckpoint | Class::BlockedPolicy => Self::HeldBack,
            Class::TokenExpired
            | Class::TokenRevoked
            | Class::PasswordChanged
            | Class::TokenInvalid
            | Class::RefreshRejected => Self::Token,
            Class::Ok | Class::Transient | Class::RetryWithNonce => Self::Unclear,
        }
    }
}

/// What a person does whose account is not the right one: `told` by the catalogue, or what helps everywhere.
pub fn otherwise_of(told: Option<&str>) -> String {
    told.unwrap_or(OTHERWISE).to_owned()
}

fn of(purposes: &[Purpose]) -> String {
    purposes.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>().join(", ")
}

fn other_account_in_words(network: &str, gave: Option<&str>, held: &str, by_profile: bool) -> String {
    let gave = gave.map(|gave| format!(": {gave} gave consent")).unwrap_or_default();
    let wanted = if by_profile { format!("with an account that can act for '{held}'") } else { format!("as {held}") };
    format!(
        "This is another account than the one that is to be reconnected{gave}. Sign in at {network} {wanted}, then open the connect link again."
    )
}

fn look_up_in_words(network: &str, why: &LookUp) -> String {
    let later = |minutes: &Option<u64>| match minutes {
        Some(minutes) => format!("Open the connect link again in {minutes} minutes."),
        None => "Open the connect link again later.".to_owned(),
    };
    match why {
        LookUp::AccountLimit { minutes } => {
            format!("The account's limit at {network} is used up. {}", later(minutes))
        }
        LookUp::AppLimit { minutes } => {
            format!("The limit that {network} sets the app is used up. {}", later(minutes))
        }
        LookUp::App => format!(
            "{network} does not let the app ask whose account this is. An operator must look at how the app is registered there."
        ),
        LookUp::Permission => format!(
            "{network} says that a permission is missing to see whose account this is. Open the connect link again and leave all of them \
             switched on."
        ),
        LookUp::Unusable { otherwise } => {
            format!("This account of {network} can't be used. {otherwise} Then open the connect link again.")
        }
        LookUp::HeldBack => format!(
            "{network} holds this account back. Sign in at {network} and do what it asks for. Then open the connect link again."
        ),
        LookUp::Token => format!(
            "{network} does not accept the token that it has just given. Open the connect link again, and agree once more."
        ),
        LookUp::Unclear => {
            format!("{network} could not say whose account this is. Open the connect link again in some minutes.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_told(class: ErrorClass, retry_after: Option<Duration>) -> Problem {
        let why = LookUp::of(class, retry_after, Some("Take another one."));
        Problem::NotTold { network: "TikTok".to_owned(), why }
    }

    #[test]
    fn only_what_is_said_of_the_account_blames_the_account() {
        for class in ErrorClass::ALL {
            let problem = not_told(class, None);
            let blamed =
                matches!(class, ErrorClass::ResourceDenied | ErrorClass::UserCheckpoint | ErrorClass::BlockedPolicy);
            assert_eq!(problem.kind() == ProblemKind::AccountUnusable, blamed, "{class:?}: {problem}");
            assert_eq!(problem.to_string().contains("another one"), class == ErrorClass::ResourceDenied, "{class:?}");
        }
    }

    #[test]
    fn when_to_come_again_is_said_where_the_network_says_it() {
        let at = |wait: Option<u64>| not_told(ErrorClass::RateLimitedApp, wait.map(Duration::from_secs)).to_string();
        assert!(at(Some(61)).contains("in 2 minutes") && at(Some(0)).contains("in 1 minutes"));
        assert!(at(None).ends_with("again later."));
    }

    #[test]
    fn another_account_is_told_as_far_as_it_is_known() {
        let told = |gave: Option<&str>, by_profile| {
            let (network, gave, held) = ("YouTube".to_owned(), gave.map(str::to_owned), "Ours".to_owned());
            Problem::OtherAccount { network, gave, held, by_profile }.to_string()
        };
        let begin = "This is another account than the one that is to be reconnected";
        assert_eq!(
            told(Some("Ann (7)"), false),
            format!("{begin}: Ann (7) gave consent. Sign in at YouTube as Ours, then open the connect link again.")
        );
        let wanted = "Sign in at YouTube with an account that can act for 'Ours', then open the connect link again.";
        assert_eq!(told(None, true), format!("{begin}. {wanted}"));
    }

    #[test]
    fn what_an_earlier_version_told_is_handed_on_as_it_told_it() {
        let problem: Problem = serde_json::from_str(r#"{"earlier":{"kind":"denied","message":"No."}}"#).unwrap();
        assert_eq!((problem.kind(), problem.to_string().as_str()), (ProblemKind::Denied, "No."));
        let kept = r#"{"other_account":{"network":"X","gave":"Ann","person":"7","held":"Ours"}}"#;
        let problem: Problem = serde_json::from_str(kept).unwrap();
        assert!(problem.to_string().contains("Ann gave consent. Sign in at X as Ours,"), "{problem}");
    }
}
