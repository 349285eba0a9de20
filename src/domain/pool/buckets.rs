//! Which buckets a call draws from, and how they are named. Buckets are made when they are first needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, BlockId, KindId};
use crate::domain::credit::{Bucket, BucketKey, BucketNote, after_reserve, limit, span};
use crate::domain::networks::{Amount, Cost, LimitRule, Network, Operation, Owner, Phase, TokenKind, Window};
use crate::domain::pool::{AppTerms, Draw, Pool, Wake};
use crate::domain::token::TokenState;

/// A limit of the catalogue, with the class it belongs to.
#[derive(Debug)]
pub struct Rule {
    pub class: usize,
    pub limit: Arc<LimitRule>,
    /// A text that names the rule within the class, as long as the catalogue means the same by it.
    window: String,
}

/// A bucket with the tokens that draw from it.
#[derive(Debug)]
pub struct BucketSlot {
    pub bucket: Bucket,
    pub rule: u16,
    /// The tokens that were found to draw from it; not kept for buckets that a whole app or address shares.
    pub slots: Vec<u32>,
    pub wakes_at: Timestamp,
}

/// A limit as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct KnownLimit {
    /// The limit.
    pub limit: u64,
    /// The part of it that is never spent.
    pub reserve_percent: u8,
    /// The limit is a safe value to start from, since the network publishes none or a fact is missing.
    pub assumed: bool,
}

impl KnownLimit {
    fn of_catalogue(rule: &LimitRule, reserve_percent: u8, fact: impl Fn(&str) -> Option<u64>) -> Self {
        let assumed = match &rule.amount {
            Amount::Number(_) => false,
            Amount::Formula { fact: name, .. } => fact(name).is_none(),
            Amount::Unknown { .. } => true,
        };
        Self { limit: limit(&rule.amount, fact), reserve_percent, assumed }
    }

    /// The limit less the reserve.
    pub fn cap(&self) -> u64 {
        after_reserve(self.limit, self.reserve_percent)
    }
}

/// The app in a bucket's name; `*`: any.
pub fn app_in(key: &BucketKey) -> Option<&str> {
    key.split('/').nth(1)
}

/// The account that a bucket counts a class of: its name without the window, of which an account may have several.
pub fn account_in(key: &BucketKey) -> String {
    let parts = key.splitn(6, '/').enumerate().filter(|(at, _)| *at != 4);
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("/")
}

/// All limits of a network, class by class.
pub fn rules_of(network: &Network) -> Vec<Rule> {
    let rule =
        |class, limit: &LimitRule| Rule { class, window: window_name(&limit.window), limit: Arc::new(limit.clone()) };
    let classes = network.classes.iter().enumerate();
    classes.flat_map(|(class, entry)| entry.limits.iter().map(move |limit| rule(class, limit))).collect()
}

/// What each operation draws with each kind of token; `None` where the kind may not call it. Behind the operations stands the broker's own
/// check of a token.
pub fn draws_of(network: &Network, rules: &[Rule]) -> Vec<Vec<Option<Arc<[Draw]>>>> {
    let drawn = |costs: &[Cost], kind: &KindId| -> Arc<[Draw]> {
        let draws = costs.iter().flat_map(|cost| {
            let class = network.classes.iter().position(|class| class.id == cost.class);
            let held = move |rule: &Rule| Some(rule.class) == class && rule.limit.holds_for(kind);
            rules.iter().enumerate().filter(move |(_, rule)| held(rule)).map(|(at, rule)| Draw {
                rule: u16::try_from(at).expect("the catalogue holds few limits per network"),
                units: cost.units,
                distinct: matches!(rule.limit.window, Window::Distinct { .. }),
            })
        });
        draws.collect()
    };
    let of = |operation: &Operation, kind| operation.allows(kind).then(|| drawn(&operation.costs, kind));
    let kinds = |operation| network.kinds.iter().map(|kind| of(operation, &kind.id)).collect();
    let of_probe = |kind: &TokenKind| {
        let probe = kind.probe.as_ref().filter(|_| kind.is_probed())?;
        Some(drawn(&probe.costs, probe.counted_as.as_ref().unwrap_or(&kind.id)))
    };
    let probes = network.kinds.iter().map(of_probe).collect();
    network.operations.iter().map(kinds).chain(std::iter::once(probes)).collect()
}

