//! Reading tokens.

use std::iter;

use async_trait::async_trait;

use super::rows::{columns, identity, sealed_columns, stored_token, token};
use super::write::{change_token, insert_tokens};
use super::{
    EndsWhen, ImportCounts, ImportProgress, InsertedTokens, NewToken, StoredToken, TokenChange, TokenChangeError,
    TokenChunk, TokenFilter, TokenStore,
};
use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::reach::DeadSpan;
use crate::domain::token::Token;
use crate::store::StoreError;
use crate::store::at_risk::{AtRisk, RiskPlace, Whose};
use crate::store::database::Database;
use crate::store::look::Look;
use crate::store::sql::{Row, Tx, Value, first, values};

const FIND_TOKEN: &str = concat!("SELECT ", columns!(), ", ", sealed_columns!(), " FROM token WHERE id = $1");

const FIND_SHOWN: &str = concat!("SELECT ", columns!(), " FROM token WHERE id = $1");

const FIND_GIVEN: &str = "SELECT token.team, token.id FROM given_refresh JOIN token ON token.id = given_refresh.token
    WHERE given_refresh.hash = $1 AND token.network = $2 AND token.app = $3 AND token.id <> $4 AND token.identity <> $5
        AND (token.state IN ('live', 'suspect', 'paused') OR token.renew_at_us IS NOT NULL)
    LIMIT 1";

/// The id stands first once more, so that a row that can't be read can be named.
const ALL_TOKENS: &str =
    concat!("SELECT id, ", columns!(), ", ", sealed_columns!(), " FROM token WHERE id > $1 ORDER BY id LIMIT $2");

/// Those that an open incident covers wait until it is over: nobody is told of them meanwhile.
const DUE_LOOKS: &str = concat!(
    "SELECT look_at_us, ",
    columns!(),
    ", ",
    sealed_columns!(),
    " FROM token WHERE look_at_us <= $1 AND NOT EXISTS (SELECT 1 FROM incident WHERE incident.network = token.network
        AND incident.app = token.app AND incident.closed_at_us IS NULL AND incident.started_at_us > token.secrets_since_us
        AND (token.state <> 'invalid' OR token.incident = incident.id))
      ORDER BY look_at_us LIMIT $2"
);

macro_rules! at_risk {
    ($of:literal) => {
        concat!(
            "SELECT risk_us, id, ",
            columns!(),
            ", ",
            sealed_columns!(),
            " FROM token WHERE team = $1 AND risk_us < $2 AND (risk_us, id) > ($3, $4)",
            $of,
            " ORDER BY risk_us, id LIMIT $5"
        )
    };
}

const AT_RISK: &str = at_risk!("");
const AT_RISK_OF_GRANTOR: &str = at_risk!(" AND grantor = $6");
const AT_RISK_OF_PROFILE: &str =
    at_risk!(" AND network = $6 AND id IN (SELECT token FROM token_profile WHERE profile = $7)");

/// When a token ends, as [`Token::ended_by`] tells it.
macro_rules! ended {
    () => {
        "CASE WHEN refreshed = 1 AND refresh_expires_at_us IS NULL AND access_expires_at_us < $16 THEN access_expires_at_us
              ELSE ends_at_us END"
    };
}

