//! What happens to a token reaches people: from the command of an operator to a mail server that wants TLS of a private authority and a password.

mod receiver;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::Value;

use crate::support::{Broker, Ended, Launch, Ready, cli, python, run_bounded};

use receiver::{Fate, Receiver, SECRET};

const PASSWORD: &str = "mail-password-canary";

/// A private authority, and a server's certificate of it; all as files.
fn certify(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
    let certificate = params.signed_by(&key, &authority).unwrap().pem();
    for (name, text) in [("ca.pem", authority.pem()), ("server.pem", certificate), ("server.key", key.serialize_pem())]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
}

/// A real mail server, and its port.
fn mail_server(folder: &Path, mode: &str) -> (Ready, u64) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/notices/smtp_server.py");
    let mut command: Command = python();
    command.arg(script).arg(folder.join("server.pem")).arg(folder.join("server.key")).args(["broker", PASSWORD, mode]);
    let server = Ready::start(&mut command);
    let said: Value = serde_json::from_str(&server.line).unwrap();
    let port = said["port"].as_u64().unwrap();
    (server, port)
}

/// A broker that mails everything to its operators.
fn mailing(folder: &Path, port: u64, security: &str, authority: &str) -> Launch {
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "[[alerts.mails]]\naddress = \"ops@example.com\"\nevents = \"all\"\n\
         [mail]\nhost = \"localhost\"\nport = {port}\nsecurity = \"{security}\"\nca_file = \"{}\"\n\
         username = \"broker\"\npassword_file = \"{}\"\nfrom = \"Token Broker <tokens@example.com>\"\n",
        path(authority),
        path("password"),
    );
    std::fs::write(folder.join("broker.toml"), text).unwrap();
    Launch::new(&folder.join("data")).arg("--config").arg(path("broker.toml"))
}

fn tried(home: &Path, broker: &Broker, key: &str, line: &str, input: &str) -> Ended {
    let mut command = cli(home);
    command.args(line.split_whitespace()).env("TOKEN_BROKER_SERVER", broker.url()).env("TOKEN_BROKER_KEY", key);
    run_bounded(&mut command, input.as_bytes())
}

fn done(home: &Path, broker: &Broker, key: &str, line: &str, input: &str) -> String {
    let ended = tried(home, broker, key, line, input);
    assert_eq!(ended.status.code(), Some(0), "{line}: {}", ended.text());
    ended.stdout
}

