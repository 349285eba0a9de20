//! `token-broker token`.

mod columns;

use clap::{Args, Subcommand};

pub use self::columns::{COLUMNS, facts, revocation, window};

use self::columns::{BUCKETS, DEAD_SPANS, FIELDS, RETENTION_CLOCKS, TEAM_DEAD_SPANS};
use super::failure::Failure;
use super::import;
use super::names::{top, under};
use super::options::{Comment, Paging, parse_fact, update_mask};
use super::secrets::SecretSource;
use super::session::{Page, Session, part};
use super::terminal::Format;
use super::times::{When, parse_when};
use super::words::word_parser;
use crate::grpc::pb;
use crate::grpc::pb::token_service_client::TokenServiceClient;

/// What to do with tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Add one token. Its secrets are read from stdin, files or the environment.
    #[command(
        after_help = "Examples:\n  token-broker token add --network x --kind user --person 12345 < access-token\n  \
        token-broker token add --network youtube --kind user --refresh-token-from env:REFRESH --access-token-from ./access \\\n      \
        --access-expires 1h --purpose collect_statistics"
    )]
    Add(Box<AddArgs>),
    /// Add many tokens from a file of CSV or JSON lines.
    #[command(after_long_help = import::HELP)]
    Import(import::ImportArgs),
    /// List the tokens of a team.
    #[command(
        after_help = "Examples:\n  token-broker token list --network x --status expiring\n  token-broker token list --team - --output jsonl"
    )]
    List(ListArgs),
    /// Show one token with the books of its buckets.
    Show {
        /// The token's id, `tok_…`.
        token: String,
    },
    /// List the spans in which tokens were dead and after which they were healed: what collectors have to fetch anew.
    #[command(after_help = "Example:\n  token-broker token dead-spans --network x --since 7d")]
    DeadSpans(DeadSpanArgs),
    /// Take tokens out of use until they are resumed. Their leases are recalled.
    Pause(Several),
    /// Take paused tokens into use again.
    Resume(Several),
    /// End tokens for good and destroy their secrets.
    Revoke(Several),
    /// Renew tokens now. They are renewed by themselves before they end; this is for who wants to be sure.
    Renew {
        /// Their ids, `tok_…`.
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
    },
    /// Check tokens now, by a call of the broker's own. They are checked by themselves once a day; this is for who wants to be sure.
    Test {
        /// Their ids, `tok_…`.
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
    },
    /// Mark tokens as invalid, for a reason that was learnt elsewhere. Connecting them again heals them.
    #[command(
        after_help = "Example:\n  token-broker token invalidate tok_0192… --reason password_changed --comment 'call with Ann'"
    )]
    Invalidate {
        #[command(flatten)]
        several: Several,
        /// Why they are invalid.
        #[arg(long, value_parser = word_parser::<pb::TokenReason>())]
        reason: pb::TokenReason,
    },
    /// Change what may be changed about a token. Lists that are given replace those it has.
    #[command(after_help = "Example:\n  token-broker token update tok_0192… --fact engaged_users=1200 --max-leases 4")]
    Update {
        /// The token's id, `tok_…`.
        token: String,
        #[command(flatten)]
        fields: Fields,
    },
}

/// Options of `token add`.
#[derive(Args)]
pub struct AddArgs {
    /// The network, such as x.
    #[arg(long)]
    network: String,
    /// The kind at the network, such as user or page.
    #[arg(long)]
    kind: String,
    /// The app that it was granted to. Default: the network's app 'default'.
    #[arg(long, default_value = "", hide_default_value = true)]
    app: String,
    /// The person who granted it, by the id at the network.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    person: String,
    /// The page, account or channel that it speaks for, by the id at the network.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    profile: String,
    #[command(flatten)]
    fields: Fields,
    /// Where the access token is read from: '-' for stdin, 'env:NAME', or a file.
    #[arg(long, value_name = "SOURCE", default_value = "-")]
    access_token_from: SecretSource,
    /// Where the refresh token is read from.
    #[arg(long, value_name = "SOURCE")]
    refresh_token_from: Option<SecretSource>,
    /// Where the token secret of OAuth 1.0a is read from.
    #[arg(long, value_name = "SOURCE")]
    token_secret_from: Option<SecretSource>,
    /// When the access token ends: a span from now, or a time.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    access_expires: Option<When>,
    /// When the refresh token ends.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    refresh_expires: Option<When>,
    /// When the right to read the person's data ends.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    data_access_expires: Option<When>,
    /// When the person agreed: a span before now, or a time.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    consented: Option<When>,
}

