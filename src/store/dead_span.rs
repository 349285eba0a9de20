//! Spans in which tokens were dead, written with the new secrets that ended them.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::domain::reach::DeadSpan;
use crate::domain::token::Reason;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{Row, Tx, first, values};
use crate::store::token::TokenChange;

/// What is kept of dead spans.
#[async_trait]
pub trait DeadSpanStore: Send + Sync {
    /// At most `limit` dead spans of a token, the newest first.
    async fn dead_spans(&self, token: TokenId, limit: u32) -> Result<Vec<DeadSpan>, StoreError>;
    /// Deletes at most `limit` spans that ended before `before`; how many.
    async fn prune_dead_spans(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

const LIST: &str = "SELECT from_us, until_us, reason FROM token_dead_span WHERE token = $1
    ORDER BY until_us DESC LIMIT $2";
const PRUNE: &str = "DELETE FROM token_dead_span WHERE (token, until_us) IN (
    SELECT token, until_us FROM token_dead_span WHERE until_us < $1 LIMIT $2)";
const ENDS: &str = "SELECT access_expires_at_us, data_access_expires_at_us FROM token WHERE id = $1";
const INSERT: &str = "INSERT INTO token_dead_span (token, until_us, from_us, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT (token, until_us) DO NOTHING";

#[async_trait]
impl<D: Database> DeadSpanStore for D {
    async fn dead_spans(&self, token: TokenId, limit: u32) -> Result<Vec<DeadSpan>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST, values![token, limit]).await?.into_iter().map(span).collect() })
        })
        .await
    }

    async fn prune_dead_spans(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![before, limit]).await })).await
    }
}

/// Notes the dead span that a change ends, if it does, before the change is made.
pub(super) async fn note_dead_span(tx: &mut dyn Tx, change: &TokenChange) -> Result<(), StoreError> {
    let (token, at) = (&change.token, change.trail.audit.at);
    let Some(mut row) = first(tx, ENDS, values![token.id]).await? else { return Ok(()) };
    let ends_at = [row.maybe_time()?, row.maybe_time()?].into_iter().flatten().min();
    if let Some(span) = DeadSpan::ended(change.expected_state, ends_at, token.state, at) {
        tx.execute(INSERT, values![token.id, span.until, span.from, span.reason.as_str()]).await?;
    }
    Ok(())
}

fn span(mut row: Row) -> Result<DeadSpan, StoreError> {
    let (from, until, reason) = (row.time()?, row.time()?, row.text()?);
    let reason = Reason::from_name(&reason).ok_or_else(|| StoreError::corrupt("an unknown reason of a dead span"))?;
    Ok(DeadSpan { from, until, reason })
}
