//! How tokens, and what hangs on them, are shown.

use super::super::names::{short, team_of};
use super::super::table::{Cell, Column, Tone, View, grouped};
use super::super::times::exact;
use super::super::words::{word_of, words_of};
use crate::grpc::pb;

/// A row of a list.
pub const COLUMNS: &[Column<pb::Token>] = &[
    Column::text("TOKEN", |token, _| short(&token.name).into()),
    Column::minor_text("TEAM", |token, _| short(team_of(&token.name)).into()),
    Column::text("NETWORK", |token, _| short(&token.network).into()),
    Column::text("KIND", |token, _| token.kind.as_str().into()),
    Column::minor_text("NAME", |token, _| token.display_name.as_str().into()),
    Column::minor_text("PERSON", |token, _| token.person.as_str().into()),
    Column::minor_text("PROFILE", |token, _| token.profile.as_str().into()),
    Column::text("STATE", state),
    Column::text("STATUS", status),
    Column::text("EXPIRES", |token, view| {
        view.time(clocks(token).and_then(|clocks| clocks.access_expire_time.as_ref()))
    }),
    Column::minor_number("LEASES", |token, _| token.active_leases.into()),
];

/// All of one token but its buckets.
pub const FIELDS: &[Column<pb::Token>] = &[
    Column::text("token", |token, _| token.name.as_str().into()),
    Column::text("network", |token, _| short(&token.network).into()),
    Column::text("kind", |token, _| token.kind.as_str().into()),
    Column::text("app", |token, _| short(&token.app).into()),
    Column::text("name", |token, _| token.display_name.as_str().into()),
    Column::text("person", |token, _| token.person.as_str().into()),
    Column::text("profile", |token, _| token.profile.as_str().into()),
    Column::text("granted by", |token, _| token.granted_by.as_str().into()),
    Column::text("state", state),
    Column::text("reason", |token, _| word_of::<pb::TokenReason>(token.reason).into()),
    Column::text("since", |token, view| view.time(token.state_time.as_ref())),
    Column::text("cooling until", |token, view| view.time(token.cooling_until.as_ref())),
    Column::text("status", status),
    Column::text("access ends", |token, view| view.time(clocks(token).and_then(|one| one.access_expire_time.as_ref()))),
    Column::text("refresh ends", |token, view| {
        view.time(clocks(token).and_then(|one| one.refresh_expire_time.as_ref()))
    }),
    Column::text("data access ends", |token, view| {
        view.time(clocks(token).and_then(|one| one.data_access_expire_time.as_ref()))
    }),
    Column::text("consented", |token, view| view.time(clocks(token).and_then(|one| one.consent_time.as_ref()))),
    Column::text("scopes", |token, _| token.scopes.join(", ").into()),
    Column::text("purposes", |token, _| words_of::<pb::Purpose>(&token.purposes).into()),
    Column::text("not permitted", |token, _| {
        let closed: Vec<_> = token.closed_operations.iter().map(|one| one.operation.as_str()).collect();
        closed.join(", ").into()
    }),
    Column::text("blocked since", |token, view| view.time(token.block_time.as_ref())),
    Column::text("reconnect", |token, view| match &token.needs_reconnecting {
        Some(needs) => {
            let by = needs.deadline.as_ref().map(|at| format!("{}: ", view.time(Some(at)).text())).unwrap_or_default();
            Cell::toned(format!("{by}{}", needs.reason), Tone::Warning)
        }
        None => "".into(),
    }),
    Column::text("at its network", |token, _| revocation(token.network_revocation.as_ref()).into()),
    Column::text("facts", |token, _| facts(&token.facts).into()),
    Column::text("most leases", |token, _| match token.max_concurrent_leases {
        0 => "".into(),
        most => most.into(),
    }),
    Column::text("reserve", |token, _| token.reserve_percent.map(|one| format!("{one} %")).unwrap_or_default().into()),
    Column::text("leases", |token, _| token.active_leases.into()),
    Column::text("last check", |token, view| view.time(token.last_check_time.as_ref())),
    Column::text("came of it", |token, _| word_of::<pb::CheckOutcome>(token.last_check_outcome).into()),
    Column::text("added", |token, view| view.time(token.create_time.as_ref())),
];

/// The books of a token.
pub const BUCKETS: &[Column<pb::Bucket>] =
    &[
        Column::text("CLASS", |bucket, _| bucket.credit_class.as_str().into()),
        Column::minor_text("OWNER", |bucket, _| {
            format!("{} {}", word_of::<pb::BucketOwner>(bucket.owner), bucket.owner_id).trim_end().into()
        }),
        Column::text("WINDOW", |bucket, _| bucket.window.as_ref().map(window).unwrap_or_default().into()),
        Column::number("LIMIT", |bucket, _| bucket.limit.into()),
        Column::minor_number("RESERVE", |bucket, _| bucket.reserve.into()),
        Column::number("USED", |bucket, _| bucket.used.into()),
        Column::number("LEFT", left),
        Column::text("RESET", |bucket, view| view.time(bucket.reset_time.as_ref())),
        Column::text("", |bucket, _| {
            if bucket.limit_assumed { Cell::toned("the limit is a guess", Tone::Warning) } else { "".into() }
        }),
    ];

/// What the terms of its network ask for since a token is dead.
pub const RETENTION_CLOCKS: &[Column<pb::RetentionClock>] = &[
    Column::text("DEADLINE", |clock, view| view.time(clock.deadline.as_ref())),
    Column::text("LAST VALID", |clock, view| view.time(clock.start_time.as_ref())),
    Column::text("RULE", |clock, _| clock.rule.as_str().into()),
    Column::minor_text("VERIFIED", |clock, _| word_of::<pb::Verification>(clock.verified).into()),
];

