//! The network is asked whose a new token is: the account, its profiles and the person's roles there. What is asked, and where the answer
//! stands, the catalogue says.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::AppId;
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Found, LookUp, Obstacle, Problem, fit_profiles, otherwise_of};
use crate::domain::networks::{
    AccountLookup, Answer, ErrorClass, FoundAccount, FoundProfile, Network, ProfilesLookup, TokenKind, classify, united,
};
use crate::outbound::http::{NetworkAnswer, NetworkRequest};
use crate::outbound::oauth::Bond;
use crate::service::Broker;
use crate::service::connect::redeem::{Grant, Subject};
use crate::service::tokens::UNKNOWN_PERSON;

/// Pages of a list of profiles that are read.
const MOST_PAGES: usize = 20;
/// Profiles that are asked for their names, one after the other.
const MOST_NAMED: usize = 50;

/// By which kind a network is asked about a token.
#[derive(Clone, Copy)]
pub(in crate::service) struct Asking<'n> {
    /// The network.
    pub network: &'n Network,
    /// The kind that is wanted.
    pub kind: &'n TokenKind,
    /// The app.
    pub app: &'n AppId,
    /// For how long the network may refuse the token, which is new; `None`: it does not, or the token is not.
    pub settles: Option<Duration>,
}

/// A token with what its calls need beside it.
#[derive(Clone, Copy)]
pub(in crate::service) struct Access<'a> {
    /// The access token.
    pub token: &'a Secret,
    /// The key that it is bound to.
    pub bond: Option<&'a Arc<Bond>>,
}

impl<'a> Access<'a> {
    /// One that is bound to no key.
    pub(in crate::service) fn free(token: &'a Secret) -> Self {
        Self { token, bond: None }
    }
}

impl Broker {
    /// Finds who gave consent, and which profiles can be connected: as far as it comes, where there is a problem. Tokens of profiles are put
    /// into `grant`.
    pub(super) async fn look_up(
        &self,
        of: Subject<'_>,
        access: Access<'_>,
        found: &mut Found,
        grant: &mut Grant,
    ) -> Result<(), Problem> {
        let Subject { connection, network, kind, granted, .. } = of;
        if let Some(lookup) = &granted.account {
            let account = self.account(of.asking(), lookup, access).await?;
            // Where the token reply said whose it is, nobody else may.
            if !found.person.is_empty() && found.person != account.id {
                return Err(Problem::NotItsOwn { network: network.display_name.clone() });
            }
            found.person = account.id;
            found.name = account.name;
        }
        if let Some(lookup) = &kind.profiles {
            let profiles = self.profiles(of.asking(), lookup, access).await?;
            let profiles = self.named(of.asking(), lookup, access, profiles).await;
            if found.person.is_empty() {
                found.person = profiles.iter().find_map(|one| one.person.clone()).unwrap_or_default();
            }
            let fitting = fit_profiles(lookup, kind, connection.purposes, &profiles);
            if !fitting.any {
                let first = fitting.profiles.into_iter().next();
                return Err(no_profile(network, kind, first.and_then(|one| one.obstacle)));
            }
            found.profiles = fitting.profiles;
            let own = profiles.into_iter().filter_map(|one| Some((one.id, one.token?.expose().to_owned())));
            grant.of_profiles = own.collect();
        }
        self.must_be_the_same(connection, network, found).await
    }

    /// The scopes that were granted, where the network has a place to ask; `None`: it has none.
    pub(super) async fn granted_scopes(
        &self,
        of: Subject<'_>,
        access: Access<'_>,
    ) -> Result<Option<Vec<String>>, Problem> {
        let asking = of.asking();
        let Some(lookup) = &of.granted.granted else { return Ok(None) };
        let answer = self.told(asking, &lookup.request, None, access, None).await?;
        lookup.read(&answer.body).map(Some).ok_or_else(|| unreadable(of.network))
    }

    /// Who gave a consent that is not kept, where the network says it; empty: not known.
    pub(super) async fn person_behind(&self, of: Subject<'_>, access: Access<'_>) -> String {
        let Some(lookup) = &of.granted.account else { return String::new() };
        let answer = self.read(of.asking(), &lookup.request, None, access).await.ok();
        let account = answer.and_then(|answer| lookup.read(&answer.body));
        account.map(|account| account.id).unwrap_or_default()
    }

