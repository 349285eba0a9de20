//! What surrounds every call: its place among the calls in work, its request id, its deadline, a net for panics, and the
//! record of its outcome.
//!
//! Order, from the wire to the handler: find the [`Method`], take the request id, enter the [`CallGate`] (or refuse, before
//! anything is decoded), start the [`Deadlines`] clock, call the routes. Nothing here reads a message, and nothing here logs
//! metadata: it carries keys. One future holds all of it, so that a call costs no allocation per step. Authentication and
//! message sizes are left to the services.

mod body;
mod deadline;
mod gate;
mod methods;
mod observer;
mod request_id;
mod status;

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::FutureExt;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::{Service, ServiceExt};
use tracing::Level;

pub use deadline::{Deadlines, asked_for as deadline_of};
pub use gate::CallGate;
pub use methods::{CallKind, Method, find_method, list_methods};
pub use observer::{Observer, Refusal, Unobserved};
pub use request_id::{REQUEST_ID_HEADER, RequestId, RequestIds};

use self::body::StreamBody;
use self::gate::InWork;
use self::observer::Outcome;
use super::caller::LastCaller;
use super::listener::PeerIdentity;
use crate::base::clock::Clock;
use crate::telemetry::CallName;

/// Resolves when the connection is about to close. A request extension of streams: a handler that ends its stream when it
/// resolves gives the client a clean end. A stream that goes on is ended for it, with UNAVAILABLE, when the grace is over.
#[derive(Clone, Debug)]
pub struct Closing(CancellationToken);

impl Closing {
    /// Waits until the connection is about to close. Cancel-safe.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// What the calls of one connection share.
pub(super) struct Link {
    /// Both ends of the connection.
    pub addresses: TcpConnectInfo,
    /// Who the peer is, by its certificate.
    pub identity: Option<PeerIdentity>,
    /// The connection takes no new calls.
    pub closing: CancellationToken,
    /// The grace is over: what still runs ends now.
    pub cut: CancellationToken,
    last_caller: LastCaller,
    open: AtomicUsize,
    begun: AtomicU64,
}

impl Link {
    pub(super) fn new(addresses: TcpConnectInfo, identity: Option<PeerIdentity>) -> Self {
        let (closing, cut) = (CancellationToken::new(), CancellationToken::new());
        let last_caller = LastCaller::default();
        Self { addresses, identity, closing, cut, last_caller, open: AtomicUsize::new(0), begun: AtomicU64::new(0) }
    }

    /// The calls begun so far, or `None` while one is open.
    pub(super) fn calls_if_quiet(&self) -> Option<u64> {
        (self.open.load(Ordering::Relaxed) == 0).then(|| self.begun.load(Ordering::Relaxed))
    }
}

/// Counts as an open call of its connection until it is dropped.
struct OpenCall(Arc<Link>);

impl OpenCall {
    fn on(link: &Arc<Link>) -> Self {
        link.open.fetch_add(1, Ordering::Relaxed);
        link.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(link))
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What stands in front of the handlers of one worker.
pub struct Front {
    /// The longest that calls may take.
    pub deadlines: Deadlines,
    /// Calls in work that end soon.
    pub calls: Arc<CallGate>,
    /// Calls in work that may last: streams, and acquires that wait.
    pub long_calls: Arc<CallGate>,
    /// Names calls that came without a name.
    pub request_ids: RequestIds,
    /// Times calls.
    pub clock: Arc<dyn Clock>,
    /// Is told how each call ended.
    pub observer: Arc<dyn Observer>,
}

impl Front {
    /// Answers one call. Dropping the future drops the handler's and records CANCELLED.
    pub(super) async fn answer<S, B>(
        self: Arc<Self>,
        link: Arc<Link>,
        routes: S,
        mut request: Request<B>,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    {
        let method = find_method(request.uri().path());
        let outcome = Outcome::begin(&self, method);
        let open = OpenCall::on(&link);
        let id = self.request_ids.of(request.headers());
        let mut response = match self.gate_of(method.kind).enter() {
            None => {
                outcome.end(Code::Unavailable);
                status::overloaded()
            }
            Some(place) => {
                extend(&mut request, &link, &id, method.kind);
                let name = CallName { method: method.name(), request_id: id.text() };
                let response = name.clone().around(self.run(&link, method.kind, routes, request)).await;
                settle(response, method.kind, Held { outcome, name, _place: place, _open: open }, &link)
            }
        };
        note(method, &id, &response);
        response.headers_mut().insert(REQUEST_ID_HEADER, id.header());
        Ok(response)
    }

    fn gate_of(&self, kind: CallKind) -> &Arc<CallGate> {
        match kind {
            CallKind::Unary => &self.calls,
            CallKind::Waiting | CallKind::Stream => &self.long_calls,
        }
    }

    /// Calls the handler under its deadline; its panic becomes INTERNAL.
    async fn run<S, B>(&self, link: &Link, kind: CallKind, routes: S, request: Request<B>) -> Response<Body>
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    {
        let asked = deadline::asked_for(request.headers());
        if !self.deadlines.admit(kind, asked) {
            return status::no_deadline();
        }
        let allowed = self.deadlines.allow(kind, asked);
        let handler = AssertUnwindSafe(async move { routes.oneshot(request).await }).catch_unwind();
        let mut handler = pin!(async {
            match handler.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => status::panicked(),
            }
        });
        // Most calls are answered at once. Only one that is not needs a timer.
        if let Poll::Ready(response) = poll_fn(|context| Poll::Ready(handler.as_mut().poll(context))).await {
            return response;
        }
        match (kind, allowed) {
            (_, None) => handler.await,
            (CallKind::Waiting, Some(allowed)) => tokio::select! {
                response = tokio::time::timeout(allowed, handler) => response.unwrap_or_else(|_| status::too_late()),
                () = link.cut.cancelled() => status::closing(),
            },
            (_, Some(allowed)) => tokio::time::timeout(allowed, handler).await.unwrap_or_else(|_| status::too_late()),
        }
    }
}

/// What a call holds until it has ended.
struct Held {
    outcome: Outcome,
    name: CallName,
    _place: InWork,
    _open: OpenCall,
}

/// Tells the handler where the call comes from.
fn extend<B>(request: &mut Request<B>, link: &Link, id: &RequestId, kind: CallKind) {
    let extensions = request.extensions_mut();
    extensions.insert(link.addresses.clone());
    extensions.insert(id.clone());
    extensions.insert(link.last_caller.clone());
    if let Some(identity) = &link.identity {
        extensions.insert(identity.clone());
    }
    if kind == CallKind::Stream {
        extensions.insert(Closing(link.closing.clone()));
    }
}

/// Tells the log of the answer.
fn note(method: &Method, id: &RequestId, response: &Response<Body>) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let (method_name, request_id) = (method.name(), id.as_str());
    match (method.kind, status::code_in(response.headers())) {
        (CallKind::Stream, None) => tracing::debug!(method = method_name, request_id, "a stream began"),
        (_, code) => {
            let code = code.unwrap_or(Code::Ok);
            tracing::debug!(method = method_name, request_id, ?code, "a call was answered");
        }
    }
}

/// Ends a call that is answered whole; a stream goes on holding what it holds.
fn settle(response: Response<Body>, kind: CallKind, held: Held, link: &Link) -> Response<Body> {
    match status::code_in(response.headers()) {
        None if kind == CallKind::Stream => {
            response.map(|inner| Body::new(StreamBody::new(inner, held, link.cut.clone())))
        }
        code => {
            held.outcome.end(code.unwrap_or(Code::Ok));
            response
        }
    }
}

#[cfg(test)]
mod tests;
