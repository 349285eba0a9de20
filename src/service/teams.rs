//! Teams: made, shown, changed and deleted.

use std::sync::Arc;

use crate::base::ids::{TeamId, TokenId};
use crate::domain::team::Team;
use crate::domain::token::TokenState;
use crate::service::requests::Attempt;
use crate::service::tokens::TokenError;
use crate::service::{Broker, Caller};
use crate::store::{StoreError, TokenFilter};

/// Tokens read at once where all of a team are gone through.
const CHUNK: u32 = 1_000;
/// The share of a team that names none.
pub const DEFAULT_WEIGHT: u32 = 100;

/// A team to make.
#[derive(Debug, Clone)]
pub struct CreateTeam {
    /// Its id.
    pub id: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// Its share: 1 to 1000.
    pub weight: u32,
    /// The owner's reserve of its tokens, in percent: 0 to 90.
    pub reserve_percent: Option<u8>,
}

/// What to change about a team; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateTeam {
    /// Its name for people.
    pub display_name: Option<String>,
    /// Its share.
    pub weight: Option<u32>,
    /// The owner's reserve; `Some(None)`: the network's again.
    pub reserve_percent: Option<Option<u8>>,
}

/// A team with what it has.
#[derive(Debug, Clone)]
pub struct TeamView {
    /// The team.
    pub team: Arc<Team>,
    /// Its tokens, whatever their state.
    pub tokens: u64,
    /// Its collectors.
    pub collectors: usize,
}

