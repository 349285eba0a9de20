//! Every documented header, and arbitrary bytes in every dialect.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::networks::{Catalogue, Owner};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::embedded);

/// 2024-01-16T15:46:40Z.
const NOW: Timestamp = Timestamp::from_secs(1_705_420_000);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn read(network: &Network, headers: &[(&str, &str)]) -> Vec<Reading> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    read_usage(network, &headers, NOW)
}

fn read_at(network: &str, headers: &[(&str, &str)]) -> Vec<Reading> {
    read(CATALOGUE.network(network).unwrap(), headers)
}

/// A network whose only header rule is this one.
fn network_of(dialect: &str, name: &str) -> Network {
    let rule = format!("dialect = '{dialect}'\nname = '{name}'\nowner = 'token'\nwindow = '1h'\nverified = 'reported'");
    let mut network = Network::clone(CATALOGUE.network("pinterest").unwrap());
    network.headers = vec![toml::from_str(&rule).unwrap()];
    network
}

/// A reading in short: window in seconds, class, object, usage, seconds to the reset.
type Short = (Option<u64>, Option<String>, Option<String>, Usage, Option<u64>);

fn short(readings: Vec<Reading>) -> Vec<Short> {
    let in_short = |reading: Reading| {
        let window = reading.window.map(|window| window.as_secs());
        let class = reading.class.map(|class| class.to_string());
        (window, class, reading.object, reading.usage, reading.resets_at.map(|at| at.since(NOW).as_secs()))
    };
    readings.into_iter().map(in_short).collect()
}

type Headers<'a> = &'a [(&'a str, &'a str)];

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn count(limit: impl Into<Option<u64>>, remaining: impl Into<Option<u64>>, used: impl Into<Option<u64>>) -> Usage {
    Usage::Count { limit: limit.into(), remaining: remaining.into(), used: used.into() }
}

#[test]
fn every_networks_headers_are_read() {
    let perhour = [
        ("x-ratelimit-perhour-limit", "1000"),
        ("x-ratelimit-perhour-remaining", "900"),
        ("x-ratelimit-perhour-reset", "1800"),
        ("x-ratelimit-perday-limit", "5000"),
        ("x-ratelimit-perday-remaining", "4000"),
        ("x-ratelimit-perday-reset", "40000"),
    ];
    let pinterest = [
        (
            "x-ratelimit-limit",
            "60, 100;w=1;name=\"safety_net_app_id_user_id\", 60;w=60;name=\"org_analytics_app_id_user_id\"",
        ),
        ("x-ratelimit-remaining", "59"),
        ("x-ratelimit-reset", "1"),
    ];
    let bluesky = [
        ("ratelimit-limit", "3000"),
        ("ratelimit-remaining", "2999"),
        ("ratelimit-reset", "1705420300"),
        ("ratelimit-policy", "3000;w=300"),
    ];
    const USAGE: &str = r#"{"call_count":28,"total_time":25,"total_cputime":25}"#;
    const BUSINESS: &str = r#"{"112130216863063":[{"type":"pages","call_count":97,"total_cputime":23,"total_time":23,"estimated_time_to_regain_access":0}]}"#;
    let calls = || some("calls");
    let cases: Vec<(&str, Headers<'_>, Vec<Short>)> = vec![
        ("facebook", &[("x-app-usage", USAGE)], vec![(Some(HOUR), calls(), None, Usage::Percent(28), None)]),
        (
            "facebook",
            &[("x-business-use-case-usage", BUSINESS)],
            vec![(Some(DAY), calls(), some("112130216863063"), Usage::Percent(97), None)],
        ),
        ("instagram", &[("x-app-usage", USAGE)], vec![(Some(HOUR), some("platform"), None, Usage::Percent(28), None)]),
        (
            "x",
            &[("x-rate-limit-limit", "900"), ("x-rate-limit-remaining", "847"), ("x-rate-limit-reset", "1705420800")],
            vec![(Some(900), None, None, count(900, 847, None), Some(800)); 2],
        ),
        (
            "github",
            &[
                ("x-ratelimit-limit", "5000"),
                ("x-ratelimit-remaining", "4987"),
                ("x-ratelimit-used", "13"),
                ("x-ratelimit-reset", "1705423600"),
                ("x-ratelimit-resource", "core"),
            ],
            vec![(Some(HOUR), calls(), None, count(5000, 4987, 13), Some(3600)); 2],
        ),
        ("github", &[("retry-after", "60")], vec![(None, None, None, Usage::Blocked, Some(60))]),
        (
            "github",
            &[("retry-after", "Tue, 16 Jan 2024 15:48:40 GMT")],
            vec![(None, None, None, Usage::Blocked, Some(120))],
        ),
        (
            "reddit",
            &[("x-ratelimit-used", "4.5"), ("x-ratelimit-remaining", "95.5"), ("x-ratelimit-reset", "300")],
            vec![(Some(600), calls(), None, count(None, 95, 5), Some(300))],
        ),
        (
            "mastodon",
            &[
                ("x-ratelimit-limit", "300"),
                ("x-ratelimit-remaining", "299"),
                ("x-ratelimit-reset", "2024-01-16T15:50:00.123456Z"),
            ],
            vec![(None, None, None, count(300, 299, None), Some(200))],
        ),
        (
            "tumblr",
            &perhour,
            vec![
                (Some(HOUR), calls(), None, count(1000, 900, None), Some(1800)),
                (Some(DAY), calls(), None, count(5000, 4000, None), Some(40000)),
            ],
        ),
        (
            "pinterest",
            &pinterest,
            vec![
                (Some(60), some("org_analytics"), None, count(60, 59, None), None),
                (Some(1), None, None, count(100, None, None), None),
            ],
        ),
        (
            "pinterest",
            &[("x-ratelimit-limit", "1000"), ("x-ratelimit-remaining", "10"), ("x-ratelimit-reset", "30")],
            vec![(Some(60), None, None, count(1000, 10, None), Some(30))],
        ),
        ("bluesky", &bluesky, vec![(Some(300), calls(), None, count(3000, 2999, None), Some(300))]),
        ("youtube", &[("x-ratelimit-limit", "1")], vec![]),
        ("xing", &[("retry-after", "0")], vec![]),
    ];
    for (network, headers, expected) in cases {
        assert_eq!(short(read_at(network, headers)), expected, "{network} {headers:?}");
    }
}