/// Adds a token and lets an operator say that its person changed the password.
fn end_a_token(home: &Path, broker: &Broker, key: &str) {
    done(home, broker, key, "team create acme", "");
    let file = home.join("tokens.csv");
    std::fs::write(&file, "network,kind,person,scopes,display_name,access_token\nx,user,12,tweet.read users.read,Acme Shop,access-canary\n").unwrap();
    done(home, broker, key, &format!("token import {} --team acme", file.display()), "");
    let listed: Value =
        serde_json::from_str(&done(home, broker, key, "token list --team acme --output jsonl", "")).unwrap();
    let token = listed["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    done(home, broker, key, &format!("token invalidate {token} --team acme --reason password-changed"), "");
}

#[test]
fn a_mail_arrives_at_a_server_with_tls_of_a_private_authority_and_a_password() {
    for mode in ["starttls", "tls"] {
        let home = tempfile::tempdir().unwrap();
        certify(home.path());
        let (server, port) = mail_server(home.path(), mode);
        let broker = mailing(home.path(), port, mode, "ca.pem").start();
        let key = broker.first_key();
        end_a_token(home.path(), &broker, &key);
        let mail: Value = serde_json::from_str(&server.said(1)).unwrap();
        assert_eq!(
            (&mail["to"][0], &mail["user"], &mail["tls"]),
            (&"ops@example.com".into(), &"broker".into(), &true.into())
        );
        let content = mail["content"].as_str().unwrap();
        for part in
            ["Subject: X token \"Acme Shop\" does not work any more", "Auto-Submitted: auto-generated", "@example.com>"]
        {
            assert!(content.contains(part), "{part}: {content}");
        }
        let ended = broker.stop();
        for secret in [PASSWORD, "access-canary"] {
            assert!(!content.contains(secret) && !ended.text().contains(secret));
        }
    }
}

#[test]
fn a_server_of_another_authority_gets_nothing() {
    let home = tempfile::tempdir().unwrap();
    certify(home.path());
    let (_server, port) = mail_server(home.path(), "starttls");
    let elsewhere = tempfile::tempdir().unwrap();
    certify(elsewhere.path());
    std::fs::copy(elsewhere.path().join("ca.pem"), home.path().join("other.pem")).unwrap();
    let broker = mailing(home.path(), port, "starttls", "other.pem").start();
    let key = broker.first_key();
    end_a_token(home.path(), &broker, &key);
    broker.wait_for_log("a message could not be sent");
    let log = broker.log();
    let line = log.lines().find(|line| line.contains("a message could not be sent")).unwrap();
    assert!(line.contains("certificate"), "{line}");
    assert!(!line.contains(PASSWORD));
}

/// A team with members, destinations and tokens, and a command line for it.
struct Office {
    home: tempfile::TempDir,
    broker: Broker,
    key: String,
}

impl Office {
    /// `ports`: those of receivers that members may name though they are on this machine.
    fn open(ports: &[u16], mail_port: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        certify(home.path());
        Self::open_in(home, ports, mail_port)
    }

    fn open_in(home: tempfile::TempDir, ports: &[u16], mail_port: u64) -> Self {
        let hosts: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let launch = mailing(home.path(), mail_port, "starttls", "ca.pem")
            .set("ALERTS__TIMEOUT", "1s")
            .set("ALERTS__PRIVATE_HOSTS", format!("[{}]", hosts.join(", ")))
            .set("HTTP__PUBLIC_URL", "https://tokens.example.com");
        let broker = launch.start();
        let key = broker.first_key();
        let office = Self { home, broker, key };
        office.done("team create acme", "");
        office
    }

    fn done(&self, line: &str, input: &str) -> String {
        done(self.home.path(), &self.broker, &self.key, line, input)
    }

    /// What went wrong with a command that must fail.
    fn refused(&self, line: &str, input: &str) -> String {
        let ended = tried(self.home.path(), &self.broker, &self.key, line, input);
        assert_ne!(ended.status.code(), Some(0), "{line}: {}", ended.text());
        ended.stderr
    }

    /// The last part of the name of the one thing that a command prints as JSON.
    fn id(&self, line: &str, input: &str) -> String {
        let made: Value = serde_json::from_str(&self.done(&format!("{line} --output jsonl"), input)).unwrap();
        made["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    }

    /// Invites an owner, who joins by the page.
    fn join(&self, mail: &str) {
        let invited = self.done(&format!("member invite {mail} --team acme --role owner --output json"), "");
        let link = invited.split("invitation=").nth(1).unwrap().split('"').next().unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let form = format!("invitation={link}&display_name=Ada&password=otters+juggle+pebbles+nightly");
        let request = client.post(format!("{}/join", self.broker.http_url())).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("sec-fetch-site", "same-origin");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(request.send()).unwrap();
        assert_eq!(answer.status(), 303, "{:?}", runtime.block_on(answer.text()));
    }

    fn webhook(&self, receiver: &Receiver) -> String {
        std::fs::write(self.home.path().join("secret"), SECRET).unwrap();
        let url = format!("http://127.0.0.1:{}/hooks/url-canary", receiver.port);
        self.id("destination create webhook --team acme --target-from - --signing-secret-from secret", &url)
    }

    /// Adds a token of that person, and lets an operator say that it changed the password.
    fn end_a_token_of(&self, person: &str) -> String {
        std::fs::write(self.home.path().join("access"), format!("access-of-{person}")).unwrap();
        let token = self.id(
            &format!(
                "token add --team acme --network x --kind user --person {person} --scope tweet.read --scope users.read \
                 --granted-by ada@example.com --access-token-from access"
            ),
            "",
        );
        self.done(&format!("token invalidate {token} --team acme --reason password-changed"), "");
        token
    }

    /// The messages that were given up, once there are so many.
    fn dead_letters(&self, count: usize) -> Vec<Value> {
        let listed = self.until("dead-letter list --output jsonl", count);
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a list shows, once it has so many lines.
    fn until(&self, line: &str, count: usize) -> String {
        let listed = (0..1000).map(|_| self.done(line, "")).find(|listed| listed.lines().count() == count);
        listed.unwrap_or_else(|| panic!("{line}: never {count} lines"))
    }
}

#[test]
fn what_happens_reaches_destinations_that_were_made_over_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    certify(home.path());
    let (server, port) = mail_server(home.path(), "starttls");
    let (hanging, dying) = (Receiver::start(), Receiver::start());
    let office = Office::open_in(home, &[hanging.port, dying.port], port);
    let mail = office.id("destination create mail --team acme --target-from -", "all@example.com");
    let webhooks = [office.webhook(&hanging), office.webhook(&dying)];
    let shown = office.done("destination list --team acme --output jsonl", "");
    assert!(shown.contains("all@example.com") && shown.contains("127.0.0.1"), "{shown}");
    assert!(!shown.contains("url-canary") && !shown.contains(SECRET), "{shown}");
    for destination in [&mail, &webhooks[0], &webhooks[1]] {
        assert!(office.done(&format!("destination test {destination} --team acme"), "").contains("taken"));
    }
    assert!(server.said(1).contains("A test of Token Broker"));
    // One never answers, the other dies after it has taken the message: both get it again, under the same id.
    hanging.then(Fate::Hanging);
    dying.then(Fate::Dying);
    let token = office.end_a_token_of("12");
    for receiver in [&hanging, &dying] {
        let received = receiver.received(3);
        assert_eq!(received[0].body["type"], "test");
        let [first, again] = &received[1..] else { panic!("two are left") };
        assert_eq!((&first.id, &first.body), (&again.id, &again.body));
        let data = &first.body["data"];
        assert_eq!((data["kind"].as_str(), data["token"].as_str()), (Some("token_invalid"), Some(&*token)));
        assert_eq!(data["link"], format!("https://tokens.example.com/tokens/{token}"));
    }
    // Mails to the operators and to the team.
    let mails = [2, 3].map(|nth| serde_json::from_str::<Value>(&server.said(nth)).unwrap());
    let to: BTreeSet<_> = mails.iter().map(|mail| mail["to"][0].as_str().unwrap()).collect();
    assert_eq!(to, ["all@example.com", "ops@example.com"].into());
    for mail in &mails {
        let whole = mail["content"].as_str().unwrap().replace("=\r\n", "");
        assert!(whole.contains(&format!("https://tokens.example.com/tokens/{token}")), "{whole}");
    }
    assert!(!office.broker.stop().text().contains("url-canary"));
}

#[test]
fn a_message_that_was_given_up_is_sent_again_or_deleted() {
    let receiver = Receiver::start();
    let office = Office::open(&[receiver.port], 1);
    let webhook = office.webhook(&receiver);
    for (count, person) in [(1, "12"), (2, "13")] {
        receiver.then(Fate::Answered(410));
        office.end_a_token_of(person);
        receiver.received(count);
        let dead = office.dead_letters(count);
        assert!(dead[0]["error"].as_str().unwrap().contains("410"), "{}", dead[0]);
        // The receiver is left alone until somebody has seen to it.
        office.done(&format!("destination update {webhook} --display-name again-{count}"), "");
    }
    let dead = office.dead_letters(2);
    let id = |letter: &Value| letter["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    office.done(&format!("dead-letter replay {}", id(&dead[0])), "");
    let received = receiver.received(3);
    assert_eq!((&received[2].id, &received[2].body), (&received[0].id, &received[0].body));
    office.done(&format!("dead-letter purge {}", id(&dead[1])), "");
    office.dead_letters(0);
    let gone = office.refused(&format!("dead-letter replay {}", id(&dead[1])), "");
    assert!(gone.contains("see their list"), "{gone}");
}

#[test]
fn what_can_be_no_destination_is_refused_with_what_to_do() {
    let receiver = Receiver::start();
    let office = Office::open(&[receiver.port], 1);
    std::fs::write(office.home.path().join("short"), "whsec_c2hvcnQ=").unwrap();
    let create = |kind: &str, target: &str| {
        let line = format!("destination create {kind} --team acme --target-from -");
        office.refused(&line, target)
    };
    let cases = [
        ("slack", "http://hooks.example.com/a", "use https"),
        ("slack", "https://127.0.0.1/a", "not public"),
        ("teams", "https://[::1]/a", "not public"),
        ("teams", "https://169.254.169.254/latest", "not public"),
        ("slack", "https://user:pass@hooks.example.com/", "without a user"),
        ("slack", "ftp://hooks.example.com/", "https://host/"),
        ("webhook", "https://hooks.example.com/", "signing secret"),
        ("mail", "all@example.com\nBcc: other@example.com", "control characters"),
        ("mail", "All <all@example.com>", "without a name"),
    ];
    for (kind, target, expected) in cases {
        let refused = create(kind, target);
        assert!(refused.contains(expected), "{kind} {target}: {refused}");
        assert!(!refused.contains("hooks.example.com/a"), "{refused}");
    }
    let short = "destination create webhook --team acme --target-from - --signing-secret-from short";
    let refused = office.refused(short, "https://hooks.example.com/");
    assert!(refused.contains("24"), "{refused}");
    // What a name leads to shows when something is sent: nothing reaches this machine, and no redirect is followed.
    let inside = office.id("destination create slack --team acme --target-from -", "https://localhost/hook");
    let refused = office.refused(&format!("destination test {inside} --team acme"), "");
    assert!(refused.contains("not public"), "{refused}");
    let moved = office.webhook(&receiver);
    receiver.then(Fate::Answered(302));
    let refused = office.refused(&format!("destination test {moved} --team acme"), "");
    assert!(refused.contains("302"), "{refused}");
    assert_eq!(receiver.received(1).len(), 1);
}

#[test]
fn a_member_sees_what_it_was_told_and_what_to_mend() {
    let office = Office::open(&[], 1);
    office.done("member invite ada@example.com --team acme", "");
    let token = office.end_a_token_of("12");
    let list = || office.done("notice list ada@example.com --team acme --unread --output jsonl", "");
    let notice: Value = serde_json::from_str(&list()).unwrap();
    assert_eq!(notice["kind"], "NOTICE_KIND_TOKEN_INVALID");
    assert_eq!(notice["pageUrl"], format!("https://tokens.example.com/tokens/{token}"));
    for part in ["subject", "happened", "why", "stops", "todo"] {
        assert!(!notice[part].as_str().unwrap().is_empty(), "{notice}");
    }
    let at_risk = office.done("notice at-risk ada@example.com --team acme --output jsonl", "");
    assert!(at_risk.contains(&token), "{at_risk}");
    let id = notice["name"].as_str().unwrap().rsplit('/').next().unwrap();
    office.done(&format!("notice read ada@example.com {id} --team acme"), "");
    assert_eq!(list(), "");
    let change = "notice settings ada@example.com --team acme --off token_invalid:in_app --quiet-hours 22:00-07:00";
    let shown = office.done(change, "");
    assert!(shown.contains("token_invalid:in_app") && shown.contains("22:00-07:00"), "{shown}");
    assert_eq!(office.done("notice list ada@example.com --team acme --output jsonl", ""), "");
    let twice = "notice settings ada@example.com --team acme --quiet-hours 22:00-22:00";
    assert!(office.refused(twice, "").contains("not at the same time"));
}

#[test]
fn a_browser_is_told_in_messages_that_only_it_can_read() {
    let mut command = python();
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/notices/push_service.py")).arg("1");
    let service = Ready::start(&mut command);
    let ready: Value = serde_json::from_str(&service.line).unwrap();
    let office = Office::open(&[ready["port"].as_u64().unwrap().try_into().unwrap()], 1);
    // Who was only invited is told of nothing yet, so the member joins as a person would.
    office.join("ada@example.com");
    let key = office.done("push key", "");
    let subscription = ready["subscription"].to_string();
    let subscribe = "push subscribe ada@example.com --team acme --from - --display-name phone";
    let id = office.id(subscribe, &subscription);
    let list = || office.done("push list ada@example.com --team acme --output jsonl", "");
    assert!(list().contains(&id) && !list().contains("capability-canary"), "{}", list());
    // The same browser again is the same browser.
    let id = office.id(subscribe, &subscription);
    assert_eq!(list().lines().count(), 1);
    let token = office.end_a_token_of("12");
    let said: Value = serde_json::from_str(&service.said(1)).unwrap();
    assert_eq!(
        (said["key"].as_str(), said["contact"].as_str()),
        (Some(key.trim()), Some("https://tokens.example.com"))
    );
    let message = &said["message"];
    assert!(message["title"].as_str().unwrap().contains("does not work any more"), "{message}");
    assert_eq!(message["url"], format!("https://tokens.example.com/tokens/{token}"));
    assert_eq!((said["urgency"].as_str(), said["ttl"].as_str()), (Some("normal"), Some("259200")));
    // Once the push service says that it is gone, it is.
    assert!(list().contains(&id));
    office.end_a_token_of("13");
    let last: Value = serde_json::from_str(&service.said(2)).unwrap();
    assert_eq!(last["status"], 410);
    office.until("push list ada@example.com --team acme --output jsonl", 0);
    office.dead_letters(0);
    assert_eq!(office.done("push key", ""), key, "browsers are bound to it");
    for bad in [
        subscription.replace("http://127.0.0.1", "https://127.0.0.2"),
        subscription.replace("\"auth\":\"", "\"auth\":\"AAAA"),
        subscription.replace("\"p256dh\":\"B", "\"p256dh\":\"C"),
    ] {
        let refused = office.refused(subscribe, &bad);
        assert!(["not public", "getKey"].iter().any(|word| refused.contains(word)), "{refused}");
    }
    assert!(!office.broker.stop().text().contains("capability-canary"));
}
