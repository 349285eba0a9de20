//! The people who granted tokens, the networks' bad hours, and the truth of each token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::told::{Notice, UNSEEN};
use super::wire::Wire;
use super::{DAY, HOUR, RECOVERY, Size, TOKENS_OF_A_TEAM};
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{KindId, NetworkId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::networks::{Catalogue, ClientAuth, Network, Renewal, TokenKind};
use crate::domain::token::{Clocks, Reason, TokenState};
use crate::service::Broker;
use crate::service::import_tokens::{BeginImport, ImportRow, Outcome};
use crate::service::testing::{START, TestBroker, connect_bound, x_token};
use crate::service::tokens::AddToken;
use crate::sim::{Fault, NetworkFault, Simulation, TokenSpec};
use crate::store::StoredToken;
use crate::vault::Place;

/// People come over this part of the time.
const JOIN_WITHIN: u64 = 8;
/// A token that nothing renews is granted anew by hand only where that is not every day's work.
const SHORTEST_BY_HAND: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a network forgets an access token before its time.
const FORGOTTEN_EVERY: Duration = Duration::from_secs(9 * 24 * 3600);

/// Whether a network may do that to tokens of a kind. Where it is asked about them by name, it says that they were revoked, which is believed.
fn is_forgotten(kind: &TokenKind) -> bool {
    kind.probe.as_ref().is_some_and(|probe| probe.introspection.is_none())
}

/// When that happens first to the account of that number.
fn first_forgotten(nth: usize) -> Timestamp {
    START + FORGOTTEN_EVERY / 2 + HOUR * u32::try_from(nth * 5 % 100).unwrap()
}

/// A grant: from when, what ends it by time, and when it was over.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    pub from: Timestamp,
    /// What nothing prolongs ends then, the first of it.
    pub ends: Option<Timestamp>,
    /// Granted anew, or killed.
    pub until: Option<Timestamp>,
}

/// A person's account, and its token.
#[derive(Debug)]
pub struct Account {
    pub person: String,
    pub network: Arc<Network>,
    pub kind: KindId,
    pub team: usize,
    pub token: Option<TokenId>,
    /// Whether it came with a refresh token.
    pub refreshes: bool,
    joins_at: Timestamp,
    /// When the person changes the password; far away for most.
    changes_at: Timestamp,
    /// When the network forgets the access token before its time, but not the grant; far away for those that have no refresh token.
    forgets_at: Timestamp,
    forgotten_at: Option<Timestamp>,
    /// When the person does what is to be done.
    acts_at: Option<Timestamp>,
    killed_at: Option<Timestamp>,
    pub grants: Vec<Grant>,
}

/// How it really stands with a token.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// The grant works, or can be made to work by a renewal.
    pub can_live: bool,
    /// When it ended, as far as that is known.
    pub ended_at: Option<Timestamp>,
    /// When the access token that the network knows ends.
    pub access_ends: Option<Timestamp>,
    /// When what nothing prolongs ends.
    pub ends: Option<Timestamp>,
    /// The broker holds that access token. Else its answer was lost, and the broker has an older one.
    pub is_held: bool,
    /// The answer of a renewal was lost, and the network has replaced what the broker holds.
    pub lost: bool,
    /// The network serves calls with the access token.
    pub works: bool,
}

impl Account {
    pub fn kind(&self) -> &TokenKind {
        self.network.kind(self.kind.as_str()).unwrap()
    }

    /// The secret that the broker holds.
    pub fn opened(&self, broker: &Broker, stored: &StoredToken) -> String {
        let token = &stored.token;
        let place = Place::of_token(&token.id, &token.team, token.version, "access");
        broker.vault.open_sealed(&place, &stored.sealed_access).ok().unwrap().expose().to_owned()
    }

