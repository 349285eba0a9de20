//! `token-broker load`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Paging, parse_fact};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View, grouped};
use super::terminal::{Format, json_of};
use super::times::{parse_span, span_to_wire};
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::load_service_client::LoadServiceClient;

/// What to know about load.
#[derive(Subcommand)]
pub enum LoadCommand {
    /// Show the load of a team: per network and credit class, what would help, what causes it, what is to come.
    Show {
        /// Only this network's.
        #[arg(long, default_value = "", hide_default_value = true)]
        network: String,
    },
    /// List the loads of all teams, the worst level of each.
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only teams at this level or a worse one.
        #[arg(long, value_parser = word_parser::<pb::LoadLevel>())]
        min_level: Option<pb::LoadLevel>,
    },
    /// Show the load of a team again each time it has changed, until interrupted.
    Watch {
        /// Only this network's.
        #[arg(long, default_value = "", hide_default_value = true)]
        network: String,
        /// The least time between two views: 1s to 1h. Default: 5s.
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        interval: Option<Duration>,
    },
    /// Work out what the load would be with further collections or tokens. Changes nothing.
    #[command(after_help = "Examples:\n  token-broker load estimate --add-collection x:tweets.search_recent:5000\n  \
        token-broker load estimate --add-tokens x:user:4\n  \
        token-broker load estimate --add-tokens facebook:page:10 --fact engaged_users=1200")]
    Estimate(EstimateArgs),
}

/// Options of `load estimate`.
#[derive(Args)]
pub struct EstimateArgs {
    /// A collection to add, as NETWORK:OPERATION:CALLS-PER-HOUR; may be repeated.
    #[arg(long = "add-collection", value_name = "COLLECTION", value_parser = parse_collection, required_unless_present = "tokens")]
    collections: Vec<pb::AddedCollection>,
    /// Tokens to add, as NETWORK:KIND:COUNT; may be repeated.
    #[arg(long = "add-tokens", id = "tokens", value_name = "TOKENS", value_parser = parse_tokens)]
    tokens: Vec<pb::AddedTokens>,
    /// A fact that each added token has; may be repeated.
    #[arg(long = "fact", value_name = "NAME=NUMBER", value_parser = parse_fact)]
    facts: Vec<(String, i64)>,
}

fn parse_collection(text: &str) -> Result<pb::AddedCollection, String> {
    let wrong = || "expected NETWORK:OPERATION:CALLS-PER-HOUR, such as x:tweets.search_recent:5000".to_owned();
    let [network, operation, calls] = three(text).ok_or_else(wrong)?;
    let calls_per_hour = calls.parse().map_err(|_| wrong())?;
    Ok(pb::AddedCollection { network: top("networks", network), operation: operation.to_owned(), calls_per_hour })
}

fn parse_tokens(text: &str) -> Result<pb::AddedTokens, String> {
    let wrong = || "expected NETWORK:KIND:COUNT, such as x:user:4".to_owned();
    let [network, kind, count] = three(text).ok_or_else(wrong)?;
    let count = count.parse().map_err(|_| wrong())?;
    Ok(pb::AddedTokens { network: top("networks", network), kind: kind.to_owned(), count, ..Default::default() })
}

fn three(text: &str) -> Option<[&str; 3]> {
    let parts: Vec<_> = text.split(':').collect();
    <[&str; 3]>::try_from(parts).ok().filter(|parts| parts.iter().all(|part| !part.is_empty()))
}

const TEAMS: &[Column<pb::TeamLoad>] = &[
    Column::text("TEAM", |load, _| team_of(load).into()),
    Column::text("LEVEL", |load, _| level(load.level)),
    Column::number("CLASSES", |load, _| i64::try_from(load.classes.len()).unwrap_or(i64::MAX).into()),
    Column::text("WORST", |load, _| worst(load).into()),
    Column::minor_text("MEASURED", |load, view| view.time(load.measure_time.as_ref())),
];

