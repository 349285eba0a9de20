//! What hindered a connection.

use crate::domain::connection::{LookUp, Need, Obstacle, Problem, Refusal};
use crate::domain::networks::Purpose;
use crate::text::{InWords, Sentence};

fn purpose(purpose: Purpose) -> Sentence {
    Sentence::new(format!("purpose-{}", purpose.as_str().replace('_', "-")))
}

impl InWords for Problem {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Refused { network, why, said } => Sentence::new("hindered-refused")
                .and("why", why.in_words())
                .named("network", network)
                .named("said", said),
            Self::OtherIssuer { network } => Sentence::new("hindered-other-issuer").named("network", network),
            Self::NoIssuer { network } => Sentence::new("hindered-no-issuer").named("network", network),
            Self::NoCode { network } => Sentence::new("hindered-no-code").named("network", network),
            Self::TokensSilent { network, why } => {
                Sentence::new("hindered-tokens-silent").named("network", network).named("why", why)
            }
            Self::TokensRefused { network, status } => {
                Sentence::new("hindered-tokens-refused").named("network", network).named("status", status)
            }
            Self::AppRefused { network, status } => {
                Sentence::new("hindered-app-refused").named("network", network).named("status", status)
            }
            Self::TokensUnreadable { network, why } => {
                Sentence::new("hindered-tokens-unreadable").named("network", network).named("why", why)
            }
            Self::ScopesDeclined { scopes, purposes } => Sentence::new("hindered-scopes")
                .named("scopes", scopes.join(", "))
                .each("purposes", purposes.iter().map(|one| purpose(*one))),
            Self::Unaskable { network } => Sentence::new("hindered-unaskable").named("network", network),
            Self::Unbound { network } => Sentence::new("hindered-unbound").named("network", network),
            Self::Nobody { network } => Sentence::new("hindered-nobody").named("network", network),
            Self::Broker { why } => Sentence::new("hindered-broker").named("why", why),
            Self::NotTold { network, why } => why.in_words().named("network", network),
            Self::LookUpSilent { network, why } => {
                Sentence::new("hindered-silent").named("network", network).named("why", why)
            }
            Self::AccountUnusable { network, account, otherwise } => Sentence::new("hindered-account")
                .named("network", network)
                .named("account", account)
                .named("otherwise", otherwise),
            Self::NoAccount { network, otherwise } => {
                Sentence::new("hindered-no-account").named("network", network).named("otherwise", otherwise)
            }
            Self::OtherAccount { network, gave, held, by_profile } => {
                let other = match gave {
                    Some(gave) => Sentence::new("other-account-gave").named("gave", gave),
                    None => Sentence::new("other-account"),
                };
                let hindered = match by_profile {
                    true => Sentence::new("hindered-other-account-of-profile"),
                    false => Sentence::new("hindered-other-account"),
                };
                hindered.and("other", other).named("network", network).named("held", held)
            }
            Self::NoProfile { network, native } => {
                Sentence::new("hindered-no-profile").named("network", network).named("native", native)
            }
            Self::NoRights { network, obstacle, native } => Sentence::new("hindered-no-rights")
                .named("network", network)
                .and("obstacle", obstacle.in_words())
                .named("native", native),
            Self::NotItsOwn { network } => Sentence::new("hindered-not-its-own").named("network", network),
            Self::NoIdentifier { network, account } => {
                Sentence::new("hindered-no-identifier").named("network", network).named("account", account)
            }
            Self::NoServer { account } => Sentence::new("hindered-no-server").named("account", account),
            Self::NoGranter { server } => Sentence::new("hindered-no-granter").named("server", server),
            Self::OtherGranter { network, account, server, issuer } => Sentence::new("hindered-other-granter")
                .named("network", network)
                .named("account", account)
                .named("server", server)
                .named("issuer", issuer),
            Self::ServerSilent { network, why } => {
                Sentence::new("hindered-server-silent").named("network", network).named("why", why)
            }
            Self::Earlier { message, .. } => Sentence::new("hindered-earlier").named("message", message),
        }
    }
}

impl InWords for Refusal {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Denied => Sentence::new("refusal-denied"),
            Self::Known(about) => Sentence::new("refusal-known").named("about", about),
            Self::Scopes => Sentence::new("refusal-scopes"),
            Self::App => Sentence::new("refusal-app"),
            Self::Trouble => Sentence::new("refusal-trouble"),
        }
    }
}

