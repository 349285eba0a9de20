//! Who calls: read from the call's metadata, for every service alike.

use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Request, Status};

use crate::base::secret::Secret;
use crate::grpc::status::Refusal;
use crate::service::{Broker, Caller};

/// Who called last on a connection: a request extension of every call. A key that was proven on a connection is compared with
/// the next one that comes there, and proven anew only if it is another, or if any key or collector changed since.
#[derive(Clone, Default)]
pub struct LastCaller(Arc<Mutex<Option<Proven>>>);

struct Proven {
    shown: Secret,
    /// The directory's changes before the key was proven.
    changes: u64,
    caller: Caller,
}

impl LastCaller {
    fn find(&self, shown: &str, changes: u64) -> Option<Caller> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.as_ref().filter(|last| last.changes == changes && last.shown.matches(shown.as_bytes()));
        same.map(|last| last.caller.clone())
    }

    fn note(&self, shown: &str, changes: u64, caller: &Caller) {
        let proven = Proven { shown: Secret::new(shown.to_owned()), changes, caller: caller.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(proven);
    }
}

/// Tells who makes a call.
pub fn caller<T>(broker: &Broker, request: &Request<T>) -> Result<Caller, Status> {
    let shown = request.metadata().get("authorization").map(|value| value.to_str().unwrap_or_default());
    let last = request.extensions().get::<LastCaller>().zip(shown);
    // Read first: what changes while the key is proven is noticed by the next call.
    let changes = broker.directory.changes();
    if let Some(caller) = last.and_then(|(last, shown)| last.find(shown, changes)) {
        return Ok(caller);
    }
    let caller = broker.authenticate(shown).map_err(|error| Refusal::from(error).status())?;
    if let Some((last, shown)) = last {
        last.note(shown, changes, &caller);
    }
    Ok(caller)
}
