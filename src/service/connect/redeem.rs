//! A code is redeemed, at once: for tokens, long-lived ones where they must be exchanged, and for the scopes that were granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Found, Problem, missing_scopes, scopes_to_ask};
use crate::domain::networks::{
    Answer, ErrorClass, Network, OAuth, TokenKind, TokenReply, classify_renewal, read_token_reply,
};
use crate::domain::renewal::{access_life, refresh_life};
use crate::outbound::http::{NetworkAnswer, NetworkRequest};
use crate::outbound::oauth::{self, Bond, Client, Redemption};
use crate::service::Broker;
use crate::service::connect::waiting::Waiting;
use crate::service::connect::{Access, Asking};

/// What consent gave.
pub(super) struct Redeemed {
    /// Who gave it, and to what.
    pub found: Found,
    /// The tokens, as they wait sealed until it is said which profiles are meant.
    pub grant: Secret,
}

/// What did not come to a choice.
pub(super) struct Unkept {
    /// Why.
    pub problem: Problem,
    /// The tokens that the network gave all the same, and the person's id there, empty where it is not known.
    pub grant: Option<(String, Grant)>,
}

impl From<Problem> for Unkept {
    fn from(problem: Problem) -> Self {
        Self { problem, grant: None }
    }
}

/// The tokens of a consent. It has no `Debug`: it is secrets, and is overwritten when it is dropped.
#[derive(Serialize, Deserialize)]
pub(super) struct Grant {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: Option<String>,
    /// When the access token ends.
    pub access_ends_us: Option<i64>,
    /// When the refresh token ends.
    pub refresh_ends_us: Option<i64>,
    /// Whether the network told that end, and using the refresh token does not move it.
    #[serde(default)]
    pub refresh_end_fixed: bool,
    /// When the person agreed.
    pub consented_us: i64,
    /// The key that they are bound to, with the account's server, as [`Bond::text`] gives it.
    #[serde(default)]
    pub bond: Option<String>,
    /// The tokens of profiles of their own, by profile.
    pub of_profiles: BTreeMap<String, String>,
}

impl Grant {
    /// What a reply gave that was asked for at `asked_at`.
    fn of(kind: &TokenKind, reply: &TokenReply, consented: Timestamp, asked_at: Timestamp) -> Self {
        let ends = |life: Option<std::time::Duration>| life.map(|life| (asked_at + life).micros());
        let refresh = reply.refresh.is_some().then(|| refresh_life(kind, reply)).flatten();
        Self {
            access_ends_us: ends(access_life(kind, reply)),
            refresh_ends_us: ends(refresh.map(|life| life.lasts)),
            refresh_end_fixed: refresh.is_some_and(|life| life.is_fixed),
            consented_us: consented.micros(),
            access: reply.access.expose().to_owned(),
            refresh: reply.refresh.as_ref().map(|refresh| refresh.expose().to_owned()),
            bond: None,
            of_profiles: BTreeMap::new(),
        }
    }

    fn bound(mut self, bond: Option<&Arc<Bond>>) -> Self {
        self.bond = bond.map(|bond| bond.text().expose().to_owned());
        self
    }

    /// The key that the tokens are bound to.
    pub(super) fn bond(&self) -> Option<Arc<Bond>> {
        Bond::read(&Secret::new(self.bond.clone()?)).ok()
    }

    pub(super) fn read(text: &Secret) -> Option<Self> {
        serde_json::from_str(text.expose()).ok()
    }

    fn sealed_text(&self) -> Secret {
        Secret::new(serde_json::to_string(self).expect("texts and numbers always serialize"))
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.access.zeroize();
        self.refresh.zeroize();
        self.bond.zeroize();
        self.of_profiles.values_mut().for_each(Zeroize::zeroize);
    }
}

/// What a connection is about, as the catalogue has it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'n> {
    /// The connection.
    pub connection: &'n Connection,
    /// Its network.
    pub network: &'n Network,
    /// The kind that is wanted.
    pub kind: &'n TokenKind,
    /// The kind by whose consent it comes.
    pub granted: &'n TokenKind,
    /// Where consent is given.
    pub oauth: &'n OAuth,
}

impl<'n> Subject<'n> {
    /// By which kind the network is asked about the new token.
    pub(super) fn asking(self) -> Asking<'n> {
        let settles = self.oauth.fresh_token_settles;
        Asking { network: self.network, kind: self.kind, app: &self.connection.app, settles }
    }
}

