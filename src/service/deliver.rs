//! Sends what waits in the outbox to the configured webhooks, at least once.
//!
//! Each destination is a lane of its own, so that a slow or dead one holds up nobody else; within a lane messages go one after
//! another. A message is claimed before it is sent and marked after it; if the process dies in between, it is sent again under the
//! same id, by which the receiver knows it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::Notify;

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::OutboxId;
use crate::base::secret::Secret;
use crate::config;
use crate::domain::retry::RetryRule;
use crate::outbound::address::Lookup;
use crate::outbound::webhook::{
    DeliveryOutcome, HttpWebhookSender, SigningSecret, SigningSecretError, WebhookDelivery, WebhookPolicy,
    WebhookSender,
};
use crate::service::Broker;
use crate::service::luck::luck;
use crate::store::{OutboxRow, SendResult, StoreError};

/// Messages claimed at once.
const CLAIMED: u32 = 8;
/// How often the outbox is looked at although nobody said that something is there.
const SWEEP: Duration = Duration::from_secs(30);
/// How long a claim lasts beyond the time that sending may take.
const MARGIN: Duration = Duration::from_secs(60);

/// One destination.
pub struct Lane {
    /// Its name in the outbox: the host, and a hash of the whole address, which may hold a secret.
    pub destination: String,
    url: String,
    secrets: Vec<Secret>,
    sender: Arc<dyn WebhookSender>,
    /// How long a claim lasts.
    claim: Duration,
    wake: Notify,
    state: Mutex<LaneState>,
}

#[derive(Default)]
struct LaneState {
    /// When the outbox is looked at next.
    next: Timestamp,
    /// When each message that is tried again was first tried by this process.
    first_tried: HashMap<OutboxId, Timestamp>,
}

/// A webhook can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The secret can't be read.
    #[error("alerts.webhooks: the signing secret in '{file}' can't be read; create the file, or correct secret_file")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The secret is no secret.
    #[error("alerts.webhooks: '{file}' holds no signing secret: {cause}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: SigningSecretError,
    },
}

impl Lane {
    /// The lanes of all configured webhooks. Reads their secrets: one per line, the old and the new one while they change.
    pub fn of_config(
        alerts: &config::Alerts,
        lookup: &Arc<dyn Lookup>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<Lane>, LaneError> {
        let lane = |webhook: &config::Webhook| {
            let policy = WebhookPolicy {
                allow_http: webhook.allow_private,
                allow_private: webhook.allow_private,
                timeout: alerts.timeout,
            };
            let retry = RetryRule { within: alerts.retry_for, ..RetryRule::default() };
            let sender = HttpWebhookSender::new(policy, retry, lookup.clone(), clock.clone());
            Ok(Lane {
                destination: destination(webhook),
                url: webhook.url.to_string(),
                secrets: secrets(&webhook.secret_file)?,
                sender: Arc::new(sender),
                claim: alerts.timeout * CLAIMED + MARGIN,
                wake: Notify::new(),
                state: Mutex::default(),
            })
        };
        alerts.webhooks.iter().map(lane).collect()
    }

    /// Something may be waiting: look now.
    pub fn wake(&self) {
        self.state().next = Timestamp::EPOCH;
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().expect("no code panics while it holds a lane")
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.state().next <= now
    }

    fn delivery(&self, message: &OutboxRow) -> WebhookDelivery {
        let parse = |text| SigningSecret::parse(text).ok();
        WebhookDelivery {
            id: message.id,
            url: self.url.clone(),
            secrets: self.secrets.iter().filter_map(parse).collect(),
            body: String::from_utf8_lossy(&message.payload).into_owned(),
            // The claim has counted this attempt already.
            attempts: message.attempts.saturating_sub(1),
            first_tried_at: self.state().first_tried.get(&message.id).copied(),
        }
    }
}

fn destination(webhook: &config::Webhook) -> String {
    let hash = digest(&SHA256, webhook.url.as_str().as_bytes());
    let short: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("webhook:{}:{short}", webhook.url.host_str().unwrap_or_default())
}

fn secrets(file: &PathBuf) -> Result<Vec<Secret>, LaneError> {
    let text = std::fs::read_to_string(file).map_err(|cause| LaneError::Unreadable { file: file.clone(), cause })?;
    let text = Secret::new(text);
    let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<Secret> = lines.map(|line| Secret::new(line.to_owned())).collect();
    let malformed = |cause| LaneError::Malformed { file: file.clone(), cause };
    for secret in &secrets {
        SigningSecret::parse(secret).map_err(malformed)?;
    }
    if secrets.is_empty() { Err(malformed(SigningSecretError)) } else { Ok(secrets) }
}

impl Broker {
    /// Sends what is due in one lane, if it is time to look. Returns how many attempts were made.
    pub(super) async fn deliver(&self, lane: &Lane) -> Result<usize, StoreError> {
        let mut attempts = 0;
        while lane.is_due(self.now()) {
            let now = self.now();
            lane.state().next = now + SWEEP;
            let claimed = self.store.claim_due(&lane.destination, now, now + lane.claim, CLAIMED).await;
            let claimed = claimed.inspect_err(|_| lane.state().next = now)?;
            attempts += claimed.len();
            let full = claimed.len() == CLAIMED as usize;
            for message in claimed {
                self.deliver_one(lane, message).await?;
            }
            if full {
                lane.state().next = Timestamp::EPOCH;
            }
        }
        Ok(attempts)
    }

    async fn deliver_one(&self, lane: &Lane, message: OutboxRow) -> Result<(), StoreError> {
        let tried_at = self.now();
        let outcome = lane.sender.deliver_once(&lane.delivery(&message), luck()).await;
        let result = match outcome {
            DeliveryOutcome::Sent => SendResult::Sent,
            DeliveryOutcome::Retry { after, error } => {
                let due_at = self.now() + after;
                let mut state = lane.state();
                state.first_tried.entry(message.id).or_insert(tried_at);
                state.next = state.next.min(due_at);
                let (destination, kind) = (&message.destination, &message.kind);
                tracing::warn!(%destination, kind, attempts = message.attempts, %error, "an alert could not be sent; it is tried again at {due_at}");
                SendResult::Retry { due_at, error: error.to_string() }
            }
            DeliveryOutcome::Dead(reason) => {
                let (destination, kind) = (&message.destination, &message.kind);
                tracing::error!(%destination, kind, message = %message.id, "an alert is given up: {reason}");
                SendResult::Dead { error: reason.to_string() }
            }
        };
        if !matches!(result, SendResult::Retry { .. }) {
            lane.state().first_tried.remove(&message.id);
        }
        self.store.mark(message.id, message.attempts, result).await?;
        Ok(())
    }

    /// Resolves when a lane may have something to send: somebody said so, or it is time to look again.
    pub(super) async fn lane_is_due(&self, lane: &Lane, look_every: Duration) {
        while !lane.is_due(self.now()) {
            tokio::select! {
                () = lane.wake.notified() => {}
                () = tokio::time::sleep(look_every) => {}
            }
        }
    }
}