/// What may be changed about a token.
#[derive(Args)]
pub struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// The member of the team who granted it, such as a mail address.
    #[arg(long, value_name = "MEMBER")]
    granted_by: Option<String>,
    /// A scope that was granted, in the network's words; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A purpose that the person agreed to; may be repeated. Default: all that the scopes serve.
    #[arg(long = "purpose", value_name = "PURPOSE", value_parser = word_parser::<pb::Purpose>())]
    purposes: Vec<pb::Purpose>,
    /// A number from which the network works limits out; may be repeated.
    #[arg(long = "fact", value_name = "NAME=NUMBER", value_parser = parse_fact)]
    facts: Vec<(String, i64)>,
    /// How many leases may be active on it at once: 1 to 1000. Default: the broker's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000), allow_negative_numbers = true)]
    max_leases: Option<i32>,
    /// Percent of each limit that is never spent: 0 to 90. Default: the team's.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=90), allow_negative_numbers = true)]
    reserve_percent: Option<i32>,
}

impl Fields {
    fn mask(&self) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", self.display_name.is_some()),
            ("granted_by", self.granted_by.is_some()),
            ("scopes", !self.scopes.is_empty()),
            ("purposes", !self.purposes.is_empty()),
            ("max_concurrent_leases", self.max_leases.is_some()),
            ("reserve_percent", self.reserve_percent.is_some()),
        ];
        update_mask(&fields, &self.facts)
    }

    fn into_token(self) -> pb::Token {
        pb::Token {
            display_name: self.display_name.unwrap_or_default(),
            granted_by: self.granted_by.unwrap_or_default(),
            scopes: self.scopes,
            purposes: self.purposes.into_iter().map(i32::from).collect(),
            facts: self.facts.into_iter().collect(),
            max_concurrent_leases: self.max_leases.unwrap_or_default(),
            reserve_percent: self.reserve_percent,
            ..pb::Token::default()
        }
    }
}

/// Options of `token list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
    /// Only this kind, such as page.
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
    /// Only tokens of this validity.
    #[arg(long, value_parser = word_parser::<pb::TokenStatus>())]
    status: Option<pb::TokenStatus>,
    /// Only tokens that work and that a person must connect again.
    #[arg(long)]
    needs_reconnecting: bool,
    /// Only tokens in this state.
    #[arg(long, value_parser = word_parser::<pb::TokenState>())]
    state: Option<pb::TokenState>,
    /// Only tokens that speak for this profile.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    profile: String,
}

/// Options of `token dead-spans`.
#[derive(Args)]
pub struct DeadSpanArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
    /// Only spans that ended since: a span before now, or a time.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<When>,
}

/// Tokens to change in the same way.
#[derive(Args)]
pub struct Several {
    /// The tokens' ids, `tok_…`.
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,
    #[command(flatten)]
    comment: Comment,
}

/// Carries a command out.
pub async fn run(command: TokenCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        TokenCommand::Add(args) => add(session, *args).await,
        TokenCommand::Import(args) => import::run(args, session).await,
        TokenCommand::List(args) => list(session, args).await,
        TokenCommand::DeadSpans(args) => dead_spans(session, args).await,
        TokenCommand::Show { token } => show(session, &token).await,
        TokenCommand::Pause(several) => each(session, several, Change::Pause).await,
        TokenCommand::Resume(several) => each(session, several, Change::Resume).await,
        TokenCommand::Revoke(several) => each(session, several, Change::Revoke).await,
        TokenCommand::Renew { tokens } => {
            let comment = Comment { comment: String::new() };
            each(session, Several { tokens, comment }, Change::Renew).await
        }
        TokenCommand::Test { tokens } => {
            let comment = Comment { comment: String::new() };
            each(session, Several { tokens, comment }, Change::Test).await
        }
        TokenCommand::Invalidate { several, reason } => each(session, several, Change::Invalidate(reason)).await,
        TokenCommand::Update { token, fields } => update(session, &token, fields).await,
    }
}

