//! Profiles: who is told of one, who administers it here, and who can renew its token.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::ids::{MemberId, NetworkId, TeamId};
use crate::domain::member::{Action, Member};
use crate::domain::profile::{CanRenew, Evidence, Profile, can_renew, may_renew};
use crate::domain::token::Token;
use crate::service::members::{MemberError, On};
use crate::service::requests::Attempt;
use crate::service::{Broker, Forbidden};
use crate::store::{HeldProfile, MemberFilter, StoreError, TokenFilter};

/// Members of a team and tokens of a profile that are looked at.
const MOST: u32 = 1_000;

/// What names a profile: its team, its network, and its id there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileName {
    /// The team.
    pub team: TeamId,
    /// The network.
    pub network: NetworkId,
    /// Its id at the network.
    pub id: String,
}

/// What to change about a profile; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateProfile {
    /// Its name for people.
    pub display_name: Option<String>,
    /// Who is told of it; `Some(None)`: who connected it.
    pub owner: Option<Option<MemberId>>,
    /// Who administers it.
    pub admins: Option<BTreeSet<MemberId>>,
}

/// A profile with who is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileView {
    /// The profile.
    pub profile: Profile,
    /// Who is told of it: as named, else who connected it; `None`: the team's owners.
    pub told: Option<MemberId>,
}

/// A member, and whether it can renew a profile's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// The member.
    pub member: Member,
    /// Whether it can renew at the network.
    pub can: CanRenew,
    /// Why that is thought.
    pub evidence: Evidence,
    /// Whether it may renew here, by its role.
    pub may: bool,
}

