//! What a notice says: what happened, why, what it stops, what to do, and one link. Its words stand in `text/en/notices.ftl`.

mod of_many;
mod of_token;

use jiff::tz::TimeZone;

use crate::domain::alert::Alert;
use crate::domain::notice::{Clock, Event, Fact, RetentionStage, neutral};
use crate::domain::token::Reason;
use crate::text::{Sentence, Text};

/// The longest name that is shown.
const NAME: usize = 80;
/// The longest text of a network that is shown.
const TEXT: usize = 600;
/// The longest part of a notice.
const PART: usize = 1_000;

/// What is told, with what is known of it. Names may be foreign text.
#[derive(Clone)]
pub struct Told<'t> {
    /// The event.
    pub event: &'t Event,
    /// The name of the network.
    pub network: &'t str,
    /// What people call the token, if it is about one: its label, its profile, or its id.
    pub token: &'t str,
    /// The alert that it is about, if it is about one that is known.
    pub alert: Option<&'t Alert>,
    /// Where the broker's pages are (`https://tokens.example.com`), without a slash at the end; `None`: not known.
    pub pages: Option<&'t str>,
    /// In which words it is told.
    pub text: Text,
    /// The time zone in which times are told.
    pub zone: &'t TimeZone,
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// All of it in one line.
    pub subject: String,
    /// What happened.
    pub happened: String,
    /// Why.
    pub why: String,
    /// What it stops.
    pub stops: String,
    /// What to do.
    pub todo: String,
    /// Where to do it.
    pub link: Option<Link>,
    /// Whether somebody should do something.
    pub asks: bool,
}

/// Where to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the link does, in a few words.
    pub text: String,
    /// The address.
    pub url: String,
}

impl Words {
    /// The words for an event.
    pub fn of(told: &Told<'_>) -> Words {
        let notice = match &told.event.fact {
            Fact::TokenExpiring { clock, ends_at, within_days, .. } => told.expiring(*clock, *ends_at, *within_days),
            Fact::TokenExpired { .. } => told.of_token("notice-token-expired"),
            Fact::TokenInvalid { reason, .. } => told.invalid(*reason),
            Fact::NeedsReconnecting { need, by, .. } => told.needs_reconnecting(need.as_ref(), *by),
            Fact::TokenBlocked { .. } => told.of_token("notice-token-blocked").in_full("at", told.event.at),
            Fact::TokenRenewed { .. } => told.of_token("notice-token-renewed"),
            Fact::TokenConnected { healed: true, .. } => told.of_token("notice-token-healed"),
            Fact::TokenConnected { healed: false, .. } => told.of_token("notice-token-connected"),
            Fact::OutOfBandSpending { class, credits, .. } => {
                told.of_token("notice-out-of-band-spending").named("class", class).with("credits", *credits)
            }
            Fact::SharedSpending { app, class, credits, .. } => {
                told.shared_spent_elsewhere(app.as_ref(), class, *credits)
            }
            Fact::OperationRefused { app, operation, .. } => {
                told.to_whom("notice-operation-refused").named("app", app).named("operation", operation)
            }
            Fact::RetentionClock { stage, deadline, duty, rules, .. } => {
                told.retention(*duty, *stage, *deadline, rules)
            }
            Fact::LoadTooHigh { class, turn, .. } => told.load_too_high(class, *turn),
            Fact::LoadCleared { class, .. } => told.at_network("notice-load-cleared").named("class", class),
            Fact::NoAccessTokens { class, .. } => told.no_access_tokens(class),
            Fact::AccessTokensAgain { .. } => told.at_network("notice-access-tokens-again"),
            Fact::IncidentOpened { app, kind, was, .. } => told.incident_opened(app, *kind, *was),
            Fact::IncidentClosed { lost, served, .. } => told.incident_closed(*lost, *served),
            Fact::SecretDamaged { name } => Sentence::new("notice-secret-damaged").with("name", neutral(name, NAME)),
            Fact::DestinationGone { name, .. } => {
                Sentence::new("notice-destination-gone").with("name", neutral(name, NAME))
            }
        };
        Words::said(told.text, &notice, told.zone, told.link(), told.event.fact.asks_for_action())
    }

    /// The words of a test message.
    pub fn of_test(text: Text) -> Words {
        Words::said(text, &Sentence::new("notice-test"), &TimeZone::UTC, None, false)
    }

