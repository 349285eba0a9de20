//! Teams and their collectors: who may ask for what.

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, KeyId, MemberId, NetworkId, TeamId};
use crate::domain::certificate::CertificateName;
use crate::domain::networks::{Purpose, Purposes};

/// A tenant. Nothing crosses teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its id, chosen by the operator.
    pub id: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// Its share when teams wait for the same credit; 1 to 1000, 100 by default.
    pub weight: u32,
    /// The owner's reserve of its tokens, in percent of each limit; `None`: as configured for the network.
    pub reserve_percent: Option<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A worker program of a team that asks for leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its id.
    pub id: CollectorId,
    /// Its team.
    pub team: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// What it may ask for.
    pub scope: CollectorScope,
    /// Its share when collectors of one collection wait for the same credit; 1 to 1000, 100 by default.
    pub weight: u32,
    /// The certificates that it may show instead of a key. Each names one collector or operator only.
    pub certificates: Vec<CertificateName>,
    /// Whether it was switched off.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a collector may ask for. An empty list of networks allows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorScope {
    /// The networks.
    pub networks: Vec<NetworkId>,
    /// Whether every network of the catalogue is allowed, also later ones.
    pub all_networks: bool,
    /// The purposes.
    pub purposes: Purposes,
    /// How many leases it may hold at once.
    pub max_leases: u32,
}

impl CollectorScope {
    /// Whether a network is allowed.
    pub fn reaches(&self, network: &NetworkId) -> bool {
        self.all_networks || self.networks.contains(network)
    }
}

/// Why a collector may not have what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The collector was switched off.
    #[error(
        "this collector is disabled; an owner or manager of its team enables it on its page under Collectors, and an operator with `token-broker collector enable`"
    )]
    Disabled,
    /// The network is outside its scope.
    #[error(
        "this collector may not lease for network '{0}'; an owner or manager of its team ticks it on the collector's page under Collectors, and an operator names all its networks with `token-broker collector update --network`"
    )]
    Network(NetworkId),
    /// The purpose is outside its scope.
    #[error(
        "this collector may not lease for purpose '{}'; an owner or manager of its team ticks it on the collector's page under Collectors, and an operator names all its purposes with `token-broker collector update --purpose`",
        .0.as_str()
    )]
    Purpose(Purpose),
}

impl Collector {
    /// Checks a request against the scope.
    pub fn may_lease(&self, network: &NetworkId, purpose: Purpose) -> Result<(), ScopeError> {
        if self.disabled {
            return Err(ScopeError::Disabled);
        }
        if !self.scope.reaches(network) {
            return Err(ScopeError::Network(network.clone()));
        }
        if !self.scope.purposes.contains(purpose) {
            return Err(ScopeError::Purpose(purpose));
        }
        Ok(())
    }
}

/// A key by which a collector or an operator shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which is a part of its text.
    pub id: KeyId,
    /// Whose it is.
    pub holder: KeyHolder,
    /// Its name for people.
    pub display_name: String,
    /// What its holder has to show.
    pub proof: KeyProof,
    /// The member who made it, and has seen its secret; `None`: an operator, or the broker.
    pub made_by: Option<MemberId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What the holder of a key has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProof {
    /// The secret of which this is the keyed hash. The secret itself is never kept.
    Secret([u8; 32]),
    /// A client certificate of this name.
    Certificate(CertificateName),
}

impl Key {
    /// Whether it lets anybody in at `now`.
    pub fn works(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// The keyed hash of its secret, if it has one.
    pub fn hash(&self) -> Option<&[u8; 32]> {
        match &self.proof {
            KeyProof::Secret(hash) => Some(hash),
            KeyProof::Certificate(_) => None,
        }
    }

    /// The certificate that it is for, if any.
    pub fn certificate(&self) -> Option<&CertificateName> {
        match &self.proof {
            KeyProof::Secret(_) => None,
            KeyProof::Certificate(name) => Some(name),
        }
    }
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHolder {
    /// A collector of a team.
    Collector(TeamId, CollectorId),
    /// An operator of the whole broker.
    Operator(OperatorRole),
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorRole {
    /// Everything.
    Admin,
    /// Reading only.
    Reader,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector() -> Collector {
        Collector {
            id: CollectorId::from_u128(1),
            team: "acme".parse().unwrap(),
            display_name: String::new(),
            scope: CollectorScope {
                networks: vec!["x".parse().unwrap()],
                all_networks: false,
                purposes: [Purpose::CollectContent].into_iter().collect(),
                max_leases: 1,
            },
            weight: 100,
            certificates: Vec::new(),
            disabled: false,
            created_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn the_scope_denies_by_default() {
        let x: NetworkId = "x".parse().unwrap();
        let youtube: NetworkId = "youtube".parse().unwrap();
        assert_eq!(collector().may_lease(&x, Purpose::CollectContent), Ok(()));
        assert_eq!(collector().may_lease(&youtube, Purpose::CollectContent), Err(ScopeError::Network(youtube)));
        assert_eq!(collector().may_lease(&x, Purpose::Publish), Err(ScopeError::Purpose(Purpose::Publish)));
        let disabled = Collector { disabled: true, ..collector() };
        assert_eq!(disabled.may_lease(&x, Purpose::CollectContent), Err(ScopeError::Disabled));
    }

    #[test]
    fn what_a_collector_may_not_is_told_with_who_can_change_it_and_how() {
        let errors = [
            (ScopeError::Disabled, "token-broker collector enable`"),
            (ScopeError::Network("x".parse().unwrap()), "token-broker collector update --network`"),
            (ScopeError::Purpose(Purpose::Publish), "token-broker collector update --purpose`"),
        ];
        for (error, command) in errors {
            let said = error.to_string();
            assert!(said.contains("an owner or manager of its team") && said.contains("under Collectors"), "{said}");
            assert!(said.contains(command) && !said.contains(". "), "one sentence, with the command: {said}");
        }
    }
}