    /// Whether the network replaced what the broker needs for the next renewal, and the answer never came.
    fn was_lost(&self, spec: &TokenSpec, wire: &Wire) -> bool {
        let (needed, first) = match &spec.refresh_secret {
            Some(refresh) => (refresh, "refresh-"),
            None => (&spec.secret, "access-"),
        };
        !needed.starts_with(first) && !wire.has_arrived(needed)
    }

    /// The grants of the person that the network knows, dead ones too.
    fn known(&self, simulation: &Simulation) -> Vec<TokenSpec> {
        let mut known = simulation.tokens(&self.network.id);
        known.retain(|spec| spec.person == self.person);
        known
    }

    pub fn truth(&self, simulation: &Simulation, wire: &Wire, now: Timestamp) -> Truth {
        let grant = self.grants.last().unwrap();
        let known = self.known(simulation);
        // Those that were given up are dead. Where an answer was lost, a renewal may leave an older one beside it.
        let intact = known.iter().filter(|spec| simulation.is_intact(&self.network.id, &spec.secret));
        let newest = intact.max_by_key(|spec| spec.expires_at.unwrap_or(Timestamp::NEVER));
        let renews = self.refreshes || matches!(self.kind().renewal, Renewal::SelfRenewing { .. });
        let over = grant.ends.filter(|end| *end <= now);
        let access_ends = newest.and_then(|spec| spec.expires_at);
        let lost = self.killed_at.is_none() && newest.is_none_or(|spec| self.was_lost(spec, wire));
        let unrenewed = access_ends.filter(|end| *end <= now && !self.refreshes);
        let ended_at = self.killed_at.or(over).or(unrenewed);
        let can_live =
            !lost && newest.is_some() && ended_at.is_none() && (renews || access_ends.is_none_or(|end| end > now));
        let is_held = newest.is_some_and(|spec| spec.secret.starts_with("access-") || wire.has_arrived(&spec.secret));
        let works = newest.is_some_and(|spec| simulation.is_alive(&self.network.id, &spec.secret));
        Truth { can_live, ended_at, access_ends, ends: grant.ends, is_held, lost, works }
    }

    /// Whether the network forgot the access token so lately that the broker may not know it yet, or not be done with it.
    pub fn was_forgotten(&self, now: Timestamp) -> bool {
        self.forgotten_at.is_some_and(|at| at + UNSEEN > now)
    }

    /// The network forgets the access token, and a collector that uses it says so.
    async fn forget(&mut self, test: &TestBroker, team: &TeamId, simulation: &Simulation, now: Timestamp) {
        self.forgets_at = now + FORGOTTEN_EVERY;
        self.forgotten_at = Some(now);
        let intact = |spec: &TokenSpec| simulation.is_intact(&self.network.id, &spec.secret);
        for held in self.known(simulation).into_iter().filter(intact) {
            let fault = Fault::ExpireToken { secret: held.secret };
            simulation.inject(&NetworkFault { network: self.network.id.clone(), fault }).unwrap();
        }
        let (id, broker) = (self.token.unwrap(), &test.broker);
        let stored = broker.store.find_token(id).await.unwrap().unwrap().token;
        if stored.state == TokenState::Live {
            broker.invalidate_token(&test.admin, team, id, Reason::Expired, "").await.unwrap();
            broker.hasten_renewal(&stored).await.unwrap();
        }
    }
}

/// A network's bad hours.
#[derive(Debug, Clone)]
struct Mishap {
    network: NetworkId,
    from: Timestamp,
    until: Timestamp,
    fault: Fault,
}

/// What happened in the world.
#[derive(Debug, Default)]
pub struct Counts {
    pub joined: u64,
    pub granted_anew: u64,
    pub passwords_changed: u64,
    pub forgotten: u64,
    pub killed_by_reset: u64,
    pub mishaps: u64,
}

