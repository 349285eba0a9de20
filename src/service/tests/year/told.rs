//! What people are told, and whether it is so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use serde_json::Value;

use super::people::{Account, People, Truth};
use super::wire::Wire;
use super::{DAY, HOUR, REQUIRING};
use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TokenId};
use crate::outbound::post::{DeliveryError, Post, PostSender};
use crate::sim::Simulation;

/// The broker may not know for so long what happened to a token that nobody uses: it is checked once a day.
pub const UNSEEN: std::time::Duration = std::time::Duration::from_secs(26 * 3600);

/// Ends that are told with so many microseconds between them are one.
const SAME_END_US: u64 = 120_000_000;

/// A receiver of all teams' webhooks.
#[derive(Default)]
pub struct Ears(Mutex<Vec<Notice>>);

/// One thing that was told.
#[derive(Debug)]
pub struct Notice {
    /// The team, by its receiver's address.
    to: String,
    pub kind: String,
    /// By which a receiver knows it again.
    key: String,
    pub token: Option<TokenId>,
    network: NetworkId,
    days: u64,
    ends_at: Option<Timestamp>,
    /// Of an end: which clock's.
    clock: String,
    why: String,
}

impl Ears {
    /// What came since.
    pub fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl PostSender for Ears {
    async fn post(&self, post: &Post) -> Result<(), DeliveryError> {
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        let bodies = match &body["data"]["events"] {
            Value::Array(events) => {
                assert_eq!(body["data"]["more"], 0, "nothing is left out");
                events.clone()
            }
            _ => vec![body],
        };
        let to = post.url.clone();
        self.0.lock().unwrap().extend(bodies.iter().map(|body| notice(&to, body)));
        Ok(())
    }
}

fn notice(to: &str, body: &Value) -> Notice {
    let data = &body["data"];
    let time = |text: &str| Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    Notice {
        to: to.to_owned(),
        kind: body["type"].as_str().unwrap().to_owned(),
        key: data["key"].as_str().unwrap_or_default().to_owned(),
        token: data["token"].as_str().map(|token| token.parse().unwrap()),
        network: data["network"].as_str().unwrap().parse().unwrap(),
        days: data["within_days"].as_u64().unwrap_or_default(),
        ends_at: data["ends_at"].as_str().map(time),
        clock: data["clock"].as_str().unwrap_or_default().to_owned(),
        why: data["why"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Trouble that a renewal may heal, as it was told.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    /// Of which of the person's grants.
    grant: usize,
    since: Timestamp,
    expired: bool,
}

/// All that was told.
#[derive(Default)]
pub struct Told {
    keys: HashSet<(String, String)>,
    /// Thresholds of ends: by the token, the days (0: it came), and which of its grants.
    ends: HashMap<(TokenId, u64, usize), Timestamp>,
    /// Ends by the token, the clock and the days. The same end may be known a little differently from time to time.
    told_ends: HashMap<(TokenId, String, u64), Vec<Timestamp>>,
    /// That a grant must be given again, by the token, which of its grants, and the cause.
    reconnects: HashSet<(TokenId, usize, &'static str)>,
    troubles: HashMap<TokenId, Trouble>,
    heard: HashMap<TokenId, Vec<Heard>>,
    counts: BTreeMap<String, u64>,
}

/// What was told of a token.
struct Heard {
    at: Timestamp,
    /// Of which of the person's grants.
    grant: usize,
    kind: String,
    /// All of it, for people.
    whole: String,
}

impl Told {
    /// Takes a notice in; why it must not have been told, if so.
    pub fn hear(
        &mut self,
        notice: &Notice,
        now: Timestamp,
        people: &People,
        (simulation, wire): (&Simulation, &Wire),
        troubled: &[NetworkId],
    ) -> Result<(), String> {
        *self.counts.entry(notice.kind.clone()).or_default() += 1;
        if !self.keys.insert((notice.to.clone(), notice.key.clone())) {
            return Err("it was told before".to_owned());
        }
        let Some(token) = notice.token else {
            return if troubled.contains(&notice.network) { Ok(()) } else { Err("nothing is wrong there".to_owned()) };
        };
        let account = people.of_token(token).ok_or("nobody has this token")?;
        let (grant, kind, whole) = (account.grants.len(), notice.kind.clone(), format!("{now}: {notice:?}"));
        let heard = Heard { at: now, grant, kind, whole };
        self.heard.entry(token).or_default().push(heard);
        self.note_end(notice, account, now)?;
        self.note_reconnecting(notice, account)?;
        self.note_trouble(notice, account, now)?;
        is_so(notice, account.truth(simulation, wire, now), now)
    }

    fn note_reconnecting(&mut self, notice: &Notice, account: &Account) -> Result<(), String> {
        if notice.kind != "needs_reconnecting" {
            return Ok(());
        }
        let cause = if notice.why.contains(" requires ") { "scopes" } else { "the grant ends" };
        let is_new = self.reconnects.insert((account.token.unwrap(), account.grants.len(), cause));
        if is_new { Ok(()) } else { Err(format!("of this grant it was told already, since {cause}")) }
    }

    /// Trouble is told until it is over, then that it is over; neither of them twice.
    fn note_trouble(&mut self, notice: &Notice, account: &Account, now: Timestamp) -> Result<(), String> {
        let (token, grant) = (account.token.unwrap(), account.grants.len());
        let told = self.troubles.get(&token).copied().filter(|trouble| trouble.grant == grant);
        let expired = notice.kind == "token_expired";
        let is_trouble = expired || notice.kind == "token_invalid" || notice.clock == "unrenewed";
        match told {
            _ if notice.kind == "token_renewed" => {
                self.troubles.remove(&token);
                told.map(|_| ()).ok_or_else(|| "nobody was told of trouble".to_owned())
            }
            Some(before) if expired && before.expired => Err(format!("its end was told already, since {before:?}")),
            Some(before) if is_trouble => {
                self.troubles.insert(token, Trouble { expired: before.expired || expired, ..before });
                Ok(())
            }
            None if is_trouble => {
                self.troubles.insert(token, Trouble { grant, since: now, expired });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether people believe that a token is in trouble that works: they were told so, and not that it is over.
    pub fn is_feared(&self, account: &Account, now: Timestamp) -> bool {
        let told = self.troubles.get(&account.token.unwrap());
        told.is_some_and(|trouble| trouble.grant == account.grants.len() && trouble.since + DAY < now)
    }

    fn note_end(&mut self, notice: &Notice, account: &Account, now: Timestamp) -> Result<(), String> {
        if let Some(end) = notice.ends_at {
            let told = self.told_ends.entry((account.token.unwrap(), notice.clock.clone(), notice.days)).or_default();
            if let Some(before) = told.iter().find(|before| before.micros().abs_diff(end.micros()) < SAME_END_US) {
                return Err(format!("the end at {before} was told already, {} days ahead", notice.days));
            }
            told.push(end);
        }
        // That an access token is not renewed in time is told besides; only what nothing prolongs counts here.
        let days = match notice.kind.as_str() {
            "token_expiring" if notice.clock == "unrenewed" => return Ok(()),
            "token_expiring" => notice.days,
            "token_expired" if account.grants.last().is_some_and(|grant| grant.ends.is_some_and(|end| end <= now)) => 0,
            _ => return Ok(()),
        };
        let place = (account.token.unwrap(), days, account.grants.len());
        match self.ends.insert(place, now) {
            Some(before) => Err(format!("this end was told at {before} already")),
            None => Ok(()),
        }
    }

    /// Whether people know of a grant at a time that it is dead: then they hear nothing of its end any more. That it is so was judged when it was told.
    fn is_known_dead(&self, token: TokenId, grant: usize, at: Timestamp) -> bool {
        let heard = self.heard.get(&token).into_iter().flatten();
        let mut until_then = heard.filter(|heard| heard.grant == grant && heard.at <= at);
        let of_life = |kind: &str| matches!(kind, "token_invalid" | "token_expired" | "token_renewed");
        let last = until_then.rfind(|heard| of_life(&heard.kind));
        last.is_some_and(|heard| heard.kind != "token_renewed")
    }

    /// Ends that nobody was told of, although there was time.
    pub fn missed(&self, people: &People, now: Timestamp) -> Vec<String> {
        let mut missed = Vec::new();
        for account in people.joined() {
            for (nth, grant) in account.grants.iter().enumerate() {
                let Some(end) = grant.ends else { continue };
                let until = grant.until.unwrap_or(now);
                for days in [7, 3, 1, 0_u64] {
                    let at = end - DAY * days as u32;
                    let was_time = at > grant.from && at + 2 * HOUR < until;
                    let troubled = people.was_troubled(&account.network.id, at - HOUR, at + 2 * HOUR);
                    let token = account.token.unwrap();
                    let told = self.ends.get(&(token, days, nth + 1));
                    if told.is_none() && was_time && !troubled && !self.is_known_dead(token, nth + 1, at + 2 * HOUR) {
                        let of = (&account.network.id, &account.kind, &account.person);
                        let heard = self.heard.get(&token).into_iter().flatten();
                        let heard: Vec<_> = heard.map(|heard| &heard.whole).collect();
                        missed.push(format!("{of:?}: {days} days before {end}, grant {nth} {grant:?}: {heard:?}"));
                    }
                    if let Some(told) = told.filter(|told| was_time && !troubled && told.since(at) > 2 * HOUR) {
                        missed.push(format!("{}: {days} days before {end} told late, at {told}", account.person));
                    }
                }
            }
        }
        missed
    }

    pub fn ends(&self) -> usize {
        self.ends.len()
    }

    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}

/// Whether what is told of a token is so.
fn is_so(notice: &Notice, truth: Truth, now: Timestamp) -> Result<(), String> {
    let or = |holds: bool, why: &str| if holds { Ok(()) } else { Err(format!("{why}: {truth:?}")) };
    let dead = !truth.can_live;
    let lately = truth.ended_at.is_none_or(|ended| ended + UNSEEN > now);
    match notice.kind.as_str() {
        "token_expiring" => {
            let told = notice.ends_at.ok_or("an end has a time")?;
            let soon = told > now && told <= now + DAY * notice.days as u32;
            let is_end = truth.ends.is_some_and(|end| end.secs().abs_diff(told.secs()) <= 2);
            // An access token whose renewals fail ends as well.
            let fails = truth.access_ends.is_some_and(|end| end.secs().abs_diff(told.secs()) <= 2);
            or(
                soon && (is_end || fails || !truth.is_held) && (truth.can_live || truth.lost || lately),
                "it does not end then",
            )
        }
        "token_expired" => {
            let ended = truth.ends.is_some_and(|end| end <= now);
            let unrenewed = truth.access_ends.is_none_or(|end| end <= now);
            or(ended || unrenewed || !truth.works || !truth.is_held, "it has not expired")
        }
        "token_invalid" => or(dead || !truth.works, "it works"),
        "retention_clock" => or(dead, "it lives"),
        "needs_reconnecting" => {
            let soon = truth.ends.is_some_and(|end| end <= now + DAY * 31);
            or(soon || notice.network.as_str() == REQUIRING, "it need not be connected again")
        }
        "token_renewed" | "token_connected" => or(truth.can_live || lately, "it does not live"),
        other => Err(format!("nobody expects '{other}'")),
    }
}
