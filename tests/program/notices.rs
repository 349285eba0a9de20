//! What happens to a token reaches people: from the command of an operator to a mail server that wants TLS of a private authority and a password.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_json::Value;

use crate::support::{Broker, Launch, Ready, cli, python, run_bounded};

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

fn done(home: &Path, broker: &Broker, key: &str, line: &str, input: &str) -> String {
    let mut command = cli(home);
    command.args(line.split_whitespace()).env("TOKEN_BROKER_SERVER", broker.url()).env("TOKEN_BROKER_KEY", key);
    let ended = run_bounded(&mut command, input.as_bytes());
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
