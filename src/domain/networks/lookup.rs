//! Finding things in a network: by name, and by position. The position of a kind, a class or an operation is fixed for
//! the life of the catalogue, so that it can stand for the name where names are too slow.

use std::sync::LazyLock;
use std::time::Duration;

use super::model::{
    Amount, Binding, ClientAuth, Cost, CreditClass, LimitRule, Network, Operation, OperationScopes, Owner, Purpose,
    Renewal, TokenKind, Verified, Window,
};
use crate::base::ids::KindId;

/// The broker's own check of a token, as leases, audit and ledger name it. No operation of the catalogue is called so.
pub const PROBE_OPERATION: &str = "token.probe";

/// Stands behind the operations of every network. What it costs is up to the kind of token.
static PROBE: LazyLock<Operation> = LazyLock::new(|| Operation {
    id: PROBE_OPERATION.parse().expect("'token.probe' is the id of an operation"),
    about: "The broker's own check of a token.".to_owned(),
    method: "GET".to_owned(),
    path: "/".to_owned(),
    purposes: vec![Purpose::Validate],
    scopes: Vec::new(),
    kinds: Vec::new(),
    costs: Vec::new(),
    verified: Verified::Documented,
});

impl Network {
    /// The kind of token of that name.
    pub fn kind(&self, id: &str) -> Option<&TokenKind> {
        self.kinds.get(self.kind_index(id)?)
    }

    /// The kinds that are derived from that one.
    pub fn derived_from(&self, id: &KindId) -> Vec<KindId> {
        let derived = self.kinds.iter().filter(|kind| matches!(&kind.renewal, Renewal::Derived { from } if from == id));
        derived.map(|kind| kind.id.clone()).collect()
    }

    /// The position of a kind in `kinds`.
    pub fn kind_index(&self, id: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.id.as_str() == id)
    }

    /// Whether its apps show who they are by a key, so that a client secret is one.
    pub fn takes_client_keys(&self) -> bool {
        let by_key =
            |kind: &TokenKind| kind.oauth.as_ref().is_some_and(|oauth| oauth.client_auth == ClientAuth::PrivateKeyJwt);
        self.kinds.iter().any(by_key)
    }

    /// Where the API is called with a token of `kind`, without a slash at the end.
    pub fn api_base_for(&self, kind: &str) -> &str {
        self.kind(kind).and_then(|kind| kind.api_base.as_ref()).unwrap_or(&self.api_base)
    }

    /// The credit class of that name.
    pub fn class(&self, id: &str) -> Option<&CreditClass> {
        self.classes.get(self.class_index(id)?)
    }

    /// The position of a class in `classes`.
    pub fn class_index(&self, id: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.id.as_str() == id)
    }

    /// The operation of that name.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.get(self.operation_index(id)?)
    }

    /// The position of an operation in `operations`.
    pub fn operation_index(&self, id: &str) -> Option<usize> {
        self.operations.iter().position(|operation| operation.id.as_str() == id)
    }

    /// The position that stands for the broker's own check of a token: behind all operations.
    pub fn probe_index(&self) -> usize {
        self.operations.len()
    }

    /// The operation at a position that a lease is for; behind all of them stands the broker's own check of a token.
    pub fn leased_operation(&self, at: usize) -> &Operation {
        self.operations.get(at).unwrap_or(&PROBE)
    }

    /// The position of what a lease is for.
    pub fn leased_index(&self, id: &str) -> Option<usize> {
        self.operation_index(id).or_else(|| (id == PROBE_OPERATION).then(|| self.probe_index()))
    }

    /// What a call costs that is leased with a token of the kind at `kind`.
    pub fn leased_costs(&self, at: usize, kind: usize) -> &[Cost] {
        match self.operations.get(at) {
            Some(operation) => &operation.costs,
            None => self.kinds.get(kind).and_then(|kind| kind.probe.as_ref()).map_or(&[], |probe| &probe.costs),
        }
    }

    /// The scopes that a token of `kind` needs for `purpose`; `None` where that kind can't serve it.
    pub fn scopes_for(&self, kind: &str, purpose: Purpose) -> Option<&[String]> {
        self.kind(kind)?.scopes_for(purpose)
    }

    /// All scopes that a call of `operation` needs with a token of `kind`: those of the purpose and its own.
    /// `None` where that kind, or the operation, does not serve the purpose.
    pub fn scopes_of_call<'n>(
        &'n self,
        kind: &str,
        purpose: Purpose,
        operation: &'n Operation,
    ) -> Option<OperationScopes<'n>> {
        let kind = self.kind(kind)?;
        if !operation.allows(&kind.id) || !operation.purposes.contains(&purpose) {
            return None;
        }
        Some(OperationScopes { of_purpose: kind.scopes_for(purpose)?, of_operation: &operation.scopes })
    }

    /// Whether any operation serves `purpose`.
    pub fn serves(&self, purpose: Purpose) -> bool {
        self.operations.iter().any(|operation| operation.purposes.contains(&purpose))
    }
}

