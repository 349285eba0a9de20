//! How many streams each caller has open, over all threads that serve. No caller has them all.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::service::Caller;

/// Streams that one collector, key or member may have open at once.
const MOST: u32 = 64;

/// The streams that are open. Cloning shares the count.
#[derive(Clone, Default)]
pub struct Streams(Arc<DashMap<u128, u32>>);

/// The caller has as many streams as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this caller has {MOST} streams open, as many as it may; close some, or use one stream for many leases")]
pub struct TooManyStreams;

/// Counts as an open stream until it is dropped.
pub struct OpenStream {
    streams: Streams,
    caller: u128,
}

impl Streams {
    /// Opens a stream for a caller, known by its number.
    pub fn open(&self, caller: u128) -> Result<OpenStream, TooManyStreams> {
        let mut count = self.0.entry(caller).or_default();
        if *count >= MOST {
            return Err(TooManyStreams);
        }
        *count += 1;
        drop(count);
        Ok(OpenStream { streams: self.clone(), caller })
    }

    /// How many streams a caller has open.
    #[cfg(test)]
    pub fn count(&self, caller: u128) -> u32 {
        self.0.get(&caller).map_or(0, |count| *count)
    }
}

/// Places for streams that listen, for so many at once; one caller takes no more of them than it may have streams.
pub struct Places {
    all: Arc<Semaphore>,
    streams: Streams,
}

/// A place, which is free again once this is dropped.
pub struct Place {
    _one_of_all: OwnedSemaphorePermit,
    _of_caller: OpenStream,
}

impl Places {
    /// So many, all of them free.
    pub fn new(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), streams: Streams::default() }
    }

    /// A place for a caller; `None`: all are taken, or as many by this caller as it may have.
    pub fn take(&self, caller: &Caller) -> Option<Place> {
        let of_caller = self.streams.open(caller.number()).ok()?;
        let one_of_all = self.all.clone().try_acquire_owned().ok()?;
        Some(Place { _one_of_all: one_of_all, _of_caller: of_caller })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Some(mut count) = self.streams.0.get_mut(&self.caller) {
            *count = count.saturating_sub(1);
        }
        self.streams.0.remove_if(&self.caller, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::KeyId;
    use crate::domain::team::OperatorRole;

    #[test]
    fn a_closed_stream_makes_room() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..MOST).map(|_| streams.open(1).unwrap()).collect();
        assert_eq!(streams.open(1).err(), Some(TooManyStreams));
        assert!(streams.open(2).is_ok(), "another caller has a count of its own");
        open.pop();
        assert!(streams.open(1).is_ok());
        open.clear();
        assert!(streams.0.is_empty(), "nothing is left over");
    }

    #[test]
    fn nobody_takes_the_places_of_all() {
        let key = |id| Caller::Operator { role: OperatorRole::Reader, key: KeyId::from_u128(id) };
        let places = Places::new(MOST as usize + 1);
        let mut taken: Vec<_> = (0..MOST).map(|_| places.take(&key(1)).unwrap()).collect();
        assert!(places.take(&key(1)).is_none(), "one has as many as it may");
        let last = places.take(&key(2)).unwrap();
        assert!(places.take(&key(3)).is_none(), "all are taken");
        drop(last);
        taken.pop();
        assert!(places.take(&key(1)).is_some() && places.take(&key(3)).is_some());
    }
}
