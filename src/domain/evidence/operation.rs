//! Whose refusal it is where calls of one operation are refused: the token's, or that of everybody who asks the same.
//!
//! Networks say "not permitted" and "blocked" also of the one object that was asked for, and of what the app may not do at all. So one such
//! word tells little of the token, and what befalls a second person's token is evidence about the app or the request.
//!
//! **A missing permission** is the token's own once it is refused for the second time in a row, a minute or more after the first. Where others
//! are refused, too, or where one of those that were refused is served again (so it was the object that was refused), it takes ten times in
//! a row within an hour or more. Where others are refused and nobody is served, it is nobody's own, however long that lasts, and counts for nothing
//! once some are served.
//!
//! **A block** is the person's own unless another one was blocked for the same operation within the hour. Then it takes five times in a row
//! within a minute or more, with others served between: an object that nobody may see blocks whoever asks for it, and who also asks for
//! others is served now and then.
//!
//! **A refusal of everybody**: so many persons as no chance brings together were refused, and nobody was served since; where some were refused
//! and others served in turn, for a minute at least.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::evidence::Blame;

/// Persons whose blocks or refusals are remembered of an operation: so many show that it is nobody's own.
const REMEMBERED: usize = 16;
/// Tokens and persons whose own loss is counted of an operation. More wait until some of these are believed, or served.
const COUNTED: usize = 4_096;
/// How long a missing permission is remembered after it was told last: what runs once a week is found by it, too.
const OVER_A_WEEK: Duration = Duration::from_secs(8 * 24 * 3600);
/// How long it is remembered that one was of an object.
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a block, or a refusal of everybody, is remembered.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// How long nobody is served before what was disproved is believed again of everybody.
const A_MINUTE: Duration = Duration::from_secs(60);
/// How often it is looked for what is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Where a token is refused alone.
const ALONE: Proof = Proof { times: 2, within: A_MINUTE };
/// Where something speaks for the app or the request.
const AMONG_OTHERS: Proof = Proof { times: 10, within: AN_HOUR };

/// Where a person is blocked, and another one was.
const BLOCKED_AMONG_OTHERS: Proof = Proof { times: 5, within: A_MINUTE };

/// How often in a row something must be refused, over so long at least, until it is believed to be its own.
struct Proof {
    times: u32,
    within: Duration,
}

impl Proof {
    fn is_given_by(&self, own: Refused) -> bool {
        own.times >= self.times && own.last.since(own.first) >= self.within
    }
}

/// Refusals of one operation to the tokens of one app. Bounded, for a pool of any size.
#[derive(Debug, Default)]
pub struct OperationEvidence {
    /// By token: who was told that it lacks a permission.
    unpermitted: BTreeMap<u32, Refused>,
    /// When a token was served that had been refused.
    excused_at: Option<Timestamp>,
    served_at: Option<Timestamp>,
    /// By person.
    blocked: BTreeMap<u32, Refused>,
    refused: Vec<(u32, Timestamp)>,
    /// When a served call disproved that everybody is refused.
    disproved_at: Option<Timestamp>,
    /// When it was looked last for what is over.
    looked_at: Option<Timestamp>,
}

/// Refused again and again, and never served between.
#[derive(Debug, Clone, Copy)]
struct Refused {
    person: u32,
    first: Timestamp,
    last: Timestamp,
    times: u32,
}

impl OperationEvidence {
    /// A token was told that it lacks a permission. Says whose lack it is; `None`: nothing shows that yet.
    pub fn lack_permission(&mut self, token: u32, person: u32, now: Timestamp) -> Option<Blame> {
        self.forget(now);
        let own = count(&mut self.unpermitted, token, person, now);
        let others = self.unpermitted.values().any(|other| other.person != person);
        if others && !self.was_served_since(own.first) {
            begin_anew(&mut self.unpermitted, token, now);
            return Some(Blame::Shared);
        }
        let proof = if others || self.excused_at.is_some() { AMONG_OTHERS } else { ALONE };
        let is_proven = proof.is_given_by(own);
        if is_proven {
            // It speaks against others no more.
            self.unpermitted.remove(&token);
        }
        is_proven.then_some(Blame::Token)
    }