/// All people, and what will happen to them.
pub struct People {
    accounts: Vec<Account>,
    mishaps: Vec<Mishap>,
    /// When each network was in trouble last.
    trouble: BTreeMap<NetworkId, Vec<(Timestamp, Timestamp)>>,
    /// When each network was at fault last, whatever the broker made of it.
    at_fault: BTreeMap<NetworkId, Timestamp>,
    resets: Vec<(Timestamp, NetworkId)>,
    random: StdRng,
    counts: Counts,
}

impl People {
    /// So many people, evenly over the kinds of all networks, and what happens in so many days.
    pub fn of(catalogue: &Catalogue, size: Size) -> Self {
        let mut random = StdRng::seed_from_u64(size.seed);
        let kinds = catalogue.iter().flat_map(|network| network.kinds.iter().map(move |kind| (network, kind)));
        let kinds: Vec<_> = kinds.filter(|(_, kind)| is_lived(kind)).collect();
        let kinds = if size.tokens == 0 { kinds } else { few_of_short_lives(&kinds) };
        let tokens = if size.tokens == 0 { kinds.len() * 2 } else { size.tokens };
        let days = u64::from(size.days);
        let accounts = (0..tokens).map(|nth| {
            let (network, kind) = kinds[nth % kinds.len()];
            let by_hand = kind.access_validity.is_none_or(|life| life >= SHORTEST_BY_HAND);
            let can_refresh = matches!(kind.renewal, Renewal::RefreshToken { .. });
            // A part of the apps has no refresh tokens, where one can live with that.
            let refreshes = can_refresh && !(by_hand && nth / kinds.len() % 2 == 1);
            let changes = random.random_bool((0.4 * days as f64 / 365.0).min(1.0));
            let changes_at =
                if changes { START + DAY * random.random_range(1..days.max(2)) as u32 } else { Timestamp::NEVER };
            Account {
                person: format!("person-{nth}"),
                network: network.clone(),
                kind: kind.id.clone(),
                team: nth / TOKENS_OF_A_TEAM,
                token: None,
                refreshes,
                joins_at: START + HOUR * random.random_range(0..(days * 24 / JOIN_WITHIN).max(1)) as u32,
                changes_at,
                forgets_at: if refreshes && is_forgotten(kind) { first_forgotten(nth) } else { Timestamp::NEVER },
                forgotten_at: None,
                acts_at: None,
                killed_at: None,
                grants: Vec::new(),
            }
        });
        let accounts = accounts.collect();
        let mut mishaps = Vec::new();
        for network in catalogue.iter() {
            let mut day = 0;
            loop {
                day += random.random_range(3..20_u32);
                if u64::from(day) + 2 >= days {
                    break;
                }
                let from = START + DAY * day + HOUR * random.random_range(0..20_u32);
                let share = random.random_range(0.2..1.0);
                let (fault, hours) = match random.random_range(0..8) {
                    0..=2 => (Fault::ServerErrors { share, status: 503, counted: false }, random.random_range(1..6)),
                    3 | 4 => (Fault::HtmlPages { share, status: 503, counted: true }, random.random_range(1..6)),
                    5 | 6 => (Fault::DropReplies { share: share / 2.0 }, random.random_range(1..4)),
                    _ => (Fault::ServerErrors { share: 1.0, status: 500, counted: false }, random.random_range(10..26)),
                };
                mishaps.push(Mishap { network: network.id.clone(), from, until: from + HOUR * hours, fault });
            }
        }
        let mut resets = Vec::new();
        if days > 100 {
            let networks: Vec<_> = catalogue.iter().map(|network| network.id.clone()).collect();
            let network = networks[random.random_range(0..networks.len())].clone();
            resets.push((START + DAY * (size.days / 2), network));
        }
        let (trouble, at_fault) = (BTreeMap::new(), BTreeMap::new());
        Self { accounts, mishaps, trouble, at_fault, resets, random, counts: Counts::default() }
    }

    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn joined(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(|account| account.token.is_some())
    }

    pub fn of_token(&self, token: TokenId) -> Option<&Account> {
        self.joined().find(|account| account.token == Some(token))
    }