async fn add(session: &mut Session, args: AddArgs) -> Result<(), Failure> {
    let sources = [Some(&args.access_token_from), args.refresh_token_from.as_ref(), args.token_secret_from.as_ref()];
    if sources.into_iter().flatten().filter(|source| **source == SecretSource::Stdin).count() > 1 {
        return Err(Failure::Usage("only one secret can be read from stdin; name files or env:NAME".to_owned()));
    }
    let secrets = pb::TokenSecrets {
        access_token: secret(Some(&args.access_token_from), "the access token")?,
        refresh_token: secret(args.refresh_token_from.as_ref(), "the refresh token")?,
        token_secret: secret(args.token_secret_from.as_ref(), "the token secret")?,
    };
    let parent = session.team().await?;
    let token = Some(new_token(args, session));
    let request = pb::AddTokenRequest { parent, token, secrets: Some(secrets), request_id: session.request_id() };
    let answer = TokenServiceClient::new(session.client()).add_token(session.request(request)).await?;
    let token = part(answer, |answer| answer.token)?;
    session.terminal.record(&token, FIELDS)
}

fn secret(source: Option<&SecretSource>, what: &str) -> Result<String, Failure> {
    source.map_or(Ok(String::new()), |source| Ok(source.read(what)?.expose().to_owned()))
}

fn new_token(args: AddArgs, session: &Session) -> pb::Token {
    let now = session.now();
    let network = top("networks", &args.network);
    let app = if args.app.is_empty() { String::new() } else { under(&network, "apps", &args.app) };
    let clocks = pb::TokenClocks {
        access_expire_time: args.access_expires.map(|when| when.after(now)),
        refresh_expire_time: args.refresh_expires.map(|when| when.after(now)),
        data_access_expire_time: args.data_access_expires.map(|when| when.after(now)),
        consent_time: args.consented.map(|when| when.before(now)),
    };
    pb::Token {
        network,
        app,
        kind: args.kind,
        person: args.person,
        profile: args.profile,
        clocks: Some(clocks),
        ..args.fields.into_token()
    }
}

async fn list(session: &mut Session, args: ListArgs) -> Result<(), Failure> {
    let client = TokenServiceClient::new(session.client());
    let filter = pb::ListTokensRequest {
        parent: session.team().await?,
        network: top("networks", &args.network),
        kind: args.kind,
        status: args.status.map_or(0, i32::from),
        needs_reconnecting: args.needs_reconnecting,
        state: args.state.map_or(0, i32::from),
        profile: args.profile,
        ..pb::ListTokensRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListTokensRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_tokens(request).await?.into_inner();
        Ok(Page { items: answer.tokens, next: answer.next_page_token })
    };
    session
        .list(
            COLUMNS,
            &args.paging,
            "there are no such tokens; add some with `token-broker token import` or `token-broker token add`",
            fetch,
        )
        .await
}

async fn dead_spans(session: &mut Session, args: DeadSpanArgs) -> Result<(), Failure> {
    let client = TokenServiceClient::new(session.client());
    let now = session.now();
    let filter = pb::ListDeadSpansRequest {
        parent: session.team().await?,
        network: top("networks", &args.network),
        start_time: args.since.map(|when| when.before(now)),
        ..pb::ListDeadSpansRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListDeadSpansRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_dead_spans(request).await?.into_inner();
        Ok(Page { items: answer.dead_spans, next: answer.next_page_token })
    };
    session.list(TEAM_DEAD_SPANS, &args.paging, "no token was dead", fetch).await
}