    async fn account(
        &self,
        asking: Asking<'_>,
        lookup: &AccountLookup,
        access: Access<'_>,
    ) -> Result<FoundAccount, Problem> {
        let answer = self.told(asking, &lookup.request, None, access, lookup.otherwise.as_deref()).await?;
        let (network, otherwise) = (asking.network.display_name.clone(), otherwise_of(lookup.otherwise.as_deref()));
        match lookup.read(&answer.body) {
            Some(FoundAccount { is_unusable: true, name: account, .. }) => {
                Err(Problem::AccountUnusable { network, account, otherwise })
            }
            Some(account) => Ok(account),
            None => Err(Problem::NoAccount { network, otherwise }),
        }
    }

    /// The profiles that a token lists, over all pages, each once.
    pub(in crate::service) async fn profiles(
        &self,
        asking: Asking<'_>,
        lookup: &ProfilesLookup,
        access: Access<'_>,
    ) -> Result<Vec<FoundProfile>, Problem> {
        let (mut all, mut mark): (Vec<FoundProfile>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = lookup.next.as_ref().zip(mark.as_deref()).map(|(next, mark)| (next.parameter(), mark));
            let answer = self.told(asking, &lookup.request, page, access, None).await?;
            let read = lookup.read(&answer.body, mark.as_deref());
            let (profiles, next) = read.ok_or_else(|| unreadable(asking.network))?;
            all.extend(profiles);
            // A network that repeats its mark would be asked for ever.
            match next {
                Some(next) if mark.as_ref() != Some(&next) => mark = Some(next),
                _ => break,
            }
        }
        Ok(united(all))
    }

    /// The profiles with the names that the network tells of each. One that it does not name is known by its id.
    async fn named(
        &self,
        asking: Asking<'_>,
        lookup: &ProfilesLookup,
        access: Access<'_>,
        mut profiles: Vec<FoundProfile>,
    ) -> Vec<FoundProfile> {
        let Some(named) = &lookup.named_by else { return profiles };
        for profile in profiles.iter_mut().filter(|profile| profile.name.is_empty()).take(MOST_NAMED) {
            let Ok(answer) = self.read(asking, &named.request_for(&profile.id), None, access).await else { break };
            let NetworkAnswer { status, headers, body } = &answer;
            match classify(asking.network, &Answer { status: *status, headers, body }).class {
                ErrorClass::Ok => profile.name = named.read(body),
                ErrorClass::PermissionLost | ErrorClass::ResourceDenied => {}
                // Nor will the next one be answered.
                _ => break,
            }
        }
        profiles
    }

    /// As [`Broker::read`], where the network says what was asked for; else the problem that its refusal is. `otherwise`: what a person does
    /// whose account is not the right one.
    async fn told(
        &self,
        asking: Asking<'_>,
        request: &str,
        page: Option<(&str, &str)>,
        access: Access<'_>,
        otherwise: Option<&str>,
    ) -> Result<NetworkAnswer, Problem> {
        let network = asking.network;
        let said = |NetworkAnswer { status, headers, body }: &NetworkAnswer| {
            classify(network, &Answer { status: *status, headers, body })
        };
        let mut answer = self.read(asking, request, page, access).await?;
        if let (ErrorClass::TokenInvalid | ErrorClass::TokenRevoked, Some(wait)) = (said(&answer).class, asking.settles)
        {
            tokio::time::sleep(wait).await;
            answer = self.read(asking, request, page, access).await?;
        }
        let said = said(&answer);
        match said.class {
            ErrorClass::Ok => Ok(answer),
            class => Err(Problem::NotTold {
                network: network.display_name.clone(),
                why: LookUp::of(class, said.retry_after, otherwise),
            }),
        }
    }

