//! Whose refusal it is where calls of one operation are refused: the token's, or that of everybody who asks the same.
//!
//! Networks say "not permitted" and "blocked" also of the one object that was asked for, and of what the app may not do at all. So one such
//! word tells little of the token, and what befalls a second person's token is evidence about the app or the request.
//!
//! **A missing permission** is the token's own once it is refused for the second time in a row, a minute or more after the first. Where others
//! are refused, too, or where one of those that were refused is served again (so it was the object that was refused), it takes ten times in
//! a row within an hour or more. Where others are refused and nobody is served, it is nobody's own, however long that lasts.
//!
//! **A block** is the token's own unless another person's token was blocked for the same operation within the hour.
//!
//! **A refusal of everybody**: so many persons as no chance brings together were refused, and nobody was served since; where some were refused
//! and others served in turn, for a minute at least.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::evidence::Blame;

/// Tokens, or persons, whose refusals are remembered of an operation.
const REMEMBERED: usize = 16;
/// How long a missing permission is remembered after it was told last, and that one was of an object.
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a block, or a refusal of everybody, is remembered.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// How long nobody is served before what was disproved is believed again of everybody.
const A_MINUTE: Duration = Duration::from_secs(60);
/// Where a token is refused alone.
const ALONE: Proof = Proof { times: 2, within: A_MINUTE };
/// Where something speaks for the app or the request.
const AMONG_OTHERS: Proof = Proof { times: 10, within: AN_HOUR };

/// How often in a row a token must be refused, over so long at least, until it is believed to lack a permission.
struct Proof {
    times: u32,
    within: Duration,
}

/// Refusals of one operation to the tokens of one app. Small, and the same for a pool of any size.
#[derive(Debug, Default)]
pub struct OperationEvidence {
    unpermitted: Vec<Unpermitted>,
    /// When a token was served that had been refused.
    excused_at: Option<Timestamp>,
    served_at: Option<Timestamp>,
    blocked: Vec<(u32, Timestamp)>,
    refused: Vec<(u32, Timestamp)>,
    /// When a served call disproved that everybody is refused.
    disproved_at: Option<Timestamp>,
}

/// A token that was told that it lacks a permission, again and again and never served between.
#[derive(Debug, Clone, Copy)]
struct Unpermitted {
    token: u32,
    person: u32,
    first: Timestamp,
    last: Timestamp,
    times: u32,
}

impl OperationEvidence {
    /// A token was told that it lacks a permission. Says whose lack it is; `None`: nothing shows that yet.
    pub fn lack_permission(&mut self, token: u32, person: u32, now: Timestamp) -> Option<Blame> {
        self.forget(now);
        let own = self.note_lack(token, person, now);
        let others = self.unpermitted.iter().any(|other| other.person != person);
        if others && self.served_at.is_none_or(|served| served <= own.first) {
            return Some(Blame::Shared);
        }
        let Proof { times, within } = if others || self.excused_at.is_some() { AMONG_OTHERS } else { ALONE };
        let proven = own.times >= times && now.since(own.first) >= within;
        if proven {
            // It speaks against others no more.
            self.unpermitted.retain(|known| known.token != token);
        }
        proven.then_some(Blame::Token)
    }

    fn note_lack(&mut self, token: u32, person: u32, now: Timestamp) -> Unpermitted {
        if let Some(known) = self.unpermitted.iter_mut().find(|known| known.token == token) {
            known.times = known.times.saturating_add(1);
            known.last = now;
            return *known;
        }
        if self.unpermitted.len() >= REMEMBERED {
            self.unpermitted.remove(0);
        }
        let new = Unpermitted { token, person, first: now, last: now, times: 1 };
        self.unpermitted.push(new);
        new
    }

    /// The network said that it blocks a person's account. Says whose block it is.
    pub fn block(&mut self, person: u32, now: Timestamp) -> Blame {
        self.forget(now);
        note(&mut self.blocked, person, now);
        if self.blocked.iter().any(|(other, _)| *other != person) { Blame::Shared } else { Blame::Token }
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
        self.blocked.retain(|(blocked, _)| *blocked != person);
        let known = self.unpermitted.len();
        self.unpermitted.retain(|known| known.token != token);
        if self.unpermitted.len() < known {
            self.excused_at = Some(now);
        }
    }

    /// Whether there is nothing to remember any more.
    pub fn is_over(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        let nobody = self.unpermitted.is_empty() && self.blocked.is_empty() && self.refused.is_empty();
        nobody && self.excused_at.is_none() && self.disproved_at.is_none()
    }

    fn forget(&mut self, now: Timestamp) {
        self.unpermitted.retain(|known| now.since(known.last) < A_DAY);
        self.excused_at.take_if(|at| now.since(*at) >= A_DAY);
        self.disproved_at.take_if(|at| now.since(*at) >= A_MINUTE);
        for known in [&mut self.blocked, &mut self.refused] {
            known.retain(|(_, at)| now.since(*at) < AN_HOUR);
        }
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
        for person in 0..100_000 {
            lacks(&mut evidence, person, 0);
            evidence.block(person, at(0));
            evidence.refuse(person, 3, at(0));
        }
        assert!(format!("{evidence:?}").len() < 8_000);
        assert!(!evidence.is_over(at(24 * HOUR - 1)));
        assert!(evidence.is_over(at(24 * HOUR)));
    }
}