    /// The network said that it blocks a person's account. Says whose block it is.
    pub fn block(&mut self, person: u32, now: Timestamp) -> Blame {
        self.forget(now);
        let own = count(&mut self.blocked, person, person, now);
        let others = self.blocked.keys().any(|other| *other != person);
        if !others {
            return Blame::Token;
        }
        if !self.was_served_since(own.first) {
            begin_anew(&mut self.blocked, person, now);
            return Blame::Shared;
        }
        if BLOCKED_AMONG_OTHERS.is_given_by(own) { Blame::Token } else { Blame::Shared }
    }

    fn was_served_since(&self, at: Timestamp) -> bool {
        self.served_at.is_some_and(|served| served > at)
    }

    /// A person was refused with a word that says nothing of the token alone. `enough`: how many persons no chance brings together. Returns
    /// whether so many were refused, and none served since.
    pub fn refuse(&mut self, person: u32, enough: usize, now: Timestamp) -> bool {
        self.forget(now);
        note(&mut self.refused, person, now);
        self.refused.len() >= enough.min(REMEMBERED) && self.disproved_at.is_none()
    }

    /// A call was served.
    pub fn work(&mut self, token: u32, person: u32, now: Timestamp) {
        self.served_at = Some(now);
        if !self.refused.is_empty() {
            self.refused.clear();
            self.disproved_at = Some(now);
        }
        self.blocked.remove(&person);
        if self.unpermitted.remove(&token).is_some() {
            self.excused_at = Some(now);
        }
    }

    /// Whether there is nothing to remember any more.
    pub fn is_over(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        let nobody = self.unpermitted.is_empty() && self.blocked.is_empty() && self.refused.is_empty();
        nobody && self.excused_at.is_none() && self.disproved_at.is_none()
    }

    /// Forgets what is over. Refusals come many in a second, and much may be known.
    fn forget(&mut self, now: Timestamp) {
        if self.looked_at.is_some_and(|at| now.since(at) < LOOK_EVERY) {
            return;
        }
        self.looked_at = Some(now);
        self.unpermitted.retain(|_, known| now.since(known.last) < OVER_A_WEEK);
        self.blocked.retain(|_, known| now.since(known.last) < AN_HOUR);
        self.excused_at.take_if(|at| now.since(*at) >= A_DAY);
        self.disproved_at.take_if(|at| now.since(*at) >= A_MINUTE);
        self.refused.retain(|(_, at)| now.since(*at) < AN_HOUR);
    }
}

/// Counts one more refusal of `key`, a token or a person. Where too many are counted already, a new one waits.
fn count(known: &mut BTreeMap<u32, Refused>, key: u32, person: u32, now: Timestamp) -> Refused {
    if let Some(own) = known.get_mut(&key) {
        own.times = own.times.saturating_add(1);
        own.last = now;
        return *own;
    }
    let new = Refused { person, first: now, last: now, times: 1 };
    if known.len() < COUNTED {
        known.insert(key, new);
    }
    new
}

/// What befell everybody tells nothing of this one: its own refusals are counted from here on.
fn begin_anew(known: &mut BTreeMap<u32, Refused>, key: u32, now: Timestamp) {
    if let Some(own) = known.get_mut(&key) {
        *own = Refused { first: now, last: now, times: 1, ..*own };
    }
}

