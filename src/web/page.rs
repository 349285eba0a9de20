//! What every page has in common: the layout, the headers that bound what a browser does with it, and the answer where something is wrong.
//!
//! A page loads nothing but what the broker itself serves, and holds neither scripts nor style of its own; it can't be framed, is not kept, and
//! tells no other site where it was.

use askama::Template;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::csrf::CsrfLayer;

use crate::web::assets;

const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of every page.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Pages with what they have in common: what they load, the headers, and no changes that another site asked for.
pub fn pages(routes: Router) -> Router {
    routes.merge(assets::routes()).layer(CompressionLayer::new()).layer(from_fn(with_headers)).layer(CsrfLayer::new())
}

/// What an answer says of itself stays: an asset may be kept.
async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// An error as a sentence for people.
pub fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
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
