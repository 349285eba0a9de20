//! Many tokens are imported: message by message, each durable before it is answered, and taken up again after a break.
//!
//! How far an import came and what came of its rows is kept in the store under its team, its settings and its name, in the transaction that
//! keeps the tokens, and forgotten a week after its last rows. An import that only checks is kept in memory.

mod existing;
mod registry;

use std::collections::HashMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::service::tokens::{AddToken, RefreshHolder, Rejected, TokenError};
use crate::service::{Broker, Caller};
use crate::store::{ImportProgress, NewToken, StoreError};

pub use crate::store::ImportCounts;

pub use registry::Imports;
use registry::Running;

/// What is imported, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginImport {
    /// The team.
    pub team: TeamId,
    /// The name of the whole import, as its client chose it.
    pub import_id: String,
    /// Only check the rows.
    pub validate_only: bool,
    /// Bring tokens up to date that the team holds already.
    pub allow_existing: bool,
}

/// One row.
pub struct ImportRow {
    /// Its number, from 1.
    pub row: u64,
    /// What it holds, or what is wrong with its fields.
    pub token: Result<AddToken, RowRejected>,
}

/// Why a row is not taken.
#[derive(Debug, Clone)]
pub enum RowRejected {
    /// A field is malformed.
    Field {
        /// The field.
        field: String,
        /// What is wrong.
        wrong: String,
    },
    /// It can't be a token.
    Token(Rejected),
    /// Its refresh token was given before, and the token has a later one now.
    Spent(TokenId),
    /// Its refresh token is another's.
    RefreshHeld(RefreshHolder),
    /// The team holds it already, as this token.
    Exists(TokenId),
}

/// What came of a row.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The token was added; `None`: it would be.
    Added(Option<TokenId>),
    /// The team held it; it was brought up to date. `None`: it would be.
    Updated(Option<TokenId>),
    /// The team held it just so, or the row was done before.
    Unchanged(Option<TokenId>),
    /// The row is wrong.
    Rejected(RowRejected),
}

/// Counts an outcome.
fn count(counts: &mut ImportCounts, outcome: &Outcome) {
    let count = match outcome {
        Outcome::Added(_) => &mut counts.added,
        Outcome::Updated(_) => &mut counts.updated,
        Outcome::Unchanged(_) => &mut counts.unchanged,
        Outcome::Rejected(_) => &mut counts.rejected,
    };
    *count += 1;
}

/// Why an import ends. Rows that were committed stay.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImportError {
    /// The name was used otherwise.
    #[error("import '{0}' was begun for another team or with other settings; choose another import id")]
    Mismatch(String),
    /// Another stream works on it.
    #[error("another stream works on import '{0}'; wait for its end")]
    InProgress(String),
    /// Too many are under way.
    #[error("as many imports are under way as may be; wait for one to end")]
    TooMany,
    /// The numbers don't rise.
    #[error("row {row} comes after row {before}; number the rows from 1, each higher than the one before")]
    Order {
        /// The row.
        row: u64,
        /// The one before.
        before: u64,
    },
    /// Something else.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        ImportError::Token(error.into())
    }
}

/// An import that this stream works on. Others may go on with it once this is dropped.
pub struct Import {
    broker: Broker,
    caller: Caller,
    begin: BeginImport,
    running: Running,
    committed: u64,
    last_seen: u64,
}

impl Broker {
    /// The progress of an import of which no row is done.
    fn progress_of(&self, begin: &BeginImport) -> ImportProgress {
        ImportProgress { import: stored_name(begin), last_row: 0, counts: ImportCounts::default(), at: self.now() }
    }

    /// Begins an import, or goes on with it.
    pub async fn begin_import(&self, caller: &Caller, begin: BeginImport) -> Result<Import, ImportError> {
        if self.directory.team(&begin.team).is_none() {
            return Err(TokenError::TeamNotFound(begin.team).into());
        }
        let running = self.imports.begin(&begin, self.now())?;
        let mut committed = 0;
        if !begin.validate_only {
            self.ensure_data_key(&begin.team).await?;
            let known = self.store.find_import(&stored_name(&begin)).await?;
            let ImportProgress { last_row, counts, .. } = known.unwrap_or_else(|| self.progress_of(&begin));
            running.set(counts);
            committed = last_row;
        }
        let (broker, caller) = (self.clone(), caller.clone());
        Ok(Import { broker, caller, begin, running, committed, last_seen: 0 })
    }
}

