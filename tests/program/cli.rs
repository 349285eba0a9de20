//! The command line against a real broker: what an operator does in a day, as tables and as JSON, with its exit codes.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Broker, Ended, Launch, cli, run_bounded};

/// How often a question is asked before it counts as unanswered, and how long between two tries.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

const SCOPES: [&str; 5] = ["tweet.read", "users.read", "like.read", "list.read", "offline.access"];

/// A broker and an operator's terminal.
struct Desk {
    home: tempfile::TempDir,
    broker: Broker,
    key: String,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let broker = Launch::new(&home.path().join("data")).start();
        let key = broker.first_key();
        Self { home, broker, key }
    }

    /// With the team `acme`, and a token of `ann`.
    fn with_token() -> (Self, String) {
        let desk = Self::new();
        desk.done("team create acme");
        let token = desk.add_token("ann");
        (desk, token)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run_with(&self, key: &str, line: &str, input: &[u8]) -> Ended {
        let mut command = cli(self.home.path());
        command.args(line.split_whitespace()).env("TOKEN_BROKER_SERVER", self.broker.url());
        if !key.is_empty() {
            command.env("TOKEN_BROKER_KEY", key);
        }
        run_bounded(&mut command, input)
    }

    fn run(&self, line: &str) -> Ended {
        self.run_with(&self.key, line, b"")
    }

    /// A command that must do what it says; its output.
    fn done(&self, line: &str) -> String {
        let ended = self.run(line);
        assert_eq!(ended.status.code(), Some(0), "{line}: {}", ended.text());
        ended.stdout
    }

    /// The same as JSON.
    fn json(&self, line: &str) -> Value {
        let text = self.done(&format!("{line} --output json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error} in {text}"))
    }

    /// A command that must fail with this code; what it said.
    fn fails(&self, line: &str, code: i32) -> String {
        let ended = self.run(line);
        assert_eq!(ended.status.code(), Some(code), "{line}: {}", ended.text());
        assert!(ended.stdout.is_empty(), "{line}: errors go to stderr, not here: {}", ended.stdout);
        ended.stderr
    }

    /// The load of a class, once it has been measured.
    fn measured(&self, class: &str) -> Value {
        for _ in 0..TRIES {
            let load = self.json("load show");
            assert_eq!(load["name"], "teams/acme/load");
            let found = load["classes"].as_array().unwrap().iter().find(|one| one["creditClass"] == class);
            if let Some(found) = found {
                return found.clone();
            }
            std::thread::sleep(BETWEEN);
        }
        panic!("{class} is never measured");
    }

    fn add_token(&self, person: &str) -> String {
        let scopes: String = SCOPES.iter().map(|scope| format!(" --scope {scope}")).collect();
        let line = format!("token add --network x --kind user --person {person}{scopes} --output json");
        let ended = self.run_with(&self.key, &line, format!("access-of-{person}\n").as_bytes());
        assert_eq!(ended.status.code(), Some(0), "{}", ended.text());
        let token: Value = serde_json::from_str(&ended.stdout).unwrap();
        short(&token["name"])
    }
}

fn short(name: &Value) -> String {
    name.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

#[test]
fn teams_and_collectors_are_made_shown_and_changed() {
    let desk = Desk::new();
    assert!(desk.fails("token list", 2).contains("token-broker team create"));
    assert_eq!(desk.json("team create acme --weight 200")["name"], "teams/acme");
    let table = desk.done("team list");
    assert!(table.contains("TEAM") && table.contains("acme") && table.contains("200"), "{table}");
    assert_eq!(desk.json("team list").as_array().unwrap().len(), 1);
    assert_eq!(desk.json("team update acme --weight 50")["weight"], 50);
    assert_eq!(desk.json("team show acme")["weight"], 50);
    let made = desk.json("collector create crawler --network x --purpose collect_content");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("tbk_"));
    let listed = desk.json("collector list");
    assert_eq!(listed[0]["displayName"], "crawler");
    assert_eq!(desk.json("collector show crawler")["networks"][0], "networks/x");
    assert!(desk.done("collector list").contains("enabled"));
    assert_eq!(desk.json("collector disable crawler --comment pause")["disabled"], true);
    let refused = desk.run_with(secret, "team list", b"");
    assert_eq!(refused.status.code(), Some(5), "{}", refused.text());
    assert_eq!(desk.json("collector enable crawler")["disabled"], false);
    assert!(desk.fails("team create acme", 1).contains("TEAM_EXISTS"));
    desk.fails("team delete acme", 1);
    desk.done("team delete acme --force");
    desk.fails("team show acme", 4);
}