    /// The words of the mail to an address that the member with the address `of` asks for. Nothing else of the member is in it, since it
    /// goes to whom the member names.
    pub fn of_mail_to_prove(text: Text, of: &str, link: String) -> Words {
        let link = Link { text: text.say("notice-link-mail"), url: link };
        Words::said(text, &Sentence::new("notice-mail-to-prove").named("mail", of), &TimeZone::UTC, Some(link), true)
    }

    /// Each part is one harmless line, whatever foreign text is in it.
    fn said(text: Text, notice: &Sentence, zone: &TimeZone, link: Option<Link>, asks: bool) -> Words {
        let (subject, parts) = text.tell_parts(notice, ["happened", "why", "stops", "todo"], zone);
        let [happened, why, stops, todo] = parts.map(|part| neutral(&part, PART));
        Words { subject: neutral(&subject, PART), happened, why, stops, todo, link, asks }
    }
}

impl Told<'_> {
    /// Something at a network.
    fn at_network(&self, notice: &str) -> Sentence {
        Sentence::new(notice).with("network", neutral(self.network, NAME))
    }

    /// Something at a network in which teams are asked for something else than operators.
    fn to_whom(&self, notice: &str) -> Sentence {
        let reader = if self.event.team.is_some() { "team" } else { "operators" };
        self.at_network(notice).with("reader", reader)
    }

    /// The page of the console where it is done.
    fn link(&self) -> Option<Link> {
        let (pages, fact) = (self.pages?, &self.event.fact);
        // What is told to no team is told to operators.
        let of_whom = if self.event.team.is_some() { "/alerts" } else { "/operator" };
        let (name, path) = match (fact, fact.token()) {
            (Fact::IncidentClosed { network, lost: Some(_), .. }, _) if self.event.team.is_some() => {
                return Some(of_many::link_to_lost(self.text, pages, network));
            }
            (Fact::IncidentOpened { incident, .. } | Fact::IncidentClosed { incident, .. }, _) => {
                ("notice-link-incident", format!("{of_whom}/incidents/{incident}"))
            }
            (
                Fact::LoadTooHigh { network, class, .. }
                | Fact::LoadCleared { network, class, .. }
                | Fact::NoAccessTokens { network, class, .. }
                | Fact::AccessTokensAgain { network, class, .. },
                _,
            ) => ("notice-link-load", format!("/load/{network}/{class}")),
            (Fact::SharedSpending { network, .. }, _) => ("notice-link-credit", format!("/operator/pools/{network}")),
            (Fact::SecretDamaged { .. }, _) => ("notice-link-broker", "/operator".to_owned()),
            (Fact::DestinationGone { destination, .. }, _) => {
                ("notice-link-destination", format!("/notifications/destinations/{destination}"))
            }
            (Fact::OperationRefused { network, .. }, _) if self.event.team.is_some() => {
                ("notice-link-tokens", format!("/tokens?network={network}"))
            }
            (Fact::OperationRefused { network, .. }, _) => ("notice-link-pool", format!("/operator/pools/{network}")),
            (_, token) => (what_to_do(fact), format!("/tokens/{}", token?)),
        };
        Some(Link { text: self.text.say(name), url: format!("{pages}{path}") })
    }
}

/// What the page of a token is opened for.
const fn what_to_do(fact: &Fact) -> &'static str {
    match fact {
        Fact::OutOfBandSpending { .. } => "notice-link-spending",
        Fact::TokenBlocked { .. } => "notice-link-token",
        // The network first: its trouble, or that of the app, is not mended by connecting again.
        Fact::TokenExpiring { clock: Clock::Unrenewed, .. }
        | Fact::TokenInvalid { reason: Reason::AppDisabled, .. }
        | Fact::RetentionClock { stage: RetentionStage::Over, .. } => "notice-link-token",
        fact if fact.kind().asks_for_action() => "notice-link-account",
        _ => "notice-link-token",
    }
}