const CLASSES: &[Column<pb::ClassLoad>] = &[
    Column::text("NETWORK", |load, _| short(&load.network).into()),
    Column::text("CLASS", |load, _| load.credit_class.as_str().into()),
    Column::text("LEVEL", |load, _| level(load.level)),
    Column::number("LOAD", |load, _| judged(load).map(|span| ratio(span.ratio)).unwrap_or_default().into()),
    Column::text("OVER", |load, _| judged(load).map(length_of).unwrap_or_default().into()),
    Column::number("DEMAND", |load, _| judged(load).map(|span| amount(span.demand)).unwrap_or_default().into()),
    Column::number("SUPPLY", |load, _| judged(load).map(|span| amount(span.supply)).unwrap_or_default().into()),
    Column::minor_number("5 MIN", |load, _| ratio_at(load, 300)),
    Column::minor_number("15 MIN", |load, _| ratio_at(load, 900)),
    Column::minor_number("1 H", |load, _| ratio_at(load, 3600)),
    Column::minor_number("24 H", |load, _| ratio_at(load, 86_400)),
    Column::number("TOKENS", |load, _| load.live_tokens.into()),
    Column::minor_number("PER TOKEN 1 H", |load, _| amount(load.volume_per_token).into()),
    Column::text("ADVICE", |load, _| {
        load.advice.as_ref().map(|advice| advice.text.as_str()).unwrap_or_default().into()
    }),
];

fn team_of(load: &pb::TeamLoad) -> &str {
    short(load.name.strip_suffix("/load").unwrap_or(&load.name))
}

/// A level with its tone.
pub fn level(number: i32) -> Cell {
    let tone = match pb::LoadLevel::try_from(number) {
        Ok(pb::LoadLevel::Ok) => Tone::Good,
        Ok(pb::LoadLevel::High) => Tone::Warning,
        Ok(pb::LoadLevel::Critical | pb::LoadLevel::NoTokens) => Tone::Bad,
        Ok(pb::LoadLevel::Unspecified) | Err(_) => Tone::Plain,
    };
    Cell::toned(word_of::<pb::LoadLevel>(number), tone)
}

fn span(load: &pb::ClassLoad, seconds: i64) -> Option<&pb::LoadSpan> {
    load.spans.iter().find(|one| one.span.as_ref().is_some_and(|span| span.seconds == seconds))
}

/// The span that the level follows.
fn judged(load: &pb::ClassLoad) -> Option<&pb::LoadSpan> {
    load.spans.iter().find(|one| one.span == load.level_span)
}

