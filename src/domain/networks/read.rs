//! From the text of one file to a [`Network`]. The form of the files is here; whether they make sense is asked in
//! `check`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::document::{Document, Mistake, Place};
use super::model::{
    AccountLookup, Amount, Binding, Cost, CreditClass, ErrorBody, ErrorRule, GrantedLookup, HeaderRule, History,
    LimitRule, Network, OAuth, Operation, Owner, Phase, Probe, ProfilesLookup, Purpose, PurposeScopes, Renewal,
    Requirement, Retention, Rotation, TokenKind, Unit, Verified, Window, span,
};
use super::{check, classify};
use crate::base::ids::{ClassId, KindId, NetworkId, OperationId};

/// Reads the file of one network. Its name is the network's id and `.toml`.
pub(super) fn read(file: &str, text: &str) -> Result<Network, Vec<Mistake>> {
    let mut document = Document::parse(file, text)?;
    let id = file.strip_suffix(".toml").and_then(|name| name.parse::<NetworkId>().ok());
    if id.is_none() {
        document.note(&Place::default(), "the name of the file must be the network's id and '.toml'");
    }
    let Some(raw) = document.read::<RawNetwork>() else { return Err(document.into_mistakes()) };
    // Where a part could not be read, its name is missing too: what refers to it is not judged.
    let complete = document.is_faultless();
    let id = id.unwrap_or_else(|| "unnamed".parse().expect("'unnamed' is a slug"));
    let mut network = raw.into_network(id, &mut document);
    check::check(&network, complete, &mut document);
    sort_errors(&mut network);
    let mistakes = document.into_mistakes();
    if mistakes.is_empty() { Ok(network) } else { Err(mistakes) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    display_name: String,
    api_base: String,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(default)]
    error_body: ErrorBody,
    #[serde(default)]
    kinds: Vec<RawKind>,
    #[serde(default)]
    classes: Vec<RawClass>,
    #[serde(default)]
    operations: Vec<RawOperation>,
    #[serde(default)]
    headers: Vec<HeaderRule>,
    #[serde(default)]
    errors: Vec<ErrorRule>,
    #[serde(default)]
    retention: Vec<Retention>,
    #[serde(default)]
    requirements: Vec<Requirement>,
    #[serde(default)]
    history: Vec<History>,
}

impl RawNetwork {
    fn into_network(self, id: NetworkId, document: &mut Document<'_>) -> Network {
        let root = Place::default();
        let classes = self.classes.into_iter().enumerate();
        Network {
            id,
            display_name: self.display_name,
            api_base: self.api_base,
            request_headers: self.request_headers,
            kinds: self.kinds.into_iter().map(RawKind::into_kind).collect(),
            classes: classes.map(|(at, class)| class.into_class(&root.key("classes").at(at), document)).collect(),
            operations: self.operations.into_iter().map(RawOperation::into_operation).collect(),
            headers: self.headers,
            error_body: self.error_body,
            errors: self.errors,
            retention: self.retention,
            requirements: self.requirements,
            history: self.history,
        }
    }
}