    /// What goes wrong at networks from this step on.
    pub fn faults(&mut self, now: Timestamp) -> Vec<(NetworkId, Fault)> {
        let mut faults = Vec::new();
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.mishaps).into_iter().partition(|one| one.until <= now);
        faults.extend(over.iter().map(|mishap| (mishap.network.clone(), Fault::Calm)));
        for mishap in rest.iter().filter(|mishap| mishap.from <= now) {
            faults.push((mishap.network.clone(), mishap.fault.clone()));
            self.trouble.entry(mishap.network.clone()).or_default().push((mishap.from, mishap.until));
            self.at_fault.insert(mishap.network.clone(), mishap.until);
        }
        self.counts.mishaps += over.len() as u64;
        self.mishaps = rest;
        let due: Vec<_> = self.resets.iter().filter(|(at, _)| *at <= now).cloned().collect();
        self.resets.retain(|(at, _)| *at > now);
        for (_, network) in due {
            for account in self.accounts.iter_mut().filter(|one| one.network.id == network && one.token.is_some()) {
                self.counts.killed_by_reset += u64::from(account.killed_at.is_none());
                account.kill(now);
            }
            self.trouble.entry(network.clone()).or_default().push((now, now));
            self.at_fault.insert(network.clone(), now);
            faults.push((network, Fault::ResetTokens));
        }
        faults
    }

    /// Notes which networks have an incident.
    pub fn note_trouble(&mut self, incidents: &[NetworkId], now: Timestamp) {
        for network in incidents {
            self.trouble.entry(network.clone()).or_default().push((now, now));
        }
        for spans in self.trouble.values_mut() {
            // Spans that touch are one.
            spans.sort_unstable();
            let mut joined: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(spans.len());
            for (from, until) in spans.drain(..) {
                match joined.last_mut() {
                    Some(last) if from <= last.1 + HOUR => last.1 = last.1.max(until),
                    _ => joined.push((from, until)),
                }
            }
            *spans = joined;
        }
    }

    /// Networks that are in trouble, or were lately.
    pub fn troubled(&self, now: Timestamp) -> Vec<NetworkId> {
        let near = |spans: &Vec<(Timestamp, Timestamp)>| {
            spans.iter().any(|(from, until)| *from <= now && *until + RECOVERY > now)
        };
        self.trouble.iter().filter(|(_, spans)| near(spans)).map(|(network, _)| network.clone()).collect()
    }

    /// Whether a network has been without fault for so long that nothing of it may be felt any more.
    pub fn is_well(&self, network: &NetworkId, now: Timestamp) -> bool {
        self.at_fault.get(network).is_none_or(|until| *until + RECOVERY <= now)
    }

    /// Whether a network was in trouble in a span, or shortly before.
    pub fn was_troubled(&self, network: &NetworkId, from: Timestamp, until: Timestamp) -> bool {
        let spans = self.trouble.get(network).map(Vec::as_slice).unwrap_or_default();
        spans.iter().any(|(began, over)| *began < until && *over + RECOVERY > from)
    }

    /// A person hears that something is to be done, and does it within two weeks, or never.
    pub fn hear(&mut self, notice: &Notice, now: Timestamp) {
        let asks = matches!(
            notice.kind.as_str(),
            "token_expiring"
                | "token_expired"
                | "token_invalid"
                | "needs_reconnecting"
                | "retention_clock"
                | "incident_closed"
        );
        let after = HOUR * self.random.random_range(1..14 * 24_u32);
        let does = self.random.random_bool(0.5);
        let account = notice.token.and_then(|token| self.accounts.iter_mut().find(|one| one.token == Some(token)));
        if let Some(account) = account.filter(|account| asks && does && account.acts_at.is_none()) {
            account.acts_at = Some(now + after);
        }
    }

    /// People come, change passwords, and do what is to be done.
    pub async fn live(&mut self, test: &TestBroker, teams: &[TeamId], simulation: &Arc<Simulation>) {
        let now = test.clock.now();
        for account in &mut self.accounts {
            if account.token.is_none() && account.joins_at <= now && account.kind().is_bound() {
                // Where the network has trouble the person tries again later.
                if account.connect(test, &teams[account.team], simulation, now).await {
                    self.counts.joined += 1;
                }
            } else if account.token.is_none() && account.joins_at <= now {
                let given = account.grant(simulation, now, self.random.random_range(2..10));
                let added = test.broker.add_token(&test.admin, &teams[account.team], given).await.unwrap();
                account.token = Some(added.token.id);
                self.counts.joined += 1;
            }
            if account.changes_at <= now && account.token.is_some() {
                account.changes_at = Timestamp::NEVER;
                let fault = Fault::ChangePassword { person: account.person.clone() };
                simulation.inject(&NetworkFault { network: account.network.id.clone(), fault }).unwrap();
                account.kill(now);
                self.counts.passwords_changed += 1;
            }
            // What came in this very moment nobody uses yet.
            let is_held = account.grants.last().is_some_and(|grant| grant.from < now);
            if account.forgets_at <= now && is_held && account.token.is_some() && account.killed_at.is_none() {
                account.forget(test, &teams[account.team], simulation, now).await;
                self.counts.forgotten += 1;
            }
            if account.acts_at.is_some_and(|at| at <= now) && account.kind().is_bound() {
                if account.connect(test, &teams[account.team], simulation, now).await {
                    account.acts_at = None;
                    self.counts.granted_anew += 1;
                }
            } else if account.acts_at.is_some_and(|at| at <= now) {
                account.acts_at = None;
                account.grant_anew(test, &teams[account.team], simulation, now).await;
                self.counts.granted_anew += 1;
            }
        }
    }
}

