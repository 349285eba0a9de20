//! An operator keeps a token alive from the command line: the client of the app, an import with refresh tokens, a renewal by hand. The
//! network is simulated, and judges what is shown to it.

use serde_json::Value;

use crate::support::{Broker, Ended, Launch, Simulated, cli, run_bounded};

/// The catalogue's entry of X, with the token endpoint that is served here.
fn catalogue(folder: &std::path::Path, token_url: &str) {
    let text = include_str!("../../src/domain/networks/catalogue/x.toml");
    let original = "\"https://api.x.com/2/oauth2/token\"";
    assert!(text.contains(original));
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("x.toml"), text.replace(original, &format!("\"{token_url}\""))).unwrap();
}

fn run(home: &std::path::Path, broker: &Broker, key: &str, line: &str, input: &str) -> Ended {
    let mut command = cli(home);
    command.args(line.split_whitespace()).env("TOKEN_BROKER_SERVER", broker.url()).env("TOKEN_BROKER_KEY", key);
    run_bounded(&mut command, input.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_is_renewed_from_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let simulated = Simulated::start(home.path(), &["--network", "x", "--persons", "1"]);
    let served = &simulated.said["networks"][0];
    catalogue(&home.path().join("networks"), served["oauth"]["user"]["token"].as_str().unwrap());
    let launch = Launch::new(&home.path().join("data")).set("CATALOGUE__DIR", home.path().join("networks").display());
    let broker = launch.start();
    let key = broker.first_key();
    let done = |line: &str, input: &str| {
        let ended = run(home.path(), &broker, &key, line, input);
        assert_eq!(ended.status.code(), Some(0), "{line}: {}", ended.text());
        ended.stdout
    };
    done("team create acme", "");
    let granted = served["tokens"].as_array().unwrap().iter().find(|token| token["kind"] == "user").unwrap();
    let text = |name: &str| granted[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("secret"), text("refresh_secret"));
    let scopes: Vec<_> = granted["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
    let file = home.path().join("tokens.csv");
    let row = format!("x,user,{},{},{access},{refresh}", text("person"), scopes.join(" "));
    std::fs::write(&file, format!("network,kind,person,scopes,access_token,refresh_token\n{row}\n")).unwrap();
    done(&format!("token import {} --team acme", file.display()), "");
    let listed: Value = serde_json::from_str(&done("token list --team acme --output jsonl", "")).unwrap();
    let token = listed["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let renew = format!("token renew {token} --team acme --output json");
    let unknown = run(home.path(), &broker, &key, &renew, "");
    assert!(!unknown.status.success() && unknown.stderr.contains("apps update x/default"), "{}", unknown.text());
    done("apps update x/default --client-id app --client-secret-from -", "client-secret-canary");
    let before = jiff::Timestamp::now();
    let renewed: Value = serde_json::from_str(&done(&renew, "")).unwrap();
    let ends: jiff::Timestamp = renewed["clocks"]["accessExpireTime"].as_str().unwrap().parse().unwrap();
    assert!(ends > before, "{renewed}");
    let call = |secret: String| {
        let url = format!("{}/users/me", served["base_url"].as_str().unwrap());
        simulated.client.get(url).bearer_auth(secret).send()
    };
    assert_eq!(call(access).await.unwrap().status(), 401, "the network replaced the token");
    let refused =
        simulated.post("/_sim/faults", r#"{"network":"x","fault":{"kind":"html_pages","share":1,"counted":false}}"#);
    assert_eq!(refused.await.0, 204);
    let later = run(home.path(), &broker, &key, &renew, "");
    assert_eq!(later.status.code(), Some(3), "not now: {}", later.text());
    assert!(later.stderr.contains("answered 503"), "{}", later.text());
    let shown: Value =
        serde_json::from_str(&done(&format!("token show {token} --team acme --output json"), "")).unwrap();
    assert_eq!(shown["state"], "TOKEN_STATE_LIVE", "{shown}");
    let audit = done("audit list --output jsonl", "");
    assert!(audit.contains("token.renew"), "{audit}");
    let ended = broker.stop();
    for secret in [&refresh, "client-secret-canary"] {
        assert!(!ended.text().contains(secret) && !audit.contains(secret));
    }
}