/// Puts the error rules in the order in which they are asked. After the check, whose places are those of the file.
fn sort_errors(network: &mut Network) {
    network.errors.sort_by_key(|rule| std::cmp::Reverse(classify::exactness(rule)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKind {
    id: KindId,
    name: Option<String>,
    summary: Option<String>,
    about: String,
    api_base: Option<String>,
    oauth: Option<OAuth>,
    #[serde(default)]
    scopes: Vec<PurposeScopes>,
    #[serde(default, with = "span::optional")]
    access_validity: Option<Duration>,
    #[serde(default, with = "span::optional")]
    refresh_validity: Option<Duration>,
    #[serde(default)]
    refresh_slides: bool,
    #[serde(default, with = "span::optional")]
    data_access_validity: Option<Duration>,
    renewal: RawRenewal,
    #[serde(default)]
    bindings: Vec<Binding>,
    native_permission: Option<String>,
    probe: Option<Probe>,
    account: Option<AccountLookup>,
    profiles: Option<ProfilesLookup>,
    granted: Option<GrantedLookup>,
    verified: Verified,
    #[serde(default)]
    unverified: Vec<String>,
}

impl RawKind {
    fn into_kind(self) -> TokenKind {
        TokenKind {
            name: self.name.unwrap_or_else(|| self.id.to_string()),
            summary: self.summary.unwrap_or_default(),
            id: self.id,
            about: self.about,
            api_base: self.api_base,
            oauth: self.oauth,
            scopes: self.scopes,
            access_validity: self.access_validity,
            refresh_validity: self.refresh_validity,
            refresh_slides: self.refresh_slides,
            data_access_validity: self.data_access_validity,
            renewal: self.renewal.into(),
            bindings: self.bindings,
            native_permission: self.native_permission,
            probe: self.probe,
            account: self.account,
            profiles: self.profiles,
            granted: self.granted,
            verified: self.verified,
            unverified: self.unverified,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
enum RawRenewal {
    RefreshToken {
        rotation: Rotation,
        needs_scope: Option<String>,
    },
    SelfRenewing {
        #[serde(deserialize_with = "duration")]
        min_age: Duration,
        grant_type: String,
    },
    Derived {
        from: KindId,
    },
    Nothing {},
}

impl From<RawRenewal> for Renewal {
    fn from(raw: RawRenewal) -> Self {
        match raw {
            RawRenewal::RefreshToken { rotation, needs_scope } => Renewal::RefreshToken { rotation, needs_scope },
            RawRenewal::SelfRenewing { min_age, grant_type } => Renewal::SelfRenewing { min_age, grant_type },
            RawRenewal::Derived { from } => Renewal::Derived { from },
            RawRenewal::Nothing {} => Renewal::Nothing,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    id: ClassId,
    unit: Unit,
    about: String,
    #[serde(default)]
    limits: Vec<RawLimit>,
}

impl RawClass {
    fn into_class(self, place: &Place, document: &mut Document<'_>) -> CreditClass {
        let limits = self.limits.into_iter().enumerate();
        let limits = limits.map(|(at, limit)| limit.into_limit(&place.key("limits").at(at), document)).collect();
        CreditClass { id: self.id, unit: self.unit, about: self.about, limits }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    owner: Owner,
    #[serde(default)]
    kinds: Vec<KindId>,
    window: RawWindow,
    amount: Option<u64>,
    formula: Option<RawFormula>,
    unknown: Option<u64>,
    verified: Verified,
}

impl RawLimit {
    fn into_limit(self, place: &Place, document: &mut Document<'_>) -> LimitRule {
        let amounts = [
            self.amount.map(Amount::Number),
            self.formula.map(Amount::from),
            self.unknown.map(|start| Amount::Unknown { start }),
        ];
        let mut given = amounts.into_iter().flatten();
        let (first, second) = (given.next(), given.next());
        if first.is_none() || second.is_some() {
            document.note(place, "must have exactly one of 'amount', 'formula' and 'unknown'");
        }
        LimitRule {
            owner: self.owner,
            kinds: self.kinds,
            window: self.window.into(),
            amount: first.unwrap_or(Amount::Unknown { start: 1 }),
            verified: self.verified,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormula {
    factor: u64,
    fact: String,
    at_least: u64,
    start: u64,
}

impl From<RawFormula> for Amount {
    fn from(raw: RawFormula) -> Self {
        Amount::Formula { factor: raw.factor, fact: raw.fact, at_least: raw.at_least, start: raw.start }
    }
}

#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
enum RawWindow {
    Fixed {
        #[serde(deserialize_with = "duration")]
        length: Duration,
        phase: Phase,
    },
    Rolling {
        #[serde(deserialize_with = "duration")]
        length: Duration,
    },
    Daily {
        zone: String,
    },
    Paced {
        #[serde(deserialize_with = "duration")]
        per: Duration,
    },
    Distinct {
        #[serde(deserialize_with = "duration")]
        length: Duration,
    },
    Budget {},
}

impl From<RawWindow> for Window {
    fn from(raw: RawWindow) -> Self {
        match raw {
            RawWindow::Fixed { length, phase } => Window::Fixed { length, phase },
            RawWindow::Rolling { length } => Window::Rolling { length },
            RawWindow::Daily { zone } => Window::Daily { zone },
            RawWindow::Paced { per } => Window::Paced { per },
            RawWindow::Distinct { length } => Window::Distinct { length },
            RawWindow::Budget {} => Window::Budget,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperation {
    id: OperationId,
    about: String,
    method: String,
    path: String,
    #[serde(default)]
    purposes: Vec<Purpose>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    kinds: Vec<KindId>,
    #[serde(default)]
    costs: BTreeMap<ClassId, u64>,
    verified: Verified,
}

impl RawOperation {
    fn into_operation(self) -> Operation {
        Operation {
            id: self.id,
            about: self.about,
            method: self.method,
            path: self.path,
            purposes: self.purposes,
            scopes: self.scopes,
            kinds: self.kinds,
            costs: self.costs.into_iter().map(|(class, units)| Cost { class, units }).collect(),
            verified: self.verified,
        }
    }
}

/// A span that must be there, as text (`"15min"`).
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    span::optional::deserialize(from)?.ok_or_else(|| serde::de::Error::custom("expected a span such as \"15min\""))
}
