//! What the broker takes for the supply of a limit, and what the judge's meter of that limit lets through: written apart, they meet here.

use std::time::Duration;

use super::meter::Meter;
use crate::base::clock::Timestamp;
use crate::domain::load::{BucketSupply, Span};
use crate::domain::networks::{Amount, Catalogue, Owner, Unit, Window};
use crate::domain::pool::sustained_length;

/// The spans of one length, one after another, that the judge is watched over.
const SPANS: u32 = 6;

/// Every window and number of the catalogue that comes back by time, each once, with the time in which it does.
fn limits() -> Vec<(Window, u64, Duration)> {
    let mut limits = Vec::new();
    for network in Catalogue::embedded().iter() {
        for class in network.classes.iter().filter(|class| class.unit != Unit::Keys) {
            for rule in &class.limits {
                let Amount::Number(limit) = rule.amount else { continue };
                let Some(length) = sustained_length(&rule.window, limit) else { continue };
                let found = (rule.window.clone(), limit, length);
                if length <= Span::Day.length() && !limits.contains(&found) {
                    limits.push(found);
                }
            }
        }
    }
    limits
}

/// What a meter lets through in each of the spans, where somebody takes whatever he gets as soon as he gets it.
fn let_through(window: &Window, limit: u64, length: Duration, span: Span, chance: u64) -> Vec<u64> {
    let mut meter = Meter::new(window, chance).unwrap();
    let step = if length < Duration::from_secs(30) { length } else { length / 30 };
    let mut now = Timestamp::from_secs(1_700_000_000);
    let mut through = Vec::new();
    for _ in 0..SPANS {
        let end = now + span.length();
        let mut taken = 0;
        while now < end {
            meter.forget(now);
            let room = limit.saturating_sub(meter.used(now));
            if room > 0 && meter.admits(now, limit, room, "") {
                taken += meter.charge(now, room, "");
            }
            now = now + step;
        }
        now = end;
        through.push(taken);
    }
    through
}

#[test]
fn the_judge_lets_through_what_is_taken_for_the_supply() {
    let limits = limits();
    assert!(limits.len() > 20, "{}", limits.len());
    for (window, limit, length) in limits {
        let bucket = BucketSupply::per_window(1, Owner::Token, limit as f64, length);
        for span in Span::ALL {
            let (gives, one) = (bucket.gives(span), limit as f64);
            for chance in [0, 7_777_777_777, 123_456_789_012] {
                let through = let_through(&window, limit, length, span, chance);
                let most = through.iter().copied().max().unwrap_or_default() as f64;
                let all = through.iter().sum::<u64>() as f64;
                let told = || format!("{limit} in {window:?} over {span:?}: {gives}, {through:?}");
                // A span meets at most one window that is not wholly within it at each of its ends.
                assert!(most >= gives - one && most <= gives + 2.0 * one, "{}", told());
                // In the long run the phase does not matter: the limit comes back once in each window.
                let sustained = one * (span.length() * SPANS).as_secs_f64() / length.as_secs_f64();
                assert!((all - sustained).abs() <= 2.0 * one, "{}", told());
                if span.length() >= length {
                    assert!((all / f64::from(SPANS) - gives).abs() <= 2.0 * one / f64::from(SPANS), "{}", told());
                }
            }
        }
    }
}