fn window_name(window: &Window) -> String {
    match window {
        Window::Fixed { length, phase: Phase::Network } => format!("fixed-{}s", length.as_secs()),
        Window::Fixed { length, phase: Phase::Clock } => format!("clock-{}s", length.as_secs()),
        Window::Rolling { length } => format!("rolling-{}s", length.as_secs()),
        Window::Daily { zone } => format!("daily-{}", zone.replace('/', ".")),
        Window::Paced { per } => format!("paced-{}ms", per.as_millis()),
        Window::Distinct { length } => format!("distinct-{}s", length.as_secs()),
        Window::Budget => "budget".to_owned(),
    }
}

impl Pool {
    /// The bucket that `slot` draws from under `rule`, made if need be.
    pub(super) fn bucket_of(&mut self, slot: u32, rule: u16) -> u32 {
        if let Some(bucket) = self.find_bucket(slot, rule) {
            return bucket;
        }
        let key = self.bucket_key(slot, rule);
        let at = match self.by_bucket.get(&key) {
            Some(at) => *at,
            None => {
                let known = self.limit_for(slot, rule);
                self.make_bucket(key, rule, known)
            }
        };
        if self.rules[rule as usize].limit.owner.is_own() {
            self.buckets[at as usize].slots.push(slot);
        }
        self.slots[slot as usize].buckets.push((rule, at));
        at
    }

    /// The bucket that `slot` draws from under `rule`, if it was needed before.
    pub(super) fn find_bucket(&self, slot: u32, rule: u16) -> Option<u32> {
        let known = &self.slots[slot as usize].buckets;
        known.iter().find(|(of, _)| *of == rule).map(|(_, bucket)| bucket)
    }

    fn make_bucket(&mut self, key: BucketKey, rule: u16, known: KnownLimit) -> u32 {
        let at = u32::try_from(self.buckets.len()).expect("fewer than 2^32 buckets fit into memory");
        self.buckets.push(self.fresh_bucket(key.clone(), rule, known));
        self.by_bucket.insert(key, at);
        at
    }

    /// A bucket that nothing was drawn from.
    pub(super) fn fresh_bucket(&self, key: BucketKey, rule: u16, known: KnownLimit) -> BucketSlot {
        let limit = self.rules[rule as usize].limit.clone();
        let bucket = Bucket::new(key, limit, known.limit, known.reserve_percent);
        BucketSlot { bucket, rule, slots: Vec::new(), wakes_at: Timestamp::NEVER }
    }

    pub(super) fn bucket_key(&self, slot: u32, rule: u16) -> BucketKey {
        let slot = &self.slots[slot as usize];
        let rule = &self.rules[rule as usize];
        let app = self.names.text(slot.app);
        let (app, owner): (&str, String) = match rule.limit.owner {
            Owner::Token => (app, slot.id.to_string()),
            Owner::Person => ("*", self.names.text(slot.person).to_string()),
            Owner::AppPerson => (app, self.names.text(slot.person).to_string()),
            Owner::Profile => (app, self.profile_of(slot)),
            Owner::App => (app, String::new()),
            Owner::Address => ("*", String::new()),
        };
        let class = &self.network.classes[rule.class].id;
        format!("{}/{app}/{class}/{}/{}/{owner}", self.network.id, rule.limit.owner.as_str(), rule.window).into()
    }

    /// A token without a profile stands for its person's own profile.
    fn profile_of(&self, slot: &super::Slot) -> String {
        slot.profiles
            .first()
            .map_or_else(|| self.names.text(slot.person).to_string(), |profile| self.names.text(*profile).to_string())
    }

    /// The limit of the bucket that `slot` draws from under `rule`, by what is known of the token and its app.
    pub(super) fn limit_for(&self, slot: u32, rule: u16) -> KnownLimit {
        let slot = &self.slots[slot as usize];
        let reserve = self.reserve_of(slot, self.rules[rule as usize].limit.owner);
        self.limit_of(self.names.text(slot.app), slot.facts.as_deref(), reserve, rule)
    }

    /// The limit under `rule` of a bucket of `app`, of whose token nothing is known.
    fn limit_of_app(&self, app: &str, rule: u16) -> KnownLimit {
        self.limit_of(app, None, self.settings.reserve_percent, rule)
    }

