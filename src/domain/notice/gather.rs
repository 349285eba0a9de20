//! How many messages one destination gets.
//!
//! Each fact has a message of its own as long as there are few. What comes at once, what comes when the hour's messages are used up, and what
//! comes while a person wants quiet is gathered into one message. So however much happens, a destination gets a bounded number.

use std::time::Duration;

use crate::base::clock::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// How many messages a destination may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// In an hour, before what follows is gathered.
    pub per_hour: u32,
    /// Of what comes at once, before it is gathered.
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

/// Decides for a fact that is not told before `from`. `at_once`: how many facts come for the destination at this moment; `made`: the messages
/// made for it in the last hour; `open`: its last message, if it is one that facts are gathered in and was not tried yet.
pub fn gather(
    budget: Budget,
    from: Timestamp,
    at_once: u32,
    made: u32,
    open: Option<OpenMessage>,
    now: Timestamp,
) -> Gathered {
    let used_up = made >= budget.per_hour;
    let due = if used_up { from.max(now + HOUR) } else { from.max(now) };
    match open {
        // Whoever wants quiet gets nothing before its end, and nothing waits longer than an hour beyond its time.
        Some(open) if open.due_at >= from && open.due_at <= due + HOUR => Gathered::Open,
        _ if used_up || at_once > budget.at_once || from > now + HOUR => Gathered::Together(due),
        _ => Gathered::Alone(due),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGET: Budget = Budget { per_hour: 10, at_once: 3 };
    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

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
            ("in the night", NOW + HOUR * 8, 1, 0, None, Gathered::Together(NOW + HOUR * 8)),
            ("the next in the night", NOW + HOUR * 8, 1, 1, open(8), Gathered::Open),
            ("what waits for tomorrow holds up nothing", NOW, 1, 0, open(9), Gathered::Alone(NOW)),
            ("quiet is kept by what is due before", NOW + HOUR * 8, 1, 0, open(1), Gathered::Together(NOW + HOUR * 8)),
        ];
        for (name, from, at_once, made, open, expected) in cases {
            assert_eq!(gather(BUDGET, from, at_once, made, open, NOW), expected, "{name}");
        }
    }

    proptest! {
        /// Facts come at any times: no hour has more messages than the budget and the one that gathers.
        #[test]
        fn no_hour_has_more_than_its_messages(gaps in prop::collection::vec(0_u64..600, 1..400), at_once in 1_u32..6) {
            let (mut now, mut made, mut open): (_, Vec<Timestamp>, Option<OpenMessage>) = (NOW, Vec::new(), None);
            for gap in gaps {
                now = now + Duration::from_secs(gap);
                open = open.filter(|open| open.due_at > now);
                let recent = made.iter().filter(|at| **at + HOUR > now).count() as u32;
                match gather(BUDGET, now, at_once, recent, open, now) {
                    Gathered::Alone(_) => { made.push(now); open = None; }
                    Gathered::Together(due_at) => { made.push(now); open = Some(OpenMessage { due_at }); }
                    Gathered::Open => {}
                }
                let within = made.iter().filter(|at| **at + HOUR > now).count();
                prop_assert!(within <= BUDGET.per_hour as usize + 1, "{within}");
            }
        }
    }
}