impl InWords for LookUp {
    fn in_words(&self) -> Sentence {
        let later = |minutes: &Option<u64>| match minutes {
            Some(minutes) => Sentence::new("again-in").with("minutes", *minutes),
            None => Sentence::new("again-later"),
        };
        match self {
            Self::AccountLimit { minutes } => Sentence::new("not-told-account-limit").and("again", later(minutes)),
            Self::AppLimit { minutes } => Sentence::new("not-told-app-limit").and("again", later(minutes)),
            Self::App => Sentence::new("not-told-app"),
            Self::Permission => Sentence::new("not-told-permission"),
            Self::Unusable { otherwise } => Sentence::new("not-told-unusable").named("otherwise", otherwise),
            Self::HeldBack => Sentence::new("not-told-held-back"),
            Self::Token => Sentence::new("not-told-token"),
            Self::Unclear => Sentence::new("not-told-unclear"),
        }
    }
}

impl InWords for Obstacle {
    fn in_words(&self) -> Sentence {
        match self {
            Self::NoToken => Sentence::new("obstacle-no-token"),
            Self::Role { needs, native: None } => {
                Sentence::new("obstacle-role").each("needs", needs.iter().map(InWords::in_words))
            }
            Self::Role { needs, native: Some(native) } => Sentence::new("obstacle-role-native")
                .each("needs", needs.iter().map(InWords::in_words))
                .named("native", native),
            Self::OfAnother => Sentence::new("obstacle-of-another"),
            Self::Earlier(message) => Sentence::new("obstacle-earlier").named("message", message),
        }
    }
}

impl InWords for Need {
    fn in_words(&self) -> Sentence {
        Sentence::new("obstacle-need").named("roles", self.any.join(" / ")).and("purpose", purpose(self.purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn each_problem_is_told_with_all_that_it_is_about() {
        let t = |text: &str| format!("<{text}>");
        let network = || t("network");
        let role = |native| Obstacle::Role {
            needs: vec![Need { any: vec![t("one"), t("other")], purpose: Purpose::Publish }],
            native,
        };
        let refused = |why| Problem::Refused { network: network(), why, said: t("said") };
        let not_told = |why| Problem::NotTold { network: network(), why };
        let no_rights = |obstacle| Problem::NoRights { network: network(), obstacle, native: t("native") };
        let problems = [
            refused(Refusal::Denied),
            refused(Refusal::Known(t("about"))),
            refused(Refusal::Scopes),
            refused(Refusal::App),
            refused(Refusal::Trouble),
            Problem::OtherIssuer { network: network() },
            Problem::NoIssuer { network: network() },
            Problem::NoCode { network: network() },
            Problem::TokensSilent { network: network(), why: t("why") },
            Problem::TokensRefused { network: network(), status: 400 },
            Problem::AppRefused { network: network(), status: 401 },
            Problem::TokensUnreadable { network: network(), why: t("why") },
            Problem::ScopesDeclined {
                scopes: vec![t("s"), t("t")],
                purposes: vec![Purpose::Publish, Purpose::ListPages],
            },
            Problem::Unaskable { network: network() },
            Problem::Unbound { network: network() },
            Problem::Nobody { network: network() },
            Problem::Broker { why: t("why") },
            not_told(LookUp::AccountLimit { minutes: Some(2) }),
            not_told(LookUp::AppLimit { minutes: None }),
            not_told(LookUp::App),
            not_told(LookUp::Permission),
            not_told(LookUp::Unusable { otherwise: t("otherwise") }),
            not_told(LookUp::HeldBack),
            not_told(LookUp::Token),
            not_told(LookUp::Unclear),
            Problem::LookUpSilent { network: network(), why: t("why") },
            Problem::AccountUnusable { network: network(), account: t("account"), otherwise: t("otherwise") },
            Problem::NoAccount { network: network(), otherwise: t("otherwise") },
            Problem::OtherAccount { network: network(), gave: Some(t("gave")), held: t("held"), by_profile: false },
            Problem::OtherAccount { network: network(), gave: None, held: t("held"), by_profile: true },
            Problem::NoProfile { network: network(), native: t("native") },
            no_rights(Obstacle::NoToken),
            no_rights(role(None)),
            no_rights(role(Some(t("role")))),
            no_rights(Obstacle::OfAnother),
            no_rights(Obstacle::Earlier(t("before"))),
            Problem::NotItsOwn { network: network() },
            Problem::NoIdentifier { network: network(), account: t("account") },
            Problem::NoServer { account: t("account") },
            Problem::NoGranter { server: t("server") },
            Problem::OtherGranter {
                network: network(),
                account: t("account"),
                server: t("server"),
                issuer: t("issuer"),
            },
            Problem::ServerSilent { network: network(), why: t("why") },
            Problem::Earlier { kind: crate::domain::connection::ProblemKind::Denied, message: t("message") },
        ];
        for problem in problems {
            let said = Text::english().tell_of(&problem);
            let kept = serde_json::to_string(&problem).unwrap();
            for part in kept.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
                assert!(said.contains(&t(part)), "{problem:?}: {said}");
            }
            assert!(!said.contains('{') && !said.contains('$'), "{problem:?}: {said}");
            assert_eq!(serde_json::from_str::<Problem>(&kept).unwrap(), problem);
        }
    }
}
