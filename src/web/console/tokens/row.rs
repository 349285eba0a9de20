//! A token as the pages show it.

use std::collections::BTreeMap;

use crate::base::ids::{MemberId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::{Purpose, Unit};
use crate::domain::pool::BucketView;
use crate::domain::reach::NeedsReconnecting;
use crate::domain::token::{Token, TokenState};
use crate::service::Broker;
use crate::service::members::On;
use crate::service::tokens::{Light, TokenView};
use crate::text::{InWords, Sentence};
use crate::web::assets;
use crate::web::console::{Shell, Visit};

/// Names for people of those who granted tokens.
pub(super) type Granters = BTreeMap<String, String>;

/// A token as a row of the table.
pub(super) struct Row {
    pub(super) id: TokenId,
    pub(super) network: String,
    /// Where the network's mark is; `None`: its first letter stands for it.
    pub(super) mark: Option<String>,
    pub(super) letter: char,
    /// Its label, else the names of its profiles, else its person.
    pub(super) name: String,
    /// The profiles, where they are not the name.
    pub(super) profiles: String,
    pub(super) kind: String,
    pub(super) granted_by: String,
    pub(super) purposes: Vec<String>,
    pub(super) status: StatusWords,
    pub(super) credit: Option<CreditBar>,
    pub(super) last_used: String,
    /// What the member may do.
    pub(super) may: May,
    /// It has ended, will soon, or lacks what its network requires.
    pub(super) ails: bool,
    /// No renewal is of use: it is connected again instead.
    pub(super) connects: bool,
}

/// What is done to a token here, and by whom it may be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct May {
    pub(super) renew: bool,
    pub(super) pause: bool,
    pub(super) resume: bool,
    pub(super) revoke: bool,
    /// See what it was used for.
    pub(super) usage: bool,
}

impl May {
    /// Whether it may do anything to it beside looking.
    pub(super) const fn any(self) -> bool {
        self.renew || self.pause || self.resume || self.revoke
    }
}

/// What a token is at a glance, in words.
pub(super) struct StatusWords {
    /// The name of its colour and sign.
    pub(super) light: &'static str,
    /// In a word or two.
    pub(super) text: String,
    /// Why, or since when; may be empty.
    pub(super) why: String,
}

/// The bucket of a token that has the least left.
pub(super) struct CreditBar {
    /// What is left of what may be spent, in percent.
    pub(super) percent: u64,
    /// The same in units, with what they are and when they come back.
    pub(super) text: String,
}

impl Row {
    pub(super) fn of(
        broker: &Broker,
        visit: &Visit,
        shell: &Shell,
        view: &TokenView,
        granters: &Granters,
        last_day: Option<i32>,
    ) -> Self {
        let token = &view.token;
        let name = broker.catalogue.name_for_people(token.network.as_str()).to_owned();
        let profiles = profile_names(broker, token);
        Self {
            id: token.id,
            mark: assets::mark(token.network.as_str()),
            letter: name.chars().next().unwrap_or('?'),
            network: name,
            profiles: if token.label.is_empty() { String::new() } else { profiles },
            name: name_of_token(broker, token),
            kind: kind_name(broker, token),
            granted_by: granters.get(&token.granted_by).unwrap_or(&token.granted_by).clone(),
            purposes: purposes(shell, token),
            status: StatusWords::of(shell, view),
            credit: token.is_usable(shell.now).then(|| CreditBar::of(shell, broker, token)).flatten(),
            last_used: shell.last_used(last_day),
            may: May::of(broker, visit, token),
            ails: ails(shell, view),
            connects: view.connect_again,
        }
    }
}

/// Whether a token has ended, will soon, or lacks what its network requires.
fn ails(shell: &Shell, view: &TokenView) -> bool {
    matches!(Light::of(&view.token, shell.now), Light::Dead | Light::Expiring) || view.needs_reconnecting.is_some()
}

/// Whether a token needs to be connected again, and the visitor may do that.
pub(in crate::web::console) fn is_to_be_connected(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    view: &TokenView,
    is_of_no_use: bool,
) -> bool {
    (view.connect_again || is_of_no_use) && ails(shell, view) && May::of(broker, visit, &view.token).renew
}

/// What a token is, and why.
pub(in crate::web::console) fn status_in_words(shell: &Shell, view: &TokenView) -> String {
    let StatusWords { text, why, .. } = StatusWords::of(shell, view);
    if why.is_empty() { text } else { format!("{text}. {why}") }
}

impl May {
    pub(super) fn of(broker: &Broker, visit: &Visit, token: &Token) -> Self {
        let caller = visit.caller();
        let may = |action| broker.must_permit(&caller, action, &token.team, On::Token(token)).is_ok();
        let held = !matches!(token.state, TokenState::Revoked { .. });
        let paused = matches!(token.state, TokenState::Paused { .. });
        let works = matches!(token.state, TokenState::Live | TokenState::Suspect { .. });
        let pause = may(Action::Pause);
        Self {
            renew: held && may(Action::Renew),
            pause: works && pause,
            resume: paused && pause,
            revoke: held && may(Action::Revoke),
            usage: may(Action::SeeUsage),
        }
    }
}

