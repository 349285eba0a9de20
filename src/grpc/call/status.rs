//! The answers that the listener gives itself, in place of a handler.

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::grpc::pb::{ERROR_DOMAIN, ErrorReason};

/// When to come again after UNAVAILABLE. Clients add their own jitter.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// UNAVAILABLE, `OVERLOADED`. Made once: refusing must cost less than working.
pub(super) fn overloaded() -> Response<Body> {
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
        let message = "the broker has more calls than it can take; try again after the time in RetryInfo";
        with_reason(Code::Unavailable, ErrorReason::Overloaded, message).into_http::<Body>().into_parts().0.headers
    });
    let mut response = Response::new(Body::default());
    *response.headers_mut() = HEADERS.clone();
    response
}

/// UNAVAILABLE, `SHUTTING_DOWN`: the connection's grace is over.
pub(super) fn closing() -> Response<Body> {
    closing_status().into_http()
}

/// The same, as the last frame of a stream.
pub(super) fn closing_trailers() -> HeaderMap {
    trailers(&closing_status())
}

fn closing_status() -> Status {
    let message = "this connection is being closed; call again, on a new one";
    with_reason(Code::Unavailable, ErrorReason::ShuttingDown, message)
}

/// INVALID_ARGUMENT, `DEADLINE_MISSING`.
pub(super) fn no_deadline() -> Response<Body> {
    let message = "this listener wants a deadline with each unary call; set one in the client (grpcurl: -max-time 10)";
    let reason = ErrorReason::DeadlineMissing.as_reason();
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
    Status::with_error_details(Code::InvalidArgument, message, details).into_http()
}

/// DEADLINE_EXCEEDED.
pub(super) fn too_late() -> Response<Body> {
    let message =
        "the call took longer than its deadline; if it is safe to repeat (a request id makes it so), try again";
    Status::deadline_exceeded(message).into_http()
}

/// INTERNAL: the handler panicked. The log line names the call.
pub(super) fn panicked() -> Response<Body> {
    panic_status().into_http()
}

/// The same, as the last frame of a stream.
pub(super) fn panic_trailers() -> HeaderMap {
    trailers(&panic_status())
}

fn panic_status() -> Status {
    tracing::error!("a handler panicked; the call was answered with INTERNAL");
    let message = "a defect of the broker; report it with the x-request-id of this answer";
    let details = ErrorDetails::with_error_info(ErrorReason::Internal.as_reason(), ERROR_DOMAIN, []);
    Status::with_error_details(Code::Internal, message, details)
}

fn with_reason(code: Code, reason: ErrorReason, message: &str) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
    details.set_error_info(reason.as_reason(), ERROR_DOMAIN, []);
    Status::with_error_details(code, message, details)
}

fn trailers(status: &Status) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    // A status that can't be written as headers has no message to lose: its code goes alone.
    if status.add_header(&mut headers).is_err() {
        headers.insert(Status::GRPC_STATUS, (status.code() as i32).into());
    }
    headers
}

/// The status code in headers or trailers; `None` if they hold none.
pub(super) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_why_and_when() {
        let cases = [
            (overloaded(), Code::Unavailable, Some("OVERLOADED"), true),
            (closing(), Code::Unavailable, Some("SHUTTING_DOWN"), true),
            (panicked(), Code::Internal, Some("INTERNAL"), false),
            (too_late(), Code::DeadlineExceeded, None, false),
        ];
        for (response, code, reason, retry) in cases {
            let status = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(status.code(), code);
            let details = status.get_error_details();
            assert_eq!(details.error_info().map(|info| info.reason.as_str()), reason);
            assert_eq!(details.retry_info().is_some(), retry, "{code:?}");
        }
    }

    #[test]
    fn trailers_carry_the_code() {
        assert_eq!(code_in(&closing_trailers()), Some(Code::Unavailable));
        assert_eq!(code_in(&panic_trailers()), Some(Code::Internal));
        assert_eq!(code_in(&HeaderMap::new()), None);
    }
}
