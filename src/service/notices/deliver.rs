//! Sending: lanes that are due are claimed, each sends its oldest message, and what came of it is noted.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::json;

use crate::base::ids::OutboxId;
use crate::base::tasks::Tasks;
use crate::domain::notice::{Words, push_body, slack, teams};
use crate::domain::retry::{Failure, RetryRule, RetryVerdict};
use crate::outbound::mail::{Mail, MailError};
use crate::outbound::post::{DeliveryError, Post};
use crate::outbound::push::EncryptError;
use crate::outbound::signature::signed;
use crate::service::Broker;
use crate::service::luck::luck;
use crate::service::notices::address::{Address, Behind};
use crate::service::notices::message::{Held, Outgoing};
use crate::service::notices::push::PushError;
use crate::store::{ClaimLanes, OutboxRow, SendResult, StoreError};
use crate::text::{Sentence, Text};
use crate::vault::OpenOwnError;

/// Messages that may be on their way at once.
const MOST: usize = 64;
/// Of these, how many may be of lanes whose last attempt failed: receivers that hang leave the other places free.
const MOST_FAILING: usize = 16;
/// The longest wait for a receiver that fails: so soon at the latest one that is back hears what waits for it, also what is urgent.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// After so many attempts a message is given up. So many that it is the time that ends them, also the longest that can be set: a receiver that
/// is down for all of it, and then comes back, has missed nothing.
const MOST_ATTEMPTS: u32 = 3_000;
/// How long a claim lasts beyond the time that sending may take.
const MARGIN: Duration = Duration::from_secs(60);
/// How often lanes are looked at although nobody said that something is there, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Messages that are on their way.
#[derive(Default)]
struct Sending {
    messages: FuturesUnordered<BoxFuture<'static, bool>>,
    failing: usize,
}

/// An attempt that failed.
pub(super) struct Failed {
    /// Whether another one may end better.
    may_pass: bool,
    /// How long the receiver asked to be left alone.
    asked_wait: Option<Duration>,
    /// Whether the receiver is not there any more. Of a webhook only its own word for it (410) counts: a path that is not found may be a mistake
    /// that is mended soon.
    gone: bool,
    /// Why, for people.
    pub(super) why: String,
}

impl Failed {
    const fn is_gone_for_good(&self) -> bool {
        self.gone && !self.may_pass
    }

    fn damaged(error: &OpenOwnError) -> Self {
        let why =
            format!("what is stored of the destination does not open: {error}; set its target and its secrets anew");
        Self { may_pass: true, asked_wait: None, gone: false, why }
    }

    fn no_mail_server() -> Self {
        Self {
            may_pass: true,
            asked_wait: None,
            gone: false,
            why: "no mail server is configured; set mail.host".to_owned(),
        }
    }
}

impl From<DeliveryError> for Failed {
    fn from(error: DeliveryError) -> Self {
        let gone = matches!(error, DeliveryError::Gone(_) | DeliveryError::Status { status: 404, .. });
        Self { may_pass: error.may_pass(), asked_wait: error.asked_wait(), gone, why: error.to_string() }
    }
}

impl From<MailError> for Failed {
    fn from(error: MailError) -> Self {
        Self { may_pass: error.may_pass(), asked_wait: None, gone: false, why: error.to_string() }
    }
}

impl From<PushError> for Failed {
    fn from(error: PushError) -> Self {
        Self { may_pass: true, asked_wait: None, gone: false, why: error.to_string() }
    }
}

impl From<EncryptError> for Failed {
    fn from(error: EncryptError) -> Self {
        Self { may_pass: false, asked_wait: None, gone: false, why: error.to_string() }
    }
}

impl Broker {
    /// Starts sending under `tasks`.
    pub(in crate::service) fn start_lanes(&self, tasks: &Tasks) {
        let (broker, stop) = (self.clone(), tasks.clone());
        tasks.spawn("deliver", async move {
            let mut sending = Sending::default();
            while !stop.is_stopping() {
                let began = broker.now();
                let claimed = broker.fill(&mut sending).await;
                broker.ran("deliver", began, claimed.map(|count| Sentence::new("ran-deliver").with("count", count)));
                tokio::select! {
                    Some(was_failing) = sending.messages.next() => sending.failing -= usize::from(was_failing),
                    () = broker.notices.wake.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.stopped() => return,
                }
            }
        });
    }

