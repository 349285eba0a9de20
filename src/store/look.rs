//! Looks at tokens: when something may have to be told of a token's end.
//!
//! The time of the next look is written with each change of a token, so that only the tokens that are due are read.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::domain::notice::Event;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::event::insert_events;
use crate::store::sql::values;
use crate::store::token::{StoredToken, find_looks};

/// A token that is looked at.
#[derive(Debug, Clone)]
pub struct Look {
    /// The token.
    pub stored: StoredToken,
    /// When it was due.
    pub due_at: Timestamp,
}

/// What came of a look.
#[derive(Debug, Clone, Copy)]
pub struct PutLook {
    /// The token.
    pub token: TokenId,
    /// When the look was due. If the token was changed since, its next look is another by now, and stays.
    pub due_at: Timestamp,
    /// When it is looked at next; `None`: never.
    pub next: Option<Timestamp>,
}

/// What is kept of looks.
#[async_trait]
pub trait LookStore: Send + Sync {
    /// At most `limit` tokens whose look is due and that no open incident covers, the longest due first.
    async fn due_looks(&self, now: Timestamp, limit: u32) -> Result<Vec<Look>, StoreError>;
    /// Writes what was found, and when to look again. Returns how many events are new.
    async fn put_looks(&self, looks: Vec<PutLook>, events: Vec<Event>) -> Result<u64, StoreError>;
}

const PUT_LOOK: &str = "UPDATE token SET look_at_us = $3 WHERE id = $1 AND look_at_us = $2";

#[async_trait]
impl<D: Database> LookStore for D {
    async fn due_looks(&self, now: Timestamp, limit: u32) -> Result<Vec<Look>, StoreError> {
        self.read(move |tx| Box::pin(async move { find_looks(tx, now, limit).await })).await
    }

    async fn put_looks(&self, looks: Vec<PutLook>, events: Vec<Event>) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let put = |PutLook { token, due_at, next }| (PUT_LOOK, values![token, due_at, next]);
                tx.execute_all(looks.into_iter().map(put).collect()).await?;
                insert_events(tx, &events).await
            })
        })
        .await
    }
}
