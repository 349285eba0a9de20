//! The figures behind an alert, and what the API and the log say of it. Advice has its own words in `domain::load`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::alert::AlertKey;
use crate::domain::load::{Advice, Load, LoadKey, Ratio, Span, credit};

/// The figures behind an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Of [`super::AlertKind::TokenLoadTooHigh`].
    Load(LoadDetail),
    /// Of [`super::AlertKind::NoAccessTokens`].
    Access(NoToken),
}

/// Why the load is too high.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadDetail {
    /// The span it was measured over.
    pub span: Span,
    /// Demand divided by supply.
    pub ratio: Ratio,
    /// What that comes to at the pace of the last minutes, which the advice is for; `None`: the demand does not grow.
    #[serde(default)]
    pub growing: Option<Ratio>,
    /// Credit asked for over the span.
    pub demand: f64,
    /// Credit the tokens can give over the span.
    pub supply: f64,
    /// The live tokens.
    pub tokens: u32,
    /// What to do.
    pub advice: Advice,
    /// The collections that ask for most, with their share of the demand.
    pub causes: Vec<Cause>,
}

/// A collection and its part in a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The collection.
    pub collection: String,
    /// Its share of the demand, 0 to 1.
    pub share: f64,
}

impl LoadDetail {
    /// How many collections an alert names.
    pub const MOST_CAUSES: usize = 5;

    /// Puts the figures together. `causes` begin with the greatest.
    pub fn new(span: Span, load: &Load, growing: Option<Ratio>, advice: Advice, causes: &[(Arc<str>, f64)]) -> Self {
        let cause = |(name, share): &(Arc<str>, f64)| Cause { collection: name.to_string(), share: *share };
        LoadDetail {
            span,
            ratio: load.ratio,
            growing,
            demand: load.demand,
            supply: load.supply,
            tokens: load.tokens,
            advice,
            causes: causes.iter().take(Self::MOST_CAUSES).map(cause).collect(),
        }
    }
}

/// Why demand meets no usable token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoToken {
    /// The team never connected one.
    NoneConnected,
    /// The time of all is over.
    AllExpired,
    /// None works any more: expired, refused, withdrawn.
    AllInvalid,
    /// All were switched off.
    AllPaused,
    /// The network blocks the accounts of all for a time.
    AllBlocked,
    /// Those that are left lost the permission that is needed.
    PermissionLost,
    /// None is of a kind that may make the call.
    NoneOfKind,
    /// None was agreed for the purpose.
    NoneForPurpose,
    /// None has the scopes that are needed.
    NoneWithScopes,
    /// None speaks for the profile that was asked for.
    NoneForProfile,
}

impl NoToken {
    /// All reasons.
    pub const ALL: [NoToken; 10] = [
        NoToken::NoneConnected,
        NoToken::AllExpired,
        NoToken::AllInvalid,
        NoToken::AllPaused,
        NoToken::AllBlocked,
        NoToken::PermissionLost,
        NoToken::NoneOfKind,
        NoToken::NoneForPurpose,
        NoToken::NoneWithScopes,
        NoToken::NoneForProfile,
    ];

    /// The name used in logs, and to look up words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            NoToken::NoneConnected => "none_connected",
            NoToken::AllExpired => "all_expired",
            NoToken::AllInvalid => "all_invalid",
            NoToken::AllPaused => "all_paused",
            NoToken::AllBlocked => "all_blocked",
            NoToken::PermissionLost => "permission_lost",
            NoToken::NoneOfKind => "none_of_kind",
            NoToken::NoneForPurpose => "none_for_purpose",
            NoToken::NoneWithScopes => "none_with_scopes",
            NoToken::NoneForProfile => "none_for_profile",
        }
    }

    /// What is wrong and what a person should do.
    const fn text(self) -> &'static str {
        match self {
            NoToken::NoneConnected => "it has none connected; a member should connect an account",
            NoToken::AllExpired => "all of them have expired; the members who granted them should reconnect",
            NoToken::AllInvalid => "none of them works any more; the members who granted them should reconnect",
            NoToken::AllPaused => "all of them are paused; a manager should resume one",
            NoToken::AllBlocked => {
                "the network blocks their accounts for a time; the members who granted them should sign in there and look"
            }
            NoToken::PermissionLost => {
                "the network refused this for want of a permission or role; it should be given back there, then a member should reconnect"
            }
            NoToken::NoneOfKind => {
                "none is of a kind that may make this call; a member should connect one of that kind"
            }
            NoToken::NoneForPurpose => "none was agreed for this purpose; a member should reconnect and agree to it",
            NoToken::NoneWithScopes => {
                "none has the permissions this call needs; a member should reconnect and grant them"
            }
            NoToken::NoneForProfile => {
                "none speaks for the profile that is asked for; somebody who manages the profile should connect it"
            }
        }
    }
}

