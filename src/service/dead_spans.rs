//! Spans in which tokens were dead: collectors are told of each when it ends, and can ask for it later.

use std::sync::Arc;

use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::reach::{DeadSpan, Reach, reach};
use crate::domain::token::Token;
use crate::service::tokens::{Rejected, TokenError};
use crate::service::{Broker, Caller};
use crate::store::{DeadSpanFilter, StoreError, StoredDeadSpan};

/// Dead spans that are shown of a token.
const SHOWN: u32 = 20;

/// A dead span, whose it was, and whether what was missed can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadSpanView {
    /// The team.
    pub team: TeamId,
    /// The token.
    pub token: TokenId,
    /// Its network.
    pub network: NetworkId,
    /// The profile that the token speaks for.
    pub profile: Option<String>,
    /// The span.
    pub span: DeadSpan,
    /// Whether what was missed can be fetched now.
    pub reach: Reach,
}

impl Broker {
    /// The spans in which a token was dead, the newest first.
    pub async fn dead_spans(&self, token: &Token) -> Result<Vec<DeadSpanView>, StoreError> {
        let spans = self.store.dead_spans(token.id, SHOWN).await?;
        Ok(spans.into_iter().map(|span| self.view_dead_span(&token.team, dead_span_of(token, span))).collect())
    }

    /// At most `limit` dead spans of a team's tokens, the first to end first.
    pub async fn list_dead_spans(
        &self,
        caller: &Caller,
        team: &TeamId,
        filter: DeadSpanFilter,
        limit: u32,
    ) -> Result<Vec<DeadSpanView>, TokenError> {
        caller.must_see(team)?;
        self.directory.team(team).ok_or_else(|| TokenError::TeamNotFound(team.clone()))?;
        if let Some(network) = filter.network.as_ref().filter(|id| self.catalogue.network(id.as_str()).is_none()) {
            return Err(Rejected::UnknownNetwork(network.to_string()).into());
        }
        let spans = self.store.dead_spans_of_team(team, filter, limit).await?;
        Ok(spans.into_iter().map(|span| self.view_dead_span(team, span)).collect())
    }

    /// Tells streams of the dead span that a change of a token ended, if it ended one.
    pub(super) fn tell_dead_span(&self, token: &Token, ended: Option<DeadSpan>) {
        let Some(span) = ended else { return };
        self.watch.tell_dead_span(Arc::new(self.view_dead_span(&token.team, dead_span_of(token, span))));
    }

    fn view_dead_span(&self, team: &TeamId, stored: StoredDeadSpan) -> DeadSpanView {
        let StoredDeadSpan { token, network, profile, span } = stored;
        let known = self.catalogue.network(network.as_str());
        let reach = known.map_or(Reach::Unknown, |network| reach(network, &span, self.now()));
        DeadSpanView { team: team.clone(), token, network, profile, span, reach }
    }
}

fn dead_span_of(token: &Token, span: DeadSpan) -> StoredDeadSpan {
    let Token { id, network, profiles, .. } = token;
    StoredDeadSpan { token: *id, network: network.clone(), profile: profiles.iter().min().cloned(), span }
}
