//! What is true of every page: no other site may post to it, frame it, or learn its address.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::page::Message;
use crate::text::Text;

/// Refuses what another site posts, and sets the headers that every answer has.
///
/// `Sec-Fetch-Site` is asked, and not `Origin`, which is `null` for the forms of pages that send no referrer. Browsers that send neither don't send
/// our cookie along with another site's `POST`.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let from = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = from.is_some_and(|from| from != b"same-origin" && from != b"none");
    let mut response = if request.method() == Method::POST && is_foreign {
        let text = Text::english().say("trouble-foreign-text");
        Message::new("trouble-foreign", text).with(StatusCode::FORBIDDEN).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(super::page::CLOSED));
    response
}
