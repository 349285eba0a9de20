//! How many messages one destination gets.
//!
//! Each fact has a message of its own as long as there are few. What comes at once, what comes when the hour's messages are used up, and what
//! comes while a person wants quiet is gathered into one message. What is urgent has a few messages more, and what one cause did to many tokens
//! is gathered from the first. So however much happens, a destination gets a bounded number.

use std::time::Duration;

use crate::base::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);
/// Messages of an hour beyond its budget that what is urgent may have.
const URGENT_MORE: u32 = 3;
/// How long what is urgent is gathered where there is much of it.
const URGENT_WITHIN: Duration = Duration::from_secs(120);
/// The facts that a message names, so that they are looked at once more when it is sent; of more it knows how many there are.
pub const KEPT: usize = 500;

/// How many messages a destination may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// In an hour, before what follows is gathered.
    pub per_hour: u32,
    /// Of what comes at once, before it is gathered.
    pub at_once: u32,
}

/// How a fact is told beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// In a message of its own while there are few.
    Single,
    /// The same, and it does not wait behind what is not urgent.
    Urgent,
    /// One cause did it to many tokens: together with the others, however few they seem at first.
    Shared,
}

/// A fact that comes for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coming {
    /// It is not told before.
    pub from: Timestamp,
    /// Whether it is told then since somebody wants quiet until then.
    pub in_quiet: bool,
    /// How it is told beside others.
    pub weight: Weight,
    /// How many facts come at this moment; of an urgent one: how many that are urgent.
    pub at_once: u32,
}

/// A message that was not tried yet, so that more can be said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenMessage {
    /// When it is due.
    pub due_at: Timestamp,
}

/// Where a fact is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// In a message of its own, due then.
    Alone(Timestamp),
    /// In the open message.
    Open,
    /// In a new message, due then, to which what follows is added.
    Together(Timestamp),
}

