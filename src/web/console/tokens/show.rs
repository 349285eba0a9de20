//! One token: what it is, what it has left, who can renew it, and who used it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::row::{Row, bucket_in_words, granters, share_left};
use crate::base::ids::TokenId;
use crate::domain::member::Action;
use crate::domain::networks::Unit;
use crate::domain::pool::BucketView;
use crate::domain::probe::CheckOutcome;
use crate::domain::profile::{CanRenew, Evidence};
use crate::domain::reach::Reach;
use crate::domain::token::Token;
use crate::service::Broker;
use crate::service::dead_spans::DeadSpanView;
use crate::service::members::On;
use crate::service::profiles::{Manager, ProfileName};
use crate::service::tokens::{TokenError, TokenView};
use crate::service::usage::{UsageEntry, day_of};
use crate::web::console::incident::page_of_incident;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::page::shown;

/// Days that a usage statement goes back.
const STATED_DAYS: i32 = 30;
/// Rows of a usage statement that are shown.
const STATED_ROWS: usize = 200;

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    done: String,
    count: u64,
}

#[derive(Template)]
#[template(path = "console/tokens/show.html")]
struct TokenPage {
    shell: Shell,
    row: Row,
    /// The page of the incident for which it rests.
    rests: Option<String>,
    clocks: Vec<(String, Option<(When, String)>)>,
    books: Vec<Book>,
    retention: Vec<(String, When, String)>,
    spans: Vec<Span>,
    checked: Option<(When, String)>,
    active_leases: usize,
    reserve: String,
}

/// A bucket of the token. The emptiest stands first.
struct Book {
    class: String,
    /// Whose limit it is, and in which span: what tells the buckets of a class apart.
    limit: String,
    about: String,
    percent: u64,
    left: String,
}

/// A span in which the token was dead.
struct Span {
    from: When,
    until: When,
    note: String,
}

/// The token, if it is the team's.
pub(super) async fn found(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    id: &str,
) -> Result<(Shell, TokenView), Response> {
    match broker.show_token(visit.team(), TokenId::typed(id)).await {
        Ok((view, _)) => Ok((shell, view)),
        Err(error) => Err(refused(shell, &error)),
    }
}

/// The page of a token.
pub(in crate::web::console) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens).with_done(&asked.done, asked.count);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let token = &view.token;
    let names = granters(&broker, std::iter::once(token)).await;
    let read = (broker.last_uses(&[token.id]).await, broker.dead_spans(token).await);
    let (days, spans) = match read {
        (Ok(days), Ok(spans)) => (days, spans),
        (Err(error), _) | (_, Err(error)) => return refused(shell, &TokenError::from(error)),
    };
    let row = Row::of(&broker, &visit, &shell, &view, &names, days.get(&token.id).copied());
    let span = |view: &DeadSpanView| Span {
        from: shell.when(view.span.from),
        until: shell.when(view.span.until),
        note: match &view.reach {
            Reach::Whole => shell.say("reach-whole"),
            Reach::Unknown => shell.say("reach-unknown"),
            Reach::Short { reaches, .. } => {
                shell.say_of("reach-short", "time", humantime::format_duration(*reaches).to_string())
            }
        },
    };
    let page = TokenPage {
        rests: view.rests_for.map(page_of_incident),
        clocks: clocks(&shell, token),
        books: books(&shell, &broker, token),
        retention: view
            .retention
            .iter()
            .map(|clock| (clock.rule.clone(), shell.when(clock.deadline), shell.far(clock.deadline)))
            .collect(),
        spans: spans.iter().map(span).collect(),
        checked: view.check.as_ref().map(|check| (shell.when(check.at), shell.say(outcome(check.outcome)))),
        active_leases: view.active_leases,
        reserve: match token.reserve_percent {
            Some(percent) => shell.say_of("reserve-own", "percent", percent),
            None => shell.say("reserve-usual"),
        },
        row,
        shell,
    };
    shown(StatusCode::OK, &page)
}