impl Broker {
    /// Redeems a code, and asks whose the tokens are. Those that do not suffice come back with the problem, to be given back.
    pub(super) async fn redeem(&self, of: Subject<'_>, code: &Secret, waiting: &Waiting) -> Result<Redeemed, Unkept> {
        let Subject { connection, network, granted, oauth, .. } = of;
        let client = self.client_for(connection)?;
        let redirect_uri = self.redirect_uri(&connection.network).map_err(|error| of_broker(&error))?;
        let bond = waiting.bond.as_ref();
        let redemption = Redemption { code, verifier: &waiting.verifier, redirect_uri: &redirect_uri, bond };
        let request = oauth::redemption(oauth, &client, &redemption)
            .ok_or_else(|| Problem::Unaskable { network: network.display_name.clone() })?;
        let consented = self.now();
        let short = self.issued(network, &request).await?;
        let mut grant = Grant::of(granted, &short, consented, self.now()).bound(bond);
        let mut found = Found::default();
        let settled = async {
            let reply = match oauth::long_lived(oauth, &client, &short.access) {
                Some(request) => {
                    let asked_at = self.now();
                    let long = self.issued(network, &request).await?;
                    let scopes = long.scopes.or(short.scopes);
                    let reply = TokenReply { scopes, refresh: long.refresh.or(short.refresh), ..long };
                    grant = Grant::of(granted, &reply, consented, asked_at).bound(bond);
                    reply
                }
                None => short,
            };
            self.settled(of, &reply, &mut found, &mut grant).await
        };
        match settled.await {
            Ok(()) => Ok(Redeemed { found, grant: grant.sealed_text() }),
            Err(problem) => {
                let person = match found.person.is_empty() {
                    true => {
                        let (token, bond) = (Secret::new(grant.access.clone()), grant.bond());
                        self.person_behind(of, Access { token: &token, bond: bond.as_ref() }).await
                    }
                    false => found.person,
                };
                Err(Unkept { problem, grant: Some((person, grant)) })
            }
        }
    }

    /// Finds whose the tokens are, if they suffice for what was asked.
    async fn settled(
        &self,
        of: Subject<'_>,
        reply: &TokenReply,
        found: &mut Found,
        grant: &mut Grant,
    ) -> Result<(), Problem> {
        let Subject { connection, network, kind, granted, oauth } = of;
        let mut bond = grant.bond();
        if granted.is_bound() && !(reply.bound && bond.is_some()) {
            return Err(Problem::Unbound { network: network.display_name.clone() });
        }
        if let Some(directory) = &oauth.did_directory {
            let nobody = || Problem::Nobody { network: network.display_name.clone() };
            let subject = reply.subject.as_deref().ok_or_else(nobody)?;
            subject.clone_into(&mut found.person);
            let server = self.server_of(network, oauth, directory, subject).await?;
            bond = bond.map(|bond| bond.at(&server)).transpose().map_err(|error| of_broker(&error))?;
            grant.bond = bond.as_ref().map(|bond| bond.text().expose().to_owned());
        }
        let access = Access { token: &reply.access, bond: bond.as_ref() };
        let asked = scopes_to_ask(network, granted, kind, connection.purposes, &connection.scopes);
        let scopes = match &reply.scopes {
            Some(scopes) => scopes.clone(),
            None => self.granted_scopes(of, access).await?.unwrap_or_else(|| asked.clone()),
        };
        let missing = missing_scopes(&asked, &scopes);
        if !missing.is_empty() {
            return Err(Problem::ScopesDeclined { scopes: missing, purposes: connection.purposes.iter().collect() });
        }
        found.scopes = scopes;
        self.look_up(of, access, found, grant).await
    }

    /// Makes a request of a token endpoint, and reads the tokens in its answer.
    async fn issued(&self, network: &Network, request: &NetworkRequest) -> Result<TokenReply, Problem> {
        let name = || network.display_name.clone();
        let answer = self.renewals.network().ask(request).await;
        let NetworkAnswer { status, headers, body } =
            answer.map_err(|error| Problem::TokensSilent { network: name(), why: error.to_string() })?;
        match classify_renewal(network, &Answer { status, headers: &headers, body: &body }).class {
            ErrorClass::Ok => read_token_reply(&body)
                .map_err(|error| Problem::TokensUnreadable { network: name(), why: error.to_string() }),
            ErrorClass::AppLevel => Err(Problem::AppRefused { network: name(), status }),
            _ => Err(Problem::TokensRefused { network: name(), status }),
        }
    }

    pub(super) fn client_for(&self, connection: &Connection) -> Result<Client, Problem> {
        let client = self.client_of(&connection.network, &connection.app);
        let (id, secret) = client.map_err(|error| of_broker(&error))?;
        Ok(Client { id, secret })
    }
}

fn of_broker(error: &dyn std::fmt::Display) -> Problem {
    Problem::Broker { why: error.to_string() }
}