impl StatusWords {
    pub(super) fn of(shell: &Shell, view: &TokenView) -> Self {
        let token = &view.token;
        let light = Light::of(token, shell.now);
        let text = match (light, token.ends_at()) {
            (Light::Expiring, Some(end)) => shell.say_of("status-expiring-in", "days", shell.days_until(end)),
            (Light::Dead, _) if !matches!(token.state, TokenState::Invalid { .. }) => shell.say("status-expired"),
            _ => shell.say(&format!("status-{}", light.as_str().replace('_', "-"))),
        };
        let why = match (token.state, &view.needs_reconnecting, view.cooling_until) {
            (TokenState::Invalid { reason, .. }, _, _) => {
                shell.say(&format!("reason-{}", reason.as_str().replace('_', "-")))
            }
            (TokenState::Paused { since } | TokenState::Revoked { since }, _, _) => {
                shell.say_of("status-since", "time", shell.when(since).text)
            }
            (TokenState::Live | TokenState::Suspect { .. }, _, _) if view.rests_for.is_some() => {
                shell.say("status-rests")
            }
            (TokenState::Suspect { .. }, _, _) => shell.say("status-in-doubt"),
            (_, Some(again @ NeedsReconnecting { by: Some(by), .. }), _) => {
                shell.tell(&Sentence::new("status-reconnect-by").at("time", *by).and("why", again.in_words()))
            }
            _ if token.blocked_since.is_some() => shell.say("status-blocked"),
            (_, Some(again), _) => shell.tell(again),
            (_, _, Some(until)) => shell.say_of("status-resting-until", "time", shell.when(until).text),
            _ => String::new(),
        };
        Self { light: light.as_str(), text, why }
    }
}

impl CreditBar {
    fn of(shell: &Shell, broker: &Broker, token: &Token) -> Option<Self> {
        let books = broker.books_of(token);
        let least = books.iter().filter(|bucket| bucket.cap > 0).min_by_key(|bucket| share_left(bucket))?;
        let network = broker.catalogue.network(token.network.as_str())?;
        let unit = network.classes.get(least.class).map_or(Unit::Calls, |class| class.unit);
        Some(Self { percent: share_left(least), text: bucket_in_words(shell, least, unit) })
    }
}

/// What is left of a bucket, in percent of what may be spent.
pub(super) fn share_left(bucket: &BucketView) -> u64 {
    (bucket.left.saturating_mul(100)).checked_div(bucket.cap).unwrap_or_default().min(100)
}

/// What is left of a bucket, in words.
pub(super) fn bucket_in_words(shell: &Shell, bucket: &BucketView, unit: Unit) -> String {
    let unit = shell.say(match unit {
        Unit::Calls => "unit-calls",
        Unit::QuotaUnits => "unit-quota-units",
        Unit::Points => "unit-points",
        Unit::Posts => "unit-posts",
        Unit::Keys => "unit-keys",
    });
    let about = [("left", grouped(bucket.left).into()), ("cap", grouped(bucket.cap).into()), ("unit", unit.into())];
    let left = shell.say_with("credit-left", &about);
    match bucket.resets_at.filter(|at| *at > shell.now) {
        Some(at) => format!("{left} {}", shell.say_of("credit-resets", "time", shell.far(at))),
        None => left,
    }
}

/// A number with a thin space between its thousands.
pub(in crate::web::console) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What people call a token: its label, else the names of its profiles, else its person.
pub(in crate::web::console) fn name_of_token(broker: &Broker, token: &Token) -> String {
    let names = [token.label.clone(), profile_names(broker, token), token.person.clone(), token.id.to_string()];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// The names of a token's profiles, else their ids.
pub(super) fn profile_names(broker: &Broker, token: &Token) -> String {
    let name = |id: &String| {
        let profile = broker.directory.profile(&token.team, &token.network, id);
        profile
            .map(|profile| profile.display_name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| id.clone())
    };
    token.profiles.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What a token may be used for, in words; what the broker needs for itself is left out.
pub(super) fn purposes(shell: &Shell, token: &Token) -> Vec<String> {
    let for_people = |purpose: &Purpose| !matches!(purpose, Purpose::Validate | Purpose::ListPages);
    let named = token.purposes.iter().filter(for_people);
    named.map(|purpose| shell.say(&format!("purpose-{}", purpose.as_str().replace('_', "-")))).collect()
}

/// The names of those who granted these tokens, by what the tokens say of them.
pub(super) async fn granters(broker: &Broker, tokens: impl Iterator<Item = &Token>) -> Granters {
    let mut names = Granters::new();
    for token in tokens {
        let Ok(id) = token.granted_by.parse::<MemberId>() else { continue };
        if names.contains_key(&token.granted_by) {
            continue;
        }
        if let Ok(found) = broker.show_member(&token.team, id).await {
            names.insert(token.granted_by.clone(), found.member.name_for_people().to_owned());
        }
    }
    names
}

/// What people call its kind.
fn kind_name(broker: &Broker, token: &Token) -> String {
    let kind = broker.catalogue.network(token.network.as_str()).and_then(|network| network.kind(token.kind.as_str()));
    kind.map_or_else(|| token.kind.to_string(), |kind| kind.name.clone())
}
