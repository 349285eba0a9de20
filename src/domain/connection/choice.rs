//! Which of the profiles that a person may act for are connected.

use crate::domain::connection::{Need, Obstacle, Profile};
use crate::domain::networks::{FoundProfile, ProfilesLookup, PurposeRoles, Purposes, TokenKind};

/// Profiles, as a person is shown them.
pub struct FitProfiles {
    /// Each with its obstacle, if it has one.
    pub profiles: Vec<Profile>,
    /// Whether one of them can be connected.
    pub any: bool,
}

/// Tells the profiles that serve the purposes from those for which the person lacks a role.
pub fn fit_profiles(
    lookup: &ProfilesLookup,
    kind: &TokenKind,
    purposes: Purposes,
    found: &[FoundProfile],
) -> FitProfiles {
    let wants_token = lookup.token.is_some();
    let obstacle = |one: &FoundProfile| {
        let lacking = lookup.lacking(purposes, &one.roles);
        if lacking.is_empty() {
            return (wants_token && one.token.is_none()).then_some(Obstacle::NoToken);
        }
        let need = |need: &&PurposeRoles| Need { any: need.any.clone(), purpose: need.purpose };
        Some(Obstacle::Role { needs: lacking.iter().map(need).collect(), native: kind.native_permission.clone() })
    };
    let shown = |one: &FoundProfile| Profile { id: one.id.clone(), name: one.name.clone(), obstacle: obstacle(one) };
    let profiles: Vec<_> = found.iter().map(shown).collect();
    let any = profiles.iter().any(|profile| profile.obstacle.is_none());
    FitProfiles { profiles, any }
}

/// Why a choice is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Nothing was chosen.
    #[error("choose at least one of the profiles")]
    Nothing,
    /// It is none of those that were found.
    #[error("'{0}' is none of the profiles that can be connected here; see their list")]
    Unknown(String),
    /// It can't be connected.
    #[error("'{id}' can't be connected: {obstacle}")]
    Obstacle {
        /// The profile.
        id: String,
        /// Why, and what to do.
        obstacle: Obstacle,
    },
}

impl super::Found {
    /// The profiles that can be connected.
    pub fn connectable(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| profile.obstacle.is_none())
    }

    /// Of the profiles that a token speaks for, those for which the person can act still: a new consent takes none of them away.
    pub fn staying(&self, held: &[String]) -> Vec<String> {
        held.iter().filter(|id| self.connectable().any(|profile| profile.id == **id)).cloned().collect()
    }

    /// The profiles of these ids, each once. Where the account itself is what is connected, none may be named.
    pub fn chosen(&self, ids: &[String]) -> Result<Vec<&Profile>, ChoiceError> {
        let mut chosen: Vec<&Profile> = Vec::new();
        for id in ids {
            let profile = self.profiles.iter().find(|profile| profile.id == *id);
            let profile = profile.ok_or_else(|| ChoiceError::Unknown(id.clone()))?;
            if let Some(obstacle) = &profile.obstacle {
                return Err(ChoiceError::Obstacle { id: id.clone(), obstacle: obstacle.clone() });
            }
            if !chosen.iter().any(|one| one.id == profile.id) {
                chosen.push(profile);
            }
        }
        match chosen.is_empty() && !self.profiles.is_empty() {
            true => Err(ChoiceError::Nothing),
            false => Ok(chosen),
        }
    }
}