/// A name that words have, out of one of the code: `platform_reset` as `platform-reset`.
fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::{AlertId, ClassId, EventId, NetworkId};
    use crate::domain::alert::{AlertKey, AlertKind, Detail, Level, LoadDetail, NoToken};
    use crate::domain::incident::IncidentKind;
    use crate::domain::load::{Advice, Load, LoadKey, Newcomer, Ratio, Span};
    use crate::domain::networks::{Duty, Owner};
    use crate::domain::notice::tests::{NOW, facts};
    use crate::domain::notice::{Need, Turn, html, plain, push_body, slack};

    fn words(fact: Fact, token: &str) -> Words {
        let event = Event {
            id: EventId::from_u128(1),
            at: NOW,
            team: Some("acme".parse().unwrap()),
            fact,
            dedup_key: String::new(),
        };
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        Words::of(&Told {
            event: &event,
            network: "Instagram",
            token,
            alert: None,
            pages: Some("https://t.example"),
            text: Text::english(),
            zone: &zone,
        })
    }

    #[test]
    fn every_fact_says_what_happened_why_what_it_stops_and_what_to_do() {
        for fact in facts().into_iter().chain(variants()) {
            let (kind, asks) = (fact.kind(), fact.asks_for_action());
            let words = words(fact, "Acme Shop");
            for part in [&words.subject, &words.happened, &words.why, &words.stops, &words.todo] {
                assert!(!part.is_empty() && !part.contains(['\n', '\r']), "{kind:?}: {words:?}");
            }
            assert!(words.subject.chars().count() <= 140, "{}", words.subject);
            for part in [&words.happened, &words.why, &words.stops, &words.todo] {
                assert!(part.ends_with('.'), "{kind:?}: {part}");
            }
            assert_eq!(words.asks, asks);
            assert_eq!(words.todo.starts_with("Nothing."), !words.asks, "{kind:?}");
            assert!(words.link.as_ref().unwrap().url.starts_with("https://t.example/"), "{words:?}");
            // Whatever the channel, there is that one link and no other.
            let links = |text: String| text.matches("https://").count();
            let (text, one) = (Text::english(), [words]);
            assert_eq!((links(plain(text, &one, 0, None)), links(html(text, "s", &one, 0, None))), (1, 1));
            assert_eq!((links(slack(text, &one, 0, "out_1").to_string()), links(push_text(&one))), (1, 1));
        }
    }

    fn push_text(words: &[Words]) -> String {
        String::from_utf8(push_body(Text::english(), "out_1", words, 0)).unwrap()
    }

    /// What facts of one kind may differ in.
    fn variants() -> Vec<Fact> {
        let mut variants = Vec::new();
        for fact in facts() {
            match fact {
                Fact::TokenInvalid { network, token, .. } => variants
                    .extend(Reason::ALL.map(|reason| Fact::TokenInvalid { network: network.clone(), token, reason })),
                Fact::OutOfBandSpending { network, class, credits, .. } => {
                    variants.extend([None, Some("default".parse().unwrap())].map(|app| Fact::SharedSpending {
                        network: network.clone(),
                        app,
                        class: class.clone(),
                        credits,
                    }))
                }
                Fact::NeedsReconnecting { network, token, need, by } => {
                    let lost = Need::Permission { operations: vec!["tweets.get".parse().unwrap()] };
                    let needs = [(need, None), (Some(lost), None), (Some(Need::GrantEnds), by), (None, by)];
                    variants.extend(needs.map(|(need, by)| Fact::NeedsReconnecting {
                        network: network.clone(),
                        token,
                        need,
                        by,
                    }));
                }
                Fact::TokenExpiring { network, token, ends_at, within_days, .. } => {
                    variants.extend([Clock::Access, Clock::Unrenewed, Clock::Refresh, Clock::DataAccess].map(|clock| {
                        Fact::TokenExpiring { network: network.clone(), token, clock, ends_at, within_days }
                    }))
                }
                Fact::RetentionClock { network, token, deadline, .. } => {
                    use RetentionStage::{OneDay, Over, Started, ThreeDays};
                    let of = |duty, rules: &[&str]| {
                        [Started, ThreeDays, OneDay, Over].map(|stage| Fact::RetentionClock {
                            network: network.clone(),
                            token,
                            stage,
                            deadline,
                            duty,
                            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
                        })
                    };
                    // Of facts that were kept before their rules were, these are not known.
                    variants.extend([of(Duty::Delete, &[]), of(Duty::Authorise, &["A rule", "Another."])].concat());
                }
                Fact::LoadTooHigh { network, class, alert, .. } => {
                    variants.extend([Turn::Opened, Turn::Raised, Turn::Lowered].map(|turn| Fact::LoadTooHigh {
                        network: network.clone(),
                        class: class.clone(),
                        alert,
                        turn,
                    }))
                }
                Fact::IncidentOpened { network, app, incident, .. } => {
                    let (reset, disabled, outage) =
                        (IncidentKind::NetworkReset, IncidentKind::AppDisabled, IncidentKind::ProviderOutage);
                    let found = [(reset, None), (disabled, None), (outage, None), (reset, Some(outage))];
                    variants.extend(found.into_iter().chain([(disabled, Some(reset))]).map(|(kind, was)| {
                        Fact::IncidentOpened { network: network.clone(), app: app.clone(), incident, kind, was }
                    }))
                }
                Fact::IncidentClosed { network, app, incident, .. } => {
                    let ends = [(None, false), (Some(Reason::PlatformReset), true), (Some(Reason::AppDisabled), false)];
                    variants.extend(ends.map(|(lost, served)| Fact::IncidentClosed {
                        network: network.clone(),
                        app: app.clone(),
                        incident,
                        lost,
                        served,
                    }))
                }
                Fact::DestinationGone { .. } => {
                    variants.push(Fact::SecretDamaged { name: "networks/x/apps/default".to_owned() });
                }
                _ => {}
            }
        }
        variants
    }

    #[test]
    fn a_link_offers_what_the_notice_advises() {
        for fact in facts().into_iter().chain(variants()).filter(|fact| fact.token().is_some()) {
            let words = words(fact.clone(), "Acme Shop");
            let first = words.todo.split(". ").next().unwrap_or_default().to_lowercase();
            let advised = first.contains("reconnect") && !first.contains("helps only");
            let link = words.link.unwrap().text;
            assert_eq!(link == "Reconnect the account", advised, "{fact:?}: {link}: {}", words.todo);
        }
    }

    #[test]
    fn each_link_leads_to_what_the_notice_is_about() {
        let url = |fact: &Fact, team: Option<&str>| {
            let team = team.map(|team| team.parse().unwrap());
            let event =
                Event { id: EventId::from_u128(1), at: NOW, team, fact: fact.clone(), dedup_key: String::new() };
            let pages = Some("https://t.example");
            let (text, zone) = (Text::english(), &TimeZone::UTC);
            let told = Told { event: &event, network: "X", token: "t", alert: None, pages, text, zone };
            Words::of(&told).link.unwrap().url.replace("https://t.example", "")
        };
        for fact in facts().iter().chain(&variants()) {
            let (of_team, of_operators) = (url(fact, Some("acme")), url(fact, None));
            let (expected, for_operators) = match fact {
                Fact::LoadTooHigh { network, class, .. }
                | Fact::LoadCleared { network, class, .. }
                | Fact::NoAccessTokens { network, class, .. }
                | Fact::AccessTokensAgain { network, class, .. } => {
                    let load = format!("/load/{network}/{class}");
                    (load.clone(), load)
                }
                Fact::IncidentClosed { network, incident, lost: Some(_), .. } => {
                    (format!("/tokens?status=dead&network={network}"), format!("/operator/incidents/{incident}"))
                }
                Fact::IncidentOpened { incident, .. } | Fact::IncidentClosed { incident, .. } => {
                    (format!("/alerts/incidents/{incident}"), format!("/operator/incidents/{incident}"))
                }
                Fact::SharedSpending { network, .. } => {
                    (format!("/operator/pools/{network}"), format!("/operator/pools/{network}"))
                }
                Fact::OperationRefused { network, .. } => {
                    (format!("/tokens?network={network}"), format!("/operator/pools/{network}"))
                }
                Fact::SecretDamaged { .. } => ("/operator".to_owned(), "/operator".to_owned()),
                Fact::DestinationGone { destination, .. } => {
                    let page = format!("/notifications/destinations/{destination}");
                    (page.clone(), page)
                }
                of_token => {
                    let token = format!("/tokens/{}", of_token.token().unwrap());
                    (token.clone(), token)
                }
            };
            assert_eq!((of_team, of_operators), (expected, for_operators), "{fact:?}");
        }
    }

    #[test]
    fn what_is_said_of_an_alert_is_what_it_advises() {
        let causes = [("brand\r\nBcc: all@example.com\u{202e}".into(), 1.0)];
        let load = |ratio: f64, advice| {
            Detail::Load(LoadDetail::new(Span::Hour, &Load::new(ratio * 100.0, 100.0, 2), None, advice, &causes))
        };
        let more = Advice::AddTokens { tokens: 4, newcomer: Newcomer::Anybody, reaches: Ratio::Of(0.8) };
        let nothing = Advice::AddsNothing { limit: Owner::App };
        let (high, none) = (AlertKind::TokenLoadTooHigh, AlertKind::NoAccessTokens);
        let cases = [
            (
                high,
                Level::Critical,
                load(2.4, more.clone()),
                "More is asked",
                "Collecting falls behind",
                "Connect more",
            ),
            (high, Level::Warning, load(0.9, more), "Nearly as much is asked", "Nothing yet", "Connect more"),
            (high, Level::Critical, load(2.4, nothing), "More is asked", "Collecting falls behind", "Collect less"),
            (
                none,
                Level::Critical,
                Detail::Access(NoToken::AllPaused),
                "There is demand",
                "All",
                "Have a manager resume",
            ),
            (
                none,
                Level::Critical,
                Detail::Access(NoToken::NoneConnected),
                "There is demand",
                "All",
                "Connect an account",
            ),
            (none, Level::Critical, Detail::Access(NoToken::AllExpired), "There is demand", "All", "Reconnect"),
        ];
        for (kind, level, detail, why, stops, todo) in cases {
            let (network, class): (NetworkId, ClassId) = ("x".parse().unwrap(), "search".parse().unwrap());
            let key = LoadKey { team: "acme".parse().unwrap(), network: network.clone(), class: class.clone() };
            let id = AlertId::from_u128(1);
            let alert = Alert::open(id, AlertKey { kind, load: key }, level, NOW, detail);
            let fact = match kind {
                AlertKind::TokenLoadTooHigh => Fact::LoadTooHigh { network, class, alert: id, turn: Turn::Opened },
                AlertKind::NoAccessTokens => Fact::NoAccessTokens { network, class, alert: id },
            };
            let (team, dedup_key) = (Some("acme".parse().unwrap()), String::new());
            let event = Event { id: EventId::from_u128(1), at: NOW, team, fact, dedup_key };
            let (alert, text, zone) = (Some(&alert), Text::english(), &TimeZone::UTC);
            let words = Words::of(&Told { event: &event, network: "X", token: "", alert, pages: None, text, zone });
            for (said, expected) in [(&words.why, why), (&words.stops, stops), (&words.todo, todo)] {
                assert!(said.starts_with(expected) && said.ends_with('.'), "{expected}: {words:?}");
            }
            let said = alert.unwrap().detail.in_words("X", &"search".parse().unwrap());
            assert_eq!(words.happened, neutral(&text.tell(&said, zone), PART), "as the console has it");
            assert!(!words.happened.contains(['\n', '\r', '\u{202e}']), "{words:?}");
        }
    }

    #[test]
    fn the_end_of_an_incident_says_how_it_went_out_and_where_to_mend() {
        let closed = |lost, served| {
            let (network, app) = ("x".parse().unwrap(), "default".parse().unwrap());
            let incident = crate::base::ids::IncidentId::from_u128(7);
            words(Fact::IncidentClosed { network, app, incident, lost, served }, "")
        };
        let recovered = closed(None, true);
        assert_eq!(recovered.subject, "The incident at Instagram is over: its tokens work again");
        assert!(recovered.todo.starts_with("Nothing.") && !recovered.asks, "{recovered:?}");
        let unseen = closed(None, false);
        assert_eq!(unseen.subject, "The incident at Instagram is over: its tokens are let through again");
        assert!(unseen.todo.starts_with("Nothing.") && !unseen.happened.contains("work again"), "{unseen:?}");
        let lost = closed(Some(Reason::PlatformReset), true);
        assert_eq!(lost.subject, "The incident at Instagram is over: its tokens are lost");
        assert!(lost.todo.starts_with("Reconnect the accounts") && lost.asks, "{lost:?}");
        assert_eq!(lost.link.unwrap().url, "https://t.example/tokens?status=dead&network=x");
        let disabled = closed(Some(Reason::AppDisabled), true);
        assert!(disabled.todo.contains("app") && disabled.why != lost.why, "{disabled:?}");
    }

    #[test]
    fn the_beginning_of_an_incident_says_what_it_is_and_what_it_was_taken_for() {
        let opened = |kind, was| {
            let (network, app) = ("x".parse().unwrap(), "default".parse().unwrap());
            let incident = crate::base::ids::IncidentId::from_u128(7);
            words(Fact::IncidentOpened { network, app, incident, kind, was }, "")
        };
        let [reset, disabled, outage] = IncidentKind::ALL.map(|kind| opened(kind, None));
        assert_eq!(reset.subject, "Many Instagram tokens fail at once");
        assert!(
            disabled.happened.contains("refuses the app \"default\"") && disabled.todo.contains("app"),
            "{disabled:?}"
        );
        assert!(outage.stops.contains("go on") && outage.todo.starts_with("Nothing.") && !outage.asks, "{outage:?}");
        let turned = opened(IncidentKind::NetworkReset, Some(IncidentKind::ProviderOutage));
        assert_eq!(turned.subject, reset.subject);
        assert!(turned.why.contains("taken for an outage") && turned.asks, "{turned:?}");
    }

    #[test]
    fn clocks_of_one_token_say_what_each_asks_for_and_by_which_rules() {
        let of = |stage, duty| {
            let (network, token) = ("x".parse().unwrap(), crate::base::ids::TokenId::from_u128(7));
            let rules = vec!["Everything is deleted.".to_owned(), "The person authorises anew".to_owned()];
            words(Fact::RetentionClock { network, token, stage, deadline: NOW, duty, rules }, "Acme")
        };
        let both = of(RetentionStage::Started, Duty::Delete);
        assert_eq!(both.why, "The terms of Instagram: Everything is deleted. The person authorises anew.");
        let expected = [
            (RetentionStage::Started, "must be deleted unless", "must be authorised anew"),
            (RetentionStage::ThreeDays, "must be deleted in 3 days", "must be authorised anew within 3 days"),
            (RetentionStage::OneDay, "must be deleted in 1 day", "must be authorised anew within 1 day"),
            (RetentionStage::Over, "must be deleted now", "was not authorised anew in time"),
        ];
        for (stage, delete, authorise) in expected {
            let (delete_said, authorise_said) = (of(stage, Duty::Delete), of(stage, Duty::Authorise));
            assert!(delete_said.subject.contains(delete), "{}", delete_said.subject);
            assert!(authorise_said.subject.ends_with(authorise), "{}", authorise_said.subject);
            assert!(!authorise_said.happened.contains("deleted"), "{}", authorise_said.happened);
        }
    }

    #[test]
    fn what_many_tokens_died_of_is_one_notice() {
        let network = "x".parse().unwrap();
        let words = Words::of_loss(
            Text::english(),
            1600,
            &network,
            "Instagram",
            Reason::PlatformReset,
            Some("https://t.example"),
        );
        assert_eq!(words.subject, "1600 Instagram tokens do not work any more");
        assert_eq!(words.link.unwrap().url, "https://t.example/tokens?status=dead&network=x");
        assert!(words.asks && words.todo.starts_with("Reconnect the accounts"), "{}", words.todo);
    }

    #[test]
    fn times_are_told_in_the_persons_zone() {
        let ends_at = Timestamp::from_secs(1_780_000_000);
        let (network, token) = ("x".parse().unwrap(), crate::base::ids::TokenId::from_u128(7));
        let fact = Fact::TokenExpiring { network, token, clock: Clock::Access, ends_at, within_days: 1 };
        let words = words(fact, "Acme");
        assert_eq!(words.subject, "Instagram token \"Acme\" ends within 1 day");
        assert_eq!(words.happened, "The Instagram token \"Acme\" ends on Thursday, 28 May 2026, 22:26 CEST.");
        assert_eq!(words.link.unwrap().url, "https://t.example/tokens/tok_00000000000000000000000000000007");
    }

    #[test]
    fn a_foreign_name_adds_no_line() {
        for fact in facts() {
            let words = words(fact, "x\r\nBcc: all@example.com\u{202e}");
            for part in [&words.subject, &words.happened, &words.stops] {
                assert!(!part.contains(['\n', '\r', '\u{202e}']), "{part:?}");
            }
        }
    }
}