impl TokenKind {
    /// Whether the broker can check a token of this kind: there is a check, and nothing is needed for it that the broker does not have.
    pub fn is_probed(&self) -> bool {
        let complete = self.probe.as_ref().is_some_and(|probe| !probe.request.contains('{'));
        complete && !self.bindings.contains(&Binding::OAuth1Signature)
    }

    /// Whether its tokens are bound to a key, so that every call needs a proof.
    pub fn is_bound(&self) -> bool {
        self.bindings.contains(&Binding::Dpop)
    }

    /// The scopes that it needs for `purpose`; `None` where it can't serve it.
    pub fn scopes_for(&self, purpose: Purpose) -> Option<&[String]> {
        self.scopes.iter().find(|needed| needed.purpose == purpose).map(|needed| needed.scopes.as_slice())
    }
}

impl OperationScopes<'_> {
    /// Each scope; one may come twice.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.of_purpose.iter().chain(self.of_operation).map(String::as_str)
    }
}

impl CreditClass {
    /// The limits of it that count calls with a token of `kind`.
    pub fn limits_for(&self, kind: &TokenKind) -> impl Iterator<Item = &LimitRule> {
        self.limits.iter().filter(|limit| limit.holds_for(&kind.id))
    }

    /// Whether it has a limit on the account of `owner`.
    pub fn debits(&self, owner: Owner) -> bool {
        self.limits.iter().any(|limit| limit.owner == owner)
    }
}

impl Window {
    /// The span in which the limit holds, a day for one that goes from midnight to midnight; `None` for a budget.
    pub fn length(&self) -> Option<Duration> {
        match self {
            Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => Some(*length),
            Window::Daily { .. } => Some(Duration::from_secs(24 * 60 * 60)),
            Window::Paced { per } => Some(*per),
            Window::Budget => None,
        }
    }
}

impl Amount {
    /// The name of the fact that a formula needs.
    pub fn fact(&self) -> Option<&str> {
        match self {
            Amount::Formula { fact, .. } => Some(fact),
            Amount::Number(_) | Amount::Unknown { .. } => None,
        }
    }

    /// The limit in units, given the fact that a formula needs; saturates.
    pub fn units(&self, fact: Option<u64>) -> u64 {
        match (self, fact) {
            (Amount::Number(units), _) => *units,
            (Amount::Formula { factor, at_least, .. }, Some(fact)) => factor.saturating_mul(fact.max(*at_least)),
            (Amount::Formula { start, .. } | Amount::Unknown { start }, _) => *start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    #[test]
    fn positions_and_names_agree() {
        for network in Catalogue::embedded().iter() {
            for (at, operation) in network.operations.iter().enumerate() {
                assert_eq!(network.operation_index(operation.id.as_str()), Some(at));
            }
            for (at, class) in network.classes.iter().enumerate() {
                assert_eq!(network.class_index(class.id.as_str()), Some(at));
            }
            for (at, kind) in network.kinds.iter().enumerate() {
                assert_eq!(network.kind_index(kind.id.as_str()), Some(at));
            }
        }
    }

    #[test]
    fn names_that_nobody_gave_are_not_found() {
        let catalogue = Catalogue::embedded();
        let x = catalogue.network("x").unwrap();
        assert!(x.kind("page").is_none() && x.class("nothing").is_none() && x.operation("nothing").is_none());
        assert!(x.scopes_for("user", Purpose::ListPages).is_none());
    }

    #[test]
    fn a_formula_follows_its_fact() {
        let amount = Amount::Formula { factor: 4800, fact: "impressions".to_owned(), at_least: 10, start: 7 };
        for (fact, units) in [(None, 7), (Some(0), 48_000), (Some(11), 52_800), (Some(u64::MAX), u64::MAX)] {
            assert_eq!(amount.units(fact), units, "{fact:?}");
        }
        assert_eq!((Amount::Number(3).units(Some(9)), Amount::Unknown { start: 4 }.units(Some(9))), (3, 4));
    }

    #[test]
    fn a_call_needs_the_scopes_of_its_purpose_and_its_own() {
        let catalogue = Catalogue::embedded();
        let x = catalogue.network("x").unwrap();
        let messages = x.operation("dm_events.list").unwrap();
        let needed = x.scopes_of_call("user", Purpose::CollectContent, messages).unwrap();
        assert!(needed.iter().any(|scope| scope == "dm.read") && needed.iter().any(|scope| scope == "tweet.read"));
        assert!(x.scopes_of_call("app", Purpose::CollectContent, messages).is_none(), "not for that kind");
        assert!(x.scopes_of_call("user", Purpose::Publish, messages).is_none(), "not for that purpose");
    }
}