    /// Sends everything that is due, and waits for it. Returns how many attempts were made.
    #[cfg(test)]
    pub(in crate::service) async fn deliver_due(&self) -> Result<usize, StoreError> {
        let (mut sending, mut attempts) = (Sending::default(), 0);
        loop {
            attempts += self.fill(&mut sending).await?;
            match sending.messages.next().await {
                Some(was_failing) => sending.failing -= usize::from(was_failing),
                None => return Ok(attempts),
            }
        }
    }

    /// Claims as many lanes as there are places, and begins to send. Returns how many.
    async fn fill(&self, sending: &mut Sending) -> Result<usize, StoreError> {
        let mut begun = 0;
        for failing in [false, true] {
            let places = MOST.saturating_sub(sending.messages.len());
            let free = if failing { places.min(MOST_FAILING.saturating_sub(sending.failing)) } else { places };
            if free == 0 {
                continue;
            }
            let now = self.now();
            let longest = self.config.alerts.timeout.max(self.config.mail.timeout * 4);
            let limit = u32::try_from(free).unwrap_or(u32::MAX);
            let claim = ClaimLanes { now, until: now + longest + MARGIN, failing, limit };
            for message in self.store.claim_lanes(claim).await? {
                begun += 1;
                sending.failing += usize::from(failing);
                let broker = self.clone();
                sending.messages.push(Box::pin(async move {
                    if let Err(error) = broker.deliver(&message, failing).await {
                        tracing::warn!(message = %message.id, %error, "what came of a message could not be noted; it may be sent again");
                    }
                    failing
                }));
            }
        }
        Ok(begun)
    }

    /// `failing`: the last attempt at its destination failed. What came for people meanwhile is one message then, so that a receiver that was
    /// away for days is not flooded when it is back; machines get each fact by itself.
    async fn deliver(&self, message: &OutboxRow, failing: bool) -> Result<(), StoreError> {
        let (channel, result) = match self.resolve(&message.destination).await? {
            Behind::Nothing => ("none", SendResult::Dropped { why: "its destination is gone".to_owned() }),
            // Whoever sets it anew in time has missed nothing.
            Behind::Damaged(error) => ("none", self.judge(message, Failed::damaged(&error))),
            Behind::Place(address) => {
                if let Some(due_at) = address.quiet_until() {
                    let later = SendResult::Later { due_at };
                    return self.store.mark(message.id, message.attempts, later, self.now()).await.map(drop);
                }
                if failing && !matches!(address, Address::Webhook { .. }) {
                    self.store.gather_waiting(&message.destination, self.now()).await?;
                }
                (address.channel(), self.attempt(message, &address).await?)
            }
        };
        self.metrics.message_ended(channel, outcome(&result));
        self.store.mark(message.id, message.attempts, result, self.now()).await?;
        Ok(())
    }

    async fn attempt(&self, message: &OutboxRow, address: &Address) -> Result<SendResult, StoreError> {
        Ok(match self.holding(message).await? {
            Held::None(why) => SendResult::Dropped { why },
            Held::Some(holding) => match self.send(address, &self.outgoing(message, &holding, &address.zone())).await {
                Ok(()) => SendResult::Sent,
                Err(failed) => match address {
                    // The push service does not know the browser any more: nobody can mend that but the browser.
                    Address::Push { browser, .. } if failed.gone => {
                        self.forget_push(&browser.subscription).await?;
                        SendResult::Dropped { why: "the browser is not subscribed any more".to_owned() }
                    }
                    _ => {
                        if failed.is_gone_for_good() {
                            self.leave_alone(&message.destination).await?;
                        }
                        self.judge(message, failed)
                    }
                },
            },
        })
    }