#[test]
fn tokens_are_added_shown_paused_resumed_and_revoked() {
    let (desk, token) = Desk::with_token();
    let table = desk.done("token list");
    assert!(table.contains(&token) && table.contains("live"), "{table}");
    assert_eq!(desk.json("token list --network x --state live").as_array().unwrap().len(), 1);
    assert_eq!(desk.json("token list --network youtube").as_array().unwrap().len(), 0);
    let shown = desk.json(&format!("token show {token}"));
    assert_eq!((&shown["state"], &shown["person"]), (&"TOKEN_STATE_LIVE".into(), &"ann".into()));
    assert_eq!(desk.json(&format!("token pause {token}"))["state"], "TOKEN_STATE_PAUSED");
    let acquire = "lease acquire --network x --operation tweets.search_recent --purpose collect_content --calls 2";
    let refused = desk.fails(acquire, 1);
    assert!(refused.contains("NO_USABLE_TOKEN") && refused.contains("token-broker token list"), "{refused}");
    assert_eq!(desk.json(&format!("token resume {token}"))["state"], "TOKEN_STATE_LIVE");
    desk.done(acquire);
    let page = desk.done(&format!("token show {token}"));
    assert!(page.contains("search_recent") && page.contains("LIMIT") && page.contains("300"), "{page}");
    assert_eq!(desk.json(&format!("token revoke {token}"))["state"], "TOKEN_STATE_REVOKED");
    desk.fails(acquire, 1);
    desk.fails(&format!("token resume {token}"), 1);
    desk.fails("token show tok_nothing", 2);
}