/// The kinds so that of those that are renewed many times a day there are a fifth as many tokens: each of them is renewed thousands of times.
fn few_of_short_lives<'c>(kinds: &[(&'c Arc<Network>, &'c TokenKind)]) -> Vec<(&'c Arc<Network>, &'c TokenKind)> {
    let is_short = |kind: &TokenKind| kind.access_validity.is_some_and(|life| life < DAY);
    let rounds = (0..5).flat_map(|round| kinds.iter().filter(move |(_, kind)| round == 0 || !is_short(kind)));
    rounds.copied().collect()
}

/// Whether the broker can do anything for tokens of this kind.
fn is_lived(kind: &TokenKind) -> bool {
    let auth = kind.oauth.as_ref().map(|oauth| oauth.client_auth);
    !matches!(auth, Some(ClientAuth::OAuth1))
}

impl Account {
    fn kill(&mut self, now: Timestamp) {
        self.killed_at = self.killed_at.or(Some(now));
        if let Some(grant) = self.grants.last_mut() {
            grant.until = grant.until.or(Some(now));
        }
    }

    /// The person agrees at the network; what the network gives. Of a first grant `tenths` of its time are left.
    fn grant(&mut self, simulation: &Simulation, now: Timestamp, tenths: u32) -> AddToken {
        let nth = self.grants.len();
        let (access, refresh) = (format!("access-{}-{nth}", self.person), format!("refresh-{}-{nth}", self.person));
        let kind = self.kind();
        let renews = self.refreshes || matches!(kind.renewal, Renewal::SelfRenewing { .. });
        // What ends by itself was granted some time before it came here.
        let left = |life: Duration| if nth == 0 { life / 10 * tenths } else { life };
        let access_ends = kind.access_validity.map(|life| now + if renews { life } else { left(life) });
        let refresh_life = kind.refresh_validity.filter(|_| self.refreshes);
        // Where renewals do not prolong a grant, the first one is in its last weeks when it comes here.
        let granted_at = match refresh_life {
            Some(life) if nth == 0 && !kind.refresh_slides => now + DAY * tenths * 3 - life,
            _ => now,
        };
        let refresh_ends = refresh_life.map(|life| granted_at + life);
        let data_ends = kind.data_access_validity.map(|life| now + left(life));
        let mut spec = TokenSpec::of_kind(&self.network, &self.kind, &access, &self.person);
        spec.profiles = vec![format!("profile-of-{}", self.person)];
        spec.refresh_secret = self.refreshes.then(|| refresh.clone());
        spec.expires_at = access_ends;
        let fixed = [access_ends.filter(|_| !renews), refresh_ends.filter(|_| !kind.refresh_slides), data_ends];
        let given = AddToken {
            network: self.network.id.to_string(),
            kind: self.kind.to_string(),
            profile: spec.profiles[0].clone(),
            scopes: spec.scopes.clone(),
            clocks: Clocks {
                access_expires_at: access_ends,
                refresh_expires_at: refresh_ends,
                data_access_expires_at: data_ends,
                consented_at: Some(granted_at),
                ..Clocks::default()
            },
            access: Secret::new(access),
            refresh: self.refreshes.then(|| Secret::new(refresh)),
            ..x_token(&self.person)
        };
        simulation.add_granted_token(&self.network.id, spec, granted_at).unwrap();
        if let Some(grant) = self.grants.last_mut() {
            grant.until = grant.until.or(Some(now));
        }
        self.killed_at = None;
        self.grants.push(Grant { from: now, ends: fixed.into_iter().flatten().min(), until: None });
        given
    }