impl Detail {
    /// What the API and the log say.
    pub fn message(&self, key: &AlertKey) -> String {
        let LoadKey { team, network, class } = &key.load;
        match self {
            Detail::Access(reason) => {
                format!("Team {team} has no usable {network} token for {class}: {}.", reason.text())
            }
            Detail::Load(load) => {
                let advice = load.advice.text(network.as_str());
                let figures = format!(
                    "In {}, {} credits are asked for and {} can give {}.",
                    load.span.words(),
                    credit(load.demand),
                    tokens(load.tokens),
                    credit(load.supply),
                );
                let growing = load.growing.map_or_else(String::new, |ratio| format!(" and growing to {ratio}"));
                let head = format!(
                    "Token load too high: team {team}, {network}/{class} at {}{growing}; {advice}.",
                    load.ratio
                );
                format!("{head} {figures}{}", causes(&load.causes))
            }
        }
    }
}

fn tokens(count: u32) -> String {
    match count {
        0 => "no token".to_owned(),
        1 => "1 token".to_owned(),
        _ => format!("{count} tokens"),
    }
}

fn causes(causes: &[Cause]) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let named: Vec<String> =
        causes.iter().map(|cause| format!("{} {:.0} %", cause.collection, cause.share * 100.0)).collect();
    format!(" Most is asked for by {}.", named.join(", "))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::alert::AlertKind;
    use crate::domain::load::Newcomer;

    pub fn key(kind: AlertKind) -> AlertKey {
        let load =
            LoadKey { team: "acme".parse().unwrap(), network: "x".parse().unwrap(), class: "search".parse().unwrap() };
        AlertKey { kind, load }
    }

    pub fn too_high() -> Detail {
        let advice = Advice::AddTokens { tokens: 4, newcomer: Newcomer::Anybody, reaches: Ratio::Of(0.8) };
        let causes = [("brand".into(), 0.75), ("pages".into(), 0.25)];
        Detail::Load(LoadDetail::new(Span::Hour, &Load::new(4800.0, 2000.0, 2), None, advice, &causes))
    }

    #[test]
    fn the_message_says_what_is_wrong_and_what_to_do() {
        assert_eq!(
            too_high().message(&key(AlertKind::TokenLoadTooHigh)),
            "Token load too high: team acme, x/search at 2.4; 4 more x tokens bring the load to 0.8. In 1 hour, 4800 credits \
             are asked for and 2 tokens can give 2000. Most is asked for by brand 75 %, pages 25 %."
        );
        let Detail::Load(load) = too_high() else { panic!("it is a load") };
        let growing = Detail::Load(LoadDetail { growing: Some(Ratio::Of(3.0)), ..load });
        let message = growing.message(&key(AlertKind::TokenLoadTooHigh));
        assert!(message.contains(" at 2.4 and growing to 3; 4 more x tokens "), "{message}");
        for reason in NoToken::ALL {
            let message = Detail::Access(reason).message(&key(AlertKind::NoAccessTokens));
            assert!(message.starts_with("Team acme has no usable x token for search: "), "{message}");
            assert!(message.contains("should"), "{message}");
        }
    }

    #[test]
    fn details_survive_the_store() {
        let no_supply = Load::new(1.0, 0.0, 0);
        let no_supply = Detail::Load(LoadDetail::new(Span::Day, &no_supply, None, Advice::ConnectFirst, &[]));
        for detail in [too_high(), no_supply, Detail::Access(NoToken::AllExpired)] {
            let text = serde_json::to_string(&detail).unwrap();
            assert_eq!(serde_json::from_str::<Detail>(&text).unwrap(), detail);
        }
    }
}