/// Remembers a person with the latest time; the one that was longest ago makes way.
fn note(known: &mut Vec<(u32, Timestamp)>, person: u32, now: Timestamp) {
    known.retain(|(other, _)| *other != person);
    if known.len() >= REMEMBERED {
        known.remove(0);
    }
    known.push((person, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// A token of a person of its own.
    fn lacks(evidence: &mut OperationEvidence, token: u32, secs: i64) -> Option<Blame> {
        evidence.lack_permission(token, token, at(secs))
    }

    #[test]
    fn the_only_token_is_believed_at_the_second_time_a_minute_later() {
        let mut evidence = OperationEvidence::default();
        assert_eq!(lacks(&mut evidence, 1, 0), None);
        assert_eq!(lacks(&mut evidence, 1, 59), None, "the same call, tried again");
        assert_eq!(lacks(&mut evidence, 1, 60), Some(Blame::Token));
        assert!(evidence.is_over(at(60)), "it speaks against nobody else");
    }

    #[test]
    fn a_token_that_alone_is_refused_among_others_that_are_served_is_believed_as_soon() {
        let mut evidence = OperationEvidence::default();
        assert_eq!(lacks(&mut evidence, 1, 0), None);
        for token in 2..9 {
            evidence.work(token, token, at(30));
        }
        assert_eq!(lacks(&mut evidence, 1, 60), Some(Blame::Token));
    }

    #[test]
    fn one_of_a_persons_tokens_may_lack_what_another_has() {
        let mut evidence = OperationEvidence::default();
        assert_eq!(evidence.lack_permission(1, 9, at(0)), None);
        evidence.work(2, 9, at(30));
        assert_eq!(evidence.lack_permission(1, 9, at(60)), Some(Blame::Token));
    }

    #[test]
    fn what_everybody_is_refused_is_nobodys_own_however_long() {
        let mut evidence = OperationEvidence::default();
        assert_eq!(lacks(&mut evidence, 8, 0), None);
        for minute in 0..2_880 {
            let token = u32::try_from(minute % 8).unwrap();
            assert_eq!(lacks(&mut evidence, token, 1 + minute * MINUTE), Some(Blame::Shared), "{minute}");
        }
    }

    /// Calls of five tokens, one in ten seconds, of which one in `nth` asks for an object that nobody may see. Returns how many tokens are
    /// believed to lack a permission in a week.
    fn believed(nth: i64, lost: Option<u32>) -> (usize, Option<i64>) {
        let mut evidence = OperationEvidence::default();
        let (mut believed, mut found) = (std::collections::BTreeSet::new(), None);
        for call in 0..60_480 {
            let (token, now) = (u32::try_from(call % 5).unwrap(), call * 10);
            let refused = call % nth == 0 || lost.is_some_and(|lost| lost == token && call > 1_000);
            if !refused {
                evidence.work(token, token, at(now));
            } else if lacks(&mut evidence, token, now) == Some(Blame::Token) {
                believed.insert(token);
                found = found.or(Some(now - 10_000).filter(|_| lost == Some(token)));
            }
        }
        (believed.len(), found)
    }

    #[test]
    fn an_object_that_nobody_may_see_ends_no_token_and_hides_no_loss_for_long() {
        for nth in [2, 3, 7, 100, 1_000] {
            assert_eq!(believed(nth, None), (0, None), "{nth}");
            let (count, found) = believed(nth, Some(3));
            assert_eq!(count, 1, "{nth}");
            assert!(found.is_some_and(|after| after <= HOUR + 2 * MINUTE), "{nth}: {found:?}");
        }
    }

    #[test]
    fn a_second_persons_block_is_not_its_own() {
        let mut evidence = OperationEvidence::default();
        assert_eq!(evidence.block(1, at(0)), Blame::Token);
        assert_eq!(evidence.block(1, at(1)), Blame::Token, "another token of the same person");
        assert_eq!(evidence.block(2, at(2)), Blame::Shared);
        evidence.work(3, 3, at(3));
        assert_eq!(evidence.block(4, at(4)), Blame::Shared, "whoever else is served");
        assert_eq!(evidence.block(5, at(4 + HOUR)), Blame::Token);
    }

    /// Calls of eight persons, one in a second, of which one in `nth` asks for an object that blocks whoever does. Returns who is found blocked in
    /// an hour, where the first `blocked` persons are from the first minute on.
    fn found_blocked(nth: i64, blocked: u32) -> std::collections::BTreeSet<u32> {
        let (mut evidence, mut found) = (OperationEvidence::default(), std::collections::BTreeSet::new());
        for call in 0..HOUR {
            let person = u32::try_from(call % 8).unwrap();
            if found.contains(&person) {
                continue;
            }
            if call % nth != 0 && (person >= blocked || call < MINUTE) {
                evidence.work(person, person, at(call));
            } else if evidence.block(person, at(call)) == Blame::Token {
                found.insert(person);
            }
        }
        found
    }

    #[test]
    fn several_blocked_persons_are_each_found_while_others_are_served() {
        for blocked in [1, 2, 3, 7] {
            assert_eq!(found_blocked(HOUR, blocked).range(..blocked).count(), blocked as usize, "{blocked}");
        }
        // The first one is believed at its word.
        for nth in [3, 7, 9, 100] {
            assert!(found_blocked(nth, 0).len() <= 2, "{nth}: {:?}", found_blocked(nth, 0));
        }
        assert!(found_blocked(1, 0).len() <= 1, "everybody is");
    }

    #[test]
    fn any_number_of_tokens_that_lack_a_permission_are_found_among_those_that_are_served() {
        for lost in [2, 16, 17, 40, 400] {
            let (mut evidence, mut found) = (OperationEvidence::default(), std::collections::BTreeSet::new());
            for minute in 0..180 {
                for token in (0..lost).filter(|token| !found.contains(token)).collect::<Vec<_>>() {
                    if lacks(&mut evidence, token, minute * MINUTE) == Some(Blame::Token) {
                        found.insert(token);
                    }
                    evidence.work(9_999, 9_999, at(minute * MINUTE + 1));
                }
            }
            assert_eq!(found.len(), lost as usize, "{lost}");
        }
    }

    #[test]
    fn what_everybody_was_refused_closes_nobody_once_the_first_is_served() {
        let (mut evidence, mut blocks) = (OperationEvidence::default(), OperationEvidence::default());
        for minute in 0..120 {
            for token in 0..40 {
                lacks(&mut evidence, token, minute * MINUTE);
                blocks.block(token, at(minute * MINUTE));
            }
        }
        evidence.work(0, 0, at(2 * HOUR));
        blocks.work(0, 0, at(2 * HOUR));
        for token in 1..40 {
            assert_ne!(
                lacks(&mut evidence, token, 2 * HOUR + 1),
                Some(Blame::Token),
                "{token}: an answer that came late"
            );
            assert_eq!(blocks.block(token, at(2 * HOUR + 1)), Blame::Shared, "{token}");
        }
    }

    #[test]
    fn a_token_that_is_used_once_a_week_is_found_in_the_second() {
        let mut evidence = OperationEvidence::default();
        let week = 7 * 24 * HOUR;
        for second in 0..3 {
            assert_eq!(lacks(&mut evidence, 1, second * 10), None);
        }
        assert_eq!(lacks(&mut evidence, 1, week), Some(Blame::Token));
    }

    #[test]
    fn so_many_are_refused_until_one_is_served() {
        let mut evidence = OperationEvidence::default();
        let all = |evidence: &mut OperationEvidence, secs: i64| {
            [1, 1, 2, 3].map(|person| evidence.refuse(person, 3, at(secs)))
        };
        assert_eq!(all(&mut evidence, 0), [false, false, false, true]);
        evidence.work(9, 9, at(5));
        assert_eq!(all(&mut evidence, 5), [false; 4], "by turns");
        assert!(evidence.refuse(1, 3, at(65)));
        assert!(!evidence.refuse(1, 3, at(65 + HOUR)), "the others were too long ago");
        assert!(evidence.refuse(1, 1, at(65 + HOUR)), "there is only one");
    }

    #[test]
    fn few_are_kept_and_not_for_ever() {
        let mut evidence = OperationEvidence::default();
        for person in 0..u32::try_from(COUNTED).unwrap() + 100 {
            lacks(&mut evidence, person, 0);
            evidence.block(person, at(0));
            evidence.refuse(person, 3, at(0));
        }
        let OperationEvidence { unpermitted, blocked, refused, .. } = &evidence;
        assert_eq!([unpermitted.len(), blocked.len(), refused.len()], [COUNTED, COUNTED, REMEMBERED]);
        assert!(!evidence.is_over(at(8 * 24 * HOUR - 1)));
        assert!(evidence.is_over(at(8 * 24 * HOUR)));
    }
}
