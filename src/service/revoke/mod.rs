//! Tokens that were revoked here are given back at their networks, so that nobody else who ever saw them can use them.
//!
//! The revocation here holds at once and waits for no network. What the network is to be told is queued with it, in its transaction, with
//! the secrets sealed once more, by the broker's own keys; they are destroyed when the network has answered for good, or was tried for three days in
//! vain.

use std::time::Duration;

use crate::base::ids::{AppId, KindId, NetworkId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::connection::Stage;
use crate::domain::networks::{Answer, ErrorClass, Network, Renewal, RevokeReach, TokenKind, classify_renewal};
use crate::domain::revocation::{Attempt, May, Others, Standing, Verdict, judge, may_revoke};
use crate::domain::token::{Token, TokenState};
use crate::outbound::oauth::{Bond, Client, Credential, needs_client, revocation};
use crate::service::grants::is_part;
use crate::service::luck::luck;
use crate::service::tokens::{known_person, name_of};
use crate::service::{Broker, Caller};
pub use crate::store::StoredRevocation;
use crate::store::{ConnectionFilter, GrantPart, Postponed, StoreError, StoredToken};
use crate::text::Sentence;
use crate::vault::{OpenOwnError, OwnPlace, Place};

/// How long a revocation that is over is kept.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Revocations claimed at once.
const AT_ONCE: u32 = 16;
/// How long a claim lasts: longer than all of them may take, one after the other, each with a repetition.
const CLAIM: Duration = Duration::from_secs(600);
/// How long a revocation waits for its network to be asked again, where that was asked too often.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a revocation waits for a consent that waits for its choice.
const UNTIL_CHOSEN: Duration = Duration::from_secs(60);
/// How long a revocation waits for tokens that are derived from its own, before it is looked at again.
const UNTIL_REVOKED: Duration = Duration::from_secs(10 * 60);
/// Consents that wait for their choice, of all teams, that are looked at.
const CHOOSING: u32 = 1_000;
const TABLE: &str = "revocation";
const LEFT_CATALOGUE: &str = "the network left the catalogue; the person can remove the app there";
const DERIVED: &str = "a token of this kind ends at the network with the grant that it was derived from";
const NO_WAY: &str = "the network can't be told; the person can remove the app there";
const ANYBODYS: &str = "whose it was is not known, and the network would end the person's other tokens of this app, too; the person can remove \
                        the app there";
const NOBODY: &str =
    "whose it was is not known, and the network ends only what a person granted; the person can remove the app there";
const NO_CLIENT: &str = "nothing is known of the client of its app";
const CLIENT_DAMAGED: &str = "the stored client secret of its app does not open";
const DAMAGED: &str = "its stored secret does not open; the person can remove the app at the network";

/// What is to be given back.
pub(super) struct Revoked {
    /// The token; of a grant that never became one, a new id.
    pub token: TokenId,
    /// Its team.
    pub team: TeamId,
    /// Its network.
    pub network: NetworkId,
    /// Its app.
    pub app: AppId,
    /// Its kind.
    pub kind: KindId,
    /// Who granted it; empty: not known.
    pub person: String,
}

/// What is done about a revocation.
enum Next {
    /// It is over, like this.
    End(Standing, String),
    /// It is looked at again after so long. Its network was not tried.
    Wait(Duration, String),
    /// As before, after its network was tried in vain.
    Failed(Duration, String),
}

/// What came of asking a network.
struct Told {
    class: Option<ErrorClass>,
    retry_after: Option<Duration>,
    message: String,
}

impl Broker {
    /// What its network is to be told of a token that is being revoked; over already where it can't be told. Why a token does not work any
    /// more proves nothing of its grant: its refresh token, or the access token behind a lost permission, may live, and a reason may be an
    /// operator's guess. A network that knows nothing of it says so.
    pub(super) fn revocation_of(&self, stored: &StoredToken) -> StoredRevocation {
        let token = &stored.token;
        let (team, network, app) = (token.team.clone(), token.network.clone(), token.app.clone());
        let of =
            Revoked { token: token.id, team, network, app, kind: token.kind.clone(), person: token.person.clone() };
        match self.credential_to_give_back(stored) {
            Ok(credential) => self.queued_revocation(of, &credential),
            Err((standing, message)) => StoredRevocation {
                standing,
                message: message.to_owned(),
                ended_at: Some(self.now()),
                ..self.revocation(of)
            },
        }
    }

    /// By what a token is given back, or how it ends without that, and why.
    fn credential_to_give_back(&self, stored: &StoredToken) -> Result<Credential, (Standing, &'static str)> {
        let token = &stored.token;
        let kind = self.catalogue.network(token.network.as_str()).and_then(|network| network.kind(token.kind.as_str()));
        let kind = kind.ok_or((Standing::GivenUp, LEFT_CATALOGUE))?;
        way_to_tell(kind)?;
        let open = |column, sealed: &[u8]| {
            let place = Place::of_token(&token.id, &token.team, token.version, column);
            self.vault.open_sealed(&place, sealed).ok()
        };
        Ok(Credential {
            access: open("access", &stored.sealed_access).ok_or((Standing::GivenUp, DAMAGED))?,
            refresh: stored.sealed_refresh.as_deref().and_then(|sealed| open("refresh", sealed)),
            // A key that can't be read proves nothing; the network may take the token back without a proof.
            bond: self.bond_of(stored).ok().flatten(),
        })
    }

    /// A revocation that is to be made, with its secrets sealed by the broker's own keys.
    pub(super) fn queued_revocation(&self, of: Revoked, credential: &Credential) -> StoredRevocation {
        let row = of.token.to_string();
        let sealed = |column, secret: &Secret| self.vault.seal_own(&own_place(&row, column), secret);
        StoredRevocation {
            sealed_access: Some(sealed("access", &credential.access)),
            sealed_refresh: credential.refresh.as_ref().map(|refresh| sealed("refresh", refresh)),
            sealed_key: credential.bond.as_ref().map(|bond| sealed("key", &bond.text())),
            ..self.revocation(of)
        }
    }

    /// A revocation that nothing was done about, without secrets.
    fn revocation(&self, of: Revoked) -> StoredRevocation {
        let Revoked { token, team, network, app, kind, person } = of;
        StoredRevocation {
            token,
            team,
            network,
            app,
            kind,
            person,
            sealed_access: None,
            sealed_refresh: None,
            sealed_key: None,
            asked_at: self.now(),
            attempts: 0,
            failures: 0,
            failing_since: None,
            standing: Standing::Pending,
            message: String::new(),
            ended_at: None,
        }
    }

    /// What became of giving a token back at its network; `None`: it is not revoked, or it was over more than [`KEPT`] ago.
    pub async fn revocation_standing(&self, token: &Token) -> Result<Option<StoredRevocation>, StoreError> {
        match token.state {
            TokenState::Revoked { .. } => self.store.find_revocation(token.id).await,
            _ => Ok(None),
        }
    }

    /// Tells networks what is due. Returns what was done, for people.
    pub async fn revoke_due(&self) -> Result<Sentence, StoreError> {
        let now = self.now();
        let claimed = self.store.claim_revocations(now, now + CLAIM, AT_ONCE).await?;
        let (count, mut ended) = (claimed.len(), 0);
        for revocation in claimed {
            ended += usize::from(self.give_token_back(revocation).await?);
        }
        Ok(Sentence::new("ran-revocations").with("count", count).with("told", ended))
    }

    /// Returns whether it is over.
    async fn give_token_back(&self, revocation: StoredRevocation) -> Result<bool, StoreError> {
        let (wait, failed, message) = match self.next_step(&revocation).await? {
            Next::End(standing, message) => return self.end_revocation(&revocation, standing, message).await,
            Next::Wait(wait, message) => (wait, false, message),
            Next::Failed(wait, message) => (wait, true, message),
        };
        let now = self.now();
        let postponed = Postponed { due_at: now + wait, failed_at: failed.then_some(now), message };
        self.store.postpone_revocation(revocation.token, revocation.attempts, postponed).await.map(|_| false)
    }

    /// Asks the network, if it may be asked now, and says what follows.
    async fn next_step(&self, revocation: &StoredRevocation) -> Result<Next, StoreError> {
        let network = self.catalogue.network(revocation.network.as_str());
        let found = network.and_then(|network| Some((network, network.kind(revocation.kind.as_str())?)));
        let Some((network, kind)) = found else {
            return Ok(Next::End(Standing::GivenUp, LEFT_CATALOGUE.to_owned()));
        };
        if let Some(next) = self.for_the_sake_of_others(revocation, kind).await? {
            return Ok(next);
        }
        if !self.renewals.may_ask(&revocation.network, &revocation.app) {
            return Ok(Next::Wait(PAUSE, revocation.message.clone()));
        }
        let told = match self.tell_network(revocation, network, kind).await {
            Ok(told) => told,
            Err(message) => return Ok(Next::End(Standing::GivenUp, message.to_owned())),
        };
        let StoredRevocation { failures, failing_since, .. } = *revocation;
        let attempt =
            Attempt { failures, failing_since, now: self.now(), answer: told.class, retry_after: told.retry_after };
        Ok(match judge(&attempt, luck()) {
            Verdict::Ended(standing) => Next::End(standing, told.message),
            Verdict::Again(wait) => Next::Failed(wait, told.message),
        })
    }

    /// What is done where the network would end more than the token; `None`: it does not.
    async fn for_the_sake_of_others(
        &self,
        revocation: &StoredRevocation,
        kind: &TokenKind,
    ) -> Result<Option<Next>, StoreError> {
        let person = known_person(&revocation.person);
        let parts = self.grant_parts(&revocation.network, &revocation.app, Some(&revocation.kind));
        let all = self.store.count_of_person(&parts, person).await?;
        let reach = kind.oauth.as_ref().map_or(RevokeReach::Grant, |oauth| oauth.revoke_reach);
        // Of a person who is not known, nobody knows whether those that are left hang on this grant: it does not wait for them.
        let told = match person {
            "" => all,
            person => self.store.count_of_person(&self.told_parts(&parts), person).await?,
        };
        match (may_revoke(reach, Others { all, told }), person) {
            (May::Now, _) => {}
            (May::AfterOthers, _) => {
                let message =
                    "the network would end the tokens that are derived from it, too; it is told once they are revoked";
                return Ok(Some(Next::Wait(UNTIL_REVOKED, message.to_owned())));
            }
            (May::WithOthers, "") => return Ok(Some(Next::End(Standing::Shared, ANYBODYS.to_owned()))),
            (May::WithOthers, _) => {
                let message =
                    "the network would end other tokens of the same person, too; it is told with the last of them";
                return Ok(Some(Next::End(Standing::Shared, message.to_owned())));
            }
        }
        let waits = reach == RevokeReach::Grant && self.is_being_granted(revocation, &parts).await?;
        let message = "the same person is connecting an account at the moment";
        Ok(waits.then(|| Next::Wait(UNTIL_CHOSEN, message.to_owned())))
    }

    /// Of parts of a grant, those with tokens that the network can be told of.
    fn told_parts(&self, parts: &[GrantPart]) -> Vec<GrantPart> {
        let mut told = Vec::new();
        for part in parts {
            let Some(network) = self.catalogue.network(part.network.as_str()) else { continue };
            let kinds = network.kinds.iter().filter(|kind| part.kind.as_ref().is_none_or(|own| *own == kind.id));
            let kinds = kinds.filter(|kind| way_to_tell(kind).is_ok());
            told.extend(kinds.map(|kind| GrantPart { kind: Some(kind.id.clone()), ..part.clone() }));
        }
        told
    }

    /// Whether a consent of the same person waits for its choice: it would end with a grant that is given back as a whole.
    async fn is_being_granted(&self, revocation: &StoredRevocation, parts: &[GrantPart]) -> Result<bool, StoreError> {
        let waiting = ConnectionFilter { stage: Some("choosing"), ..ConnectionFilter::default() };
        let found = self.store.list_connections(waiting, CHOOSING).await?;
        Ok(found.iter().any(|connection| {
            let Stage::Choosing(found) = &connection.stage else { return false };
            let known = !found.person.is_empty() && !known_person(&revocation.person).is_empty();
            is_part(parts, &connection.network, &connection.app, &connection.kind)
                && (!known || found.person == revocation.person)
        }))
    }

    /// Asks the network, or says why it can never be asked. What an operator can mend, such as the client of the app, is an answer that did
    /// not come.
    async fn tell_network(
        &self,
        stored: &StoredRevocation,
        network: &Network,
        kind: &TokenKind,
    ) -> Result<Told, &'static str> {
        let credential = self.opened_credential(stored).ok().flatten().ok_or(DAMAGED)?;
        let not_yet = |why: &str| Ok(Told { class: None, retry_after: None, message: why.to_owned() });
        let Ok((id, secret)) = self.client_of(&stored.network, &stored.app) else { return not_yet(CLIENT_DAMAGED) };
        if id.is_empty() && needs_client(kind) {
            return not_yet(NO_CLIENT);
        }
        let client = Client { id, secret };
        let beside = self.call_parameters(&stored.network, kind, stored.app.as_str(), &credential.access);
        let Ok(beside) = beside else { return not_yet(CLIENT_DAMAGED) };
        let oauth = kind.oauth.as_ref().ok_or(NO_WAY)?;
        if stored.person.is_empty() && oauth.revoke_url.as_ref().is_some_and(|url| url.contains("{user_id}")) {
            return Err(NOBODY);
        }
        let Some(request) = revocation(oauth, &client, &credential, &stored.person, &beside) else {
            return not_yet(NO_CLIENT);
        };
        Ok(match self.renewals.network().ask(&request).await {
            Err(error) => Told { class: None, retry_after: None, message: error.to_string() },
            Ok(answer) if (200..300).contains(&answer.status) => {
                Told { class: Some(ErrorClass::Ok), retry_after: None, message: String::new() }
            }
            Ok(answer) => {
                let said = Answer { status: answer.status, headers: &answer.headers, body: &answer.body };
                let said = classify_renewal(network, &said);
                let message = format!("the network answered {}", answer.status);
                Told { class: Some(said.class), retry_after: said.retry_after, message }
            }
        })
    }

    /// What is shown to the network; `None`: it was destroyed.
    fn opened_credential(&self, stored: &StoredRevocation) -> Result<Option<Credential>, OpenOwnError> {
        let row = stored.token.to_string();
        let open = |column, sealed: &[u8]| self.vault.open_own(&own_place(&row, column), sealed);
        let Some(access) = &stored.sealed_access else { return Ok(None) };
        let refresh = stored.sealed_refresh.as_deref().map(|sealed| open("refresh", sealed)).transpose()?;
        let key = stored.sealed_key.as_deref().map(|sealed| open("key", sealed)).transpose()?;
        // A key that can't be read proves nothing; the network may take the token back without a proof.
        let bond = key.and_then(|key| Bond::read(&key).ok());
        Ok(Some(Credential { access: open("access", access)?, refresh, bond }))
    }

    async fn end_revocation(
        &self,
        revocation: &StoredRevocation,
        standing: Standing,
        message: String,
    ) -> Result<bool, StoreError> {
        let StoredRevocation { token, team, network, attempts, failures, .. } = revocation;
        if standing == Standing::GivenUp {
            tracing::warn!(%token, %network, message, "a revoked token could not be given back at its network; the person can remove the app there");
        }
        let detail = format!("standing={} failures={failures} comment={message}", standing.as_str());
        let mut audit =
            self.audit(&Caller::Broker, "token.give_back", name_of(team, *token), detail.trim_end().to_owned());
        audit.team = Some(team.clone());
        self.store.end_revocation(*token, *attempts, standing, message, audit).await
    }
}

/// Whether a network can be told of a token of this kind; else how its revocation ends, and why.
fn way_to_tell(kind: &TokenKind) -> Result<(), (Standing, &'static str)> {
    if matches!(kind.renewal, Renewal::Derived { .. }) {
        return Err((Standing::Shared, DERIVED));
    }
    let has_url = kind.oauth.as_ref().is_some_and(|oauth| oauth.revoke_url.is_some());
    if has_url { Ok(()) } else { Err((Standing::GivenUp, NO_WAY)) }
}

fn own_place<'a>(row: &'a str, column: &'static str) -> OwnPlace<'a> {
    OwnPlace { table: TABLE, row, column, version: 1 }
}

#[cfg(test)]
mod tests;
