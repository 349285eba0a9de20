//! The real one against servers on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::base::secret::Secret;

fn request(port: u16, form: Option<&str>) -> NetworkRequest {
    let url = format!("http://127.0.0.1:{port}/token");
    let Some(form) = form else {
        return NetworkRequest::read(&format!("{url}?a=b"), &Secret::new("canary".to_owned())).unwrap();
    };
    let request = http::Request::post(url).header("authorization", "Basic canary").header("accept", "application/json");
    NetworkRequest::of(request.body(form.as_bytes().to_vec()).unwrap())
}

/// Makes one request of a server that answers with `answer`; what came of it, and what the server saw.
async fn asked(form: Option<&str>, answer: &str) -> (Result<NetworkAnswer, NoAnswer>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let end = form.map_or("\r\n\r\n", |form| form).to_owned();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the request ended early");
        }
        // The client may have gone away in the middle of a long answer.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        String::from_utf8(seen).unwrap()
    };
    let (endpoint, request) = (HttpClient::new(&Authorities::default()).unwrap(), request(port, form));
    tokio::join!(endpoint.ask(&request), serve)
}

#[tokio::test]
async fn a_request_is_made_as_it_is_written() {
    let answer = "HTTP/1.1 400 Bad Request\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}";
    let (got, seen) = asked(Some("grant_type=refresh_token&refresh_token=r"), answer).await;
    let got = got.ok().unwrap();
    assert_eq!((got.status, &got.body[..]), (400, &b"{}"[..]));
    assert!(got.headers.contains(&("retry-after".to_owned(), "7".to_owned())));
    let seen = seen.to_lowercase();
    for part in ["post /token http/1.1", "authorization: basic canary", "accept: application/json"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let (_, seen) = asked(None, answer).await;
    assert!(seen.starts_with("GET /token?a=b HTTP/1.1"), "{seen}");
    assert!(seen.to_lowercase().contains("authorization: bearer canary"), "{seen}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (got, _) =
        asked(None, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(got.ok().unwrap().status, 302);
}

#[tokio::test]
async fn what_is_not_known_is_told_apart_from_what_did_not_happen() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = HttpClient::new(&Authorities::default()).unwrap().ask(&request(closed, None)).await.err();
    assert_eq!(refused, Some(NoAnswer::NotSent));
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LONGEST_ANSWER + 1));
    let cases = [
        ("", NoAnswer::Lost),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\"", NoAnswer::Lost),
        ("SMTP ready\r\n\r\n", NoAnswer::Lost),
        (&long, NoAnswer::TooLong),
    ];
    for (answer, expected) in cases {
        let error = asked(Some("refresh_token=canary"), answer).await.0.err().unwrap();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn the_fake_answers_in_turn() {
    let fake = FakeClient::default();
    fake.answer_next(Err(NoAnswer::Lost));
    let request = request(1, None);
    assert_eq!(fake.ask(&request).await.err(), Some(NoAnswer::Lost));
    assert_eq!(fake.ask(&request).await.err(), Some(NoAnswer::NotSent));
    assert_eq!(fake.asked(), 2);
}

#[tokio::test]
async fn a_host_that_somebody_else_named_must_be_a_public_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = HttpClient::new(&Authorities::default()).unwrap();
    let hosts = ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"];
    for host in hosts {
        let request = NetworkRequest::read_public("https://net.example", &format!("https://{host}:{port}/a")).unwrap();
        assert_eq!(client.ask(&request).await.err(), Some(NoAnswer::NotSent), "{host}");
    }
    let plain = NetworkRequest::read_public("https://net.example", "http://net.example/a").unwrap();
    assert_eq!(client.ask(&plain).await.err(), Some(NoAnswer::NotSent), "without TLS");
    let own =
        NetworkRequest::read_public(&format!("http://127.0.0.1:{port}/net"), &format!("http://127.0.0.1:{port}/a"));
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the request ended early");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    };
    let own = own.unwrap();
    let (got, ()) = tokio::join!(client.ask(&own), serve);
    assert_eq!(got.ok().unwrap().status, 200, "the first that calls is the one that may");
}