    fn limit_of(&self, app: &str, own: Option<&BTreeMap<String, u64>>, reserve_percent: u8, rule: u16) -> KnownLimit {
        let rule = &self.rules[rule as usize];
        let class = &self.network.classes[rule.class].id;
        let terms = self.settings.apps.iter().find(|(of, _)| of.as_str() == app).map(|(_, terms)| terms);
        let fact = |name: &str| {
            let of_token = own.and_then(|facts| facts.get(name));
            of_token.or_else(|| terms.and_then(|terms| terms.facts.get(name))).copied()
        };
        if rule.limit.owner.is_own() {
            return KnownLimit::of_catalogue(&rule.limit, reserve_percent, fact);
        }
        let reserve_percent = self.settings.reserve_percent;
        match terms.and_then(|terms| terms.limits.get(class)) {
            Some(limit) => KnownLimit { limit: *limit, reserve_percent, assumed: false },
            None => KnownLimit::of_catalogue(&rule.limit, reserve_percent, fact),
        }
    }

    /// Takes in what an operator says of an app, from now on for every grant. What was granted before stays granted: a limit that
    /// fell below it leaves nothing.
    pub fn set_app(&mut self, app: &AppId, terms: AppTerms, now: Timestamp) {
        self.settings.apps.insert(app.clone(), terms);
        self.generation += 1;
        let number = self.names.find(app.as_str());
        let of_app = |slot: &u32| Some(self.slots[*slot as usize].app) == number;
        let any = (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).find(|slot| of_app(slot));
        let known: Vec<_> = self
            .buckets
            .iter()
            .map(|held| {
                let shared = matches!(app_in(held.bucket.key()), Some(of) if of == "*" || of == app.as_str());
                match held.slots.iter().copied().find(of_app).or_else(|| any.filter(|_| shared)) {
                    Some(slot) => Some(self.limit_for(slot, held.rule)),
                    None => shared.then(|| self.limit_of_app(app.as_str(), held.rule)),
                }
            })
            .collect();
        for (at, known) in known.into_iter().enumerate().filter_map(|(at, known)| Some((at, known?))) {
            self.buckets[at].bucket.set_limit(known.limit, known.reserve_percent);
            self.reshelve(u32::try_from(at).expect("fewer than 2^32 buckets fit into memory"), now);
        }
    }

    /// The owner's reserve of an account: the highest that its tokens ask for.
    fn reserve_of(&self, slot: &super::Slot, owner: Owner) -> u8 {
        let sharing: &[u32] = match owner {
            Owner::Person | Owner::AppPerson => self.by_person.get(&slot.person).map_or(&[], Vec::as_slice),
            Owner::Profile => {
                let profile = slot.profiles.first().and_then(|profile| self.by_profile.get(profile));
                profile.map_or(&[], Vec::as_slice)
            }
            Owner::Token | Owner::App | Owner::Address => &[],
        };
        let live =
            |other: &&super::Slot| !matches!(other.state, TokenState::Invalid { .. } | TokenState::Revoked { .. });
        let others = sharing.iter().map(|other| &self.slots[*other as usize]).filter(live);
        others.map(|other| other.reserve_percent).fold(slot.reserve_percent, u8::max)
    }

    /// Whether other tokens draw from the same person's or profile's account.
    pub(super) fn shares_an_account(&self, slot: u32) -> bool {
        let slot = &self.slots[slot as usize];
        let shared = |sharing: Option<&Vec<u32>>| sharing.is_some_and(|sharing| sharing.len() > 1);
        shared(self.by_person.get(&slot.person))
            || slot.profiles.first().is_some_and(|profile| shared(self.by_profile.get(profile)))
    }

    /// Applies changed facts and reserves of `slot` to the buckets it shares with nobody unknown.
    pub(super) fn refresh_limits(&mut self, slot: u32) {
        for rule in 0..u16::try_from(self.rules.len()).unwrap_or(u16::MAX) {
            let Some(at) = self.by_bucket.get(&self.bucket_key(slot, rule)).copied() else { continue };
            let known = self.limit_for(slot, rule);
            self.buckets[at as usize].bucket.set_limit(known.limit, known.reserve_percent);
        }
    }

