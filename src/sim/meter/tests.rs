//! Each window rule against a judge that looks at the whole history.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const ZONE: &str = "America/Los_Angeles";
/// Shifts windows of a minute by 23.456789 s.
const CHANCE: u64 = 600_000_000 + 23_456_789;

/// One admitted call, as the naive judges remember it.
#[derive(Clone)]
struct Call {
    at: Timestamp,
    units: u64,
    key: String,
}

/// Whether `next` is allowed after `before`, computed anew from the whole history.
fn naive(window: &Window, limit: u64, before: &[Call], next: &Call) -> bool {
    let sum_where = |counts: &dyn Fn(&Call) -> bool| -> u64 {
        before.iter().filter(|call| counts(call)).map(|call| call.units).sum::<u64>() + next.units
    };
    match window {
        Window::Rolling { length } => sum_where(&|call| next.at.since(call.at) < *length) <= limit,
        Window::Fixed { length, phase } => {
            let shift = if *phase == Phase::Network { CHANCE % length.as_micros() as u64 } else { 0 };
            let nth = |at: Timestamp| (at.micros() - shift as i64) / length.as_micros() as i64;
            sum_where(&|call| nth(call.at) == nth(next.at)) <= limit
        }
        Window::Daily { zone } => {
            let day = |at: Timestamp| date(at, &TimeZone::get(zone).unwrap());
            sum_where(&|call| day(call.at) == day(next.at)) <= limit
        }
        Window::Paced { per } => {
            let within = |from: Timestamp| {
                let spent = sum_where(&|call| call.at >= from) as u128 * per.as_micros();
                spent <= limit as u128 * per.as_micros() + next.at.since(from).as_micros()
            };
            next.units <= limit && before.iter().all(|call| within(call.at))
        }
        Window::Distinct { length } => {
            let mut opened: Vec<(&str, Timestamp)> = Vec::new();
            for call in before {
                let open = opened.iter().any(|(key, at)| *key == call.key && call.at.since(*at) < *length);
                if !open {
                    opened.push((&call.key, call.at));
                }
            }
            opened.retain(|(_, at)| next.at.since(*at) < *length);
            opened.iter().any(|(key, _)| *key == next.key) || (opened.len() as u64) < limit
        }
        Window::Budget => sum_where(&|_| true) <= limit,
    }
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        Just(Window::Fixed { length: 60 * SECOND, phase: Phase::Network }),
        Just(Window::Fixed { length: 60 * SECOND, phase: Phase::Clock }),
        Just(Window::Rolling { length: 60 * SECOND }),
        Just(Window::Daily { zone: ZONE.to_owned() }),
        Just(Window::Paced { per: 7 * SECOND }),
        Just(Window::Distinct { length: 60 * SECOND }),
        Just(Window::Budget),
    ]
}

proptest! {
    /// Admitted exactly when the history leaves room: never more than the limit in any window, and always up to it. The opening
    /// time that is promised is the first moment at which the call is allowed.
    #[test]
    fn agrees_with_the_whole_history(
        window in windows(),
        limit in 0u64..12,
        throttled_count in any::<bool>(),
        steps in prop::collection::vec((0u64..30_000_000, 1u64..4, 0u8..6), 1..80),
    ) {
        let pace = if matches!(window, Window::Daily { .. }) { 700 } else { 1 };
        let mut meter = Meter::new(&window, CHANCE).unwrap();
        let mut now = START;
        let mut admitted: Vec<Call> = Vec::new();
        for (advance, units, key) in steps {
            now = now + Duration::from_micros(advance * pace);
            let units = if matches!(window, Window::Distinct { .. }) { 1 } else { units };
            let call = Call { at: now, units, key: format!("k{key}") };
            meter.forget(now);
            let expected = naive(&window, limit, &admitted, &call);
            let admits = meter.admits(now, limit, units, &call.key);
            prop_assert!(expected || !admits, "never over the limit");
            prop_assert!(throttled_count || admits == expected, "and always up to it");
            if admits {
                meter.charge(now, units, &call.key);
                admitted.push(call);
                continue;
            }
            if throttled_count {
                meter.charge_throttled(now, limit, units);
                continue;
            }
            let opens = meter.opens_at(now, limit, units, &call.key);
            prop_assert!(opens > now);
            if opens < Timestamp::NEVER {
                let just_before = Call { at: opens - Duration::from_micros(1), ..call.clone() };
                let just_then = Call { at: opens, ..call };
                prop_assert!(!naive(&window, limit, &admitted, &just_before));
                prop_assert!(naive(&window, limit, &admitted, &just_then));
            }
        }
        let spent: u64 = if matches!(window, Window::Distinct { .. }) { 0 } else { admitted.iter().map(|call| call.units).sum() };
        prop_assert!(spent <= meter.capacity(START, now, limit), "nobody gets more than the capacity");
    }
}

#[test]
fn a_day_is_as_long_as_the_zone_says() {
    let spring = Timestamp::from_secs(1_710_057_600); // 2024-03-10 00:00 in Los Angeles, the day of 23 hours
    let autumn = Timestamp::from_secs(1_730_617_200); // 2024-11-03 00:00 there, the day of 25 hours
    let zone = zone_of(ZONE).unwrap();
    assert_eq!(end_of_day(spring, &zone).since(spring), 23 * 3600 * SECOND);
    assert_eq!(end_of_day(autumn, &zone).since(autumn), 25 * 3600 * SECOND);
}

#[test]
fn chance_shifts_only_windows_whose_phase_the_network_keeps() {
    let ends = |phase, chance| {
        let window = Window::Fixed { length: 60 * SECOND, phase };
        Meter::new(&window, chance).unwrap().resets_at(START).since(START)
    };
    assert_eq!((ends(Phase::Clock, 0), ends(Phase::Clock, 5_000_000)), (40 * SECOND, 40 * SECOND));
    assert_eq!((ends(Phase::Network, 0), ends(Phase::Network, 5_000_000)), (40 * SECOND, 45 * SECOND));
    assert_eq!(ends(Phase::Network, 25_000_000), 5 * SECOND, "before the first call, too");
}

#[test]
fn an_unknown_zone_is_an_error() {
    let error = Meter::new(&Window::Daily { zone: "Mars/Olympus".to_owned() }, 0).unwrap_err();
    assert!(error.to_string().contains("IANA"));
}

#[test]
fn clearing_gives_everything_back() {
    for window in [Window::Budget, Window::Rolling { length: SECOND }, Window::Paced { per: SECOND }] {
        let mut meter = Meter::new(&window, CHANCE).unwrap();
        meter.charge(START, 5, "");
        assert!(!meter.admits(START, 5, 1, ""));
        assert_eq!(meter.clear(START), 5);
        assert!(meter.admits(START, 5, 5, ""));
    }
}
