//! `/metrics`, `/healthz` and `/readyz`: for Prometheus, and for whoever starts and stops processes.
//!
//! *Healthy* means that the process answers: if it does not, it should be restarted. *Ready* means that it can do its work: if
//! it is not, it should get no calls, and a restart would not help. What either needs to know comes through [`Probes`];
//! nothing here shows a secret or takes a command.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

/// The text format of Prometheus.
const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// One reason why the process can't do its work now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// The part that is not ready, such as `store`.
    pub part: &'static str,
    /// What is wrong and what to do, for a person. It must hold no secret.
    pub reason: String,
}

/// Where the answers come from.
pub struct Probes {
    /// All metrics, in the text format of Prometheus.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Every reason why the process is not ready; none: it is.
    pub not_ready: Box<dyn Fn() -> Vec<NotReady> + Send + Sync>,
}

/// The routes. Anything else is 404, another method than GET 405.
pub fn routes(probes: Probes) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(probes))
}

async fn metrics(State(probes): State<Arc<Probes>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], (probes.metrics)()).into_response()
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// 200, or 503 with one JSON object per line and reason.
async fn readyz(State(probes): State<Arc<Probes>>) -> Response {
    let reasons = (probes.not_ready)();
    if reasons.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, JSON_LINES)], json_lines(&reasons)).into_response()
}

fn json_lines(reasons: &[NotReady]) -> String {
    let mut lines = String::new();
    for reason in reasons {
        lines.push_str(&serde_json::to_string(reason).expect("two texts are always JSON"));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: Method, path: &str, not_ready: Vec<NotReady>) -> (StatusCode, String) {
        let probes =
            Probes { metrics: Box::new(|| "up 1\n".to_owned()), not_ready: Box::new(move || not_ready.clone()) };
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = routes(probes).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_path_has_its_answer() {
        let cases = [
            (Method::GET, "/metrics", StatusCode::OK, "up 1\n"),
            (Method::GET, "/healthz", StatusCode::OK, "ok\n"),
            (Method::GET, "/readyz", StatusCode::OK, "ok\n"),
            (Method::GET, "/", StatusCode::NOT_FOUND, ""),
            (Method::GET, "/metrics/x", StatusCode::NOT_FOUND, ""),
            (Method::POST, "/metrics", StatusCode::METHOD_NOT_ALLOWED, ""),
        ];
        for (method, path, status, body) in cases {
            assert_eq!(ask(method, path, vec![]).await, (status, body.to_owned()), "{path}");
        }
    }

    #[tokio::test]
    async fn every_reason_is_a_line() {
        let reasons = vec![
            NotReady { part: "store", reason: "read \"only\"".to_owned() },
            NotReady { part: "vault", reason: "no key".to_owned() },
        ];
        let (status, body) = ask(Method::GET, "/readyz", reasons.clone()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let expected = r#"{"part":"store","reason":"read \"only\""}
{"part":"vault","reason":"no key"}
"#;
        assert_eq!(body, expected);
        assert_eq!(ask(Method::GET, "/healthz", reasons).await.0, StatusCode::OK, "not ready is not dead");
    }
}