/// Why nothing was done about a team.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TeamError {
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    NotFound(TeamId),
    /// The id is taken.
    #[error("there is a team '{0}' already; choose another id, or change that team")]
    Exists(TeamId),
    /// It still has something.
    #[error(
        "team '{team}' still has {tokens} tokens that are not revoked, {collectors} collectors and {leases} leases; remove them, or force it"
    )]
    NotEmpty {
        /// The team.
        team: TeamId,
        /// Tokens that are not revoked.
        tokens: u64,
        /// Collectors.
        collectors: usize,
        /// Leases that are held.
        leases: usize,
    },
    /// One of its tokens could not be revoked.
    #[error(transparent)]
    Token(Box<TokenError>),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// The team of that id.
    pub fn team(&self, id: &TeamId) -> Result<Arc<Team>, TeamError> {
        self.directory.team(id).ok_or_else(|| TeamError::NotFound(id.clone()))
    }

    /// The owner's reserve that a team set for its tokens, in percent; `None`: the network's holds.
    pub fn team_reserve(&self, id: &TeamId) -> Option<u8> {
        let own = self.directory.team(id).and_then(|team| team.reserve_percent);
        own.or_else(|| self.config.credit.team_reserve.get(id).map(|share| super::start::percent(*share)))
    }

    /// A team with what it has.
    pub async fn show_team(&self, id: &TeamId) -> Result<TeamView, TeamError> {
        let team = self.team(id)?;
        let tokens = self.store.count_tokens(id, TokenFilter::default()).await?;
        Ok(TeamView { tokens, collectors: self.directory.collectors(id).len(), team })
    }

    /// At most `limit` teams after `after`, by id, and whether there are more.
    pub async fn list_teams(&self, after: Option<&TeamId>, limit: usize) -> Result<(Vec<TeamView>, bool), TeamError> {
        let rest = self.directory.teams().into_iter().filter(|team| after.is_none_or(|after| team.id > *after));
        let mut teams: Vec<_> = rest.take(limit + 1).collect();
        let more = teams.len() > limit;
        teams.truncate(limit);
        let mut views = Vec::with_capacity(teams.len());
        for team in teams {
            views.push(self.show_team(&team.id).await?);
        }
        Ok((views, more))
    }

    /// Makes a team.
    pub async fn create_team(
        &self,
        attempt: impl Into<Attempt<TeamView>>,
        ask: CreateTeam,
    ) -> Result<TeamView, TeamError> {
        let attempt = attempt.into();
        let CreateTeam { id, display_name, weight, reserve_percent } = ask;
        let _one_at_a_time = self.changes.directory.lock().await;
        if self.directory.team(&id).is_some() {
            return Err(TeamError::Exists(id));
        }
        let team = Team { id: id.clone(), display_name, weight, reserve_percent, created_at: self.now() };
        let mut audit = self.audit(&attempt.caller, "team.create", name_of(&id), detail_of(&team));
        audit.team = Some(id.clone());
        let made = TeamView { team: Arc::new(team.clone()), tokens: 0, collectors: 0 };
        match self.store.insert_team(team.clone(), attempt.trail(audit, &made)).await {
            Ok(()) => {}
            Err(StoreError::Conflict { .. }) => return Err(TeamError::Exists(id)),
            Err(error) => return Err(error.into()),
        }
        self.directory.put_team(team);
        Ok(made)
    }

    /// Changes a team. A new reserve holds for its tokens from then on.
    pub async fn update_team(
        &self,
        attempt: impl Into<Attempt<TeamView>>,
        id: &TeamId,
        change: UpdateTeam,
    ) -> Result<TeamView, TeamError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        let TeamView { team: before, tokens, collectors } = self.show_team(id).await?;
        let team = Team {
            display_name: change.display_name.unwrap_or_else(|| before.display_name.clone()),
            weight: change.weight.unwrap_or(before.weight),
            reserve_percent: change.reserve_percent.unwrap_or(before.reserve_percent),
            ..(*before).clone()
        };
        let mut audit = self.audit(&attempt.caller, "team.update", name_of(id), detail_of(&team));
        audit.team = Some(id.clone());
        let made = TeamView { team: Arc::new(team.clone()), tokens, collectors };
        self.store.update_team(team.clone(), attempt.trail(audit, &made)).await?;
        let reserve_changed = team.reserve_percent != before.reserve_percent;
        self.directory.put_team(team);
        if reserve_changed {
            self.apply_team_reserve(id).await?;
        }
        Ok(made)
    }

    /// Deletes a team. With `force`, its tokens are revoked and its collectors deleted first.
    pub async fn delete_team(
        &self,
        attempt: impl Into<Attempt<()>>,
        id: &TeamId,
        force: bool,
    ) -> Result<(), TeamError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        self.team(id)?;
        if !force {
            self.must_be_empty(id).await?;
        }
        for collector in self.directory.collectors(id) {
            self.remove_collector(&Attempt::from(&attempt.caller), &collector).await?;
        }
        self.revoke_all_tokens(&attempt.caller, id).await?;
        let mut audit = self.audit(&attempt.caller, "team.delete", name_of(id), format!("force={force}"));
        audit.team = Some(id.clone());
        self.store.delete_team(id, attempt.trail(audit, &())).await?;
        self.directory.remove_team(id);
        self.vault.forget(id);
        Ok(())
    }

    async fn must_be_empty(&self, id: &TeamId) -> Result<(), TeamError> {
        let alive = TokenFilter { not_states: &["revoked"], ..TokenFilter::default() };
        let tokens = self.store.count_tokens(id, alive).await?;
        let collectors = self.directory.collectors(id).len();
        let leases = self.engine.count_leases(|lease| lease.team == *id);
        if tokens == 0 && collectors == 0 && leases == 0 {
            return Ok(());
        }
        Err(TeamError::NotEmpty { team: id.clone(), tokens, collectors, leases })
    }

    async fn revoke_all_tokens(&self, caller: &Caller, id: &TeamId) -> Result<(), TeamError> {
        let mut after: Option<TokenId> = None;
        loop {
            let filter = TokenFilter { not_states: &["revoked"], after, ..TokenFilter::default() };
            let tokens = self.store.list_tokens(id, filter, CHUNK).await?;
            let Some(last) = tokens.last() else { return Ok(()) };
            after = Some(last.id);
            for token in &tokens {
                let revoked = self.revoke_token(caller, id, token.id, "the team is deleted").await;
                revoked.map_err(|error| TeamError::Token(Box::new(error)))?;
            }
        }
    }

    /// Lets the team's reserve hold for all of its tokens that have none of their own.
    async fn apply_team_reserve(&self, id: &TeamId) -> Result<(), TeamError> {
        let reserve = self.team_reserve(id);
        let mut after: Option<TokenId> = None;
        loop {
            let tokens = self.store.list_tokens(id, TokenFilter { after, ..TokenFilter::default() }, CHUNK).await?;
            let Some(last) = tokens.last() else { return Ok(()) };
            after = Some(last.id);
            let concerned = |state: TokenState| !matches!(state, TokenState::Revoked { .. });
            for token in tokens.iter().filter(|token| token.reserve_percent.is_none() && concerned(token.state)) {
                let _changes = self.changes.token(token.id).await;
                if let Some(stored) = self.store.find_token(token.id).await? {
                    self.engine.put_token(&stored.token, reserve, stored.sealed_access);
                }
            }
        }
    }
}

fn name_of(id: &TeamId) -> String {
    format!("teams/{id}")
}

fn detail_of(team: &Team) -> String {
    let reserve = team.reserve_percent.map_or_else(|| "none".to_owned(), |percent| percent.to_string());
    format!("weight={} reserve_percent={reserve}", team.weight)
}