/// Decides for a fact. `made`: the messages made for its destination in the last hour; `open`: the last of them, if it is one that facts are
/// gathered in and was not tried yet.
pub fn gather(budget: Budget, coming: Coming, made: u32, open: Option<OpenMessage>, now: Timestamp) -> Gathered {
    let Coming { from, in_quiet, weight, at_once } = coming;
    let more = if weight == Weight::Urgent { URGENT_MORE } else { 0 };
    let used_up = made >= budget.per_hour + more;
    let due = if used_up { from.max(now + HOUR) } else { from.max(now) };
    let patience = if weight == Weight::Urgent { URGENT_WITHIN } else { HOUR };
    match open {
        // Whoever wants quiet gets nothing before its end, and nothing waits longer than its patience beyond its time.
        Some(open) if open.due_at >= from && open.due_at <= due + patience => Gathered::Open,
        _ if used_up || at_once > budget.at_once || in_quiet || weight == Weight::Shared => {
            let is_many = weight == Weight::Urgent && !used_up && !in_quiet;
            let gathers_for = if is_many { URGENT_WITHIN } else { Duration::ZERO };
            Gathered::Together(due + gathers_for)
        }
        _ => Gathered::Alone(due),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGET: Budget = Budget { per_hour: 10, at_once: 3 };
    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn coming(from: Timestamp, at_once: u32, weight: Weight) -> Coming {
        Coming { from, in_quiet: false, weight, at_once }
    }

    /// It comes while somebody wants quiet for so long.
    fn in_quiet(minutes: u32, weight: Weight) -> Coming {
        Coming { in_quiet: true, ..coming(NOW + HOUR / 60 * minutes, 1, weight) }
    }

    #[test]
    fn few_facts_have_messages_of_their_own_and_many_share_one() {
        let open = |hours: u32| Some(OpenMessage { due_at: NOW + HOUR * hours });
        let cases = [
            ("one", NOW, 1, 0, None, Gathered::Alone(NOW)),
            ("one that settles first", NOW + HOUR / 30, 1, 0, None, Gathered::Alone(NOW + HOUR / 30)),
            ("four at once", NOW, 4, 0, None, Gathered::Together(NOW)),
            ("the next of the four", NOW, 4, 1, open(0), Gathered::Open),
            ("the eleventh of an hour", NOW, 1, 10, None, Gathered::Together(NOW + HOUR)),
            ("the twelfth", NOW, 1, 11, open(1), Gathered::Open),
            ("what waits for tomorrow holds up nothing", NOW, 1, 0, open(9), Gathered::Alone(NOW)),
        ];
        for (name, from, at_once, made, open, expected) in cases {
            let coming = coming(from, at_once, Weight::Single);
            assert_eq!(gather(BUDGET, coming, made, open, NOW), expected, "{name}");
        }
    }

    #[test]
    fn what_comes_in_quiet_hours_is_one_message_at_their_end_however_near_it_is() {
        for minutes in [1, 59, 480] {
            let end = NOW + HOUR / 60 * minutes;
            for weight in [Weight::Single, Weight::Urgent] {
                let of = |made, open| gather(BUDGET, in_quiet(minutes, weight), made, open, NOW);
                assert_eq!(of(0, None), Gathered::Together(end), "{minutes} {weight:?}");
                assert_eq!(of(1, Some(OpenMessage { due_at: end })), Gathered::Open, "{minutes} {weight:?}");
                let before = Some(OpenMessage { due_at: end - HOUR / 120 });
                assert_eq!(of(1, before), Gathered::Together(end), "quiet is kept by what is due before");
            }
        }
    }

    #[test]
    fn what_is_urgent_waits_behind_nothing_and_is_gathered_when_there_is_much_of_it() {
        let open = |minutes: u32| Some(OpenMessage { due_at: NOW + HOUR / 60 * minutes });
        let cases = [
            ("one", 1, 0, None, Gathered::Alone(NOW)),
            ("beside one that gathers for later", 1, 11, open(40), Gathered::Alone(NOW)),
            ("beside one that is about to go", 1, 11, open(0), Gathered::Open),
            ("the thirteenth message", 1, 12, None, Gathered::Alone(NOW)),
            ("the fourteenth", 1, 13, None, Gathered::Together(NOW + HOUR)),
            ("the fifteenth", 1, 14, open(60), Gathered::Open),
            ("five at once", 5, 0, None, Gathered::Together(NOW + URGENT_WITHIN)),
            ("five more", 5, 1, open(1), Gathered::Open),
        ];
        for (name, at_once, made, open, expected) in cases {
            assert_eq!(gather(BUDGET, coming(NOW, at_once, Weight::Urgent), made, open, NOW), expected, "{name}");
        }
    }

    #[test]
    fn what_one_cause_did_to_many_is_together_from_the_first() {
        let from = NOW + HOUR / 4;
        let one = coming(from, 1, Weight::Shared);
        assert_eq!(gather(BUDGET, one, 0, None, NOW), Gathered::Together(from));
        assert_eq!(gather(BUDGET, one, 1, Some(OpenMessage { due_at: from }), NOW), Gathered::Open);
    }

    proptest! {
        /// Facts come at any times: no hour has more messages than the budget, the few for what is urgent, and those that gather.
        #[test]
        fn no_hour_has_more_than_its_messages(gaps in prop::collection::vec((0_u64..600, 0_usize..3), 1..400), at_once in 1_u32..6) {
            let (mut now, mut made, mut open): (_, Vec<Timestamp>, Option<OpenMessage>) = (NOW, Vec::new(), None);
            for (gap, weight) in gaps {
                let weight = [Weight::Single, Weight::Urgent, Weight::Shared][weight];
                now = now + Duration::from_secs(gap);
                open = open.filter(|open| open.due_at > now);
                let recent = made.iter().filter(|at| **at + HOUR > now).count() as u32;
                match gather(BUDGET, coming(now, at_once, weight), recent, open, now) {
                    Gathered::Alone(_) => { made.push(now); open = None; }
                    Gathered::Together(due_at) => { made.push(now); open = Some(OpenMessage { due_at }); }
                    Gathered::Open => {}
                }
                let within = made.iter().filter(|at| **at + HOUR > now).count();
                // One gathers what is urgent, another the rest.
                prop_assert!(within <= (BUDGET.per_hour + URGENT_MORE) as usize + 2, "{within}");
            }
        }
    }
}