const fn outcome(outcome: CheckOutcome) -> &'static str {
    match outcome {
        CheckOutcome::Works => "check-works",
        CheckOutcome::InDoubt => "check-in-doubt",
        CheckOutcome::Ended => "check-ended",
        CheckOutcome::NotPermitted => "check-not-permitted",
        CheckOutcome::Limited => "check-limited",
        CheckOutcome::AppRefused => "check-app-refused",
        CheckOutcome::NoAnswer => "check-no-answer",
    }
}

fn clocks(shell: &Shell, token: &Token) -> Vec<(String, Option<(When, String)>)> {
    let clocks = &token.clocks;
    let named = [
        ("clock-access", clocks.access_expires_at),
        ("clock-refresh", clocks.refresh_expires_at),
        ("clock-data", clocks.data_access_expires_at),
        ("clock-consent", clocks.consented_at),
        ("clock-added", Some(token.created_at)),
    ];
    let shown = |(name, at): (&str, Option<_>)| (shell.say(name), at.map(|at| (shell.when(at), shell.far(at))));
    named.into_iter().map(shown).collect()
}

fn books(shell: &Shell, broker: &Broker, token: &Token) -> Vec<Book> {
    let network = broker.catalogue.network(token.network.as_str()).filter(|_| token.is_usable(shell.now));
    let Some(network) = network else { return Vec::new() };
    let book = |bucket: &BucketView| {
        let class = network.classes.get(bucket.class);
        Book {
            class: class.map(|class| class.id.to_string()).unwrap_or_default(),
            limit: limit_in_words(shell, bucket),
            about: class.map(|class| class.about.clone()).unwrap_or_default(),
            percent: share_left(bucket),
            left: bucket_in_words(shell, bucket, class.map_or(Unit::Calls, |class| class.unit)),
        }
    };
    let mut books: Vec<Book> = broker.books_of(token).iter().map(book).collect();
    books.sort_by_key(|book| book.percent);
    books
}

fn limit_in_words(shell: &Shell, bucket: &BucketView) -> String {
    let whose = shell.say_of("token-credit-whose", "owner", bucket.owner.as_str());
    let Some(length) = bucket.window.length() else { return whose };
    let units = [("token-credit-days", 86_400), ("token-credit-hours", 3_600), ("token-credit-minutes", 60)];
    let fits = |(_, unit): &(&str, u64)| length.as_secs().is_multiple_of(*unit);
    let (name, unit) = units.into_iter().find(fits).unwrap_or(("token-credit-seconds", 1));
    format!("{whose} · {}", shell.say_of(name, "count", length.as_secs() / unit))
}

#[derive(Template)]
#[template(path = "console/tokens/managers.html")]
struct ManagersPage {
    shell: Shell,
    row: Row,
    profiles: Vec<(String, Vec<ManagerRow>)>,
}

/// A member, and whether it can renew.
struct ManagerRow {
    name: String,
    mail: String,
    can: &'static str,
    can_text: String,
    why: String,
    may: bool,
}