#[test]
fn owners_are_those_of_the_rules() {
    let readings = read_at("facebook", &[("retry-after", "5"), ("x-app-usage", r#"{"call_count":1}"#)]);
    assert_eq!(readings.iter().map(|reading| reading.owner).collect::<Vec<_>>(), [Owner::App, Owner::App]);
    let readings = read_at("x", &[("x-rate-limit-remaining", "1")]);
    assert_eq!(readings.iter().map(|reading| reading.owner).collect::<Vec<_>>(), [Owner::AppPerson, Owner::App]);
    let reading = read_at("bluesky", &[("ratelimit-remaining", "1")]);
    assert_eq!(reading[0].owner, Owner::Address);
}

#[test]
fn percentages_are_rounded_up_and_block_at_the_end() {
    let cases = [
        (r#"{"call_count":0}"#, Some((Usage::Percent(0), None))),
        (r#"{"call_count":9.67}"#, Some((Usage::Percent(10), None))),
        (
            r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#,
            Some((Usage::Percent(10), Some(100))),
        ),
        (r#"{"call_count":1,"total_time":99,"total_cputime":3}"#, Some((Usage::Percent(99), None))),
        (r#"{"call_count":99.5}"#, Some((Usage::Blocked, None))),
        (r#"{"call_count":100}"#, Some((Usage::Blocked, None))),
        (r#"{"call_count":1e300}"#, Some((Usage::Blocked, None))),
        (r#"{"call_count":20,"estimated_time_to_regain_access":19}"#, Some((Usage::Blocked, Some(19 * 60)))),
        (r#"{"estimated_time_to_regain_access":19}"#, Some((Usage::Blocked, Some(19 * 60)))),
        (r#"{"call_count":100,"estimated_time_to_regain_access":100000}"#, Some((Usage::Blocked, None))),
        (r#"{"estimated_time_to_regain_access":0}"#, None),
        (r#"{"call_count":-1}"#, None),
        (r#"{"call_count":"28"}"#, None),
        (r#"{"call_count":1,"call_count":2}"#, None),
        (r#"{"call_count":1"#, None),
        ("{}", None),
        ("[]", None),
        ("28", None),
        ("", None),
    ];
    let network = network_of("percent_object", "x-app-usage");
    for (text, expected) in cases {
        let found = short(read(&network, &[("x-app-usage", text)]));
        let found: Vec<_> = found.into_iter().map(|(_, _, _, usage, reset)| (usage, reset)).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn a_percent_map_names_its_objects_and_classes() {
    let text = r#"{
        "1":[{"type":"pages","call_count":10},{"type":"messenger","call_count":20},{"type":"ads_insights","call_count":100}],
        "2":[{"type":"instagram","call_count":1,"estimated_time_to_regain_access":2}],
        "3":[]
    }"#;
    let expected = vec![
        (Some(DAY), some("calls"), some("1"), Usage::Percent(10), None),
        (Some(DAY), some("messenger"), some("1"), Usage::Percent(20), None),
        (Some(DAY), some("calls"), some("2"), Usage::Blocked, Some(120)),
    ];
    assert_eq!(short(read_at("facebook", &[("x-business-use-case-usage", text)])), expected);
    for text in
        [r#"{"1":{"call_count":1}}"#, r#"{"1":[{"call_count":1}],"2":[{}]}"#, r#"{"1":[{"call_count":1}]"#, "null"]
    {
        assert_eq!(read_at("facebook", &[("x-business-use-case-usage", text)]), [], "{text}");
    }
}

#[test]
fn counts_that_can_not_be_true_give_no_reading() {
    let network = network_of("triple_epoch", "x-");
    let huge = "9".repeat(1 << 20);
    let cases: [(Headers<'_>, Option<Usage>); 14] = [
        (&[("x-limit", "10"), ("x-remaining", "10")], Some(count(10, 10, None))),
        (&[("x-limit", "10"), ("x-remaining", "11")], None),
        (&[("x-limit", "ten"), ("x-remaining", "5")], None),
        (&[("x-limit", "-1")], None),
        (&[("x-remaining", "")], None),
        (&[("x-remaining", "5"), ("x-remaining", "5")], Some(count(None, 5, None))),
        (&[("x-remaining", "5"), ("x-remaining", "6")], None),
        (&[("x-limit", "99999999999999999999999")], Some(count(u64::MAX, None, None))),
        (&[("x-limit", &huge)], None),
        (&[("x-used", "12"), ("x-limit", "10")], Some(count(10, None, 12))),
        (&[("x-used", "99999999999999999999999.5")], Some(count(None, None, u64::MAX))),
        (&[("x-reset", "60")], None),
        (&[("xlimit", "10"), ("y-limit", "10"), ("x-limits", "10")], None),
        (&[("x-limit", " 10 ")], Some(count(10, None, None))),
    ];
    for (headers, expected) in cases {
        let usage: Vec<Usage> = read(&network, headers).into_iter().map(|reading| reading.usage).collect();
        assert_eq!(usage, expected.into_iter().collect::<Vec<_>>(), "{:?}", &headers[0].0);
    }
}

#[test]
fn no_dialect_reads_nonsense() {
    let huge = "9".repeat(1 << 20);
    let nonsense = [
        "",
        " ",
        "NaN",
        "Infinity",
        "-1",
        "+1",
        "1e309",
        "0x10",
        "null",
        "true",
        "{}",
        "[]",
        "{\"call_count\":NaN}",
        "{\"call_count\":1e999}",
        "{\"1\":[{\"call_count\":-1}]}",
        "<html>",
        "\0",
        "\u{fffd}\u{fffd}",
        "\"open",
        ",,",
        "١٢",
        &huge,
    ];
    for (dialect, names) in DIALECTS {
        let network = network_of(dialect, "h");
        for text in nonsense {
            let headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, text)).collect();
            assert_eq!(read(&network, &headers), [], "{dialect} {}", &text[..text.len().min(40)]);
        }
        let shouted: Vec<(String, &str)> = names.iter().map(|name| (name.to_uppercase(), "5")).collect();
        let shouted: Vec<(&str, &str)> = shouted.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        assert_eq!(read(&network, &shouted), [], "{dialect}: names come in lower case");
    }
}

#[test]
fn resets_are_believed_only_near_now() {
    let left = |seconds: u64| Some(NOW + Duration::from_secs(seconds));
    let cases = [
        ("triple_epoch", "1705420800", left(800)),
        ("triple_epoch", "800", left(800)),
        ("triple_epoch", "1705419990", Some(Timestamp::from_secs(1_705_419_990))),
        ("triple_epoch", "1705410000", None),
        ("triple_epoch", "1705420800000", None),
        ("triple_epoch", "1709000000", None),
        ("triple_epoch", "99999999999999999999999", None),
        ("triple_seconds", "59.2", left(60)),
        ("triple_seconds", "0", left(0)),
        ("triple_seconds", "3456000", left(3_456_000)),
        ("triple_seconds", "3456001", None),
        ("triple_seconds", "1705420800", left(800)),
        ("triple_seconds", "soon", None),
        ("triple_iso", "2024-01-16T16:46:40+01:00", left(0)),
        ("triple_iso", "2024-01-16T15:50:00Z", left(200)),
        ("triple_iso", "2024-01-16T15:50:00", None),
        ("triple_iso", "9999-12-31T23:59:59Z", None),
        ("triple_iso", "800", left(800)),
    ];
    for (dialect, text, expected) in cases {
        let readings = read(&network_of(dialect, "x-"), &[("x-remaining", "5"), ("x-reset", text)]);
        assert_eq!(readings.len(), 1, "{dialect} {text}");
        assert_eq!(readings[0].resets_at, expected, "{dialect} {text}");
    }
}

#[test]
fn each_policy_of_a_list_has_its_window() {
    let cases: [(&str, &str, Option<&str>, Vec<Short>); 7] = [
        // The limit in force is that of no policy.
        (
            "50, 100;w=60",
            "49",
            Some("10"),
            vec![
                (Some(HOUR), None, None, count(50, 49, None), Some(10)),
                (Some(60), None, None, count(100, None, None), None),
            ],
        ),
        // Of two policies with the limit in force, the one whose window is shorter than the time to the reset is not meant.
        (
            "60, 60;w=1, 60;w=60",
            "59",
            Some("30"),
            vec![
                (Some(60), None, None, count(60, 59, None), Some(30)),
                (Some(1), None, None, count(60, None, None), None),
            ],
        ),
        (
            "60, 60;w=1, 60;w=60",
            "59",
            None,
            vec![(Some(1), None, None, count(60, 59, None), None), (Some(60), None, None, count(60, 59, None), None)],
        ),
        ("60;w=60", "5", None, vec![(Some(60), None, None, count(60, 5, None), None)]),
        ("60, 60;w=0, 70;w=99999999999", "5", None, vec![(Some(HOUR), None, None, count(60, 5, None), None)]),
        ("60, 60;w=60", "61", None, vec![]),
        ("60, \"", "5", None, vec![]),
    ];
    let network = network_of("policy_list", "x-");
    for (limit, remaining, reset, expected) in cases {
        let mut headers = vec![("x-limit", limit), ("x-remaining", remaining)];
        headers.extend(reset.map(|reset| ("x-reset", reset)));
        assert_eq!(short(read(&network, &headers)), expected, "{limit}");
    }
}

#[test]
fn the_current_draft_gives_a_reading_per_policy() {
    let two = r#""burst";q=100;w=60,"daily";q=1000;w=86400"#;
    let cases: [(Option<&str>, Option<&str>, Vec<Short>); 10] = [
        (
            Some(two),
            Some(r#""burst";r=50;t=30"#),
            vec![
                (Some(60), None, None, count(100, 50, None), Some(30)),
                (Some(DAY), None, None, count(1000, None, None), None),
            ],
        ),
        (
            Some(two),
            Some(r#""daily";r=0;t=80000, "burst";r=1"#),
            vec![
                (Some(DAY), None, None, count(1000, 0, None), Some(80000)),
                (Some(60), None, None, count(100, 1, None), None),
            ],
        ),
        (
            Some(r#""a";q=10;w=60;pk=:cHJpdg==:"#),
            Some(r#""default";r=5;t=6"#),
            vec![(Some(60), None, None, count(10, 5, None), Some(6))],
        ),
        (None, Some(r#""default";r=50;t=30"#), vec![(Some(HOUR), None, None, count(None, 50, None), Some(30))]),
        (Some(r#""a";q=10"#), None, vec![(Some(HOUR), None, None, count(10, None, None), None)]),
        // Bytes are not calls.
        (Some(r#""a";q=10;w=60;qu="content-bytes""#), Some(r#""a";r=5"#), vec![]),
        (
            Some(r#""a";q=10;w=60;qu="requests""#),
            Some(r#""a";r=5"#),
            vec![(Some(60), None, None, count(10, 5, None), None)],
        ),
        // More left than the limit: the limit alone is believed.
        (Some(r#""a";q=10;w=60"#), Some(r#""a";r=11"#), vec![(Some(60), None, None, count(10, None, None), None)]),
        (Some(r#""a";q=10;w=60"#), Some(r#""a";r=5;"#), vec![(Some(60), None, None, count(10, None, None), None)]),
        (Some("10;w=60"), Some("5"), vec![]),
    ];
    for name in ["ratelimit", "ratelimit-"] {
        let network = network_of("ietf_draft", name);
        for (policy, left, expected) in &cases {
            let policy = policy.map(|policy| ("ratelimit-policy", policy));
            let headers: Vec<_> = policy.into_iter().chain(left.map(|left| ("ratelimit", left))).collect();
            assert_eq!(short(read(&network, &headers)), *expected, "{headers:?}");
        }
    }
}

#[test]
fn a_wait_blocks_until_it_is_over() {
    let network = network_of("retry_after", "retry-after");
    for (text, expected) in [
        ("120", Some(120)),
        ("0.5", Some(1)),
        ("Tue, 16 Jan 2024 15:47:40 GMT", Some(60)),
        ("Tue, 16 Jan 2024 15:45:40 GMT", None),
        ("0", None),
        ("-5", None),
        ("99999999999999999999999", None),
        ("later", None),
    ] {
        let readings = short(read(&network, &[("retry-after", text)]));
        let expected: Vec<Short> =
            expected.into_iter().map(|left| (Some(HOUR), None, None, Usage::Blocked, Some(left))).collect();
        assert_eq!(readings, expected, "{text}");
    }
}

const DIALECTS: [(&str, &[&str]); 9] = [
    ("percent_object", &["h"]),
    ("percent_map", &["h"]),
    ("triple_epoch", &["h-limit", "h-remaining", "h-used", "h-reset"]),
    ("triple_seconds", &["h-limit", "h-remaining", "h-used", "h-reset"]),
    ("triple_iso", &["h-limit", "h-remaining", "h-used", "h-reset"]),
    ("policy_list", &["h-limit", "h-remaining", "h-reset", "h-policy"]),
    ("ietf_draft", &["h", "h-policy"]),
    ("ietf_draft_old", &["h-limit", "h-remaining", "h-reset", "h-policy"]),
    ("retry_after", &["h"]),
];

static NETWORKS: LazyLock<Vec<(Network, &[&str])>> =
    LazyLock::new(|| DIALECTS.into_iter().map(|(dialect, names)| (network_of(dialect, "h"), names)).collect());

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "\\PC{0,80}",
        any::<u64>().prop_map(|number| number.to_string()),
        (0..2_000_000_000_u64).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_map(|number| format!("{{\"call_count\":{number},\"estimated_time_to_regain_access\":{number}}}")),
        any::<f64>().prop_map(|number| format!("{{\"1\":[{{\"call_count\":{number}}},{{\"total_time\":{number}}}]}}")),
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| format!("{a}, {b};w={c};name=\"x\"")),
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("\"a\";q={a};w={b};r={b};t={a}")),
    ]
}

proptest! {
    /// Whatever a header says, in whatever dialect: no panic, no endless list, no reset that can't be.
    #[test]
    fn nothing_is_trusted(values in prop::collection::vec(value(), 4), now in any::<i64>()) {
        for (network, names) in NETWORKS.iter() {
            let headers: Vec<(String, String)> =
                names.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned()).collect();
            for now in [NOW, Timestamp::from_micros(now)] {
                let readings = read_usage(network, &headers, now);
                prop_assert!(readings.len() <= MOST_READINGS);
                for reading in readings {
                    if let Some(at) = reading.resets_at {
                        prop_assert!(time::is_believable(at, now));
                    }
                    if let Usage::Count { limit, remaining, used } = reading.usage {
                        prop_assert!(limit.is_some() || remaining.is_some() || used.is_some());
                        prop_assert!(limit.zip(remaining).is_none_or(|(limit, remaining)| remaining <= limit));
                    }
                }
            }
        }
    }

    /// A sound family is read as it was written.
    #[test]
    fn what_is_sound_is_read(limit in any::<u64>(), spent in any::<u64>(), left in 0..2_000_000_u64) {
        let remaining = limit.saturating_sub(spent);
        let (limit_text, remaining_text, left_text) = (limit.to_string(), remaining.to_string(), left.to_string());
        let headers = [("h-limit", &*limit_text), ("h-remaining", &*remaining_text), ("h-reset", &*left_text)];
        for (network, names) in NETWORKS.iter().filter(|(_, names)| names.contains(&"h-limit")) {
            let readings = read(network, &headers);
            prop_assert_eq!(readings.len(), 1, "{:?}", names);
            prop_assert_eq!(readings[0].usage, count(limit, remaining, None));
            prop_assert_eq!(readings[0].resets_at, Some(NOW + Duration::from_secs(left)));
        }
    }
}

#[test]
fn a_list_without_end_is_not_read() {
    let map = format!("{{\"1\":[{}]}}", vec![r#"{"call_count":1}"#; 500].join(","));
    assert_eq!(read_at("facebook", &[("x-business-use-case-usage", &map)]).len(), MOST_READINGS);
    let map = format!("{{\"1\":[{}]}}", vec![r#"{"call_count":1}"#; 100_000].join(","));
    assert_eq!(read_at("facebook", &[("x-business-use-case-usage", &map)]), []);
}