/// When a token was dead.
pub const DEAD_SPANS: &[Column<pb::DeadSpan>] = &[SPAN_FROM, SPAN_UNTIL, SPAN_REASON, SPAN_REACH];

/// When the tokens of a team were dead.
pub const TEAM_DEAD_SPANS: &[Column<pb::DeadSpan>] = &[
    Column::text("TOKEN", |span, _| short(&span.token).into()),
    Column::text("NETWORK", |span, _| short(&span.network).into()),
    Column::text("PROFILE", |span, _| span.profile.as_str().into()),
    SPAN_FROM,
    SPAN_UNTIL,
    SPAN_REASON,
    SPAN_REACH,
];

const SPAN_FROM: Column<pb::DeadSpan> = Column::text("FROM", |span, view| view.time(span.start_time.as_ref()));
const SPAN_UNTIL: Column<pb::DeadSpan> = Column::text("UNTIL", |span, view| view.time(span.end_time.as_ref()));
const SPAN_REASON: Column<pb::DeadSpan> =
    Column::text("REASON", |span, _| word_of::<pb::TokenReason>(span.reason).into());
const SPAN_REACH: Column<pb::DeadSpan> = Column::text("CAN BE FETCHED", |span, _| match span.reach() {
    pb::HistoryReach::Whole => "all of it".into(),
    pb::HistoryReach::Short => {
        let reaches = exact(span.reaches.as_ref());
        Cell::toned(format!("{} reaches back {reaches} only", span.operation), Tone::Warning)
    }
    pb::HistoryReach::Unknown | pb::HistoryReach::Unspecified => "not known".into(),
});

fn clocks(token: &pb::Token) -> Option<&pb::TokenClocks> {
    token.clocks.as_ref()
}

fn state(token: &pb::Token, _: View) -> Cell {
    let tone = match token.state() {
        pb::TokenState::Live => Tone::Good,
        pb::TokenState::Expired | pb::TokenState::Invalid | pb::TokenState::Revoked => Tone::Bad,
        pb::TokenState::Cooling | pb::TokenState::Suspect | pb::TokenState::Paused => Tone::Warning,
        pb::TokenState::Unspecified => Tone::Plain,
    };
    Cell::toned(word_of::<pb::TokenState>(token.state), tone)
}

fn status(token: &pb::Token, _: View) -> Cell {
    let tone = match token.status() {
        pb::TokenStatus::Expired => Tone::Bad,
        pb::TokenStatus::Expiring => Tone::Warning,
        pb::TokenStatus::Valid | pb::TokenStatus::NoExpiry => Tone::Good,
        pb::TokenStatus::Unspecified => Tone::Plain,
    };
    Cell::toned(word_of::<pb::TokenStatus>(token.status), tone)
}

fn left(bucket: &pb::Bucket, _: View) -> Cell {
    let tone = if bucket.left <= 0 { Tone::Warning } else { Tone::Plain };
    Cell::toned(grouped(bucket.left), tone)
}

/// A window rule with its length, such as `fixed 15 min`.
pub fn window(window: &pb::Window) -> String {
    let rule = word_of::<pb::WindowRule>(window.rule);
    format!("{rule} {}{}", exact(window.length.as_ref()), window.time_zone).trim_end().to_owned()
}

/// Where giving a token back at its network stands; empty: it is not revoked, or that was over long ago.
pub fn revocation(revocation: Option<&pb::NetworkRevocation>) -> String {
    let Some(revocation) = revocation else { return String::new() };
    match revocation.state() {
        pb::NetworkRevocationState::Pending => "to be given back".to_owned(),
        pb::NetworkRevocationState::Done => "given back".to_owned(),
        _ => format!("not given back: {}", revocation.message),
    }
}

/// Facts as `name=number`.
pub fn facts(facts: &std::collections::BTreeMap<String, i64>) -> String {
    facts.iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::cli::table::draw_table;
    use crate::cli::times::to_wire;

    #[test]
    fn windows_read_as_rule_and_length() {
        let of = |rule: pb::WindowRule, seconds: Option<i64>, zone: &str| {
            let length = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            window(&pb::Window { rule: rule.into(), length, time_zone: zone.to_owned() })
        };
        assert_eq!(of(pb::WindowRule::Fixed, Some(900), ""), "fixed 15 min");
        assert_eq!(of(pb::WindowRule::Daily, None, "America/Los_Angeles"), "daily America/Los_Angeles");
        assert_eq!(of(pb::WindowRule::Budget, None, ""), "budget");
    }

    #[test]
    fn books_show_what_is_a_guess() {
        let now = Timestamp::from_secs(1_700_000_000);
        let known = pb::Bucket {
            credit_class: "search".to_owned(),
            owner: pb::BucketOwner::Token.into(),
            limit: 1500,
            reserve: 150,
            used: 1350,
            reset_time: Some(to_wire(Timestamp::from_secs(1_700_000_600))),
            ..pb::Bucket::default()
        };
        let unknown = pb::Bucket {
            credit_class: "write".to_owned(),
            limit: 5,
            left: 5,
            limit_assumed: true,
            ..pb::Bucket::default()
        };
        let expected = "\
CLASS   OWNER  WINDOW  LIMIT  RESERVE   USED  LEFT  RESET
search  token          1,500      150  1,350     0  in 10 min
write                      5        0      0     5             the limit is a guess
";
        let drawn = draw_table(&[known, unknown], BUCKETS, View { now, detail: false }, false, None);
        assert_eq!(drawn, expected);
    }
}