    /// The person agrees in a browser. Returns whether that went well.
    async fn connect(
        &mut self,
        test: &TestBroker,
        team: &TeamId,
        simulation: &Arc<Simulation>,
        now: Timestamp,
    ) -> bool {
        let of = (&self.network.id, self.kind());
        let connected = connect_bound(test, simulation, team, of, &self.person, self.token).await;
        self.give_up_others(test, simulation, connected.as_ref().ok().copied().or(self.token)).await;
        let Ok(token) = connected else { return false };
        assert_eq!(self.token.unwrap_or(token), token, "the same token is healed");
        self.token = Some(token);
        if let Some(grant) = self.grants.last_mut() {
            grant.until = grant.until.or(Some(now));
        }
        self.killed_at = None;
        self.grants.push(Grant { from: now, ends: None, until: None });
        true
    }

    /// What a try that failed left at the network, and what was there before, is nobody's: only what the broker holds counts.
    async fn give_up_others(&self, test: &TestBroker, simulation: &Simulation, held: Option<TokenId>) {
        let mut secret = None;
        if let Some(id) = held {
            let stored = test.broker.store.find_token(id).await.unwrap().unwrap();
            secret = Some(self.opened(&test.broker, &stored));
        }
        for other in self.known(simulation).into_iter().filter(|spec| secret.as_ref() != Some(&spec.secret)) {
            let fault = Fault::RevokeToken { secret: other.secret };
            simulation.inject(&NetworkFault { network: self.network.id.clone(), fault }).unwrap();
        }
    }

    async fn grant_anew(&mut self, test: &TestBroker, team: &TeamId, simulation: &Simulation, now: Timestamp) {
        for old in self.known(simulation) {
            let fault = Fault::RevokeToken { secret: old.secret };
            simulation.inject(&NetworkFault { network: self.network.id.clone(), fault }).unwrap();
        }
        let given = self.grant(simulation, now, 10);
        let import_id = format!("{}-{}", self.person, self.grants.len());
        let begin = BeginImport { team: team.clone(), import_id, validate_only: false, allow_existing: true };
        let mut import = test.broker.begin_import(&test.admin, begin).await.unwrap();
        let outcome = import.take(vec![ImportRow { row: 1, token: Ok(given) }]).await.unwrap();
        let Outcome::Updated(Some(healed)) = outcome[0].1 else { panic!("{}: {outcome:?}", self.person) };
        assert_eq!(Some(healed), self.token, "the same token is healed");
    }
}
