//! Spans in which tokens were dead, written with the new secrets that ended them.

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::reach::DeadSpan;
use crate::domain::token::Reason;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{Row, Tx, first, values};
use crate::store::token::TokenChange;

/// A dead span, and whose it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadSpan {
    /// The token.
    pub token: TokenId,
    /// Its network.
    pub network: NetworkId,
    /// A profile that the token speaks for.
    pub profile: Option<String>,
    /// The span.
    pub span: DeadSpan,
}

/// Which dead spans of a team are wanted.
#[derive(Debug, Clone, Default)]
pub struct DeadSpanFilter {
    /// Only this network's.
    pub network: Option<NetworkId>,
    /// Only those that ended then or later.
    pub from: Option<Timestamp>,
    /// Only those behind this one: when it ended, and its token.
    pub after: Option<(Timestamp, TokenId)>,
}

/// What is kept of dead spans.
#[async_trait]
pub trait DeadSpanStore: Send + Sync {
    /// At most `limit` dead spans of a token, the newest first.
    async fn dead_spans(&self, token: TokenId, limit: u32) -> Result<Vec<DeadSpan>, StoreError>;
    /// At most `limit` dead spans of a team's tokens, the first to end first.
    async fn dead_spans_of_team(
        &self,
        team: &TeamId,
        filter: DeadSpanFilter,
        limit: u32,
    ) -> Result<Vec<StoredDeadSpan>, StoreError>;
    /// Deletes at most `limit` spans that ended before `before`; how many.
    async fn prune_dead_spans(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

const LIST: &str = "SELECT from_us, until_us, reason FROM token_dead_span WHERE token = $1
    ORDER BY until_us DESC LIMIT $2";
const LIST_OF_TEAM: &str = "SELECT span.token, token.network,
        (SELECT MIN(profile) FROM token_profile WHERE token_profile.token = span.token), span.from_us, span.until_us, span.reason
    FROM token_dead_span AS span JOIN token ON token.id = span.token
    WHERE span.team = $1 AND (span.until_us, span.token) > ($2, $3) AND ($4 IS NULL OR token.network = $4)
    ORDER BY span.until_us, span.token LIMIT $5";
const PRUNE: &str = "DELETE FROM token_dead_span WHERE (token, until_us) IN (
    SELECT token, until_us FROM token_dead_span WHERE until_us < $1 LIMIT $2)";
const ENDS: &str = "SELECT access_expires_at_us, data_access_expires_at_us FROM token WHERE id = $1";
const INSERT: &str = "INSERT INTO token_dead_span (token, until_us, from_us, reason, team) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (token, until_us) DO NOTHING";

#[async_trait]
impl<D: Database> DeadSpanStore for D {
    async fn dead_spans(&self, token: TokenId, limit: u32) -> Result<Vec<DeadSpan>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST, values![token, limit]).await?.into_iter().map(span).collect() })
        })
        .await
    }

    async fn dead_spans_of_team(
        &self,
        team: &TeamId,
        filter: DeadSpanFilter,
        limit: u32,
    ) -> Result<Vec<StoredDeadSpan>, StoreError> {
        let DeadSpanFilter { network, from, after } = filter;
        let start = from.map(|from| (from - Duration::from_micros(1), TokenId::from_u128(u128::MAX)));
        let (until, token) =
            after.into_iter().chain(start).max().unwrap_or((Timestamp::default(), TokenId::from_u128(0)));
        let values = values![team, until, token, network.as_ref(), limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_OF_TEAM, values).await?.into_iter().map(stored_span).collect() })
        })
        .await
    }

    async fn prune_dead_spans(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![before, limit]).await })).await
    }
}

/// Notes the dead span that a change ends, if it does, before the change is made.
pub(super) async fn note_dead_span(tx: &mut dyn Tx, change: &TokenChange) -> Result<Option<DeadSpan>, StoreError> {
    let (token, at) = (&change.token, change.trail.audit.at);
    let Some(mut row) = first(tx, ENDS, values![token.id]).await? else { return Ok(None) };
    let ends_at = [row.maybe_time()?, row.maybe_time()?].into_iter().flatten().min();
    let ended = DeadSpan::ended(change.expected_state, ends_at, token.state, at);
    if let Some(span) = ended {
        tx.execute(INSERT, values![token.id, span.until, span.from, span.reason.as_str(), &token.team]).await?;
    }
    Ok(ended)
}

fn stored_span(mut row: Row) -> Result<StoredDeadSpan, StoreError> {
    let (token, network, profile) = (row.id(TokenId::from_slice)?, row.slug()?, row.maybe_text()?);
    Ok(StoredDeadSpan { token, network, profile, span: span(row)? })
}

fn span(mut row: Row) -> Result<DeadSpan, StoreError> {
    let (from, until, reason) = (row.time()?, row.time()?, row.text()?);
    let reason = Reason::from_name(&reason).ok_or_else(|| StoreError::corrupt("an unknown reason of a dead span"))?;
    Ok(DeadSpan { from, until, reason })
}
