//! What the catalogue says, on the wire.

use crate::domain::networks::{
    Amount, Binding, CreditClass, LimitRule, Network, Operation, Owner, Renewal, TokenKind, Unit, Verified, Window,
};
use crate::grpc::convert::{duration, from_purpose};
use crate::grpc::fields::count;
use crate::grpc::pb;

/// A network.
pub fn network_message(network: &Network) -> pb::Network {
    pb::Network {
        name: format!("networks/{}", network.id),
        display_name: network.display_name.clone(),
        api_base: network.api_base.clone(),
        kinds: network.kinds.iter().map(kind_message).collect(),
        credit_classes: network.classes.iter().map(class_message).collect(),
        operations: network.operations.iter().map(operation_message).collect(),
        retention_rules: network
            .retention
            .iter()
            .map(|rule| pb::RetentionRule {
                description: rule.rule.clone(),
                within: rule.after.map(duration),
                verification: verification(rule.verified) as i32,
            })
            .collect(),
    }
}

fn kind_message(kind: &TokenKind) -> pb::TokenKind {
    let scopes = kind.scopes.iter().map(|needed| pb::PurposeScopes {
        purpose: from_purpose(needed.purpose) as i32,
        scopes: needed.scopes.clone(),
    });
    pb::TokenKind {
        id: kind.id.to_string(),
        description: kind.about.clone(),
        purpose_scopes: scopes.collect(),
        access_validity: kind.access_validity.map(duration),
        refresh_validity: kind.refresh_validity.map(duration),
        renewal: renewal(&kind.renewal) as i32,
        native_permission: kind.native_permission.clone().unwrap_or_default(),
        required_parameters: kind.bindings.iter().map(|binding| parameter(*binding).to_owned()).collect(),
        verification: verification(kind.verified) as i32,
        unverified_fields: kind.unverified.clone(),
        api_base: kind.api_base.clone().unwrap_or_default(),
    }
}

fn parameter(binding: Binding) -> &'static str {
    match binding {
        Binding::AppSecretProof => "appsecret_proof",
        Binding::Dpop => "DPoP",
        Binding::OAuth1Signature => "oauth_signature",
    }
}

fn renewal(renewal: &Renewal) -> pb::RenewalFamily {
    match renewal {
        Renewal::RefreshToken { .. } => pb::RenewalFamily::RefreshToken,
        Renewal::SelfRenewing { .. } => pb::RenewalFamily::SelfRenewing,
        Renewal::Derived { .. } => pb::RenewalFamily::Derived,
        Renewal::Nothing => pb::RenewalFamily::Nothing,
    }
}

fn class_message(class: &CreditClass) -> pb::CreditClass {
    let unit = match class.unit {
        Unit::Calls => pb::CreditUnit::Calls,
        Unit::QuotaUnits => pb::CreditUnit::QuotaUnits,
        Unit::Points => pb::CreditUnit::Points,
        Unit::Posts => pb::CreditUnit::Posts,
        Unit::Keys => pb::CreditUnit::Keys,
    };
    pb::CreditClass {
        id: class.id.to_string(),
        description: class.about.clone(),
        unit: unit as i32,
        limits: class.limits.iter().map(limit_message).collect(),
    }
}

fn limit_message(limit: &LimitRule) -> pb::Limit {
    let amount = match &limit.amount {
        Amount::Number(number) => pb::limit::Amount::Number(count(*number)),
        Amount::Unknown { start } => pb::limit::Amount::UnknownStart(count(*start)),
        Amount::Formula { factor, fact, at_least, start } => pb::limit::Amount::Formula(pb::LimitFormula {
            factor: count(*factor),
            fact: fact.clone(),
            at_least: count(*at_least),
            start: count(*start),
        }),
    };
    pb::Limit {
        owner: owner(limit.owner) as i32,
        kinds: limit.kinds.iter().map(ToString::to_string).collect(),
        window: Some(window_message(&limit.window)),
        verification: verification(limit.verified) as i32,
        amount: Some(amount),
    }
}

/// Whose account it is.
pub fn owner(owner: Owner) -> pb::BucketOwner {
    match owner {
        Owner::Token => pb::BucketOwner::Token,
        Owner::Person => pb::BucketOwner::Person,
        Owner::AppPerson => pb::BucketOwner::AppPerson,
        Owner::Profile => pb::BucketOwner::Profile,
        Owner::App => pb::BucketOwner::App,
        Owner::Address => pb::BucketOwner::Address,
    }
}

/// A window rule.
pub fn window_message(window: &Window) -> pb::Window {
    let (rule, length, zone) = match window {
        Window::Fixed { length, .. } => (pb::WindowRule::Fixed, Some(*length), ""),
        Window::Rolling { length } => (pb::WindowRule::Rolling, Some(*length), ""),
        Window::Daily { zone } => (pb::WindowRule::Daily, None, zone.as_str()),
        Window::Paced { per } => (pb::WindowRule::Paced, Some(*per), ""),
        Window::Distinct { length } => (pb::WindowRule::Distinct, Some(*length), ""),
        Window::Budget => (pb::WindowRule::Budget, None, ""),
    };
    pb::Window { rule: rule as i32, length: length.map(duration), time_zone: zone.to_owned() }
}

fn operation_message(operation: &Operation) -> pb::Operation {
    let costs = operation.costs.iter();
    let costs = costs.map(|cost| pb::Cost { credit_class: cost.class.to_string(), units: count(cost.units) });
    pb::Operation {
        id: operation.id.to_string(),
        description: operation.about.clone(),
        method: operation.method.clone(),
        path: operation.path.clone(),
        purposes: operation.purposes.iter().map(|purpose| from_purpose(*purpose) as i32).collect(),
        kinds: operation.kinds.iter().map(ToString::to_string).collect(),
        costs: costs.collect(),
        verification: verification(operation.verified) as i32,
    }
}

pub fn verification(verified: Verified) -> pb::Verification {
    match verified {
        Verified::Documented => pb::Verification::Documented,
        Verified::Repository => pb::Verification::Repository,
        Verified::Reported => pb::Verification::Reported,
        Verified::Unverified => pb::Verification::Unverified,
    }
}
