//! Several limits, owners and windows at once.

use proptest::prelude::*;

use super::*;
use crate::base::ids::KindId;
use crate::domain::networks::{Phase, Unit, Window};
use crate::sim::samples::{class, fixed, limit, network, operation, rolling};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn at(seconds: u64) -> Timestamp {
    START + std::time::Duration::from_secs(seconds)
}

struct Who {
    kind: KindId,
    token: String,
    person: String,
    profile: String,
}

impl Who {
    fn new(token: u8, person: u8, profile: u8) -> Self {
        Self {
            kind: "user".parse().unwrap(),
            token: format!("t{token}"),
            person: format!("p{person}"),
            profile: format!("page{profile}"),
        }
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            token: &self.token,
            app: "app",
            person: &self.person,
            profile: Some(&self.profile),
            address: "127.0.0.1",
            kind: &self.kind,
            key: "k",
        }
    }
}

fn books(classes: Vec<crate::domain::networks::CreditClass>) -> Books {
    Books::new(Arc::new(network("sample", classes, Vec::new())), 1).unwrap()
}

fn admitted(books: &mut Books, seconds: u64, who: &Who, costs: &[(&str, u64)]) -> bool {
    books.call(at(seconds), &who.caller(), &operation("GET", "/", costs)).verdict == Verdict::Admitted
}

#[test]
fn a_call_draws_from_all_limits_or_from_none() {
    let limits = vec![limit(Owner::Token, fixed(60), 5), limit(Owner::App, rolling(3600), 3)];
    let mut books = books(vec![class("calls", Unit::Calls, limits)]);
    let (one, two) = (Who::new(1, 1, 1), Who::new(2, 2, 2));
    for _ in 0..3 {
        assert!(admitted(&mut books, 0, &one, &[("calls", 1)]));
    }
    let refused = books.call(at(1), &two.caller(), &operation("GET", "/", &[("calls", 1)]));
    let Verdict::Refused { limit, owner, resets_at } = refused.verdict else { panic!("the app's limit is reached") };
    assert_eq!((limit.place, owner, resets_at), (1, Owner::App, at(3600)));
    assert_eq!(refused.usage[0].used, 0, "the second token's own account is untouched");
}

#[test]
fn each_owner_has_its_own_account() {
    let cases = [
        (Owner::Token, [false, true, true, true]),
        (Owner::Person, [false, false, true, true]),
        (Owner::AppPerson, [false, false, true, true]),
        (Owner::Profile, [false, true, false, true]),
        (Owner::App, [false, false, false, false]),
        (Owner::Address, [false, false, false, false]),
    ];
    let others = [Who::new(1, 1, 1), Who::new(2, 1, 2), Who::new(2, 2, 1), Who::new(3, 3, 3)];
    for (owner, expected) in cases {
        let mut books = books(vec![class("calls", Unit::Calls, vec![limit(owner, fixed(60), 1)])]);
        assert!(admitted(&mut books, 0, &Who::new(1, 1, 1), &[("calls", 1)]));
        // Only asked, not charged, so that they do not disturb one another.
        let seen = others.each_ref().map(|who| {
            let account = who.caller().account(owner);
            let key = LimitKey { class: "calls".parse().unwrap(), place: 0 };
            books.account(at(1), &key, &account).meter.admits(at(1), 1, 1, "")
        });
        assert_eq!(seen, expected, "{owner:?}");
    }
}

#[test]
fn limits_come_from_facts_and_hidden_numbers() {
    let mut formula = limit(Owner::Profile, rolling(60), 0);
    formula.amount = Amount::Formula { factor: 10, fact: "fans".to_owned(), at_least: 2, start: 7 };
    let mut unknown = limit(Owner::App, rolling(60), 0);
    unknown.amount = Amount::Unknown { start: 4 };
    let classes = vec![class("f", Unit::Calls, vec![formula]), class("u", Unit::Calls, vec![unknown])];
    let mut books = books(classes);
    let who = Who::new(1, 1, 1);
    let allowed = |books: &mut Books, class| {
        books.call(at(0), &who.caller(), &operation("GET", "/", &[(class, 1)])).usage[0].allowed
    };
    assert_eq!(allowed(&mut books, "f"), 7, "no fact yet");
    books.set_fact(&who.caller(), "fans", 1);
    assert_eq!(allowed(&mut books, "f"), 20, "the least value");
    books.set_fact(&who.caller(), "fans", 30);
    assert_eq!(allowed(&mut books, "f"), 300);
    assert_eq!(allowed(&mut books, "u"), 4 * UNKNOWN_MULTIPLE);
    let key = LimitKey { class: "u".parse().unwrap(), place: 0 };
    books.set_limit(key.clone(), None, 9);
    assert_eq!(allowed(&mut books, "u"), 9);
    books.set_limit(key, Some("app"), 2);
    assert_eq!(allowed(&mut books, "u"), 2);
}

#[test]
fn throttled_calls_lengthen_the_block_where_they_count() {
    for (counts, expected) in [(false, true), (true, false)] {
        let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::App, rolling(60), 2)])]);
        books = books.count_throttled(counts);
        let who = Who::new(1, 1, 1);
        assert!(admitted(&mut books, 0, &who, &[("calls", 2)]));
        assert!(!admitted(&mut books, 50, &who, &[("calls", 2)]));
        assert_eq!(admitted(&mut books, 60, &who, &[("calls", 2)]), expected, "counts: {counts}");
    }
}

