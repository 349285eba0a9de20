//! Callbacks over real sockets.

use std::net::{Ipv4Addr, SocketAddr};

use metrics::Gauge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::service::apps::UpdateApp;
use crate::service::callbacks::signed_request::signed;
use crate::service::testing::TestBroker;
use crate::web::server::{HttpLimits, HttpServer};

/// The status and the body of the answer to one request.
async fn ask(address: SocketAddr, request: String) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn post_form(address: SocketAddr, path: &str, signed_request: &str) -> (u16, String) {
    let body =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("signed_request", signed_request).finish();
    let length = body.len();
    let kind = "application/x-www-form-urlencoded";
    let head = format!("POST /callbacks/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}");
    ask(address, format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await
}

async fn get_status(address: SocketAddr, code: &str) -> (u16, String) {
    ask(address, format!("GET /callbacks/status/{code} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_network_asks_for_a_deletion_and_the_person_sees_how_far_it_is() {
    let test = TestBroker::start().await;
    let said = UpdateApp { client_secret: Some(Some(Secret::new("secret".to_owned()))), ..UpdateApp::default() };
    let (network, app) = ("instagram".parse().unwrap(), "default".parse().unwrap());
    test.broker.update_app(&test.admin, &network, &app, said).await.unwrap();
    let tasks = Tasks::default();
    let (any, limits) = ((Ipv4Addr::LOCALHOST, 0).into(), HttpLimits::default());
    let server = HttpServer::start("test", any, limits, routes(test.broker.clone()), Gauge::noop(), &tasks);
    let address = server.await.unwrap().local_addr();
    let now = test.clock.now().secs();
    let request = signed(&format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{now},"user_id":"7"}}"#), "secret");
    let forged = signed(&format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{now},"user_id":"7"}}"#), "guess");

    let mut refusals = Vec::new();
    for (path, request) in [
        ("instagram/default/delete-data", forged.as_str()),
        ("instagram/default/deauthorize", "nonsense"),
        ("instagram/other/delete-data", &request),
        ("nowhere/default/delete-data", &request),
    ] {
        refusals.push(post_form(address, path, request).await);
    }
    assert!(refusals.iter().all(|refusal| *refusal == (403, String::new())), "one answer for all: {refusals:?}");
    let large = "a".repeat(9_000);
    assert_eq!(post_form(address, "instagram/default/delete-data", &large).await.0, 403);

    let (status, body) = post_form(address, "instagram/default/delete-data", &request).await;
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let first = (status, body);
    let code = answer["confirmation_code"].as_str().unwrap();
    assert!(answer["url"].as_str().unwrap().ends_with(&format!("/callbacks/status/{code}")));
    let (status, shown) = get_status(address, code).await;
    assert_eq!(status, 200);
    assert!(shown.contains("were destroyed on"), "{shown}");
    assert_eq!(get_status(address, "00").await.0, 404);
    assert_eq!(post_form(address, "instagram/default/delete-data", &request).await, first, "the same answer again");
    assert_eq!(post_form(address, "instagram/default/deauthorize", &request).await.0, 200);
    tasks.stop();
    assert!(tasks.join(std::time::Duration::from_secs(10)).await);
    test.stop().await;
}
