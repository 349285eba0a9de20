//! Members sign in, join by an invitation, and their sessions are known, listed and ended. Operators sign in by their keys.
//!
//! Whether an address has a member is told to nobody: a wrong address, a wrong password and a member without one are refused alike, after the
//! same work: of a person in several teams the password of the oldest membership decides whether the others are looked at. Wrong tries are
//! limited by address of the network, by mail address and that together, and by mail address alone, much more loosely, so that nobody locks a
//! member out; passwords are hashed on threads of their own, few at once.

mod confirm;
mod join;
mod known;
#[cfg(feature = "oidc")]
mod oidc;
mod operator;
mod prove_mail;
mod sign_in;
mod throttle;
mod waiting;
mod which_team;

#[cfg(feature = "oidc")]
pub use crate::outbound::oidc::OidcError;
pub use join::{InvitedTo, Join, JoinError};
pub use known::{SessionView, Stay};
#[cfg(feature = "oidc")]
pub use oidc::{OidcAnswer, OidcSignInError, SentToSignIn};
pub use operator::OperatorStay;
pub use prove_mail::{MailToProve, ProveMailError};
pub use sign_in::{Browser, SignIn, SignInError, SignedIn, StartedSession};
pub use which_team::TeamChoice;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::config;
use crate::domain::member::SessionLimits;
use crate::vault::{BreachedPasswords, HashError, PasswordCost, PasswordHasher};
use throttle::{Throttle, key_of};
use waiting::Waiting;
use which_team::Proved;

/// From so many addresses of the network a member's password may be tried at once: a stranger needs more to lock it out, and still guesses slowly.
const MAIL_SHARES: usize = 20;
/// Hashes that may wait for a thread; more are refused.
const WAITING: usize = 64;
/// How long who was refused for want of threads should wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// What signing in needs beside the store.
pub struct SignInDesk {
    hasher: Arc<PasswordHasher>,
    breached: Option<BreachedPasswords>,
    threads: Arc<Semaphore>,
    line: Arc<Semaphore>,
    /// By where they come from.
    addresses: Throttle,
    /// By mail address and where they come from.
    pairs: Throttle,
    /// By mail address, wherever they come from.
    mails: Throttle,
    /// What somebody tries who is signed in: by the id of the session or the member.
    inside: Throttle,
    limits: SessionLimits,
    choices: Waiting<Vec<Proved>>,
    #[cfg(feature = "oidc")]
    oidc: Option<oidc::OidcDesk>,
}

impl SignInDesk {
    /// As the settings say.
    pub fn new(
        settings: &config::SignIn,
        breached: Option<BreachedPasswords>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, HashError> {
        let config::SignIn {
            password_memory,
            password_passes,
            hashes_at_once,
            tries_per_member,
            tries_per_address,
            breached_passwords_file: _,
            idle,
            whole,
            oidc: _,
        } = settings;
        let cost = PasswordCost {
            memory_kib: u32::try_from(password_memory.as_u64() / 1024).unwrap_or(u32::MAX),
            passes: u32::try_from(*password_passes).unwrap_or(u32::MAX),
        };
        Ok(Self {
            hasher: Arc::new(PasswordHasher::new(cost)?),
            breached,
            threads: Arc::new(Semaphore::new(*hashes_at_once)),
            line: Arc::new(Semaphore::new(WAITING + *hashes_at_once)),
            addresses: Throttle::per_minute(*tries_per_address, clock),
            pairs: Throttle::per_minute(*tries_per_member, clock),
            mails: Throttle::per_minute(tries_per_member.saturating_mul(MAIL_SHARES), clock),
            inside: Throttle::per_minute(*tries_per_member, clock),
            limits: SessionLimits { idle: *idle, whole: *whole },
            choices: Waiting::default(),
            #[cfg(feature = "oidc")]
            oidc: settings.oidc.clone().map(oidc::OidcDesk::new),
        })
    }

    /// Counts a try from where a browser is; if it is one too many, the time to wait.
    fn check_address(&self, browser: &Browser) -> Result<(), Duration> {
        self.addresses.check(&key_of(browser.address))
    }

    /// Counts a try to sign in with a mail address, as `check_address`; returns what to call the tries together.
    fn check_mail(&self, mail_key: &str, browser: &Browser) -> Result<String, Duration> {
        self.check_address(browser)?;
        let pair = format!("{} {mail_key}", key_of(browser.address));
        // In this order: who is held up by its own count uses up nothing of the others'.
        self.pairs.check(&pair)?;
        self.mails.check(mail_key)?;
        Ok(pair)
    }

    /// How long sessions last.
    pub fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// Does `work` with the hasher on a thread that may block; the time to wait if too many wait already.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher) -> T + Send + 'static,
    ) -> Result<T, Duration> {
        let _place = self.line.clone().try_acquire_owned().map_err(|_| PATIENCE)?;
        let _thread = self.threads.clone().acquire_owned().await.map_err(|_| PATIENCE)?;
        let hasher = self.hasher.clone();
        tokio::task::spawn_blocking(move || work(&hasher)).await.map_err(|_| PATIENCE)
    }

    async fn is_right(&self, password: &Arc<Secret>, kept: Option<String>) -> Result<bool, Duration> {
        let password = password.clone();
        self.hash(move |hasher| hasher.is_right(&password, kept.as_deref())).await
    }
}

#[cfg(test)]
mod tests;
