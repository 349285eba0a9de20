//! `token-broker networks`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, top};
use super::options::Paging;
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View, grouped};
use super::times::exact;
use super::token::window;
use super::words::{word_of, words_of};
use crate::grpc::pb;
use crate::grpc::pb::limit::Amount;
use crate::grpc::pb::network_service_client::NetworkServiceClient;

/// What to know about networks.
#[derive(Subcommand)]
pub enum NetworksCommand {
    /// List the networks of the catalogue.
    List(Paging),
    /// Show one network: its kinds of token, limits and operations.
    #[command(after_help = "Example:\n  token-broker networks show x")]
    Show {
        /// The network, such as x.
        name: String,
    },
}

const COLUMNS: &[Column<pb::Network>] = &[
    Column::text("NETWORK", |network, _| short(&network.name).into()),
    Column::text("NAME", |network, _| network.display_name.as_str().into()),
    Column::text("KINDS", |network, _| joined(network.kinds.iter().map(|kind| kind.id.as_str())).into()),
    Column::number("CLASSES", |network, _| count(network.credit_classes.len())),
    Column::number("OPERATIONS", |network, _| count(network.operations.len())),
    Column::minor_text("API", |network, _| network.api_base.as_str().into()),
];

fn count(number: usize) -> Cell {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

const FIELDS: &[Column<pb::Network>] = &[
    Column::text("network", |network, _| short(&network.name).into()),
    Column::text("name", |network, _| network.display_name.as_str().into()),
    Column::text("api base", |network, _| network.api_base.as_str().into()),
];

const KINDS: &[Column<pb::TokenKind>] = &[
    Column::text("KIND", |kind, _| kind.id.as_str().into()),
    Column::text("VALID", |kind, _| exact(kind.access_validity.as_ref()).into()),
    Column::minor_text("REFRESH VALID", |kind, _| exact(kind.refresh_validity.as_ref()).into()),
    Column::text("RENEWAL", |kind, _| word_of::<pb::RenewalFamily>(kind.renewal).into()),
    Column::minor_text("PURPOSES", |kind, _| purposes(kind).into()),
    Column::minor_text("API", |kind, _| kind.api_base.as_str().into()),
    Column::minor_text("NEEDS", |kind, _| kind.native_permission.as_str().into()),
    Column::minor_text("SURE", |kind, _| sure(kind.verification)),
    Column::minor_text("UNVERIFIED", |kind, _| kind.unverified_fields.join(", ").into()),
];

const OPERATIONS: &[Column<pb::Operation>] =
    &[
        Column::text("OPERATION", |operation, _| operation.id.as_str().into()),
        Column::text("CALL", |operation, _| format!("{} {}", operation.method, operation.path).into()),
        Column::text("KINDS", |operation, _| {
            if operation.kinds.is_empty() { "all".into() } else { operation.kinds.join(", ").into() }
        }),
        Column::text("COST", |operation, _| {
            joined(operation.costs.iter().map(|cost| format!("{} {}", cost.units, cost.credit_class))).into()
        }),
        Column::minor_text("PURPOSES", |operation, _| words_of::<pb::Purpose>(&operation.purposes).into()),
        Column::minor_text("SURE", |operation, _| sure(operation.verification)),
    ];

const RETENTION: &[Column<pb::RetentionRule>] = &[
    Column::text("WITHIN", |rule, _| exact(rule.within.as_ref()).into()),
    Column::text("WHAT", |rule, _| rule.description.as_str().into()),
    Column::minor_text("SURE", |rule, _| sure(rule.verification)),
];

/// A limit with the class that it belongs to.
struct ClassLimit<'a> {
    class: &'a pb::CreditClass,
    limit: &'a pb::Limit,
}

fn joined<T: AsRef<str>>(parts: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(part.as_ref());
    }
    text
}

fn purposes(kind: &pb::TokenKind) -> String {
    let purposes: Vec<_> = kind.purpose_scopes.iter().map(|one| one.purpose).collect();
    words_of::<pb::Purpose>(&purposes)
}

fn sure(verification: i32) -> Cell {
    let tone = match pb::Verification::try_from(verification) {
        Ok(pb::Verification::Unverified | pb::Verification::Reported) => Tone::Warning,
        _ => Tone::Plain,
    };
    Cell::toned(word_of::<pb::Verification>(verification), tone)
}

fn amount(limit: &pb::Limit) -> String {
    match &limit.amount {
        Some(Amount::Number(number)) => grouped(*number),
        Some(Amount::Formula(formula)) => format!("{} × {}", grouped(formula.factor), formula.fact),
        Some(Amount::UnknownStart(start)) => format!("unknown, {} at first", grouped(*start)),
        None => String::new(),
    }
}

/// Carries a command out.
pub async fn run(command: NetworksCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        NetworksCommand::List(paging) => list(session, &paging).await,
        NetworksCommand::Show { name } => {
            let request = pb::GetNetworkRequest { name: top("networks", &name) };
            let answer = NetworkServiceClient::new(session.client()).get_network(session.request(request)).await?;
            let network = part(answer, |answer| answer.network)?;
            show(session, &network)
        }
    }
}

fn show(session: &mut Session, network: &pb::Network) -> Result<(), Failure> {
    session.terminal.record(network, FIELDS)?;
    session.terminal.section("Kinds of token", &network.kinds, KINDS)?;
    session.terminal.section("Limits", &limits_of(network), limit_columns())?;
    session.terminal.section("Operations", &network.operations, OPERATIONS)?;
    session.terminal.section("When a permission ends", &network.retention_rules, RETENTION)
}

fn limits_of(network: &pb::Network) -> Vec<ClassLimit<'_>> {
    let limits = network
        .credit_classes
        .iter()
        .flat_map(|class| class.limits.iter().map(move |limit| ClassLimit { class, limit }));
    limits.collect()
}

fn limit_columns<'a>() -> &'a [Column<ClassLimit<'a>>] {
    const {
        &[
            Column::text("CLASS", |row, _: View| row.class.id.as_str().into()),
            Column::minor_text("COUNTS", |row, _| word_of::<pb::CreditUnit>(row.class.unit).into()),
            Column::text("ACCOUNT OF", |row, _| word_of::<pb::BucketOwner>(row.limit.owner).into()),
            Column::text("KINDS", |row, _| match row.limit.kinds.as_slice() {
                [] => "all".into(),
                kinds => kinds.join(", ").into(),
            }),
            Column::number("LIMIT", |row, _| amount(row.limit).into()),
            Column::text("WINDOW", |row, _| row.limit.window.as_ref().map(window).unwrap_or_default().into()),
            Column::minor_text("SURE", |row, _| sure(row.limit.verification)),
        ]
    }
}

async fn list(session: &mut Session, paging: &Paging) -> Result<(), Failure> {
    let client = NetworkServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let answer =
            client.clone().list_networks(pb::ListNetworksRequest { page_size, page_token }).await?.into_inner();
        Ok(Page { items: answer.networks, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no networks", fetch).await
}
