//! Which buckets a call draws from, and how they are named. Buckets are made when they are first needed.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::{Bucket, BucketKey, BucketNote, limit, span};
use crate::domain::networks::{LimitRule, Network, Owner, Phase, Window};
use crate::domain::pool::{Draw, Pool};

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

/// All limits of a network, class by class.
pub fn rules_of(network: &Network) -> Vec<Rule> {
    let rule =
        |class, limit: &LimitRule| Rule { class, window: window_name(&limit.window), limit: Arc::new(limit.clone()) };
    let classes = network.classes.iter().enumerate();
    classes.flat_map(|(class, entry)| entry.limits.iter().map(move |limit| rule(class, limit))).collect()
}

/// What each operation draws with each kind of token; `None` where the kind may not call it.
pub fn draws_of(network: &Network, rules: &[Rule]) -> Vec<Vec<Option<Arc<[Draw]>>>> {
    let of = |operation: &crate::domain::networks::Operation, kind| {
        operation.allows(kind).then(|| {
            let costs = operation.costs.iter();
            let draws = costs.flat_map(|cost| {
                let class = network.classes.iter().position(|class| class.id == cost.class);
                let held = move |rule: &Rule| Some(rule.class) == class && rule.limit.holds_for(kind);
                rules.iter().enumerate().filter(move |(_, rule)| held(rule)).map(|(at, rule)| Draw {
                    rule: u16::try_from(at).expect("the catalogue holds few limits per network"),
                    units: cost.units,
                    distinct: matches!(rule.limit.window, Window::Distinct { .. }),
                })
            });
            draws.collect()
        })
    };
    let kinds = |operation| network.kinds.iter().map(|kind| of(operation, &kind.id)).collect();
    network.operations.iter().map(kinds).collect()
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

/// Whether one token's own credit shows in buckets of this owner.
pub fn is_own(owner: Owner) -> bool {
    !matches!(owner, Owner::App | Owner::Address)
}

impl Pool {
    /// The bucket that `slot` draws from under `rule`, made if need be.
    pub(super) fn bucket_of(&mut self, slot: u32, rule: u16) -> u32 {
        let known = &self.slots[slot as usize].buckets;
        if let Some((_, bucket)) = known.iter().find(|(of, _)| *of == rule) {
            return *bucket;
        }
        let key = self.bucket_key(slot, rule);
        let at = match self.by_bucket.get(&key) {
            Some(at) => *at,
            None => {
                let (limit, reserve) = self.limit_for(slot, rule);
                self.make_bucket(key, rule, limit, reserve)
            }
        };
        if is_own(self.rules[rule as usize].limit.owner) {
            self.buckets[at as usize].slots.push(slot);
        }
        self.slots[slot as usize].buckets.push((rule, at));
        at
    }

    /// The bucket that `slot` draws from under `rule`, if it was needed before.
    pub(super) fn find_bucket(&self, slot: u32, rule: u16) -> Option<u32> {
        let known = &self.slots[slot as usize].buckets;
        known.iter().find(|(of, _)| *of == rule).map(|(_, bucket)| *bucket)
    }

    fn make_bucket(&mut self, key: BucketKey, rule: u16, limit: u64, reserve: u8) -> u32 {
        let at = u32::try_from(self.buckets.len()).expect("fewer than 2^32 buckets fit into memory");
        let bucket = Bucket::new(key.clone(), self.rules[rule as usize].limit.clone(), limit, reserve);
        self.buckets.push(BucketSlot { bucket, rule, slots: Vec::new(), wakes_at: Timestamp::NEVER });
        self.by_bucket.insert(key, at);
        at
    }

    fn bucket_key(&self, slot: u32, rule: u16) -> BucketKey {
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

    /// The limit and the reserve of the bucket that `slot` draws from under `rule`, by what is known of the token and its app.
    pub(super) fn limit_for(&self, slot: u32, rule: u16) -> (u64, u8) {
        let slot = &self.slots[slot as usize];
        let rule = &self.rules[rule as usize];
        let app = self.names.text(slot.app);
        let class = &self.network.classes[rule.class].id;
        let set =
            || self.settings.app_limits.iter().find(|((of, for_class), _)| of.as_str() == &**app && for_class == class);
        let app_facts = self.settings.app_facts.iter().find(|(of, _)| of.as_str() == &**app).map(|(_, facts)| facts);
        let fact = |name: &str| {
            let own = slot.facts.as_ref().and_then(|facts| facts.get(name));
            own.or_else(|| app_facts.and_then(|facts| facts.get(name))).copied()
        };
        let shared = !is_own(rule.limit.owner);
        let reserve = if shared { self.settings.reserve_percent } else { slot.reserve_percent };
        match set().filter(|_| shared) {
            Some((_, limit)) => (*limit, reserve),
            None => (limit(&rule.limit.amount, fact), reserve),
        }
    }

    /// Applies changed facts and reserves of `slot` to the buckets it shares with nobody unknown.
    pub(super) fn refresh_limits(&mut self, slot: u32) {
        for rule in 0..u16::try_from(self.rules.len()).unwrap_or(u16::MAX) {
            let Some(at) = self.by_bucket.get(&self.bucket_key(slot, rule)).copied() else { continue };
            let (limit, reserve) = self.limit_for(slot, rule);
            self.buckets[at as usize].bucket.set_limit(limit, reserve);
        }
    }

    /// Arranges to be woken when something of the bucket is charged no more.
    pub(super) fn schedule(&mut self, bucket: u32, now: Timestamp) {
        let slot = &mut self.buckets[bucket as usize];
        if let Some(at) = slot.bucket.next_change(now, self.settings.timing.guard)
            && at < slot.wakes_at
        {
            slot.wakes_at = at;
            self.wakes.push(std::cmp::Reverse((at, bucket)));
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
        for at in slot.slots.clone() {
            self.rescore_slot(at, now);
        }
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
        self.buckets[bucket as usize].bucket.restore(block, amount, charged_until);
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
    pub fn restore_key(&mut self, bucket: &BucketKey, key: String, charged_until: Timestamp) -> bool {
        let Some(at) = self.restored(bucket) else { return false };
        let slot = &mut self.buckets[at as usize];
        let length = span(&slot.bucket.rule().window, slot.bucket.limit());
        slot.bucket.keys().restore(key, charged_until, length);
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
        let (limit, reserve) = match slot {
            Some(slot) => self.limit_for(slot, rule),
            None => (limit(&self.rules[rule as usize].limit.amount, |_| None), self.settings.reserve_percent),
        };
        Some(self.make_bucket(key.clone(), rule, limit, reserve))
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
