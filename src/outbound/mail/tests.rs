//! What a mail looks like on the wire. Real servers are spoken to in `tests/notices`.

use super::*;

fn sender(from: &str, reply_to: Option<&str>) -> Result<SmtpSender, SmtpSettingsError> {
    SmtpSender::new(SmtpSettings {
        host: "localhost".to_owned(),
        port: 25,
        security: Security::Plain,
        authorities: None,
        credentials: None,
        from: from.to_owned(),
        reply_to: reply_to.map(str::to_owned),
        timeout: Duration::from_secs(1),
        connections: 1,
    })
}

fn mail(to: &str, subject: &str) -> Mail {
    Mail {
        id: "out_7".to_owned(),
        to: to.to_owned(),
        at: Timestamp::from_secs(1_780_000_000),
        subject: subject.to_owned(),
        text: "Plain.\n".to_owned(),
        html: "<p>HTML.</p>".to_owned(),
        settings: Some("https://tokens.example.com/notifications".to_owned()),
    }
}

#[tokio::test]
async fn a_mail_says_that_a_program_wrote_it_and_how_to_hear_less() {
    let sender = sender("Token Broker <tokens@example.com>", Some("help@example.com")).unwrap();
    let written = sender.written(&mail("ada@example.org", "Token \"Ærø\" ends")).unwrap().formatted();
    let text = String::from_utf8(written).unwrap();
    for line in [
        "From: \"Token Broker\" <tokens@example.com>",
        "To: ada@example.org",
        "Reply-To: help@example.com",
        "Message-ID: <out_7@example.com>",
        "Date: Thu, 28 May 2026 20:26:40 +0000",
        "Auto-Submitted: auto-generated",
        "List-Unsubscribe: <https://tokens.example.com/notifications>",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line}\n{text}");
    }
    assert!(text.contains("multipart/alternative") && text.contains("text/plain") && text.contains("text/html"));
}

#[tokio::test]
async fn an_address_or_a_subject_adds_no_header() {
    let sender = sender("tokens@example.com", None).unwrap();
    for bad in ["ada@example.org\nBcc: all@example.org", "ada@example.org\r\n", "", "ada", "a@b\u{0}.org"] {
        assert!(matches!(sender.written(&mail(bad, "x")), Err(MailError::Unwritable(_))), "{bad:?}");
    }
    let written = sender.written(&mail("ada@example.org", "x\r\nBcc: all@example.org")).unwrap().formatted();
    let text = String::from_utf8(written).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
}

#[tokio::test]
async fn a_sender_that_is_no_address_is_refused() {
    assert!(matches!(sender("nobody", None), Err(SmtpSettingsError::Address("from"))));
    assert!(matches!(sender("a@b.c", Some("x\ny")), Err(SmtpSettingsError::Address("reply_to"))));
}

#[test]
fn what_an_operator_can_set_right_is_tried_again() {
    for (code, passes) in [(421, true), (450, true), (535, true), (530, true), (550, false), (553, false), (554, false)]
    {
        assert_eq!(MailError::Refused(code).may_pass(), passes, "{code}");
    }
}

#[tokio::test]
async fn a_host_beyond_ascii_is_named_as_every_server_takes_it() {
    let sender = sender("Token Broker <tokens@bücher.example>", Some("help@bücher.example")).unwrap();
    let message = sender.written(&mail("Ada@bücher.example", "x")).unwrap();
    let to: Vec<&str> = message.envelope().to().iter().map(AsRef::as_ref).collect();
    assert_eq!(to, ["Ada@xn--bcher-kva.example"]);
    assert_eq!(message.envelope().from().map(AsRef::as_ref), Some("tokens@xn--bcher-kva.example"));
    assert!(message.formatted().is_ascii(), "{}", String::from_utf8_lossy(&message.formatted()));
}

/// A server that says what it can, and then hears one more command. Returns its port.
fn server(says: &'static str) -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 here\r\n").unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        lines.next();
        stream.write_all(says.as_bytes()).unwrap();
        // It ends when the other side does.
        lines.next();
    });
    port
}

#[tokio::test]
async fn a_server_that_takes_no_letters_beyond_ascii_is_not_asked_for_days() {
    let port = server("250-here\r\n250 8BITMIME\r\n");
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::Plain,
        authorities: None,
        credentials: None,
        from: "tokens@example.com".to_owned(),
        reply_to: None,
        timeout: Duration::from_secs(20),
        connections: 1,
    };
    let error = SmtpSender::new(settings).unwrap().send(&mail("jürgen@example.org", "x")).await.unwrap_err();
    assert!(matches!(error, MailError::NoUtf8) && !error.may_pass(), "{error}");
}
