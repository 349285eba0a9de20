//! What every page has in common: the layout, the headers that bound what a browser does with it, and the answer where something is wrong.
//!
//! A page loads nothing but what the broker itself serves, and holds neither scripts nor style of its own; it can't be framed, is not kept, and
//! tells no other site where it was.

use askama::Template;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect, Response};
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;

use crate::text::Text;
use crate::web::assets;

const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of every page.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Pages with what they have in common: what they load, the headers, no changes that another site asked for, and words where something is
/// wrong, also for an address that nothing answers to.
pub fn pages(routes: Router) -> Router {
    let routes = routes.merge(assets::routes()).fallback(|| async { StatusCode::NOT_FOUND });
    let routes = routes.layer(CsrfLayer::new()).layer(from_fn(with_words));
    routes.layer(CompressionLayer::new()).layer(from_fn(with_headers))
}

/// Puts a page in the place of an error that says nothing to a person: what does not fit a path, a query or a form is refused before any page
/// is asked. Scripts, and what an open page asks for by itself, are told by the status. Who comes by its address to what only a form leads to, as
/// after a sign-in, is led one step up: there is what the form is about.
async fn with_words(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let is_person = accepts.contains("text/html") && !request.headers().contains_key("hx-request");
    let path = request.uri().path().to_owned();
    let is_look = request.method() == Method::GET;
    let response = next.run(request).await;
    let status = response.status();
    if is_person && is_look && status == StatusCode::METHOD_NOT_ALLOWED {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        return Redirect::to(if above.is_empty() { "/" } else { above }).into_response();
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let is_error = status.is_client_error() || status.is_server_error();
    if is_person && is_error && !is_page { problem(status, path.starts_with("/operator")) } else { response }
}

/// The page about an error of which only the status is known.
fn problem(status: StatusCode, of_operators: bool) -> Response {
    let text = Text::english();
    let (title, problem) = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ("refused-not-found", "problem-no-page"),
        StatusCode::FORBIDDEN => ("refused-not-done", "problem-foreign"),
        StatusCode::PAYLOAD_TOO_LARGE => ("refused-not-done", "problem-too-long"),
        status if status.is_server_error() => ("refused-broken", "refused-broken-text"),
        _ => ("refused-not-done", "problem-not-understood"),
    };
    let (title, problem, next_text) = (text.say(title), text.say(problem), text.say("problem-go-on"));
    let next = if of_operators { "/operator" } else { "/" };
    shown(status, &ProblemPage { title: &title, problem: &problem, next, next_text: &next_text })
}

/// What an answer says of itself stays: an asset may be kept.
async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A page, or the answer where it could not be written.
pub fn shown(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that says what is wrong and where to go.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage<'a> {
    /// What it is, in a few words.
    pub title: &'a str,
    /// What is wrong and what to do.
    pub problem: &'a str,
    /// Where to go on.
    pub next: &'a str,
    /// What is there.
    pub next_text: &'a str,
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Query;
    use axum::routing::{get, post};
    use http_body_util::BodyExt;
    use serde::Deserialize;
    use tower::ServiceExt;

    use super::*;

    #[derive(Deserialize)]
    struct Asked {
        count: u64,
    }

    async fn ask(method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String, Response) {
        let counted = |Query(asked): Query<Asked>| async move { Html(asked.count.to_string()) };
        let routes = Router::new()
            .route("/counted", get(counted).post(async || "changed"))
            .route("/counted/anew", post(async || "changed"))
            .route("/own", get(async || (StatusCode::NOT_FOUND, Html("own words"))));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = pages(routes).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (parts.status, text, Response::from_parts(parts, Body::empty()))
    }

    #[tokio::test]
    async fn whatever_is_wrong_a_person_is_told_in_words_what_to_do() {
        let person = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let foreign = ("sec-fetch-site", "cross-site");
        let cases = [
            (Method::GET, "/nothing", vec![person], StatusCode::NOT_FOUND, "There is no such page"),
            (Method::GET, "/operator/nothing", vec![person], StatusCode::NOT_FOUND, "href=\"/operator\""),
            (Method::GET, "/counted?count=x", vec![person], StatusCode::BAD_REQUEST, "is not understood"),
            (Method::PUT, "/counted", vec![person], StatusCode::METHOD_NOT_ALLOWED, "There is no such page"),
            (Method::POST, "/counted", vec![person, foreign], StatusCode::FORBIDDEN, "Another site"),
            (Method::GET, "/own", vec![person], StatusCode::NOT_FOUND, "own words"),
            (Method::GET, "/counted?count=7", vec![person], StatusCode::OK, "7"),
        ];
        for (method, path, headers, status, words) in cases {
            let (is, text, answer) = ask(method, path, &headers).await;
            assert_eq!(is, status, "{path}");
            assert!(text.contains(words), "{path}: {text}");
            assert!(answer.headers().contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
        }
    }

    #[tokio::test]
    async fn who_comes_by_its_address_to_what_only_a_form_leads_to_is_led_one_step_up() {
        let (status, _, answer) = ask(Method::GET, "/counted/anew", &[("accept", "text/html")]).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[header::LOCATION], "/counted");
        let (status, ..) = ask(Method::GET, "/counted/anew", &[]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "a script");
    }

    #[tokio::test]
    async fn a_script_is_told_by_the_status() {
        for headers in [vec![], vec![("accept", "*/*")], vec![("accept", "text/html"), ("hx-request", "true")]] {
            let (status, text, _) = ask(Method::GET, "/nothing", &headers).await;
            assert_eq!((status, text.as_str()), (StatusCode::NOT_FOUND, ""), "{headers:?}");
        }
    }
}