    /// Reads an address of the network with the new token, and with what the network wants beside it.
    async fn read(
        &self,
        Asking { network, kind, app, .. }: Asking<'_>,
        request: &str,
        page: Option<(&str, &str)>,
        access: Access<'_>,
    ) -> Result<NetworkAnswer, Problem> {
        let silent = |why: String| Problem::LookUpSilent { network: network.display_name.clone(), why };
        let address = request.strip_prefix("GET ").unwrap_or(request);
        let mut url = url::Url::parse(address).map_err(|error| silent(error.to_string()))?;
        let more = self.call_parameters(&network.id, kind, app.as_str(), access.token);
        url.query_pairs_mut().extend_pairs(more.map_err(|error| silent(error.to_string()))?);
        url.query_pairs_mut().extend_pairs(page);
        if url.query() == Some("") {
            url.set_query(None);
        }
        let base = network.api_base_for(kind.id.as_str());
        let request = NetworkRequest::read_with(base, url.as_str(), access.token, access.bond);
        let request = request.ok_or_else(|| silent("its token can't be sent".to_owned()))?;
        let request = request.carrying(&network.request_headers);
        self.renewals.network().ask(&request).await.map_err(|error| silent(error.to_string()))
    }

    /// Where a token is to be healed, the account must be the one that it is of: other profiles can't be chosen, and another person is
    /// refused.
    async fn must_be_the_same(
        &self,
        connection: &Connection,
        network: &Network,
        found: &mut Found,
    ) -> Result<(), Problem> {
        let Some(id) = connection.token.filter(|_| !connection.other_account) else { return Ok(()) };
        let Ok(Some(held)) = self.store.find_token(id).await else { return Ok(()) };
        let held = held.token;
        // Where the network lists no profiles, who gave consent tells it.
        let profile = held.profiles.first().filter(|_| !found.profiles.is_empty());
        let is_other = match profile {
            Some(_) => !found.profiles.iter().any(|profile| held.profiles.contains(&profile.id)),
            None => {
                let is_known = !held.person.starts_with(UNKNOWN_PERSON) && !found.person.is_empty();
                is_known && held.person != found.person
            }
        };
        if is_other {
            let id = profile.unwrap_or(&held.person);
            return Err(Problem::OtherAccount {
                network: network.display_name.clone(),
                gave: who_gave(found),
                held: if held.label.is_empty() { id } else { &held.label }.clone(),
                by_profile: profile.is_some(),
            });
        }
        if profile.is_none() {
            return Ok(());
        }
        for profile in found.profiles.iter_mut().filter(|profile| !held.profiles.contains(&profile.id)) {
            profile.obstacle = Some(Obstacle::OfAnother);
        }
        Ok(())
    }
}

/// Who gave consent, as far as it is known.
fn who_gave(found: &Found) -> Option<String> {
    let known = |text: &String| (!text.is_empty()).then(|| text.clone());
    match (known(&found.name), known(&found.person)) {
        (Some(name), Some(id)) if name != id => Some(format!("{name} ({id})")),
        (name, id) => {
            let first = || found.profiles.first().map(|one| known(&one.name).unwrap_or_else(|| one.id.clone()));
            name.or(id).or_else(first)
        }
    }
}

fn no_profile(network: &Network, kind: &TokenKind, obstacle: Option<Obstacle>) -> Problem {
    let network = network.display_name.clone();
    let native = kind.native_permission.clone().unwrap_or_else(|| "a role there".to_owned());
    match obstacle {
        Some(obstacle) => Problem::NoRights { network, obstacle, native },
        None => Problem::NoProfile { network, native },
    }
}

fn unreadable(network: &Network) -> Problem {
    Problem::NotTold { network: network.display_name.clone(), why: LookUp::Unclear }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connection::Profile;

    #[test]
    fn who_gave_consent_is_told_as_far_as_it_is_known() {
        let profile = |id: &str, name: &str| Profile { id: id.to_owned(), name: name.to_owned(), obstacle: None };
        let named = || vec![profile("UC7", "Numbers"), profile("UC8", "Letters")];
        let cases = [
            ("Ann", "7", named(), Some("Ann (7)")),
            ("ann", "ann", named(), Some("ann")),
            ("Ann", "", named(), Some("Ann")),
            ("", "7", named(), Some("7")),
            ("", "", named(), Some("Numbers")),
            ("", "", vec![profile("UC7", "")], Some("UC7")),
            ("", "", Vec::new(), None),
        ];
        for (name, person, profiles, told) in cases {
            let (name, person, scopes) = (name.to_owned(), person.to_owned(), Vec::new());
            assert_eq!(who_gave(&Found { person, name, scopes, profiles }).as_deref(), told);
        }
    }
}
