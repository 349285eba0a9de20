//! Who calls: read from the call's metadata, or from the certificate of its connection, for every service alike.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use tonic::{Request, Status};

use crate::base::clock::{Clock, Timestamp};
use crate::base::secret::Secret;
use crate::grpc::listener::PeerIdentity;
use crate::grpc::status::Refusal;
use crate::service::{Broker, Caller, Shown};

/// Who called last on a connection: a request extension of every call. A key that was proven on a connection is compared with
/// the next one that comes there, and proven anew only if it is another, if it has ended, or if any key or collector changed since.
#[derive(Clone, Default)]
pub struct LastCaller(Arc<Mutex<Option<Proven>>>);

struct Proven {
    shown: Secret,
    /// The directory's changes before the key was proven.
    changes: u64,
    /// When the key ends by itself.
    until: Timestamp,
    caller: Caller,
}

impl LastCaller {
    fn find(&self, shown: &str, changes: u64, clock: &dyn Clock) -> Option<Caller> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = |until| until == Timestamp::NEVER || clock.now() < until;
        let fresh = last.as_ref().filter(|last| last.changes == changes && lasts(last.until));
        fresh.filter(|last| last.shown.matches(shown.as_bytes())).map(|last| last.caller.clone())
    }

    fn note(&self, proven: Proven) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(proven);
    }
}

/// Tells who makes a call: by the key that it carries, or else by the certificate of its connection.
pub fn caller<T>(broker: &Broker, request: &Request<T>) -> Result<Caller, Status> {
    let key = request.metadata().as_ref().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let known = match (key, request.extensions().get::<PeerIdentity>()) {
        (Some(key), _) => return by_key(broker, key, request.extensions().get()),
        (None, Some(identity)) => broker.authenticate_certificate(identity.names()),
        (None, None) => broker.authenticate(None),
    };
    known.map_err(|error| Refusal::from(error).status())
}

fn by_key(broker: &Broker, shown: &str, last: Option<&LastCaller>) -> Result<Caller, Status> {
    // Read first: what changes while the key is proven is noticed by the next call.
    let changes = broker.directory.changes();
    if let Some(caller) = last.and_then(|last| last.find(shown, changes, &*broker.clock)) {
        return Ok(caller);
    }
    let caller = broker.authenticate(Some(shown)).map_err(|error| Refusal::from(error).status())?;
    if let Some(last) = last {
        let until = end_of(broker, &caller);
        last.note(Proven { shown: Secret::new(shown.to_owned()), changes, until, caller: caller.clone() });
    }
    Ok(caller)
}

/// When the key that a caller showed ends by itself.
fn end_of(broker: &Broker, caller: &Caller) -> Timestamp {
    let key = match caller {
        Caller::Operator { key, .. } | Caller::Collector { shown: Shown::Key(key), .. } => broker.directory.key(*key),
        Caller::Collector { shown: Shown::Certificate(_), .. } | Caller::Member { .. } | Caller::Broker => None,
    };
    key.and_then(|key| key.expires_at).unwrap_or(Timestamp::NEVER)
}