/// The name under which the progress is kept. Team and settings are a part of it, so that no other import takes it for its own.
fn stored_name(begin: &BeginImport) -> String {
    let mode = if begin.allow_existing { "update" } else { "add" };
    format!("{}/{mode}/{}", begin.team, begin.import_id)
}

/// A row that is to be kept: its place among the rows, what was given, and the token that is made of it.
struct Candidate {
    at: usize,
    given: AddToken,
    new: NewToken,
}

impl Candidate {
    /// Whether it is another grant than `other`, by the same app.
    fn is_another_at_its_app(&self, other: &Candidate) -> bool {
        let (one, other) = (&self.new.stored.token, &other.new.stored.token);
        let of_app = (&one.network, &one.app) == (&other.network, &other.app);
        of_app && (&one.kind, &one.person, &one.profiles) != (&other.kind, &other.person, &other.profiles)
    }
}

impl Import {
    /// The team.
    pub fn team(&self) -> &TeamId {
        &self.begin.team
    }

    /// Its name.
    pub fn import_id(&self) -> &str {
        &self.begin.import_id
    }

    /// The highest row that is done and durable, or was checked.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// How many rows came to what so far.
    pub fn counts(&self) -> ImportCounts {
        self.running.counts()
    }

    /// Takes rows. When this returns the good ones are durable and may be leased. One result for each row, in order.
    pub async fn take(&mut self, rows: Vec<ImportRow>) -> Result<Vec<(u64, Outcome)>, ImportError> {
        let numbers: Vec<u64> = rows.iter().map(|row| row.row).collect();
        for number in &numbers {
            if *number <= self.last_seen {
                return Err(ImportError::Order { row: *number, before: self.last_seen });
            }
            self.last_seen = *number;
        }
        let mut outcomes: Vec<Option<Outcome>> = std::iter::repeat_with(|| None).take(rows.len()).collect();
        // Taken before the rows are checked: what they are checked against must still hold when they are kept.
        let broker = self.broker.clone();
        let _changes = match self.begin.validate_only {
            true => Vec::new(),
            false => broker.changes.all_tokens().await,
        };
        let _given = broker.changes.given_refresh.lock().await;
        let candidates = self.check(rows, &mut outcomes)?;
        let candidates = self.leave_out_held(candidates, &numbers, &mut outcomes).await?;
        if self.begin.validate_only {
            self.foresee(candidates, &mut outcomes).await?;
        } else {
            let fresh = numbers.iter().filter(|row| **row > self.committed).count();
            self.keep(candidates, &mut outcomes, fresh).await?;
        }
        let before = self.committed;
        self.committed = self.committed.max(self.last_seen);
        let outcomes =
            numbers.into_iter().zip(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Unchanged(None))));
        let outcomes: Vec<_> = outcomes.collect();
        self.running.count(outcomes.iter().filter(|(row, _)| *row > before).map(|(_, outcome)| outcome));
        Ok(outcomes)
    }

    /// Makes tokens of the rows that are right. Rows that were committed before are left out.
    fn check(&self, rows: Vec<ImportRow>, outcomes: &mut [Option<Outcome>]) -> Result<Vec<Candidate>, ImportError> {
        let mut candidates = Vec::with_capacity(rows.len());
        for (at, ImportRow { row, token }) in rows.into_iter().enumerate() {
            if row <= self.committed {
                continue;
            }
            let given = match token {
                Ok(given) => given,
                Err(rejected) => {
                    outcomes[at] = Some(Outcome::Rejected(rejected));
                    continue;
                }
            };
            match self.new_token(&given) {
                Ok(new) => candidates.push(Candidate { at, given, new }),
                Err(TokenError::Rejected(rejected)) => {
                    outcomes[at] = Some(Outcome::Rejected(RowRejected::Token(rejected)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(candidates)
    }

    /// Leaves out the rows whose refresh token is another token's, or was another row's of the same message. `numbers`: those of all rows.
    async fn leave_out_held(
        &self,
        candidates: Vec<Candidate>,
        numbers: &[u64],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Candidate>, ImportError> {
        let mut kept: Vec<Candidate> = Vec::with_capacity(candidates.len());
        let mut seen: HashMap<[u8; 32], usize> = HashMap::new();
        for candidate in candidates {
            let token = &candidate.new.stored.token;
            let sole = candidate.new.given_refresh.filter(|_| self.broker.must_be_sole(token));
            let first = sole.and_then(|hash| seen.get(&hash)).map(|at| &kept[*at]);
            let held = match (first.filter(|first| candidate.is_another_at_its_app(first)), sole) {
                (Some(first), _) => Some(RefreshHolder::Row(numbers[first.at])),
                (None, Some(hash)) => self.broker.refresh_holder(token, hash).await?,
                (None, None) => None,
            };
            if let Some(holder) = held {
                outcomes[candidate.at] = Some(Outcome::Rejected(RowRejected::RefreshHeld(holder)));
                continue;
            }
            if let Some(hash) = sole {
                seen.entry(hash).or_insert(kept.len());
            }
            kept.push(candidate);
        }
        Ok(kept)
    }

    fn new_token(&self, given: &AddToken) -> Result<NewToken, TokenError> {
        let stored = match self.begin.validate_only {
            true => self.broker.given_token(&self.begin.team, given)?,
            false => self.broker.new_token(&self.begin.team, given)?,
        };
        let mut audit = self.broker.token_added(&self.caller, &stored.token);
        audit.detail = format!("{} comment=import {}", audit.detail, self.begin.import_id);
        let given_refresh = given.refresh.as_ref().map(|refresh| self.broker.refresh_hash(refresh));
        Ok(NewToken { stored, given_refresh, consent: None, trail: audit.into() })
    }

    /// Keeps the tokens, durably, then puts them into their pools. The caller holds the locks of all tokens.
    /// Of the rows, the last `fresh` were not done before.
    async fn keep(
        &self,
        candidates: Vec<Candidate>,
        outcomes: &mut [Option<Outcome>],
        fresh: usize,
    ) -> Result<(), ImportError> {
        let broker = &self.broker;
        let progress = |outcomes: &[Option<Outcome>]| {
            let mut progress = broker.progress_of(&self.begin);
            progress.last_row = self.committed.max(self.last_seen);
            progress.counts = self.running.counts();
            outcomes.iter().rev().take(fresh).flatten().for_each(|outcome| count(&mut progress.counts, outcome));
            progress
        };
        // Where tokens are brought up to date after they were found, the rows are done only afterwards.
        let with_tokens = (!self.begin.allow_existing).then(|| progress(outcomes));
        let new: Vec<_> = candidates.iter().map(|candidate| candidate.new.clone()).collect();
        let inserted = broker.store.insert_tokens(new, with_tokens).await?;
        let existing: HashMap<_, _> =
            inserted.duplicates.iter().map(|duplicate| (duplicate.index, duplicate.existing)).collect();
        for (index, candidate) in candidates.into_iter().enumerate() {
            let outcome = match existing.get(&index) {
                None => {
                    let stored = candidate.new.stored;
                    broker.take_in(&stored.token, stored.sealed_access);
                    Outcome::Added(Some(stored.token.id))
                }
                Some(Some(id)) if self.begin.allow_existing => self.bring_up_to_date(*id, &candidate).await?,
                Some(id) => Outcome::Rejected(RowRejected::Exists(id.unwrap_or(candidate.new.stored.token.id))),
            };
            outcomes[candidate.at] = Some(outcome);
        }
        if self.begin.allow_existing {
            broker.store.insert_tokens(Vec::new(), Some(progress(outcomes))).await?;
        }
        Ok(())
    }
}

/// How long an import's counts and settings are remembered.
pub(super) const KEPT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// Whether what was begun at `since` is forgotten at `now`.
fn is_forgotten(since: Timestamp, now: Timestamp) -> bool {
    since + KEPT <= now
}
