//! The detector against the plainest model of pools: it finds every blanket reset within a minute, and never ordinary churn.

use std::time::Duration;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// Randomness by seed: SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= probability
    }
}

/// Plays a pool second by second: `calls` persons call in each, and `lost` says of each of them, at a second, whether the call is refused.
/// Returns at which second an incident was found.
fn play(
    persons: u32,
    seconds: u64,
    calls: u64,
    seed: u64,
    mut fate: impl FnMut(&mut Dice, u32, u64) -> Option<Symptom>,
) -> Option<(u64, Detected)> {
    let (mut watch, mut dice) = (Watch::default(), Dice(seed));
    for second in 0..seconds {
        let now = START + SECOND * u32::try_from(second).unwrap();
        for _ in 0..calls {
            let person = u32::try_from(dice.below(u64::from(persons))).unwrap();
            match fate(&mut dice, person, second) {
                None => watch.work(person, now),
                Some(symptom) => {
                    if let Some(found) = watch.fail(person, symptom, persons as usize, now) {
                        return Some((second, found));
                    }
                }
            }
        }
    }
    None
}

/// Each token is lost once in 30 days on average; where fewer persons call, a loss is seen with the next call.
fn churn(persons: u32, calls: u64) -> f64 {
    f64::from(persons) / (30.0 * 86_400.0) / calls as f64
}

#[test]
fn ordinary_churn_is_no_incident_in_a_small_or_a_huge_pool() {
    // At twice the usual churn.
    for (persons, seconds, calls) in [(6, 100_000, 1), (100, 50_000, 2), (10_000, 5_000, 20), (1_000_000, 1_000, 200)] {
        let rate = 2.0 * churn(persons, calls);
        let found = play(persons, seconds, calls, 7, |dice, _, _| dice.chance(rate).then_some(Symptom::Lost));
        assert_eq!(found, None, "{persons}");
    }
}

#[test]
fn a_blanket_reset_is_found_within_a_minute() {
    let cases = [(4, 1), (10, 1), (100, 1), (100, 20), (10_000, 50), (100_000, 500), (1_000_000, 2_000)];
    for (persons, calls) in cases {
        for seed in 0..5 {
            let reset = |_: &mut Dice, _: u32, second: u64| (second >= 100).then_some(Symptom::Lost);
            let (second, found) = play(persons, 200, calls, seed, reset).unwrap();
            assert_eq!(found.kind, IncidentKind::NetworkReset);
            assert!(second < 160, "{persons} persons, {calls} calls a second: {second}");
            assert!(found.started_at >= START + 100 * SECOND);
        }
    }
}

#[test]
fn a_reset_of_one_token_in_ten_is_found_within_a_minute_while_the_others_work() {
    for (persons, calls) in [(10_000, 50), (100_000, 500), (1_000_000, 500)] {
        let reset = |_: &mut Dice, person: u32, second: u64| {
            (second >= 100 && person.is_multiple_of(10)).then_some(Symptom::Lost)
        };
        let (second, found) = play(persons, 200, calls, 3, reset).unwrap();
        assert_eq!(found.kind, IncidentKind::NetworkReset);
        assert!(second < 160, "{persons}: {second}");
    }
}

#[test]
fn one_persons_many_tokens_are_one_loss() {
    let mut watch = Watch::default();
    for _ in 0..1000 {
        assert_eq!(watch.fail(1, Symptom::Lost, 100, START), None);
    }
}

#[test]
fn the_kinds_are_told_apart_by_what_is_seen() {
    let cases = [
        (Symptom::Lost, IncidentKind::NetworkReset),
        (Symptom::AppRefused(Asked::Basic), IncidentKind::AppDisabled),
        (Symptom::Failed, IncidentKind::ProviderOutage),
    ];
    for (symptom, kind) in cases {
        let (second, found) = play(100, 300, 2, 1, |_, _, second| (second >= 100).then_some(symptom)).unwrap();
        assert_eq!(found.kind, kind);
        assert!(second < 160, "{kind:?}: {second}");
    }
    // An outage whose authorization answers with refusals, too, is told by what most of them are.
    let mixed = |dice: &mut Dice, _: u32, second: u64| {
        let symptom = if dice.chance(0.02) { Symptom::Lost } else { Symptom::Failed };
        (second >= 100).then_some(symptom)
    };
    assert_eq!(play(100, 300, 2, 1, mixed).unwrap().1.kind, IncidentKind::ProviderOutage);
}

#[test]
fn a_network_that_serves_somebody_is_not_down_and_an_app_that_is_served_not_disabled() {
    for symptom in [Symptom::Failed, Symptom::AppRefused(Asked::Basic)] {
        let half = |_: &mut Dice, person: u32, _: u64| person.is_multiple_of(2).then_some(symptom);
        assert_eq!(play(100, 600, 5, 1, half), None, "{symptom:?}");
    }
}

