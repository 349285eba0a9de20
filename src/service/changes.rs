//! Who changes what at the moment. A change is decided on what is stored, made durable, then taken into memory; these locks keep two
//! changes of one thing from overtaking each other between those steps.
//!
//! The locks are held across the store's answer, hence only in work that a client can't cancel: see [`Broker::finish`]. Order: leavings' before the
//! directory's before a token's before that of given refresh tokens. Whoever holds one token's lock takes no other token's; several, and all of
//! them, are taken at once and in their order.

use std::collections::BTreeSet;
use std::future::Future;

use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::base::ids::TokenId;
use crate::service::Broker;

/// Locks of tokens; two tokens may share one.
const TOKEN_LOCKS: usize = 64;

/// The locks of what is being changed.
pub struct Changes {
    /// Teams, collectors and keys.
    pub directory: Mutex<()>,
    /// Leavings of members.
    pub departures: Mutex<()>,
    /// Refresh tokens that are given: each is looked for before it is kept.
    pub given_refresh: Mutex<()>,
    /// Data keys that are being made.
    pub data_keys: Mutex<()>,
    tokens: Vec<Mutex<()>>,
}

impl Default for Changes {
    fn default() -> Self {
        let tokens = std::iter::repeat_with(Mutex::default).take(TOKEN_LOCKS).collect();
        Self {
            directory: Mutex::default(),
            departures: Mutex::default(),
            given_refresh: Mutex::default(),
            data_keys: Mutex::default(),
            tokens,
        }
    }
}

impl Changes {
    /// The lock of a token.
    pub async fn token(&self, token: TokenId) -> MutexGuard<'_, ()> {
        self.tokens[lock_of(token)].lock().await
    }

    /// The locks of several tokens.
    pub async fn several_tokens(&self, tokens: &[TokenId]) -> Vec<MutexGuard<'_, ()>> {
        let places: BTreeSet<usize> = tokens.iter().copied().map(lock_of).collect();
        let mut held = Vec::with_capacity(places.len());
        for at in places {
            held.push(self.tokens[at].lock().await);
        }
        held
    }

    /// The locks of all tokens.
    pub async fn all_tokens(&self) -> Vec<MutexGuard<'_, ()>> {
        let mut held = Vec::with_capacity(TOKEN_LOCKS);
        for lock in &self.tokens {
            held.push(lock.lock().await);
        }
        held
    }
}

/// The place of a token's lock. The low bits of an id are random.
fn lock_of(token: TokenId) -> usize {
    usize::try_from(token.as_u128() % TOKEN_LOCKS as u128).unwrap_or_default()
}

impl Broker {
    /// Does `work` to its end, also if the caller goes away. `None`: it panicked, and the process is about to stop.
    pub async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tasks.spawn("call", async move {
            // Nobody waits any more: the work is done all the same.
            let _ = reply.send(work.await);
        });
        answer.await.ok()
    }
}
