//! The whole of it: layers, mistakes, the example.

use std::time::Duration;

use super::*;

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::read("broker.toml", text, [], &[], |_| Vec::new())
}

fn mistakes(text: &str) -> Vec<String> {
    read(text).unwrap_err().mistakes().iter().map(Mistake::to_string).collect()
}

/// The example with its commented settings switched on.
fn whole_example() -> String {
    let on = |line: &str| {
        line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c != ' ')).unwrap_or(line).to_owned()
    };
    EXAMPLE.lines().map(on).collect::<Vec<String>>().join("\n")
}

/// Reads `text` and returns every setting that was asked for.
fn surveyed(text: &str) -> Survey {
    let mut survey = Survey::default();
    let root = tree::from_file("example.toml", text, &mut survey);
    let _: Config = reader::read(root, &mut survey);
    survey
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
    let config = Config::default();
    assert_eq!(config.grpc.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:7071");
    assert_eq!(config.key_file(), Path::new("./token-broker-data/sealing.key"));
    assert_eq!(config.credit.owner_reserve, Share::percent(10));
    assert_eq!(config.credit.window_guard, Duration::from_secs(2));
    assert_eq!((config.load.open_at, config.load.clear_at, config.load.target), (0.9, 0.8, 0.8));
}

#[test]
fn the_defaults_pass_their_own_checks() {
    let mut survey = Survey::default();
    check::check(&Config::default(), &mut survey);
    assert!(survey.is_clean());
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(Config::read("example.toml", EXAMPLE, [], &[], |_| Vec::new()), Ok(Config::default()));
}

#[test]
fn the_example_has_every_setting() {
    let survey = surveyed(&whole_example());
    assert!(survey.is_clean(), "{:?}", survey.into_result(()));
    // What one network shows, the others need not repeat.
    let setting = |field: &str| match field.strip_prefix("networks.").and_then(|rest| rest.split_once('.')) {
        Some((_, setting)) => format!("networks.*.{setting}"),
        None => field.to_owned(),
    };
    let mut written = BTreeMap::new();
    for (field, asked) in survey.asked() {
        *written.entry(setting(field)).or_insert(false) |= asked.origin != Origin::Default;
    }
    for (setting, written) in &written {
        assert!(written, "{setting} is not in the example");
    }
    assert_eq!(written.len(), 115, "a setting came or went: is that meant?");
}

#[test]
fn the_example_says_what_each_setting_may_be() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for (field, asked) in surveyed(&whole_example()).asked() {
        let Origin::File { line, .. } = asked.origin else { continue };
        let comment = lines[line - 2].to_lowercase();
        assert!(
            comment.contains(&asked.expects.to_lowercase()),
            "line {line}: {field} may be {}, not: {comment}",
            asked.expects
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = r#"
[grpc]
listen = 7070
lissen = "127.0.0.1:1"
deadline = "1ms"
reflection = "yes"

[load]
open_at = 0.5

[credit]
owner_reserve = 0.1
choice = "best"
[credit.team_reserve]
Acme = "20%"

[alerts]
[[alerts.webhooks]]
url = "ftp://example.com"

[[alerts.webhooks]]
url = "https://user:canary@example.com/"
secret_file = "s"

[storr]
dir = "x"
"#;
    let expected = [
        "broker.toml:3: grpc.listen: expected an address and a port such as \"127.0.0.1:7070\", found a number",
        "broker.toml:4: grpc.lissen: no setting has this name; did you mean listen?",
        "broker.toml:5: grpc.deadline: must be 100ms to 5m",
        "broker.toml:6: grpc.reflection: expected true or false, found a text; write it without quotes",
        "broker.toml:12: credit.owner_reserve: expected a share such as \"10%\", found a number",
        "broker.toml:13: credit.choice: expected one of: most_credit, soonest_reset, round_robin",
        "broker.toml:15: credit.team_reserve.Acme: 'Acme' is not a team id; expected 1 to 63 of a-z, 0-9, '_', '-' or '.', beginning with a letter or digit",
        "broker.toml:19: alerts.webhooks.0.secret_file: is missing; set it to a path",
        "broker.toml:19: alerts.webhooks.0.url: must begin with https:// (http:// only with allow_private = true)",
        "broker.toml:22: alerts.webhooks.1.url: must not hold a user or a password; messages are signed with the secret in secret_file",
        "broker.toml:25: storr: no setting has this name; did you mean store?",
        "default: load.clear_at: must be below load.open_at, or the alert would flap; lower it",
        "default: load.target: must be below load.open_at, or the advice would not clear the alert; lower it",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn a_line_that_is_no_toml_hides_no_other_mistake() {
    let found = mistakes("[grpc]\nlisten = 127.0.0.1:7070\nworkers = 1000\n[http\n");
    assert!(found.iter().any(|mistake| mistake.starts_with("broker.toml:2: not TOML")), "{found:?}");
    assert!(found.contains(&"broker.toml:3: grpc.workers: must be 0 to 256".to_owned()), "{found:?}");
    assert!(found.iter().any(|mistake| mistake.starts_with("broker.toml:4: not TOML")), "{found:?}");
    assert!(found.iter().all(|mistake| !mistake.contains("grpc.listen")), "{found:?}");
}

#[test]
fn no_message_repeats_a_value() {
    let values = ["\"canary\"", "[\"canary\"]", "{ a = \"canary\" }", "canary"];
    for field in surveyed(&whole_example()).asked().keys().filter(|field| !field.contains('0')) {
        let (section, key) = field.rsplit_once('.').unwrap();
        for value in values {
            if let Err(errors) = read(&format!("[{section}]\n{key} = {value}\n")) {
                assert!(!format!("{errors} {errors:?}").contains("canary"), "{errors}");
            }
        }
    }
    let errors = read("[[alerts.webhooks]]\nsecret_file = \"s\"\nurl = \"http://example.com/canary\"").unwrap_err();
    assert!(!errors.to_string().contains("canary"), "{errors}");
    let shown = read("[[alerts.webhooks]]\nsecret_file = \"s\"\nurl = \"https://example.com/canary\"").unwrap();
    assert!(!format!("{shown:?}").contains("canary"));
}

#[test]
fn the_environment_goes_over_the_file_and_flags_over_both() {
    let text = "[grpc]\nworkers = 1\nreflection = true\n[store]\ndir = \"a\"";
    let env = [
        ("TOKEN_BROKER__GRPC__WORKERS", "2"),
        ("TOKEN_BROKER__GRPC__REFLECTION", "false"),
        ("TOKEN_BROKER__GRPC__LIMITS__HEADER_LIST", "16KiB"),
        ("TOKEN_BROKER__STORE__DIR", "2026"),
        ("TOKEN_BROKER__NETWORKS__FACEBOOK__SAFE_START", "{ page = 7 }"),
        ("TOKEN_BROKER__ALERTS__WEBHOOKS", r#"[{ url = "https://example.com", secret_file = "s" }]"#),
        ("TOKEN_BROKER_OTHER", "ignored"),
        ("PATH", "ignored"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = [("grpc.workers".to_owned(), "3".to_owned())];
    let config = Config::read("broker.toml", text, env, &overrides, |_| Vec::new()).unwrap();
    assert_eq!((config.grpc.workers, config.grpc.reflection), (3, false));
    assert_eq!(config.grpc.limits.header_list, ByteSize::kib(16));
    assert_eq!(config.store.dir, Path::new("2026"));
    assert_eq!(config.networks[&"facebook".parse().unwrap()].safe_start[&"page".parse().unwrap()], 7);
    assert_eq!(config.alerts.webhooks.len(), 1);
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let env = [
        ("TOKEN_BROKER__GRPC__WORKERS", "many"),
        ("TOKEN_BROKER__GRPC__WORKER", "1"),
        ("TOKEN_BROKER__GRPC", "1"),
        ("TOKEN_BROKER____X", "1"),
        ("TOKEN_BROKER__STORE__DIR__X", "1"),
    ];
    let found = |(name, value): (&str, &str)| {
        let env = [(name.to_owned(), value.to_owned())];
        Config::read("broker.toml", "[store]\ndir = \"a\"", env, &[], |_| Vec::new()).unwrap_err().to_string()
    };
    let expected = [
        "TOKEN_BROKER__GRPC__WORKERS: grpc.workers: expected a whole number, found a text; write it without quotes",
        "TOKEN_BROKER__GRPC__WORKER: grpc.worker: no setting has this name; did you mean workers?",
        "TOKEN_BROKER__GRPC: grpc: expected a section, found a number; write [grpc] above its settings",
        "TOKEN_BROKER____X: .x: no setting has this name; write a section and a key",
        "TOKEN_BROKER__STORE__DIR__X: store.dir.x: what stands above it is not a section; check its name",
    ];
    assert_eq!(env.map(found), expected);
}

#[test]
fn unsafe_and_senseless_combinations_are_refused() {
    let cases = [
        ("[grpc]\nlisten = \"0.0.0.0:7070\"", Some("grpc.listen")),
        ("[grpc]\nlisten = \"0.0.0.0:7070\"\ninsecure_plaintext = true", None),
        ("[grpc]\nlisten = \"0.0.0.0:7070\"\ntls_cert = \"c\"\ntls_key = \"k\"", None),
        ("[grpc]\nlisten = \"[::1]:7070\"", None),
        ("[grpc]\ntls_cert = \"c\"", Some("grpc.tls_cert")),
        ("[grpc]\ntls_key = \"k\"", Some("grpc.tls_key")),
        ("[grpc]\nclient_ca = \"a\"", Some("grpc.client_ca")),
        ("[grpc]\nclient_certificates = \"optional\"", Some("grpc.client_certificates")),
        ("[grpc]\ntls_cert = \"c\"\ntls_key = \"k\"\nclient_ca = \"a\"\nclient_certificates = \"optional\"", None),
        ("[grpc.limits]\nconnections = 10", Some("grpc.limits.connections_per_peer")),
        ("[http]\nlisten = \"127.0.0.1:7070\"", Some("http.listen")),
        ("[http]\nlisten = \"127.0.0.1:0\"\n[grpc]\nlisten = \"127.0.0.1:0\"", None),
        ("[credit]\nlease_ttl = \"2h\"", Some("credit.lease_ttl")),
        ("[credit]\nlease_ttl = \"2s\"", Some("credit.window_guard")),
        ("[sign_in]\npassword_memory = \"19MiB\"\npassword_passes = 1", Some("sign_in.password_passes")),
        ("[sign_in]\npassword_memory = \"18MiB\"\npassword_passes = 2", Some("sign_in.password_passes")),
        ("[sign_in]\npassword_memory = \"46MiB\"\npassword_passes = 1", None),
        ("[sign_in]\npassword_memory = \"7MiB\"\npassword_passes = 5", None),
        ("[sign_in]\npassword_memory = \"6MiB\"\npassword_passes = 10", Some("sign_in.password_memory")),
        ("[sign_in]\nidle = \"2h\"\nwhole = \"1h\"", Some("sign_in.idle")),
        ("[load]\nclear_at = 0.9", Some("load.clear_at")),
        ("[load]\ntarget = 0.95", Some("load.target")),
    ];
    for (text, field) in cases {
        let found = read(text).err().map(|errors| errors.mistakes()[0].field.clone());
        assert_eq!(found.as_deref(), field, "{text}");
    }
    let webhook = "[[alerts.webhooks]]\nurl = \"https://example.com/a\"\nsecret_file = \"s\"\n";
    assert_eq!(read(&webhook.repeat(2)).unwrap_err().mistakes()[0].field, "alerts.webhooks.1.url");
}

#[test]
fn the_larger_reserve_of_team_and_network_holds() {
    let text = "[credit.team_reserve]\nacme = \"5%\"\nzenith = \"30%\"\n[networks.x]\nowner_reserve = \"20%\"\nchoice = \"round_robin\"";
    let config = read(text).unwrap();
    let cases =
        [("acme", "x", 20), ("acme", "youtube", 5), ("zenith", "x", 30), ("other", "x", 20), ("other", "youtube", 10)];
    for (team, network, percent) in cases {
        let reserve = config.reserve_for(&team.parse().unwrap(), &network.parse().unwrap());
        assert_eq!(reserve, Share::percent(percent), "{team} {network}");
    }
    assert_eq!(config.choice_for(&"x".parse().unwrap()), Choice::RoundRobin);
    assert_eq!(config.choice_for(&"youtube".parse().unwrap()), Choice::MostCredit);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = Config::load(Some(Path::new("/nonexistent/broker.toml")), [], &[], |_| Vec::new()).unwrap_err();
    assert!(errors.to_string().starts_with("/nonexistent/broker.toml: cannot be read"), "{errors}");
}

#[test]
fn what_only_others_can_judge_is_told_with_its_place() {
    let misfits = |_: &Config| vec![("networks.nowhere".to_owned(), "is unknown".to_owned())];
    let text = "[store]\nreaders = 0\n[networks.nowhere]\nchoice = \"round_robin\"";
    let errors = Config::read("broker.toml", text, [], &[], misfits).unwrap_err();
    let told: Vec<_> = errors.mistakes().iter().map(Mistake::to_string).collect();
    assert_eq!(told, ["broker.toml:2: store.readers: must be 1 to 64", "broker.toml:4: networks.nowhere: is unknown"]);
}
