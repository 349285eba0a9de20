//! What waits in memory for a browser that was led away, or asked something, in the middle of a sign-in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::hex::push_hex;
use crate::base::secret::Secret;
use crate::service::sessions::SignInError;

/// How long a person may take.
pub(super) const LASTS: Duration = Duration::from_secs(600);
/// What waits at once; more is refused.
const MOST: usize = 10_000;

/// What waits, each under the hash of what brings it back, and until when. It is taken out by the first who comes: whatever comes a second
/// time is unknown.
pub(super) struct Waiting<T>(Mutex<HashMap<[u8; 32], (T, Timestamp)>>);

impl<T> Default for Waiting<T> {
    /// Nothing waits.
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Waiting<T> {
    /// Keeps something for ten minutes.
    pub(super) fn keep(&self, key: [u8; 32], what: T, now: Timestamp) -> Result<(), SignInError> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, ends_at)| *ends_at > now);
        if waiting.len() >= MOST {
            return Err(SignInError::TooOften(LASTS));
        }
        waiting.insert(key, (what, now + LASTS));
        Ok(())
    }

    /// Takes something out.
    pub(super) fn take(&self, key: &[u8; 32], now: Timestamp) -> Option<T> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        taken.filter(|(_, ends_at)| *ends_at > now).map(|(what, _)| what)
    }
}

/// 256 random bits as hex.
pub(super) fn random() -> Result<Secret, SignInError> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SignInError::Random)?;
    let mut text = String::with_capacity(64);
    push_hex(&mut text, &bytes);
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_taken_once_and_in_time() {
        let (waiting, now) = (Waiting::default(), Timestamp::EPOCH);
        for key in [1, 2] {
            waiting.keep([key; 32], key, now).unwrap();
        }
        assert_eq!((waiting.take(&[1; 32], now), waiting.take(&[1; 32], now)), (Some(1), None));
        assert_eq!(waiting.take(&[2; 32], now + LASTS), None, "it came too late");
    }

    #[test]
    fn no_more_waits_than_may() {
        let (waiting, now) = (Waiting::default(), Timestamp::EPOCH);
        let key = |nth: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&nth.to_be_bytes());
            key
        };
        for nth in 0..MOST {
            waiting.keep(key(nth), (), now).unwrap();
        }
        assert!(matches!(waiting.keep(key(MOST), (), now), Err(SignInError::TooOften(_))));
        waiting.keep(key(MOST), (), now + LASTS).unwrap();
    }
}
