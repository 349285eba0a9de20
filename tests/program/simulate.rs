//! `simulate` as a person who writes a collector uses it: started from the command line, called over HTTP, disturbed on request.

use serde_json::{Value, json};

use crate::support::{Simulated, cli, run_bounded};

/// The network that the documentation describes as its example, as a file of its own.
fn toy_network(folder: &std::path::Path) {
    let text = include_str!("../../docs/catalogue.md");
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (toml, _) = rest.split_once("```").unwrap();
    std::fs::write(folder.join("toy.toml"), toml).unwrap();
}

fn served<'v>(start: &'v Value, network: &str) -> &'v Value {
    start["networks"].as_array().unwrap().iter().find(|one| one["network"] == network).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_network_that_only_a_file_describes_is_served_as_it_says() {
    let home = tempfile::tempdir().unwrap();
    toy_network(home.path());
    let simulated = Simulated::start(home.path(), &["--catalogue", ".", "--network", "toy", "--seed", "5"]);
    let toy = served(&simulated.said, "toy").clone();
    let secret = toy["tokens"][0]["secret"].as_str().unwrap();
    let reads = &toy["operations"][0];
    let url = reads["url"].as_str().unwrap().replace("{profile}", "profile-1");
    let call = async || simulated.client.get(&url).bearer_auth(secret).send().await.unwrap();
    for left in (0..100).rev() {
        let answer = call().await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-quota-limit"], "100");
        assert_eq!(answer.headers()["x-quota-remaining"], left.to_string().as_str());
    }
    let over = call().await;
    assert_eq!((over.status().as_u16(), over.headers()["x-quota-remaining"].to_str().unwrap()), (429, "0"));
    assert!(over.json::<Value>().await.unwrap()["error"]["text"].is_string(), "in the form that its file names");
    let revoked = json!({ "network": "toy", "fault": { "kind": "revoke_token", "secret": secret } });
    assert_eq!(simulated.post("/_sim/faults", &revoked.to_string()).await.0, 204);
    let refused = call().await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["reason"], "revoked");
    let report = simulated.get("/_sim/report").await;
    let books = &report["networks"][0];
    assert_eq!((&books["admitted"], &books["throttled"], &books["token_refused"]), (&json!(100), &json!(1), &json!(1)));
    assert_eq!(simulated.get("/_sim/networks").await[0], toy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn faults_of_the_command_line_happen_from_the_start() {
    let home = tempfile::tempdir().unwrap();
    let faults = ["--fault", "x:server_errors,share=1,status=502,counted=false", "--fault", "reddit:reset_tokens"];
    let simulated = Simulated::start(home.path(), &[&["--network", "x", "--network", "reddit"][..], &faults].concat());
    for (network, path, status) in [("x", "users/me", 502), ("reddit", "api/v1/me", 401)] {
        let served = served(&simulated.said, network);
        let url = format!("{}/{path}", served["base_url"].as_str().unwrap());
        let secret = served["tokens"][0]["secret"].as_str().unwrap();
        let answer = simulated.client.get(url).bearer_auth(secret).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{network}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn wrong_orders_say_what_is_right() {
    let home = tempfile::tempdir().unwrap();
    let simulated = Simulated::start(home.path(), &["--network", "x"]);
    let cases = [
        ("not json", 400, "expected"),
        (r#"{"network":"x"}"#, 400, "missing field `fault`"),
        (r#"{"network":"x","fault":{"kind":"earthquake"}}"#, 400, "drop_replies"),
        (r#"{"network":"x","fault":{"kind":"drop_replies"}}"#, 400, "share"),
        (r#"{"network":"x","fault":{"kind":"drop_replies","share":7}}"#, 400, "from 0 to 1"),
        (r#"{"network":"y","fault":{"kind":"calm"}}"#, 404, "'y' is not simulated"),
        (r#"{"network":"x","fault":{"kind":"revoke_token","secret":"none"}}"#, 404, "nobody is known as 'none'"),
        (r#"{"network":"x","fault":{"kind":"lose_scope","person":"person-1","scope":"none"}}"#, 404, "'none'"),
    ];
    for (body, status, part) in cases {
        let (seen, said) = simulated.post("/_sim/faults", body).await;
        assert_eq!(seen, status, "{body}: {said}");
        assert!(said.contains(part), "{body}: {said}");
    }
    let (status, said) = simulated.post("/nowhere/at/all", "").await;
    assert!(status == 404 && said.contains("/x/"), "{said}");
}

#[test]
fn a_wrong_command_line_says_what_is_right() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("toy.toml"), "display_name = 'Toy'\nspeed = 'high'\n").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["--network", "nowhere"], "no network 'nowhere'; it has bluesky"),
        (&["--listen", "0.0.0.0:0"], "can be reached from outside"),
        (&["--fault", "x"], "expected network:kind"),
        (&["--fault", "x:earthquake"], "drop_replies"),
        (&["--fault", "x:drop_replies,share=half"], "share"),
        (&["--network", "x", "--fault", "reddit:calm"], "'reddit' is not simulated"),
        (&["--catalogue", "."], "toy.toml:2: speed: unknown field"),
        (&["--catalogue", empty.path().to_str().unwrap()], "holds no file"),
    ];
    for (arguments, part) in cases {
        let mut program = cli(home.path());
        program.arg("simulate").args(arguments);
        if !arguments.contains(&"--listen") {
            program.args(["--listen", "127.0.0.1:0"]);
        }
        let ended = run_bounded(&mut program, b"");
        assert!(!ended.status.success(), "{arguments:?}");
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
}
