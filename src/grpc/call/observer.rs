//! Who is told what happened to calls and connections: a narrow door, so that this layer need not know how it is counted.

use std::sync::Arc;
use std::time::Duration;

use tonic::Code;

use super::{Front, Method};
use crate::base::clock::Timestamp;

/// Is told of each call and connection. Called on the hot path: it must neither block nor fail.
pub trait Observer: Send + Sync + 'static {
    /// A call ended; a stream: its last message was handed over. CANCELLED if the client left before the answer.
    fn answered(&self, method: &'static Method, code: Code, took: Duration);

    /// A connection was accepted.
    fn connection_opened(&self) {}

    /// An accepted connection is gone.
    fn connection_closed(&self) {}

    /// A connection was turned away before a byte was read.
    fn connection_refused(&self, _why: Refusal) {}
}

/// Why a connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All connections of the process are taken.
    Full,
    /// The peer has as many connections as one may have.
    PeerFull,
    /// Too many connections came in this second.
    TooFast,
    /// Too many connections came from this peer in this second.
    PeerTooFast,
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn answered(&self, _method: &'static Method, _code: Code, _took: Duration) {}
}

/// The outcome of one call, told exactly once: by [`Outcome::end`], or as CANCELLED when it is dropped before.
pub(super) struct Outcome {
    front: Arc<Front>,
    method: &'static Method,
    began: Timestamp,
    code: Code,
}

impl Outcome {
    pub(super) fn begin(front: &Arc<Front>, method: &'static Method) -> Self {
        Self { front: Arc::clone(front), method, began: front.clock.now(), code: Code::Cancelled }
    }

    /// The call has ended with `code`.
    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let took = self.front.clock.now().since(self.began);
        self.front.observer.answered(self.method, self.code, took);
    }
}
