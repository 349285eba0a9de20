//! How many streams each caller has open, over all threads that serve.

use std::sync::Arc;

use dashmap::DashMap;

/// Streams that one collector or key may have open at once.
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
    /// Opens a stream for a caller, known by the bits of its collector's or key's id.
    pub fn open(&self, caller: u128) -> Result<OpenStream, TooManyStreams> {
        let mut count = self.0.entry(caller).or_default();
        if *count >= MOST {
            return Err(TooManyStreams);
        }
        *count += 1;
        drop(count);
        Ok(OpenStream { streams: self.clone(), caller })
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
}