macro_rules! wanted {
    () => {
        concat!(" FROM token WHERE team = $1
           AND ($2 IS NULL OR network = $2)
           AND ($3 IS NULL OR app = $3)
           AND ($4 IS NULL OR kind = $4)
           AND ($5 IS NULL OR state = $5)
           AND state NOT IN ($6, $7, $8)
           AND ($9 IS NULL OR person = $9)
           AND ($10 IS NULL OR EXISTS (SELECT 1 FROM token_profile WHERE token = token.id AND profile = $10))
           AND ($11 IS NULL OR ", ended!(), " >= $11)
           AND ($12 IS NULL OR ", ended!(), " < $12)
           AND ($13 IS NULL OR (", ended!(), " IS NULL) = ($13 = 1))
           AND id > $14
           AND ($15 IS NULL OR label GLOB $15 OR person GLOB $15 OR granted_by GLOB $15 OR EXISTS (
                    SELECT 1 FROM token_profile LEFT JOIN profile
                        ON profile.team = token.team AND profile.network = token.network AND profile.id = token_profile.profile
                    WHERE token_profile.token = token.id
                        AND (token_profile.profile GLOB $15 OR profile.display_name GLOB $15)))")
    };
}

const LIST_TOKENS: &str = concat!("SELECT ", columns!(), wanted!(), " ORDER BY id LIMIT $17");
const COUNT_BY_END: &str = concat!(
    "SELECT state, CASE WHEN end_us IS NULL THEN 0 WHEN end_us < $17 THEN 1 WHEN end_us < $18 THEN 2 ELSE 3 END, COUNT(*)
     FROM (SELECT state, ",
    ended!(),
    " AS end_us",
    wanted!(),
    ") GROUP BY 1, 2"
);
const COUNT_TOKENS: &str = concat!("SELECT COUNT(*)", wanted!());
const LIST_NETWORKS: &str =
    "SELECT DISTINCT network FROM token WHERE team = $1 AND state <> 'revoked' ORDER BY network";
const HAS_GRANTED: &str = "SELECT 1 FROM token WHERE team = $1 AND grantor = $2 LIMIT 1";
const FIND_IMPORT: &str =
    "SELECT id, last_row, updated_at_us, added, updated, unchanged, rejected FROM import WHERE id = $1";
const PRUNE_IMPORTS: &str = "DELETE FROM import WHERE id IN (SELECT id FROM import WHERE updated_at_us < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> TokenStore for D {
    async fn insert_tokens(
        &self,
        tokens: Vec<NewToken>,
        progress: Option<ImportProgress>,
    ) -> Result<InsertedTokens, StoreError> {
        self.write(move |tx| Box::pin(async move { insert_tokens(tx, &tokens, progress).await })).await
    }

    async fn change_token(&self, change: TokenChange) -> Result<Option<DeadSpan>, TokenChangeError> {
        self.write(move |tx| Box::pin(async move { change_token(tx, &change).await })).await
    }

    async fn find_token(&self, id: TokenId) -> Result<Option<StoredToken>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { first(tx, FIND_TOKEN, values![id]).await?.map(stored_token).transpose() })
        })
        .await
    }

    async fn find_tokens(&self, tokens: &[TokenId]) -> Result<Vec<Token>, StoreError> {
        let tokens = tokens.to_vec();
        self.read(move |tx| {
            Box::pin(async move {
                let mut found = Vec::with_capacity(tokens.len());
                for id in tokens {
                    found.extend(first(tx, FIND_SHOWN, values![id]).await?.map(|mut row| token(&mut row)).transpose()?);
                }
                Ok(found)
            })
        })
        .await
    }

    async fn find_given(&self, token: &Token, hash: [u8; 32]) -> Result<Option<(TeamId, TokenId)>, StoreError> {
        let values = values![&hash[..], &token.network, &token.app, token.id, identity(token)];
        let found = |mut row: Row| Ok((row.slug()?, row.id(TokenId::from_slice)?));
        self.read(move |tx| Box::pin(async move { first(tx, FIND_GIVEN, values).await?.map(found).transpose() })).await
    }

    async fn list_tokens(&self, team: &TeamId, filter: TokenFilter, limit: u32) -> Result<Vec<Token>, StoreError> {
        let after = filter.after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let mut values = parameters(team, filter, after);
        values.push(limit.into());
        self.read(move |tx| {
            Box::pin(
                async move { tx.rows(LIST_TOKENS, values).await?.into_iter().map(|mut row| token(&mut row)).collect() },
            )
        })
        .await
    }

    async fn count_tokens(&self, team: &TeamId, filter: TokenFilter) -> Result<u64, StoreError> {
        let values = parameters(team, filter, Vec::new());
        self.read(move |tx| {
            Box::pin(async move { first(tx, COUNT_TOKENS, values).await?.map_or(Ok(0), |mut row| row.count()) })
        })
        .await
    }

    async fn count_by_end(
        &self,
        team: &TeamId,
        filter: TokenFilter,
        (near, far): (Timestamp, Timestamp),
    ) -> Result<Vec<(String, EndsWhen, u64)>, StoreError> {
        let mut values = parameters(team, filter, Vec::new());
        values.extend(values![near, far]);
        self.read(move |tx| {
            Box::pin(async move {
                let count = |mut row: Row| {
                    let (state, ends) = (row.text()?, row.int()?);
                    let ends = match ends {
                        0 => EndsWhen::Never,
                        1 => EndsWhen::BeforeNear,
                        2 => EndsWhen::BeforeFar,
                        _ => EndsWhen::Later,
                    };
                    Ok((state, ends, row.count()?))
                };
                tx.rows(COUNT_BY_END, values).await?.into_iter().map(count).collect()
            })
        })
        .await
    }

    async fn all_tokens(&self, after: Option<TokenId>, limit: u32) -> Result<TokenChunk, StoreError> {
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        self.read(move |tx| Box::pin(async move { chunk(tx.rows(ALL_TOKENS, values![after, limit]).await?, limit) }))
            .await
    }

    async fn list_networks(&self, team: &TeamId) -> Result<Vec<NetworkId>, StoreError> {
        let values = values![team];
        self.read(move |tx| {
            Box::pin(
                async move { tx.rows(LIST_NETWORKS, values).await?.into_iter().map(|mut row| row.slug()).collect() },
            )
        })
        .await
    }

    async fn has_granted(&self, team: &TeamId, grantors: Vec<String>) -> Result<bool, StoreError> {
        let team = team.clone();
        self.read(move |tx| {
            Box::pin(async move {
                for grantor in &grantors {
                    if first(tx, HAS_GRANTED, values![&team, &**grantor]).await?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        })
        .await
    }

    async fn find_import(&self, import: &str) -> Result<Option<ImportProgress>, StoreError> {
        let values = values![import];
        self.read(move |tx| {
            Box::pin(async move { first(tx, FIND_IMPORT, values).await?.map(import_progress).transpose() })
        })
        .await
    }

    async fn prune_imports(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_IMPORTS, values![before, limit]).await })).await
    }
}