#[test]
fn a_lease_lives_by_hand() {
    let (desk, token) = Desk::with_token();
    let acquire = "lease acquire --network x --operation tweets.search_recent --purpose collect_content --calls 10";
    let shown = desk.done(acquire);
    assert!(shown.contains("search_recent") && !shown.contains("access-of-ann"), "{shown}");
    let file = desk.path("access");
    let lease = desk.json(&format!("{acquire} --collection brand-watch --token-file {}", file.display()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "access-of-ann");
    assert_eq!((&lease["callsGranted"], &lease["accessToken"]), (&10.into(), &"".into()));
    assert_eq!(desk.json(&format!("{acquire} --show-token"))["accessToken"], "access-of-ann");
    let name = short(&lease["name"]);
    let report = format!("lease report {name} --sequence 1 --ok 8 --status 200 --want 5");
    assert_eq!(desk.json(&report)["callsLeft"], 7);
    assert_eq!(desk.json("lease list").as_array().unwrap().len(), 3);
    assert_eq!(desk.json(&format!("lease list --token {token}")).as_array().unwrap().len(), 3);
    assert!(desk.json(&format!("lease extend {name} --ttl 10min"))["expireTime"].is_string());
    assert_eq!(desk.json(&format!("lease release {name} --sequence 2 --ok 3"))["callsReturned"], 4);
    assert_eq!(desk.json(&format!("lease show {name}"))["state"], "LEASE_STATE_RELEASED");
    let limited = desk.fails(&format!("{acquire} --calls 265"), 2);
    assert!(limited.contains("--calls"), "clap takes an option once: {limited}");
}

#[test]
fn a_refusal_for_now_has_its_own_exit_code() {
    let (desk, _) = Desk::with_token();
    let acquire = |calls| {
        format!("lease acquire --network x --operation tweets.search_recent --purpose collect_content --calls {calls}")
    };
    desk.done(&acquire(260));
    let limited = desk.fails(&acquire(200), 3);
    assert!(limited.contains("LIMITED_UNTIL") && limited.contains("try again in"), "{limited}");
    let error: Value = serde_json::from_str(&desk.fails(&format!("{} --output json", acquire(200)), 3)).unwrap();
    assert_eq!(error["error"]["reason"], "LIMITED_UNTIL");
    assert!(error["error"]["retryAfterSeconds"].as_f64().unwrap() > 0.0, "{error}");
}

#[test]
fn load_alerts_networks_and_audit_are_shown() {
    let (desk, token) = Desk::with_token();
    desk.done("lease acquire --network x --operation tweets.search_recent --purpose collect_content --calls 10");
    let class = desk.measured("search_recent");
    assert_eq!(class["liveTokens"], 1, "{class}");
    assert!(desk.done("load show --network x").contains("search_recent"));
    assert_eq!(desk.json("load list")[0]["name"], "teams/acme/load");
    let estimate = desk.json("load estimate --add-tokens x:user:4");
    assert!(estimate["present"].is_object() && estimate["estimated"].is_object(), "{estimate}");
    assert_eq!(desk.json("alerts list"), Value::Array(Vec::new()));
    desk.done("alerts list");
    let networks = desk.json("networks list");
    assert!(networks.as_array().unwrap().len() >= 15, "{networks}");
    assert!(desk.done("networks show x").contains("tweets.search_recent"));
    desk.fails("networks show nowhere", 4);
    let events = desk.json("audit list");
    let actions: Vec<_> = events.as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    for noun in ["team.", "token.", "lease."] {
        assert!(actions.iter().any(|action| action.starts_with(noun)), "{noun} is missing in {actions:?}");
    }
    let about = desk.json(&format!("audit list --token {token} --action lease."));
    assert_eq!(about.as_array().unwrap().len(), 1, "{about}");
    assert!(desk.done("audit list").contains("lease."));
    desk.done(&format!("audit statement {token}"));
}

#[test]
fn a_file_of_tokens_is_imported_and_its_broken_rows_are_told() {
    let desk = Desk::new();
    desk.done("team create acme");
    let file = desk.path("tokens.csv");
    let scopes = SCOPES.join(" ");
    let rows = format!(
        "network,kind,access_token,person,scopes,max_concurrent_leases\n\
        x,user,secret-1,p1,{scopes},\nnowhere,user,secret-2,p2,{scopes},\nx,user,,p3,{scopes},\n\
        x,robot,secret-4,p4,{scopes},\nx,user,secret-5,p5,{scopes},many\nx,user,secret-6,p6,{scopes},4\n"
    );
    std::fs::write(&file, rows).unwrap();
    let file = file.display();
    let dry = desk.run(&format!("token import {file} --dry-run"));
    assert_eq!(dry.status.code(), Some(1), "{}", dry.text());
    assert_eq!(desk.json("token list").as_array().unwrap().len(), 0, "a dry run adds nothing");
    let ended = desk.run(&format!("token import {file} --output json"));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.text());
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["added"], &summary["rejected"]), (&2.into(), &4.into()), "{summary}");
    let errors = std::fs::read_to_string(desk.path("tokens.csv.errors.csv")).unwrap();
    for (row, reason) in
        [(3, "UNKNOWN_NETWORK"), (4, "access_token"), (5, "UNKNOWN_KIND"), (6, "max_concurrent_leases")]
    {
        let told = errors.lines().any(|line| line.starts_with(&format!("{row},")) && line.contains(reason));
        assert!(told, "row {row} should say {reason}:\n{errors}");
    }
    assert!(!format!("{errors}{}{}", ended.text(), dry.text()).contains("secret-"));
    assert_eq!(desk.json("token list").as_array().unwrap().len(), 2);
    let again = desk.run(&format!("token import {file} --import-id again --update --output json"));
    assert_eq!(again.status.code(), Some(1), "{}", again.text());
    let summary: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&summary["added"], &summary["unchanged"]), (&0.into(), &2.into()), "{summary}");
}

#[test]
fn who_may_not_is_told_so() {
    let (desk, token) = Desk::with_token();
    let exit = |key: &str, line: &str| {
        let ended = desk.run_with(key, line, b"");
        (ended.status.code(), ended.stderr)
    };
    let (code, text) = exit("", "team list");
    assert!(code == Some(5) && text.contains("TOKEN_BROKER_KEY"), "{code:?} {text}");
    assert_eq!(exit("tbk_nonsense", "team list").0, Some(5));
    let reader = desk.json("key create --role reader");
    let reader = reader["secret"].as_str().unwrap();
    assert_eq!(exit(reader, "token list").0, Some(0));
    let (code, text) = exit(reader, &format!("token pause {token}"));
    assert!(code == Some(5) && text.contains("ROLE_NOT_ALLOWED"), "{code:?} {text}");
    assert_eq!(desk.json(&format!("token show {token}"))["state"], "TOKEN_STATE_LIVE");
    let gone = desk.run("team list --server http://127.0.0.1:1");
    assert_eq!(gone.status.code(), Some(6), "{}", gone.text());
    let Desk { broker, home, .. } = desk;
    let ended = broker.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    let mut doctor = cli(home.path());
    let looked = run_bounded(doctor.arg("doctor").arg("--data-dir").arg(home.path().join("data")), b"");
    assert!(looked.status.success(), "{}", looked.text());
}