/// `5 min`, `15 min`, `1 h` or `24 h`.
fn length_of(span: &pb::LoadSpan) -> String {
    match span.span.as_ref().map_or(0, |span| span.seconds) {
        seconds if seconds < 3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Credit: whole where it is much, with decimals where it is little.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn amount(credit: f64) -> String {
    match credit {
        credit if credit >= 100.0 || credit.fract() == 0.0 => grouped(credit.round() as i64),
        credit => format!("{credit:.1}"),
    }
}

fn ratio_at(load: &pb::ClassLoad, seconds: i64) -> Cell {
    match span(load, seconds) {
        None => "".into(),
        Some(span) => ratio(span.ratio).into(),
    }
}

/// A ratio with two digits; `no supply` where there is none.
pub fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "no supply".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn worst(load: &pb::TeamLoad) -> String {
    let worst = load.classes.iter().max_by_key(|class| class.level).filter(|class| class.level > 1);
    worst.map(|class| format!("{} {}", short(&class.network), class.credit_class)).unwrap_or_default()
}

/// Carries a command out.
pub async fn run(command: LoadCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        LoadCommand::Show { network } => {
            let network = top("networks", &network);
            let request = pb::GetTeamLoadRequest { name: load_of_team(session).await?, network };
            let answer = LoadServiceClient::new(session.client()).get_team_load(session.request(request)).await?;
            let load = part(answer, |answer| answer.team_load)?;
            show(session, &load)
        }
        LoadCommand::List { paging, min_level } => list(session, &paging, min_level).await,
        LoadCommand::Watch { network, interval } => watch(session, &network, interval).await,
        LoadCommand::Estimate(args) => estimate(session, args).await,
    }
}

async fn load_of_team(session: &Session) -> Result<String, Failure> {
    let team = session.team().await?;
    if team == "teams/-" {
        return Err(Failure::Usage("the load is one team's; see `load list` for all teams".to_owned()));
    }
    Ok(format!("{team}/load"))
}

fn show(session: &mut Session, load: &pb::TeamLoad) -> Result<(), Failure> {
    if session.terminal.format != Format::Table {
        return session.terminal.message(load);
    }
    if load.classes.is_empty() {
        let measured = super::times::relative(load.measure_time.as_ref(), session.terminal.now);
        let notice = format!(
            "no demand and no tokens when last looked at ({measured}); loads are worked out anew every few seconds"
        );
        session.terminal.notice(&notice);
        return Ok(());
    }
    let (shown, idle) = told(&load.classes);
    session.terminal.table(&shown, CLASSES)?;
    let details: String =
        load.classes.iter().map(|class| causes_and_forecast(class, session.terminal.view())).collect();
    session.terminal.text(&details)?;
    if idle > 0 {
        let classes = if idle == 1 { "1 more class".to_owned() } else { format!("{idle} more classes") };
        session
            .terminal
            .notice(&format!("{classes} with tokens were not asked for in 24 hours; --output json has all"));
    }
    Ok(())
}

/// The classes that were asked for, and how many others there are. All of them where nothing was asked for.
fn told(classes: &[pb::ClassLoad]) -> (Vec<pb::ClassLoad>, usize) {
    let is_asked = |class: &&pb::ClassLoad| class.spans.iter().any(|span| span.demand > 0.0);
    let asked: Vec<_> = classes.iter().filter(is_asked).cloned().collect();
    if asked.is_empty() {
        return (classes.to_vec(), 0);
    }
    let idle = classes.len() - asked.len();
    (asked, idle)
}

/// What causes a load that is not OK, and what is to come, in sentences.
fn causes_and_forecast(load: &pb::ClassLoad, view: View) -> String {
    let mut text = String::new();
    let what = format!("{} {}", short(&load.network), load.credit_class);
    if load.level() != pb::LoadLevel::Ok && !load.causes.is_empty() {
        let causes: Vec<_> =
            load.causes.iter().map(|one| format!("{} {:.0} %", named(&one.collection), one.share * 100.0)).collect();
        let _ = writeln!(text, "\n{what}: caused by {}", causes.join(", "));
    }
    if load.growing_ratio.is_some() {
        let _ = writeln!(
            text,
            "\n{what}: the demand grows; at the pace of the last minutes the load comes to {}",
            ratio(load.growing_ratio)
        );
    }
    for one in &load.forecast {
        let when = super::times::relative(one.forecast_time.as_ref(), view.now);
        let count = one.expiring_token_count;
        let level = word_of::<pb::LoadLevel>(one.level);
        let _ =
            writeln!(text, "\n{what}: {when} {count} tokens expire; the load will be {} ({level})", ratio(one.ratio));
    }
    text
}

fn named(collection: &str) -> &str {
    if collection.is_empty() { "(without a name)" } else { collection }
}

async fn list(session: &mut Session, paging: &Paging, min_level: Option<pb::LoadLevel>) -> Result<(), Failure> {
    let client = LoadServiceClient::new(session.client());
    let min_level = min_level.map_or(0, i32::from);
    let fetch = async |page_size, page_token| {
        let request = pb::ListTeamLoadsRequest { min_level, page_size, page_token };
        let answer = client.clone().list_team_loads(request).await?.into_inner();
        Ok(Page { items: answer.team_loads, next: answer.next_page_token })
    };
    session.list(TEAMS, paging, "there are no loads: no team has tokens or collectors that ask", fetch).await
}

async fn watch(session: &mut Session, network: &str, interval: Option<Duration>) -> Result<(), Failure> {
    let name = load_of_team(session).await?;
    let request =
        pb::WatchTeamLoadRequest { name, network: top("networks", network), min_interval: interval.map(span_to_wire) };
    let mut loads = LoadServiceClient::new(session.client()).watch_team_load(request).await?.into_inner();
    while let Some(answer) = loads.message().await? {
        let load = answer.team_load.unwrap_or_default();
        if session.terminal.format != Format::Table {
            session.terminal.message_line(&load)?;
            continue;
        }
        // What is measured now is shown as of now: the command may have begun long ago.
        session.terminal.now = load.measure_time.as_ref().map_or(session.terminal.now, super::times::from_wire);
        if session.terminal.interactive {
            session.terminal.text("\u{1b}[2J\u{1b}[H")?;
        }
        let heading = format!("{}  {}\n", team_of(&load), session.terminal.now);
        session.terminal.text(&heading)?;
        show(session, &load)?;
    }
    Err(Failure::WatchEnded)
}

async fn estimate(session: &mut Session, args: EstimateArgs) -> Result<(), Failure> {
    let facts: std::collections::BTreeMap<_, _> = args.facts.into_iter().collect();
    let tokens = args.tokens.into_iter().map(|tokens| pb::AddedTokens { facts: facts.clone(), ..tokens }).collect();
    let request = pb::EstimateLoadRequest { team: session.team().await?, collections: args.collections, tokens };
    let answer = LoadServiceClient::new(session.client()).estimate_load(session.request(request)).await?.into_inner();
    match session.terminal.format {
        Format::Table => {
            session.terminal.section("As it is", &answer.present.unwrap_or_default().classes, CLASSES)?;
            session.terminal.section("As it would be", &answer.estimated.unwrap_or_default().classes, CLASSES)
        }
        _ => {
            let value = json_of(&answer)?;
            session.terminal.json(&value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::cli::table::draw_table;
    use crate::cli::times::to_wire;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn spans() -> Vec<pb::LoadSpan> {
        let span = |seconds, demand, ratio| pb::LoadSpan {
            span: Some(prost_types::Duration { seconds, nanos: 0 }),
            demand,
            supply: 1200.0,
            ratio,
        };
        vec![
            span(300, 100.0, None),
            span(900, 60.5, Some(0.5)),
            span(3600, 1500.0, Some(1.25)),
            span(86_400, 6000.0, Some(0.2083)),
        ]
    }

    fn class() -> pb::ClassLoad {
        pb::ClassLoad {
            network: "networks/x".to_owned(),
            credit_class: "search".to_owned(),
            level: pb::LoadLevel::High.into(),
            spans: spans(),
            live_tokens: 3,
            volume_per_token: 400.04,
            advice: Some(pb::LoadAdvice { text: "4 more x tokens".to_owned(), ..Default::default() }),
            causes: vec![
                pb::LoadCause { collection: "brand".to_owned(), share: 0.755, demand: 5.0 },
                pb::LoadCause::default(),
            ],
            forecast: vec![pb::LoadForecast {
                forecast_time: Some(to_wire(NOW + Duration::from_secs(3 * 86_400))),
                ratio: None,
                level: pb::LoadLevel::NoTokens.into(),
                expiring_token_count: 3,
                ..Default::default()
            }],
            level_span: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
            growing_ratio: Some(1.5),
        }
    }

    #[test]
    fn the_table_shows_ratio_and_advice() {
        let drawn = draw_table(&[class()], CLASSES, View { now: NOW, detail: false }, false, None);
        let expected = "\
NETWORK  CLASS   LEVEL  LOAD  OVER  DEMAND  SUPPLY      5 MIN  15 MIN   1 H  24 H  TOKENS  PER TOKEN 1 H  ADVICE
x        search  high   1.25  1 h    1,500   1,200  no supply    0.50  1.25  0.21       3            400  4 more x tokens
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn what_nobody_asks_for_is_only_counted() {
        let idle = pb::ClassLoad { spans: Vec::new(), ..class() };
        assert_eq!(told(&[class(), idle.clone()]), (vec![class()], 1));
        assert_eq!(told(std::slice::from_ref(&idle)), (vec![idle.clone()], 0));
    }

    #[test]
    fn little_credit_keeps_its_decimals() {
        for (credit, shown) in
            [(0.0, "0"), (0.25, "0.2"), (3.5, "3.5"), (99.96, "100.0"), (312.5, "313"), (1e6, "1,000,000")]
        {
            assert_eq!(amount(credit), shown);
        }
    }

    #[test]
    fn causes_and_forecast_are_sentences() {
        let expected = "\nx search: caused by brand 76 %, (without a name) 0 %\n\
            \nx search: the demand grows; at the pace of the last minutes the load comes to 1.50\n\
            \nx search: in 3 d 3 tokens expire; the load will be no supply (no_tokens)\n";
        assert_eq!(causes_and_forecast(&class(), View { now: NOW, detail: false }), expected);
    }

    #[test]
    fn what_is_added_has_three_parts() {
        let collection = parse_collection("x:tweets.search_recent:5000").expect("good");
        assert_eq!((collection.network.as_str(), collection.calls_per_hour), ("networks/x", 5000));
        let tokens = parse_tokens("x:user:4").expect("good");
        assert_eq!((tokens.kind.as_str(), tokens.count), ("user", 4));
        for bad in ["", "x", "x:user", "x:user:many", "x::4", "x:user:4:5"] {
            assert!(parse_tokens(bad).is_err(), "{bad}");
            assert!(parse_collection(bad).is_err(), "{bad}");
        }
    }
}