fn parameters(team: &TeamId, filter: TokenFilter, after: Vec<u8>) -> Vec<Value> {
    // No state is called by the empty name.
    let mut not = filter.not_states.iter().copied();
    values![
        team,
        filter.network.as_ref(),
        filter.app.as_ref(),
        filter.kind.as_ref(),
        filter.state,
        not.next().unwrap_or_default(),
        not.next().unwrap_or_default(),
        not.next().unwrap_or_default(),
        filter.person,
        filter.profile,
        filter.ends_from,
        filter.ends_before,
        filter.endless,
        after,
        filter.text.as_deref().map(containing),
        filter.overdue_before,
    ]
}

/// The pattern (GLOB) of all texts in which `text` stands, in letters of either case, of any script: what SQLite knows of case is ASCII.
fn containing(text: &str) -> String {
    let mut pattern = String::from("*");
    for letter in text.chars() {
        let cases = [Some(letter), one(letter.to_lowercase()), one(letter.to_uppercase())].into_iter().flatten();
        match letter {
            '*' | '?' | '[' => pattern.extend(['[', letter, ']']),
            _ if letter.is_alphabetic() => pattern.extend(iter::once('[').chain(cases).chain([']'])),
            _ => pattern.push(letter),
        }
    }
    pattern.push('*');
    pattern
}

/// A letter in its other case, if it is one letter there too.
fn one(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.len() == 0)
}

/// The tokens whose look is due. One that can't be read is passed over: whoever takes up all tokens tells of it.
pub(crate) async fn find_looks(tx: &mut dyn Tx, now: Timestamp, limit: u32) -> Result<Vec<Look>, StoreError> {
    let rows = tx.rows(DUE_LOOKS, values![now, limit]).await?;
    let look = |mut row: Row| Some(Look { due_at: row.time().ok()?, stored: stored_token(row).ok()? });
    Ok(rows.into_iter().filter_map(look).collect())
}

/// One grantor and profile after the other, since each has its own place in an index; they are few.
pub(crate) async fn find_at_risk(
    tx: &mut dyn Tx,
    wanted: &AtRisk,
) -> Result<Vec<(RiskPlace, Option<StoredToken>)>, StoreError> {
    let AtRisk { team, whose, before, after, limit } = wanted;
    let (at, token) =
        after.map_or((Timestamp::from_micros(-1), TokenId::from_u128(0)), |place| (place.at, place.token));
    let of = |more: Vec<Value>| values![team, *before, at, token, *limit].into_iter().chain(more).collect::<Vec<_>>();
    let asked = match whose {
        Whose::Anybodys => vec![(AT_RISK, of(Vec::new()))],
        Whose::Of { grantors, profiles } => {
            let granted = grantors.iter().map(|grantor| (AT_RISK_OF_GRANTOR, of(values![&**grantor])));
            let spoken = profiles.iter().map(|(network, id)| (AT_RISK_OF_PROFILE, of(values![network, &**id])));
            granted.chain(spoken).collect()
        }
    };
    let mut found = Vec::new();
    for (sql, values) in asked {
        for mut row in tx.rows(sql, values).await? {
            let place = RiskPlace { at: row.time()?, token: row.id(TokenId::from_slice)? };
            found.push((place, stored_token(row).ok()));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    // A token may be granted by somebody and speak for one of the profiles, too.
    found.dedup_by_key(|(place, _)| *place);
    found.truncate(*limit as usize);
    Ok(found)
}

fn chunk(rows: Vec<Row>, limit: u32) -> Result<TokenChunk, StoreError> {
    let mut chunk = TokenChunk::default();
    let full = rows.len() == limit as usize;
    let mut last = None;
    for mut row in rows {
        let id = row.id(TokenId::from_slice)?;
        last = Some(id);
        match stored_token(row) {
            Ok(stored) => chunk.tokens.push(stored),
            Err(_) => chunk.damaged.push(id),
        }
    }
    chunk.next = last.filter(|_| full);
    Ok(chunk)
}

fn import_progress(mut row: Row) -> Result<ImportProgress, StoreError> {
    let (import, last_row, at) = (row.text()?, row.count()?, row.time()?);
    let (added, updated, unchanged, rejected) = (row.count()?, row.count()?, row.count()?, row.count()?);
    Ok(ImportProgress { import, last_row, at, counts: ImportCounts { added, updated, unchanged, rejected } })
}
