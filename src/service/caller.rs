//! Who calls, and what follows from it.

use std::sync::Arc;

use crate::base::ids::{CollectorId, KeyId, SessionId, TeamId};
use crate::domain::audit::Actor;
use crate::domain::certificate::CertificateName;
use crate::domain::member::{Action, Member, Role};
use crate::domain::team::{Collector, OperatorRole, ScopeError};

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A collector of a team.
    Collector {
        /// Its registration.
        collector: Arc<Collector>,
        /// What it showed.
        shown: Shown,
    },
    /// An operator of the whole broker.
    Operator {
        /// What it may do.
        role: OperatorRole,
        /// Its key, which may be for a certificate.
        key: KeyId,
    },
    /// A member of a team, through the web console.
    Member {
        /// The member, as it was when it called.
        member: Arc<Member>,
        /// The session that it calls from.
        session: SessionId,
    },
    /// The broker itself.
    Broker,
}

/// What a collector shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A key.
    Key(KeyId),
    /// A certificate of this name.
    Certificate(CertificateName),
}

/// Who holds a lease: a collector; `None`: an operator.
pub type Holder = Option<CollectorId>;

/// The caller may not do this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The team is not the caller's, or does not exist.
    #[error("this key has nothing to do with team '{0}'; use a key of that team")]
    Team(String),
    /// The role does not suffice.
    #[error("this call needs {needed}, the key is {role}; use a key with that role")]
    Role {
        /// What the caller is.
        role: &'static str,
        /// What is needed.
        needed: &'static str,
    },
    /// The member's role does not suffice for this thing.
    #[error("a {} of the team may not {}; ask an owner", .role.as_str(), .action.as_str())]
    Action {
        /// What the member is to the team.
        role: Role,
        /// What it would do.
        action: Action,
    },
    /// The member's role does not suffice to give that role.
    #[error("a {} of the team may not give somebody that role; ask an owner", .0.as_str())]
    GiveRole(Role),
    /// The member's role does not suffice to hold the link of a person who granted tokens.
    #[error(
        "a {} of the team may not make a link for somebody who granted tokens of the team, since who follows it is taken for that person; \
         ask an owner", .0.as_str()
    )]
    StandIn(Role),
    /// An operator disabled the collector.
    #[error("{}", ScopeError::Disabled)]
    Disabled,
}

impl Caller {
    /// The caller's team; `None`: all teams.
    pub fn team(&self) -> Option<&TeamId> {
        match self {
            Caller::Collector { collector, .. } => Some(&collector.team),
            Caller::Member { member, .. } => Some(&member.team),
            Caller::Operator { .. } | Caller::Broker => None,
        }
    }

    /// The caller as the audit names it.
    pub fn actor(&self) -> Actor {
        match self {
            Caller::Collector { collector, .. } => Actor::Collector(collector.id),
            Caller::Operator { key, .. } => Actor::Operator(*key),
            Caller::Member { member, .. } => Actor::Member(member.id),
            Caller::Broker => Actor::Broker,
        }
    }

    /// The caller's own name, which no other caller has: request ids are unique within it.
    pub fn name(&self) -> String {
        match self {
            Caller::Collector { collector, .. } => collector.id.to_string(),
            Caller::Operator { key, .. } => key.to_string(),
            Caller::Member { member, .. } => member.id.to_string(),
            Caller::Broker => "broker".to_owned(),
        }
    }

    /// The bits of the id of what calls: the collector's, the key's or the member's.
    pub fn number(&self) -> u128 {
        match self {
            Caller::Collector { collector, .. } => collector.id.as_u128(),
            Caller::Operator { key, .. } => key.as_u128(),
            Caller::Member { member, .. } => member.id.as_u128(),
            Caller::Broker => 0,
        }
    }

    /// The member who calls.
    pub fn member(&self) -> Option<&Arc<Member>> {
        match self {
            Caller::Member { member, .. } => Some(member),
            Caller::Collector { .. } | Caller::Operator { .. } | Caller::Broker => None,
        }
    }

    /// The collector that calls.
    pub fn collector(&self) -> Option<&Arc<Collector>> {
        match self {
            Caller::Collector { collector, .. } => Some(collector),
            Caller::Operator { .. } | Caller::Member { .. } | Caller::Broker => None,
        }
    }

    /// The name of what the caller is.
    pub fn role(&self) -> &'static str {
        match self {
            Caller::Collector { .. } => "collector",
            Caller::Member { member, .. } => member.role.as_str(),
            Caller::Operator { role: OperatorRole::Admin, .. } | Caller::Broker => "admin",
            Caller::Operator { role: OperatorRole::Reader, .. } => "reader",
        }
    }

    /// Requires an operator who may change things.
    pub fn must_be_admin(&self) -> Result<(), Forbidden> {
        match self {
            Caller::Operator { role: OperatorRole::Admin, .. } | Caller::Broker => Ok(()),
            _ => Err(Forbidden::Role { role: self.role(), needed: "admin" }),
        }
    }

    /// Requires an operator, reading or changing.
    pub fn must_be_operator(&self) -> Result<(), Forbidden> {
        match self {
            Caller::Operator { .. } | Caller::Broker => Ok(()),
            Caller::Collector { .. } | Caller::Member { .. } => {
                Err(Forbidden::Role { role: self.role(), needed: "operator" })
            }
        }
    }

    /// Requires that the caller has to do with `team`: an operator, or a collector or member of it.
    pub fn must_see(&self, team: &TeamId) -> Result<(), Forbidden> {
        match self.team() {
            Some(own) if own != team => Err(Forbidden::Team(team.to_string())),
            _ => Ok(()),
        }
    }

    /// Whether the caller is the holder of a lease; every operator stands for those that operators took by hand.
    pub fn holds(&self, holder: Holder) -> bool {
        match self {
            Caller::Collector { collector, .. } => holder == Some(collector.id),
            Caller::Member { .. } => false,
            Caller::Operator { .. } | Caller::Broker => holder.is_none() && self.must_be_admin().is_ok(),
        }
    }

    /// Requires that the caller was not switched off.
    pub fn must_be_enabled(&self) -> Result<(), Forbidden> {
        match self {
            Caller::Collector { collector, .. } if collector.disabled => Err(Forbidden::Disabled),
            _ => Ok(()),
        }
    }

    /// Requires somebody who may take leases of `team`: a collector of it, or an admin.
    pub fn must_lease_for(&self, team: &TeamId) -> Result<(), Forbidden> {
        match self {
            Caller::Collector { collector, .. } if collector.disabled => Err(Forbidden::Disabled),
            Caller::Collector { .. } => self.must_see(team),
            Caller::Operator { .. } | Caller::Member { .. } | Caller::Broker => self.must_be_admin(),
        }
    }
}