/// Why nothing was done about a profile.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProfileError {
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// The catalogue has no such network.
    #[error("there is no network '{0}'; see the list of networks")]
    UnknownNetwork(NetworkId),
    /// A member who is named is none of the team, or left.
    #[error("'{0}' is no member of the team who could look after a profile; see the list of its members")]
    NoMember(MemberId),
    /// The caller may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// One profile; also one of which nothing was said.
    pub async fn show_profile(&self, name: &ProfileName) -> Result<ProfileView, ProfileError> {
        let profile = self.profile(name)?;
        self.view_profile(profile).await
    }

    /// At most `limit` profiles of a team of which something was said, after `after` (network and id of the last of the page before), and
    /// whether there are more.
    pub async fn list_profiles(
        &self,
        team: &TeamId,
        network: Option<&NetworkId>,
        after: Option<(NetworkId, String)>,
        limit: usize,
    ) -> Result<(Vec<ProfileView>, bool), ProfileError> {
        self.directory.team(team).ok_or_else(|| ProfileError::TeamNotFound(team.clone()))?;
        let key = |profile: &Profile| (profile.network.clone(), profile.id.clone());
        let wanted = |profile: &Arc<Profile>| {
            network.is_none_or(|network| profile.network == *network)
                && after.as_ref().is_none_or(|after| key(profile) > *after)
        };
        let mut found: Vec<_> = self.directory.profiles(team).into_iter().filter(wanted).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let mut views = Vec::with_capacity(found.len());
        for profile in found {
            views.push(self.view_profile((*profile).clone()).await?);
        }
        Ok((views, more))
    }

    /// At most `limit` profiles that tokens of a team speak for, each with what people call it.
    pub async fn list_held_profiles(
        &self,
        team: &TeamId,
        limit: u32,
    ) -> Result<Vec<(ProfileName, String)>, StoreError> {
        let held = self.store.list_held_profiles(team, limit).await?;
        let named = |HeldProfile { network, id, label }| {
            let profile = ProfileName { team: team.clone(), network, id };
            let name = self.name_of_profile(&profile, &label);
            (profile, name)
        };
        Ok(held.into_iter().map(named).collect())
    }

    /// What people call a profile that a token with this label speaks for: its name, else the label, else its id.
    pub fn name_of_profile(&self, ProfileName { team, network, id }: &ProfileName, label: &str) -> String {
        let named = self.directory.profile(team, network, id).map(|profile| profile.display_name.clone());
        let names = [named.unwrap_or_default(), label.to_owned()];
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| id.clone())
    }

    /// Says who is told of a profile, and who administers it.
    pub async fn update_profile(
        &self,
        attempt: impl Into<Attempt<ProfileView>>,
        name: &ProfileName,
        change: UpdateProfile,
    ) -> Result<ProfileView, ProfileError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        let mut profile = self.profile(name)?;
        self.must_permit(&attempt.caller, Action::ChangeProfile, &name.team, On::Profile(&profile))?;
        let named = change.owner.iter().flatten().chain(change.admins.iter().flatten());
        for member in named {
            self.must_be_member(&name.team, *member).await?;
        }
        profile.display_name = change.display_name.unwrap_or(profile.display_name);
        profile.owner = change.owner.unwrap_or(profile.owner);
        profile.admins = change.admins.unwrap_or(profile.admins);
        let made = self.view_profile(profile.clone()).await?;
        let trail = attempt.trail(self.profile_audit(&attempt, &profile), &made);
        self.store.put_profile(profile.clone(), trail).await?;
        self.directory.put_profile(profile);
        Ok(made)
    }

    /// Who of a team can renew a profile's token at the network: those who can first, then those of whom it is not known.
    pub async fn list_managers(&self, name: &ProfileName) -> Result<Vec<Manager>, ProfileError> {
        let profile = self.profile(name)?;
        let tokens = self.tokens_of_profile(&profile).await?;
        let filter = MemberFilter { state: Some("active"), after: None };
        let members = self.store.list_members(&name.team, filter, MOST).await?;
        let manager = |member: Member| {
            let (can, evidence) = can_renew(&member, &profile, &tokens, self.now());
            Manager { may: may_renew(&member, &profile, &tokens), can, evidence, member }
        };
        let mut managers: Vec<_> = members.into_iter().map(manager).collect();
        managers.sort_by_key(|manager| (manager.can, manager.member.id));
        Ok(managers)
    }

    /// Puts a profile in the place of what is kept of it, without asking anybody.
    pub(in crate::service) async fn put_profile(
        &self,
        attempt: &Attempt<ProfileView>,
        profile: Profile,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.directory.lock().await;
        self.store.put_profile(profile.clone(), self.profile_audit(attempt, &profile).into()).await?;
        self.directory.put_profile(profile);
        Ok(())
    }

    fn profile(&self, name: &ProfileName) -> Result<Profile, ProfileError> {
        let ProfileName { team, network, id } = name;
        self.directory.team(team).ok_or_else(|| ProfileError::TeamNotFound(team.clone()))?;
        self.catalogue.network(network.as_str()).ok_or_else(|| ProfileError::UnknownNetwork(network.clone()))?;
        let found = self.directory.profile(team, network, id).map(|profile| (*profile).clone());
        Ok(found.unwrap_or_else(|| Profile::unnamed(team.clone(), network.clone(), id.clone())))
    }

    async fn view_profile(&self, profile: Profile) -> Result<ProfileView, ProfileError> {
        if let Some(owner) = profile.owner {
            return Ok(ProfileView { told: Some(owner), profile });
        }
        let tokens = self.tokens_of_profile(&profile).await?;
        let filter = MemberFilter { state: Some("active"), after: None };
        let members = self.store.list_members(&profile.team, filter, MOST).await?;
        let told = profile.owner_or_granter(&members, &tokens, self.now()).map(|member| member.id);
        Ok(ProfileView { told, profile })
    }

    async fn tokens_of_profile(&self, profile: &Profile) -> Result<Vec<Token>, StoreError> {
        let (network, id) = (Some(profile.network.clone()), Some(profile.id.clone()));
        let filter = TokenFilter { network, profile: id, ..TokenFilter::default() };
        self.store.list_tokens(&profile.team, filter, MOST).await
    }

    async fn must_be_member(&self, team: &TeamId, id: MemberId) -> Result<(), ProfileError> {
        match self.stored_member(team, id).await {
            Ok(member) if !member.has_left() => Ok(()),
            Err(MemberError::Store(error)) => Err(error.into()),
            _ => Err(ProfileError::NoMember(id)),
        }
    }

    fn profile_audit(&self, attempt: &Attempt<ProfileView>, profile: &Profile) -> crate::domain::audit::AuditEvent {
        let Profile { team, network, id, owner, admins, .. } = profile;
        let owner = owner.map_or_else(|| "none".to_owned(), |owner| owner.to_string());
        let admins: Vec<_> = admins.iter().map(ToString::to_string).collect();
        let detail = format!("network={network} owner={owner} admins={}", admins.join(","));
        let mut audit = self.audit(&attempt.caller, "profile.update", format!("teams/{team}/profiles/{id}"), detail);
        audit.team = Some(team.clone());
        audit
    }
}
