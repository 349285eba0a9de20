//! Lets jobs go on: some tokens at a time, as fast as their apps and networks may be asked. A run begins after the last token whose result
//! is stored, so a token that was being renewed when the process died is tried once more, as a renewal that was broken off is.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

use super::tokens_of;
use crate::base::clock::Timestamp;
use crate::base::ids::{JobId, TokenId};
use crate::domain::job::{Hindrance, Job, JobState, Outcome};
use crate::domain::token::{Status, Token, TokenState};
use crate::service::renew::RenewError;
use crate::service::tokens::TokenError;
use crate::service::{Broker, Caller};
use crate::store::{JobChangeError, StoreError, TokenFilter, TokenResult};
use crate::text::Sentence;

/// Tokens whose results are stored at once.
const AT_ONCE: u32 = 32;

/// Jobs that are under way in this process.
#[derive(Debug, Default)]
pub struct Jobs(watch::Sender<HashSet<JobId>>);

impl Jobs {
    /// Takes a job; whether nobody had it.
    fn enter(&self, job: JobId) -> bool {
        self.0.send_if_modified(|under_way| under_way.insert(job))
    }

    fn leave(&self, job: JobId) {
        self.0.send_modify(|under_way| {
            under_way.remove(&job);
        });
    }

    /// Resolves when no job is under way.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        self.0.subscribe().wait_for(HashSet::is_empty).await.expect("the broker lives");
    }
}

impl Broker {
    /// Lets each job that runs go on, in a task of its own, so that a slow network holds up no other: also where nothing is renewed by itself,
    /// since a person began it. Returns what was begun, for people.
    pub(in crate::service) async fn run_jobs(&self) -> Result<Sentence, StoreError> {
        let running = self.store.running_jobs().await?;
        let count = running.len();
        for (job, last) in running.into_iter().filter(|(job, _)| self.jobs.enter(job.id)) {
            let broker = self.clone();
            self.tasks.spawn("job", async move {
                if let Err(error) = broker.run_job(&job, last).await {
                    tracing::warn!(job = %job.id, %error, "a job can't go on now; it is taken up again soon");
                }
                broker.jobs.leave(job.id);
            });
        }
        Ok(Sentence::new("ran-jobs").with("count", count))
    }

    /// Goes on until all tokens were tried, the job was stopped, or its apps and networks may not be asked for now.
    async fn run_job(&self, job: &Job, mut last: Option<TokenId>) -> Result<(), StoreError> {
        while !self.tasks.is_stopping() {
            let filter = TokenFilter { after: last, ..tokens_of(&job.network) };
            let tokens = self.store.list_tokens(&job.team, filter, AT_ONCE).await?;
            if tokens.is_empty() {
                return self.end_job(job).await;
            }
            let (wanted, tokens) = (tokens.len(), tokens.into_iter());
            let allowed: Vec<Token> =
                tokens.take_while(|token| self.renewals.may_ask(&token.network, &token.app)).collect();
            let results = self.try_tokens(job.id, allowed).await?;
            let waits = results.len() < wanted;
            last = results.last().map(|result| result.token).or(last);
            if !self.store.note_results(job.id, results).await? || waits {
                break;
            }
        }
        Ok(())
    }

    /// Tries tokens side by side. All are waited for, so that no answer is lost.
    async fn try_tokens(&self, job: JobId, tokens: Vec<Token>) -> Result<Vec<TokenResult>, StoreError> {
        let tried = stream::iter(tokens.into_iter().map(|token| async move {
            let done = self.renew_for_job(job, &token).await;
            self.result_of(&token, done)
        }));
        let results: Vec<_> = tried.buffered(self.config.renewals.in_flight).collect().await;
        results.into_iter().collect()
    }

    fn result_of<V>(&self, token: &Token, done: Result<V, RenewError>) -> Result<TokenResult, StoreError> {
        let (outcome, hindrance, message) = match done {
            Ok(_) => (Outcome::Renewed, None, String::new()),
            Err(RenewError::Token(TokenError::Store(error))) => return Err(error),
            Err(error) => {
                let outcome = outcome_of(token, &error, self.now());
                let hindrance = (outcome == Outcome::Failed).then(|| hindrance_of(&error));
                (outcome, hindrance, error.to_string())
            }
        };
        Ok(TokenResult { token: token.id, outcome, hindrance, message, at: self.now() })
    }

    async fn end_job(&self, job: &Job) -> Result<(), StoreError> {
        let audit = self.job_audit(&Caller::Broker, "job.end", job);
        let moved = (JobState::Running, JobState::Done);
        match self.store.change_job(job.id, moved, Some(self.now()), audit.into()).await {
            Err(JobChangeError::Store(error)) => Err(error),
            // Somebody stopped it at the last moment: it ends when it is resumed.
            Ok(()) | Err(JobChangeError::Changed | JobChangeError::NotDone(_)) => Ok(()),
        }
    }
}

/// What a failure means to people.
fn outcome_of(token: &Token, error: &RenewError, now: Timestamp) -> Outcome {
    let ends = matches!(token.status(now), Status::Expired | Status::Expiring);
    match error {
        RenewError::NotRenewable(_) if ends || matches!(token.state, TokenState::Invalid { .. }) => {
            Outcome::NeedsPerson
        }
        RenewError::NotRenewable(_) | RenewError::Token(TokenError::NotFound { .. }) => Outcome::NothingToRenew,
        RenewError::Refused(_) => Outcome::NeedsPerson,
        RenewError::NoClient { .. }
        | RenewError::NotYet { .. }
        | RenewError::Incident { .. }
        | RenewError::Sealed(_)
        | RenewError::Failed { .. }
        | RenewError::Token(_) => Outcome::Failed,
    }
}

const fn hindrance_of(error: &RenewError) -> Hindrance {
    match error {
        RenewError::Failed { .. } | RenewError::Refused(_) => Hindrance::Network,
        RenewError::Incident { .. } => Hindrance::Incident,
        RenewError::NotYet { .. } => Hindrance::NotYet,
        RenewError::NoClient { .. } => Hindrance::Client,
        RenewError::NotRenewable(_) | RenewError::Sealed(_) | RenewError::Token(_) => Hindrance::Broker,
    }
}