    /// Arranges to be woken when something of the bucket is charged no more, or when it grants nothing more before its window ends.
    pub(super) fn schedule(&mut self, bucket: u32, now: Timestamp) {
        let guard = self.settings.timing.guard;
        let slot = &mut self.buckets[bucket as usize];
        let closes = slot.bucket.closes_at(guard).filter(|close| *close > now);
        if let Some(at) = slot.bucket.next_change(now, guard).into_iter().chain(closes).min()
            && at < slot.wakes_at
        {
            slot.wakes_at = at;
            self.wakes.push(at, Wake::Bucket(bucket));
        }
    }

    /// Time has passed for the bucket: its tokens may be worth more.
    pub(super) fn wake(&mut self, bucket: u32, now: Timestamp) {
        let slot = &mut self.buckets[bucket as usize];
        if slot.wakes_at > now {
            return;
        }
        slot.wakes_at = Timestamp::NEVER;
        slot.bucket.advance(now, self.settings.timing, &mut self.updates);
        self.reshelve(bucket, now);
    }

    /// What a bucket lets through has changed: its tokens may be worth more, or less.
    pub(super) fn reshelve(&mut self, bucket: u32, now: Timestamp) {
        let tokens = std::mem::take(&mut self.buckets[bucket as usize].slots);
        for at in &tokens {
            self.rescore_slot(*at, now);
        }
        self.buckets[bucket as usize].slots = tokens;
        self.schedule(bucket, now);
    }

    /// Takes up a block of an earlier run: all of it counts as spent. Returns whether the bucket's rule is still in the catalogue.
    pub fn restore_block(
        &mut self,
        key: &BucketKey,
        block: BlockId,
        amount: u64,
        charged_until: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Some(bucket) = self.restored(key) else { return false };
        let last_use = now + self.settings.timing.longest_use;
        self.buckets[bucket as usize].bucket.restore(block, amount, charged_until, last_use);
        self.schedule(bucket, now);
        true
    }

    /// Takes up what an earlier run noted of a bucket.
    pub fn restore_note(&mut self, note: &BucketNote, now: Timestamp) -> bool {
        let Some(bucket) = self.restored(&note.bucket) else { return false };
        self.buckets[bucket as usize].bucket.restore_note(note, now);
        self.schedule(bucket, now);
        true
    }

    /// Takes up a key that an earlier run opened.
    pub fn restore_key(&mut self, bucket: &BucketKey, key: String, charged_until: Timestamp, now: Timestamp) -> bool {
        let Some(at) = self.restored(bucket) else { return false };
        let slot = &mut self.buckets[at as usize];
        let length = span(&slot.bucket.rule().window, slot.bucket.limit());
        slot.bucket.keys().restore(key, charged_until, length);
        self.schedule(at, now);
        true
    }

    /// The bucket of that name, made if its rule is in the catalogue and a token that draws from it is here.
    fn restored(&mut self, key: &BucketKey) -> Option<u32> {
        if let Some(at) = self.by_bucket.get(key) {
            return Some(*at);
        }
        let mut parts = key.splitn(6, '/');
        let (_network, app, class, owner, window, id) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let matches = |rule: &Rule| {
            self.network.classes[rule.class].id.as_str() == class
                && rule.limit.owner.as_str() == owner
                && rule.window == window
        };
        let rule = u16::try_from(self.rules.iter().position(matches)?).ok()?;
        let slot = self.slot_behind(app, owner, id);
        let known = match slot {
            Some(slot) => self.limit_for(slot, rule),
            None => self.limit_of_app(app, rule),
        };
        Some(self.make_bucket(key.clone(), rule, known))
    }

    /// A token that draws from the bucket of this owner.
    fn slot_behind(&self, app: &str, owner: &str, id: &str) -> Option<u32> {
        let in_app = |at: &&u32| app == "*" || &**self.names.text(self.slots[**at as usize].app) == app;
        if owner == "token" {
            return self.by_token.get(&id.parse().ok()?).copied();
        }
        let Some(number) = self.names.find(id).filter(|_| !id.is_empty()) else {
            let of_app = self.names.find(app);
            let at = self.slots.iter().position(|slot| Some(slot.app) == of_app)?;
            return u32::try_from(at).ok();
        };
        let owned = if owner == "profile" { self.by_profile.get(&number) } else { None };
        owned.or_else(|| self.by_person.get(&number))?.iter().find(in_app).copied()
    }
}