async fn show(session: &mut Session, token: &str) -> Result<(), Failure> {
    let request = pb::GetTokenRequest { name: session.in_team("tokens", token).await? };
    let answer = TokenServiceClient::new(session.client()).get_token(session.request(request)).await?;
    let token = part(answer, |answer| answer.token)?;
    session.terminal.record(&token, FIELDS)?;
    session.terminal.section("What the terms ask for by when", &token.retention_clocks, RETENTION_CLOCKS)?;
    session.terminal.section("When it was dead", &token.dead_spans, DEAD_SPANS)?;
    session.terminal.section("Buckets", &token.buckets, BUCKETS)
}

async fn update(session: &mut Session, token: &str, fields: Fields) -> Result<(), Failure> {
    let update_mask = Some(fields.mask()?);
    let name = session.in_team("tokens", token).await?;
    let token = Some(pb::Token { name, ..fields.into_token() });
    let request = pb::UpdateTokenRequest { token, update_mask, request_id: session.request_id() };
    let answer = TokenServiceClient::new(session.client()).update_token(session.request(request)).await?;
    let token = part(answer, |answer| answer.token)?;
    session.terminal.record(&token, FIELDS)
}

#[derive(Clone, Copy)]
enum Change {
    Pause,
    Resume,
    Revoke,
    Renew,
    Test,
    Invalidate(pb::TokenReason),
}

/// Changes one token after the other. The first failure ends it; those before it are changed and shown.
async fn each(session: &mut Session, several: Several, change: Change) -> Result<(), Failure> {
    let mut changed = Vec::new();
    let mut outcome = Ok(());
    for token in &several.tokens {
        match change_one(session, token, change, &several).await {
            Ok(token) => changed.push(token),
            Err(failure) => {
                if several.tokens.len() > 1 {
                    session.terminal.notice(&format!("stopped at {token}; {} changed before it", changed.len()));
                }
                outcome = Err(failure);
                break;
            }
        }
    }
    show_changed(session, &changed)?;
    outcome
}

fn show_changed(session: &mut Session, changed: &[pb::Token]) -> Result<(), Failure> {
    match (session.terminal.format, changed) {
        (_, []) => Ok(()),
        (Format::Table, [only]) if only.last_check_time.is_some() => session.terminal.record(only, FIELDS),
        (Format::Table, _) => session.terminal.table(changed, COLUMNS),
        (_, [only]) => session.terminal.message(only),
        (Format::Jsonl | Format::Csv, _) => changed.iter().try_for_each(|token| session.terminal.message(token)),
        (Format::Json, _) => {
            let values: Result<Vec<_>, _> = changed.iter().map(super::terminal::json_of).collect();
            session.terminal.json(&values?.into())
        }
    }
}

async fn change_one(session: &Session, token: &str, change: Change, several: &Several) -> Result<pb::Token, Failure> {
    let mut client = TokenServiceClient::new(session.client());
    let name = session.in_team("tokens", token).await?;
    let comment = several.comment.comment.clone();
    let request_id = match several.tokens.as_slice() {
        [_] => session.request_id(),
        _ => format!(
            "{}.{}",
            session.request_id(),
            several.tokens.iter().position(|one| one == token).unwrap_or_default()
        ),
    };
    match change {
        Change::Pause => {
            let request = pb::PauseTokenRequest { name, comment, request_id };
            part(client.pause_token(session.request(request)).await?, |answer| answer.token)
        }
        Change::Resume => {
            let request = pb::ResumeTokenRequest { name, comment, request_id };
            part(client.resume_token(session.request(request)).await?, |answer| answer.token)
        }
        Change::Revoke => {
            let request = pb::RevokeTokenRequest { name, comment, request_id };
            part(client.revoke_token(session.request(request)).await?, |answer| answer.token)
        }
        Change::Renew => {
            let request = pb::RenewTokenRequest { name, request_id };
            part(client.renew_token(session.request(request)).await?, |answer| answer.token)
        }
        Change::Test => {
            let request = pb::ProbeTokenRequest { name, request_id };
            part(client.probe_token(session.request(request)).await?, |answer| answer.token)
        }
        Change::Invalidate(reason) => {
            let request = pb::InvalidateTokenRequest { name, reason: reason.into(), comment, request_id };
            part(client.invalidate_token(session.request(request)).await?, |answer| answer.token)
        }
    }
}
