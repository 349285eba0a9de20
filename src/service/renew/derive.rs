//! A token that is derived from another one is renewed by deriving it anew: the network is asked for the list of profiles with the present
//! secret of the token that it came from, if that is kept.
//!
//! It has no schedule of its own. New secrets of the other make it due, in their transaction (`SealedSecrets::derived`), whoever brought them.

use crate::base::ids::KindId;
use crate::base::secret::Secret;
use crate::domain::networks::{ErrorClass, TokenReply};
use crate::domain::renewal::Failure;
use crate::domain::token::{Clocks, Token, TokenState};
use crate::service::Broker;
use crate::service::connect::{Access, Asking};
use crate::service::renew::Outcome;
use crate::service::renew::RenewError;
use crate::store::TokenFilter;
use crate::vault::Place;

/// Tokens of one person at one app that are looked at.
const MOST: u32 = 100;

/// What a token is derived from.
pub(super) struct Parent {
    access: Secret,
    consented: Clocks,
}

impl Broker {
    /// The token of the same person that a token is derived from, with its present secret. `Err(NotRenewable)`: it is not kept, or is dead.
    pub(super) async fn parent_of(&self, token: &Token, from: &KindId) -> Result<Parent, RenewError> {
        let filter = TokenFilter {
            network: Some(token.network.clone()),
            app: Some(token.app.clone()),
            kind: Some(from.clone()),
            person: Some(token.person.clone()),
            not_states: &["revoked", "invalid"],
            ..TokenFilter::default()
        };
        let held = self.store.list_tokens(&token.team, filter, MOST).await?;
        let lives = |one: &&Token| !matches!(one.state, TokenState::Revoked { .. } | TokenState::Invalid { .. });
        let found = held.iter().find(lives).ok_or(RenewError::NotRenewable(token.id))?;
        let stored = self.store.find_token(found.id).await?.ok_or(RenewError::NotRenewable(token.id))?;
        let parent = &stored.token;
        let place = Place::of_token(&parent.id, &parent.team, parent.version, "access");
        let access = self.vault.open_sealed(&place, &stored.sealed_access)?;
        Ok(Parent { access, consented: parent.clocks })
    }

    /// Asks the network for a token of the profile that `token` speaks for.
    pub(super) async fn derive(&self, token: &Token, parent: &Parent) -> Outcome {
        let not_done = |why: &str| Outcome::Failed(Failure::NotDone(ErrorClass::Transient, None), why.to_owned());
        let network = self.catalogue.network(token.network.as_str());
        let asked = network.and_then(|network| {
            let kind = network.kind(token.kind.as_str())?;
            Some((Asking { network, kind, app: &token.app, settles: None }, kind.profiles.as_ref()?))
        });
        let Some((asking, lookup)) = asked else { return not_done("the catalogue does not say how it is derived") };
        let Ok(profiles) = self.profiles(asking, lookup, Access::free(&parent.access)).await else {
            return not_done("the network did not list the person's profiles");
        };
        let own = profiles.into_iter().find(|profile| token.profiles.contains(&profile.id));
        match own.and_then(|profile| profile.token) {
            Some(access) => {
                let reply = TokenReply {
                    access,
                    refresh: None,
                    access_life: None,
                    refresh_life: None,
                    scopes: None,
                    subject: None,
                    bound: false,
                };
                Outcome::Renewed(reply, None)
            }
            None => Outcome::Gone,
        }
    }
}

/// The clocks of a token after it was derived anew: a consent that was given later holds for it, too.
pub(super) fn with_consent(mut token: Token, parent: &Parent, validity: Option<std::time::Duration>) -> Token {
    if let Some(at) = parent.consented.consented_at.filter(|at| token.clocks.consented_at.is_none_or(|own| own < *at)) {
        token.clocks.consented_at = Some(at);
        token.clocks.data_access_expires_at = validity.map(|life| at + life);
    }
    token
}