    /// One attempt.
    async fn send(&self, address: &Address, outgoing: &Outgoing) -> Result<(), Failed> {
        let (url, headers, body, allow_private) = match address {
            Address::Mail { to, settings, .. } => {
                let Some(sender) = self.notices.mail.get() else { return Err(Failed::no_mail_server()) };
                return Ok(sender.send(&outgoing.mail(to, settings.as_deref())).await?);
            }
            Address::Push { browser, contact, allow_private, .. } => {
                let payload = push_body(Text::english(), &outgoing.id, &outgoing.words, outgoing.more);
                let (key, message) = (self.push_key().await?, outgoing.push(&payload));
                let post = message.post(&browser.endpoint, &browser.keys, &key, contact, *allow_private, self.now())?;
                return Ok(self.notices.post().post(&post).await?);
            }
            Address::Webhook { url, secrets, allow_private } => {
                let body = outgoing.body.to_string();
                (url, signed(secrets, &outgoing.id, self.now(), &body), body, *allow_private)
            }
            Address::Slack { url, allow_private } => (
                url,
                Vec::new(),
                slack(Text::english(), &outgoing.words, outgoing.more, &outgoing.id).to_string(),
                *allow_private,
            ),
            Address::Teams { url, allow_private } => (
                url,
                Vec::new(),
                teams(Text::english(), &outgoing.words, outgoing.more, &outgoing.id).to_string(),
                *allow_private,
            ),
        };
        let (url, body, content_type) = (url.clone(), body.into_bytes(), "application/json");
        Ok(self.notices.post().post(&Post { url, headers, content_type, body, allow_private }).await?)
    }

    /// Whether a mail with a link to a page can be sent.
    pub(in crate::service) fn sends_links(&self) -> bool {
        self.notices.mail.get().is_some() && self.pages().is_some()
    }

    /// Makes one attempt to send a mail that is kept nowhere, since a secret is in it. Else why not, for people.
    pub(in crate::service) async fn send_mail(&self, mail: &Mail) -> Result<(), String> {
        let Some(sender) = self.notices.mail.get() else { return Err(Failed::no_mail_server().why) };
        sender.send(mail).await.map_err(|error| error.to_string())
    }

    /// Sends a message that says nothing but that it is a test.
    pub(super) async fn send_test(&self, address: &Address) -> Result<(), Failed> {
        let (id, at) = (OutboxId::generate().to_string(), self.now());
        let body = json!({ "type": "test", "timestamp": at.to_string(), "data": {} });
        let outgoing = Outgoing {
            id,
            at,
            words: vec![Words::of_test(Text::english())],
            more: 0,
            body,
            about: "test".to_owned(),
            urgent: false,
        };
        self.send(address, &outgoing).await
    }

    /// Whether a failed message is tried again, and when.
    fn judge(&self, message: &OutboxRow, failed: Failed) -> SendResult {
        let (destination, error) = (&message.destination, failed.why);
        if !failed.may_pass {
            tracing::error!(%destination, message = %message.id, "a message is given up: {error}");
            return SendResult::Dead { error };
        }
        let within = self.config.alerts.retry_for;
        let rule = RetryRule { within, attempts: MOST_ATTEMPTS, cap: LONGEST_WAIT, ..RetryRule::default() };
        let (attempts, now) = (message.attempts, self.now());
        let first_tried_at = message.first_tried_at.unwrap_or(now);
        match rule.judge(&Failure { attempts, first_tried_at, now, asked_wait: failed.asked_wait }, luck()) {
            RetryVerdict::After(wait) => {
                let due_at = now + wait;
                tracing::warn!(%destination, attempts, %error, "a message could not be sent; it is tried again at {due_at}");
                SendResult::Retry { due_at, error }
            }
            RetryVerdict::TooManyAttempts | RetryVerdict::TooOld => {
                let error = format!("given up after {attempts} attempts; the last one: {error}");
                tracing::error!(%destination, message = %message.id, "a message is given up: {error}");
                SendResult::Dead { error }
            }
        }
    }
}

const fn outcome(result: &SendResult) -> &'static str {
    match result {
        SendResult::Sent => "sent",
        SendResult::Dropped { .. } => "dropped",
        SendResult::Retry { .. } | SendResult::Later { .. } => "failed",
        SendResult::Dead { .. } => "dead",
    }
}