/// Who of the team can renew a token at its network.
pub(in crate::web::console) async fn managers(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let (shell, view) = match found(&broker, &visit, visit.shell(&broker, Place::Tokens), &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let token = &view.token;
    let mut profiles = Vec::new();
    for id in &token.profiles {
        let name = ProfileName { team: token.team.clone(), network: token.network.clone(), id: id.clone() };
        let listed = match broker.list_managers(&name).await {
            Ok(listed) => listed,
            Err(error) => return refused(shell, &error),
        };
        let row = |manager: Manager| {
            let can = match manager.can {
                CanRenew::Yes => "yes",
                CanRenew::No => "no",
                CanRenew::Unknown => "unknown",
            };
            ManagerRow {
                name: manager.member.name_for_people().to_owned(),
                mail: manager.member.mail.to_string(),
                can_text: shell.say(&format!("can-renew-{can}")),
                can,
                why: shell.say(evidence(manager.evidence)),
                may: manager.may,
            }
        };
        let shown = broker.directory.profile(&token.team, &token.network, id).map(|found| found.display_name.clone());
        let shown = shown.filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
        profiles.push((shown, listed.into_iter().map(row).collect()));
    }
    let names = granters(&broker, std::iter::once(token)).await;
    let row = Row::of(&broker, &visit, &shell, &view, &names, None);
    shown(StatusCode::OK, &ManagersPage { row, profiles, shell })
}

const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::HoldsToken => "evidence-holds-token",
        Evidence::LostPermission => "evidence-lost-permission",
        Evidence::PersonBlocked => "evidence-person-blocked",
        Evidence::HeldToken => "evidence-held-token",
        Evidence::NamedHere => "evidence-named-here",
        Evidence::HasAccount => "evidence-has-account",
        Evidence::Nothing => "evidence-nothing",
    }
}

#[derive(Template)]
#[template(path = "console/tokens/usage.html")]
struct UsagePage {
    shell: Shell,
    row: Row,
    days: i32,
    total: u64,
    rows: Vec<UsageRow>,
    more: usize,
    allowance: Vec<(String, u64)>,
}

/// What was used on a day.
struct UsageRow {
    day: String,
    collection: String,
    collector: String,
    purpose: String,
    class: String,
    calls: u64,
    credits: u64,
    errors: u64,
    share: String,
}

/// What a token was used for lately.
pub(in crate::web::console) async fn usage(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let (shell, view) = match found(&broker, &visit, visit.shell(&broker, Place::Tokens), &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let token = &view.token;
    if let Err(forbidden) = broker.must_permit(&visit.caller(), Action::SeeUsage, visit.team(), On::Token(token)) {
        return refused(shell, &TokenError::from(forbidden));
    }
    let today = day_of(shell.now);
    let mut stated = match broker.state_usage(visit.team(), token.id, today - STATED_DAYS + 1, today).await {
        Ok(stated) => stated,
        Err(error) => return refused(shell, &error),
    };
    stated.rows.sort_by(|one, other| other.key.day.cmp(&one.key.day).then_with(|| other.calls.cmp(&one.calls)));
    let mut of_day: BTreeMap<_, u64> = BTreeMap::new();
    for row in &stated.rows {
        *of_day.entry((row.key.day, row.key.class.clone())).or_default() += row.credits;
    }
    let stated_row = |row: &UsageEntry| {
        let allowed = row.key.class.as_ref().and_then(|class| stated.allowance.get(class));
        let collector = row.key.collector.map(|id| broker.collector_name(id, Some(visit.team())));
        UsageRow {
            day: shell.day(row.key.day),
            collection: row.key.collection.clone(),
            collector: collector.unwrap_or_else(|| shell.say("usage-by-hand")),
            purpose: shell.say(&format!("purpose-{}", row.key.purpose.as_str().replace('_', "-"))),
            class: row.key.class.as_ref().map(ToString::to_string).unwrap_or_default(),
            calls: row.calls,
            credits: row.credits,
            errors: row.errors,
            share: allowed
                .filter(|allowed| **allowed > 0)
                .map_or_else(String::new, |allowed| share_in_words(row.credits, *allowed)),
        }
    };
    let names = granters(&broker, std::iter::once(token)).await;
    let page = UsagePage {
        row: Row::of(&broker, &visit, &shell, &view, &names, None),
        days: STATED_DAYS,
        total: stated.total_calls,
        more: stated.rows.len().saturating_sub(STATED_ROWS),
        rows: stated.rows.iter().take(STATED_ROWS).map(stated_row).collect(),
        allowance: stated.allowance.iter().map(|(class, units)| (class.to_string(), *units)).collect(),
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// A part of a whole in percent; what is little is not nothing.
fn share_in_words(part: u64, whole: u64) -> String {
    match part.saturating_mul(100) / whole {
        0 if part > 0 => "< 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}