#[test]
fn the_report_tells_capacity_and_use() {
    let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::Token, fixed(60), 10)])]);
    let (one, two) = (Who::new(1, 1, 1), Who::new(2, 2, 2));
    books.open_accounts(at(0), &one.caller());
    books.open_accounts(at(60), &two.caller());
    for _ in 0..11 {
        admitted(&mut books, 60, &one, &[("calls", 1)]);
    }
    let taken = books.spend_elsewhere(at(60), &[two.caller()], &"calls".parse().unwrap(), Owner::Token, 25);
    assert_eq!(taken, 10);
    let report = &books.report(at(61))[0];
    assert_eq!((report.accounts, report.admitted, report.throttled, report.used), (2, 10, 1, 10));
    assert_eq!((report.used_elsewhere, report.capacity), (10, 30));
    assert!((report.utilisation() - 0.5).abs() < 1e-9);
}

#[test]
fn windows_are_remembered_one_by_one() {
    let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::Token, fixed(60), 10)])]);
    let who = Who::new(1, 1, 1);
    for second in [0, 5, 70, 200] {
        admitted(&mut books, second, &who, &[("calls", 2)]);
    }
    let windows = books.windows(at(210));
    let seen: Vec<_> = windows.iter().map(|window| (window.begins, window.ends, window.used)).collect();
    // The minutes of the clock began 20 seconds before.
    let expected = [(-20, 4), (40, 2), (160, 2)];
    let minute = std::time::Duration::from_secs(60);
    let from = |seconds: i64| Timestamp::from_secs(START.secs() + seconds);
    assert_eq!(seen, expected.map(|(begins, used)| (from(begins), Some(from(begins) + minute), used)));
    assert!(windows.iter().all(|window| window.account == "t1" && window.allowed == 10));
}

#[test]
fn each_account_has_windows_of_its_own() {
    let resets = |seed, token: &str| {
        let unknown = Window::Fixed { length: std::time::Duration::from_secs(900), phase: Phase::Network };
        let sample =
            network("sample", vec![class("calls", Unit::Calls, vec![limit(Owner::Token, unknown, 9)])], vec![]);
        let mut books = Books::new(Arc::new(sample), seed).unwrap();
        let who = Who { token: token.to_owned(), ..Who::new(1, 1, 1) };
        books.call(START, &who.caller(), &operation("GET", "/", &[("calls", 1)])).usage[0].resets_at
    };
    let names: Vec<String> = (0..20).map(|nth| format!("t{nth}")).collect();
    let all = |seed| names.iter().map(|name| resets(seed, name)).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
    assert_eq!(all(1).len(), names.len(), "no two windows end together");
    assert!(all(1).iter().all(|end| (1..=900).contains(&end.since(START).as_secs())));
}

#[test]
fn an_early_reset_gives_the_credit_back() {
    let mut books = books(vec![class("money", Unit::QuotaUnits, vec![limit(Owner::App, Window::Budget, 2)])]);
    let who = Who::new(1, 1, 1);
    assert!(admitted(&mut books, 0, &who, &[("money", 2)]));
    assert!(!admitted(&mut books, 100_000, &who, &[("money", 1)]));
    books.reset_early(at(100_000), &"money".parse().unwrap());
    assert!(admitted(&mut books, 100_000, &who, &[("money", 2)]));
    assert_eq!(books.report(at(100_000))[0].capacity, 4);
}

proptest! {
    /// Over several classes, owners and windows at once: every limit holds on the whole history of what was admitted, and a call
    /// is refused only if one of its limits would have been broken.
    #[test]
    fn every_limit_holds_over_the_whole_history(
        calls in prop::collection::vec((0u64..20, 0u8..3, 0u8..2, 0u8..2, 0usize..3), 1..150),
    ) {
        let read = vec![limit(Owner::Token, rolling(60), 4), limit(Owner::App, rolling(300), 15)];
        let write = vec![limit(Owner::Person, rolling(120), 3), limit(Owner::Profile, rolling(30), 2)];
        let classes = vec![class("read", Unit::Calls, read), class("write", Unit::Calls, write)];
        let sample = network("sample", classes.clone(), Vec::new());
        let mut books = Books::new(Arc::new(sample), 1).unwrap();
        let operations: [&[(&str, u64)]; 3] = [&[("read", 1)], &[("write", 1)], &[("read", 2), ("write", 1)]];
        let mut history: Vec<(u64, Who, usize)> = Vec::new();
        let mut now = 0;
        for (advance, token, person, profile, nth) in calls {
            now += advance;
            let who = Who::new(token, person, profile);
            let fits = classes.iter().all(|class| class.limits.iter().all(|rule| {
                let Window::Rolling { length } = rule.window else { unreachable!() };
                let Amount::Number(amount) = rule.amount else { unreachable!() };
                let cost = |nth: usize| {
                    operations[nth].iter().filter(|(id, _)| *id == class.id.as_str()).map(|(_, units)| units).sum::<u64>()
                };
                let mine = who.caller().account(rule.owner);
                let spent: u64 = history.iter()
                    .filter(|(then, other, _)| now - then < length.as_secs() && other.caller().account(rule.owner) == mine)
                    .map(|(_, _, nth)| cost(*nth))
                    .sum();
                cost(nth) == 0 || spent + cost(nth) <= amount
            }));
            prop_assert_eq!(admitted(&mut books, now, &who, operations[nth]), fits);
            if fits {
                history.push((now, who, nth));
            }
        }
        let admitted: u64 = history.iter().filter(|(_, _, nth)| *nth != 1).count() as u64;
        prop_assert_eq!(books.report(at(now))[1].admitted, admitted);
    }
}