#[test]
fn two_persons_make_no_incident() {
    assert_eq!(play(2, 600, 2, 1, |_, _, _| Some(Symptom::Lost)), None);
}

#[test]
fn an_app_of_two_persons_is_refused_if_both_are_for_half_a_minute() {
    let refused = Symptom::AppRefused(Asked::Basic);
    let (second, found) = play(2, 600, 2, 1, |_, _, _| Some(refused)).unwrap();
    assert_eq!((found.kind, second), (IncidentKind::AppDisabled, 30));
    let one = |_: &mut Dice, person: u32, _: u64| (person == 0).then_some(refused);
    assert_eq!(play(2, 600, 2, 1, one), None, "the other is served");
    let silent = |person| {
        (0..600).any(|second| {
            let now = START + SECOND * second;
            Watch::default().fail(person, refused, 2, now).is_some()
        })
    };
    assert!(!silent(0), "of the other nothing is known");
}

#[test]
fn what_one_operation_is_refused_with_is_no_refusal_of_the_app() {
    let mut watch = Watch::default();
    let of = |operation| Symptom::AppRefused(Asked::Operation(operation));
    for second in 0..3_000 {
        assert_eq!(watch.fail(second % 100, of(1), 100, START + SECOND * second), None);
    }
    let second = START + SECOND * 3_000;
    watch.work(100, second);
    assert_eq!(watch.fail(1, of(2), 100, second), None, "the app was served since");
    for person in 0..5 {
        watch.fail(person, of(1), 100, second);
    }
    assert_eq!(watch.fail(6, of(2), 100, second), None, "by turns");
    let found = watch.fail(6, of(2), 100, second + SECOND * 60).unwrap();
    assert_eq!((found.kind, found.persons), (IncidentKind::AppDisabled, 6));
}

#[test]
fn a_watch_is_of_fixed_size() {
    let mut watch = Watch::default();
    for person in 0..100_000 {
        watch.fail(person, Symptom::Lost, 1_000_000, START);
        watch.work(person + 200_000, START);
    }
    for person in 0..100_000 {
        watch.fail(person, Symptom::AppRefused(Asked::Operation(person as u16)), 1_000_000, START);
    }
    assert!(format!("{watch:?}").len() < 200_000, "{}", format!("{watch:?}").len());
    assert!(watch.is_over(START + 3_600 * SECOND));
}

/// Asks a recovery for canaries every second, whose fate is `fate`. Returns the stages with the second in which each was entered.
fn recover(seconds: u32, fate: impl Fn(u32) -> bool) -> (Vec<(Stage, u32)>, u32, Recovery) {
    let mut recovery = Recovery::begin(START);
    let (mut stages, mut canaries) = (Vec::new(), 0);
    for second in 0..seconds {
        let now = START + SECOND * second;
        let called = recovery.stage == Stage::Share || recovery.take_canary(now);
        canaries += u32::from(recovery.stage == Stage::Canaries && called);
        let changed = match called {
            true if fate(second) => recovery.serve(now),
            true => recovery.refuse(true, now),
            false => recovery.advance(now),
        };
        if changed {
            stages.push((recovery.stage, second));
        }
    }
    (stages, canaries, recovery)
}

#[test]
fn it_recovers_from_canaries_over_a_share_to_all() {
    let (stages, canaries, recovery) = recover(600, |_| true);
    assert_eq!(stages, [(Stage::Share, 45), (Stage::All, 105)]);
    assert_eq!((canaries, recovery.is_confirmed()), (3, false));
}

#[test]
fn canaries_that_are_refused_become_rare_and_confirm_a_loss() {
    let (stages, canaries, recovery) = recover(24 * 3600, |_| false);
    assert!(stages.is_empty());
    assert!((288..300).contains(&canaries), "one in five minutes: {canaries}");
    assert!(recovery.is_confirmed());
}

#[test]
fn a_share_that_is_refused_goes_back_to_canaries() {
    let (stages, ..) = recover(200, |second| second < 60);
    assert_eq!(stages[..2].iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), [Stage::Share, Stage::Canaries]);
}

#[test]
fn a_quiet_share_is_let_go_after_ten_minutes() {
    let mut recovery = Recovery::at(Stage::Share, START, START);
    assert!(!recovery.advance(START + 599 * SECOND));
    assert!(recovery.advance(START + 600 * SECOND));
    assert_eq!(recovery.stage, Stage::All);
}

#[test]
fn names_are_their_own() {
    for kind in IncidentKind::ALL {
        assert_eq!(IncidentKind::from_name(kind.as_str()), Some(kind));
    }
    for stage in Stage::ALL {
        assert_eq!(Stage::from_name(stage.as_str()), Some(stage));
    }
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::from_name(outcome.as_str()), Some(outcome));
    }
}
