//! What persons agreed to: each agreement and withdrawal a row, which nothing changes.

use async_trait::async_trait;

use crate::base::ids::{MemberId, TokenId};
use crate::domain::consent::Consent;
use crate::domain::networks::Purposes;
use crate::domain::reach::DeadSpan;
use crate::store::database::Database;
use crate::store::sql::{Row, Tx, values};
use crate::store::token::change_token;
use crate::store::{StoreError, TokenChange, TokenChangeError};

/// What is kept of consents.
#[async_trait]
pub trait ConsentStore: Send + Sync {
    /// Changes a token together with what its person agrees to: both or neither.
    async fn change_consent(&self, consent: Consent, change: TokenChange)
    -> Result<Option<DeadSpan>, TokenChangeError>;
    /// At most `limit` consents of a token, the newest first.
    async fn list_consents(&self, token: TokenId, limit: u32) -> Result<Vec<Consent>, StoreError>;
}

const INSERT: &str = "INSERT INTO consent (token, number, at_us, purposes, withdrawn, text_version, member)
    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6 FROM consent WHERE token = $1";
const LIST: &str = "SELECT token, at_us, purposes, withdrawn, text_version, member FROM consent
    WHERE token = $1 ORDER BY number DESC LIMIT $2";

#[async_trait]
impl<D: Database> ConsentStore for D {
    async fn change_consent(
        &self,
        consent: Consent,
        change: TokenChange,
    ) -> Result<Option<DeadSpan>, TokenChangeError> {
        self.write(move |tx| {
            Box::pin(async move {
                let ended = change_token(tx, &change).await?;
                insert_consent(tx, &consent).await?;
                Ok(ended)
            })
        })
        .await
    }

    async fn list_consents(&self, token: TokenId, limit: u32) -> Result<Vec<Consent>, StoreError> {
        let values = values![token, limit];
        self.read(move |tx| Box::pin(async move { tx.rows(LIST, values).await?.into_iter().map(consent).collect() }))
            .await
    }
}

/// Notes in the caller's transaction what a person agreed to; [`StoreError::Conflict`] if the token is not there.
pub(in crate::store) async fn insert_consent(tx: &mut dyn Tx, consent: &Consent) -> Result<(), StoreError> {
    let Consent { token, at, purposes, withdrawn, text_version, member } = consent;
    let values = values![*token, *at, purposes.bits(), withdrawn.bits(), &**text_version, *member];
    tx.execute(INSERT, values).await.map(drop)
}

fn consent(mut row: Row) -> Result<Consent, StoreError> {
    Ok(Consent {
        token: row.id(TokenId::from_slice)?,
        at: row.time()?,
        purposes: Purposes::from_bits(row.count()?),
        withdrawn: Purposes::from_bits(row.count()?),
        text_version: row.text()?,
        member: row.maybe_id(MemberId::from_slice)?,
    })
}
