//! Members' browsers: subscribed, listed, unsubscribed, and forgotten when their push service does not know them any more.
//!
//! The address of a browser is a capability: whoever has it can send to the browser. So it is sealed, with the keys that messages are sealed with,
//! and found again by a keyed hash. The broker's own key is made when it is first asked for, and stays: browsers are bound to it.

use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroize;

use crate::base::ids::{MemberId, PushSubscriptionId, TeamId};
use crate::base::secret::Secret;
use crate::domain::audit::AuditEvent;
use crate::domain::notice::{MOST_SUBSCRIPTIONS, PushSubscription, neutral};
use crate::outbound::post::DeliveryError;
use crate::outbound::push::{BrowserKeys, BrowserKeysError, PushKey, PushKeyError};
use crate::service::members::MemberError;
use crate::service::notices::target::checked_target;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller};
use crate::store::{MetaName, MetaStore, StoreError, StoredPush, Trail};
use crate::vault::{OpenOwnError, OwnPlace, Vault};

/// Subscriptions sealed anew at once.
const AT_ONCE: u32 = 100;
/// Where the key is sealed.
const KEY_PLACE: OwnPlace<'static> = OwnPlace { table: "meta", row: "push_key", column: "value", version: 1 };

/// A browser to tell of a member's notices.
pub struct Subscribe {
    /// A name for people.
    pub display_name: String,
    /// Its address at its push service.
    pub endpoint: Secret,
    /// Its public key, as the browser writes it.
    pub p256dh: Secret,
    /// What it shares with the broker, as the browser writes it.
    pub auth: Secret,
}

/// What is sealed of a subscription.
#[derive(Serialize, Deserialize)]
pub(in crate::service) struct Sealed {
    endpoint: String,
    p256dh: String,
    auth: String,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        [&mut self.endpoint, &mut self.p256dh, &mut self.auth].into_iter().for_each(Zeroize::zeroize);
    }
}

/// Why nothing was done about push messages.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// There is no such member, or the caller may not.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The member has no such subscription.
    #[error("this member has no push subscription '{0}'; see the list of them")]
    NotFound(PushSubscriptionId),
    /// The address can't be used.
    #[error("the endpoint can't be used: {0}")]
    Endpoint(#[from] DeliveryError),
    /// A key of the browser is none.
    #[error(transparent)]
    Keys(#[from] BrowserKeysError),
    /// The member has as many as there can be.
    #[error("a member has at most {MOST_SUBSCRIPTIONS} push subscriptions; remove one that is not used any more")]
    TooMany,
    /// Nobody said where the broker's pages are.
    #[error("push messages need the address of the broker's pages; set http.public_url")]
    NoPages,
    /// The broker's key does not open.
    #[error(transparent)]
    Sealed(#[from] OpenOwnError),
    /// The broker's key is none.
    #[error(transparent)]
    Key(#[from] PushKeyError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A browser, as messages are sent to it.
pub(super) struct Browser {
    pub(super) subscription: PushSubscription,
    pub(super) endpoint: Url,
    pub(super) keys: BrowserKeys,
}

impl Broker {
    /// The public key that browsers bind their subscriptions to.
    pub async fn show_push_key(&self) -> Result<String, PushError> {
        self.pages().ok_or(PushError::NoPages)?;
        Ok(self.push_key().await?.public())
    }

    /// The broker's key. Made once: of two that make it at the same time, one is kept.
    pub(super) async fn push_key(&self) -> Result<PushKey, PushError> {
        let sealed = match self.store.find_meta(MetaName::PushKey).await? {
            Some(sealed) => sealed,
            None => {
                let made = self.vault.seal_own(&KEY_PLACE, &PushKey::generate()?);
                self.store.init_meta(MetaName::PushKey, made).await?
            }
        };
        Ok(PushKey::parse(&self.vault.open_own(&KEY_PLACE, &sealed)?)?)
    }

    /// Tells a browser of a member's notices from now on. The same browser again takes the place of its earlier subscription.
    pub async fn subscribe_push(
        &self,
        attempt: impl Into<Attempt<PushSubscription>>,
        team: &TeamId,
        member: MemberId,
        ask: Subscribe,
    ) -> Result<PushSubscription, PushError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        self.pages().ok_or(PushError::NoPages)?;
        let shown = checked_target(ask.endpoint.expose(), &self.config.alerts.private_hosts)?;
        BrowserKeys::parse(ask.p256dh.expose(), ask.auth.expose())?;
        let subscription = PushSubscription {
            id: PushSubscriptionId::generate(),
            team: team.clone(),
            member: member.id,
            display_name: neutral(&ask.display_name, 100),
            shown,
            created_at: self.now(),
            version: 1,
        };
        let [endpoint, p256dh, auth] = [&ask.endpoint, &ask.p256dh, &ask.auth].map(|text| text.expose().to_owned());
        let sealed = self.sealed_push(&subscription, &Sealed { endpoint, p256dh, auth });
        let endpoint_hash = self.vault.mac_key("push endpoint").sign(&[ask.endpoint.expose().as_bytes()]);
        let stored = StoredPush { subscription: subscription.clone(), endpoint_hash, sealed };
        let trail = self.push_trail(&attempt, &subscription, "push.subscribe");
        match self.store.insert_push(stored, MOST_SUBSCRIPTIONS, trail).await {
            Ok(()) => {
                self.look_at_damaged_again();
                Ok(subscription)
            }
            Err(StoreError::Conflict { what }) if what.contains("as many") => Err(PushError::TooMany),
            Err(error) => Err(error.into()),
        }
    }

    fn sealed_push(&self, subscription: &PushSubscription, plain: &Sealed) -> Vec<u8> {
        let text = Secret::new(serde_json::to_string(plain).expect("texts are JSON"));
        self.vault.seal_own(&place(&subscription.id.to_string(), subscription.version), &text)
    }

    fn push_trail(&self, attempt: &Attempt<PushSubscription>, made: &PushSubscription, action: &'static str) -> Trail {
        let audit = self.audit(&attempt.caller, action, made.name(), format!("shown={}", made.shown));
        attempt.trail(AuditEvent { team: Some(made.team.clone()), ..audit }, made)
    }

    /// All subscriptions of a member, in the order in which they were made.
    pub async fn list_push(&self, team: &TeamId, member: MemberId) -> Result<Vec<PushSubscription>, PushError> {
        let member = self.stored_member(team, member).await?;
        let found = self.store.list_push(team, member.id).await?;
        Ok(found.into_iter().map(|stored| stored.subscription).collect())
    }

    /// Tells a browser of nothing any more.
    pub async fn unsubscribe_push(
        &self,
        attempt: impl Into<Attempt<PushSubscription>>,
        team: &TeamId,
        member: MemberId,
        id: PushSubscriptionId,
    ) -> Result<PushSubscription, PushError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        let found = self.store.find_push(id).await?.map(|stored| stored.subscription);
        let is_its = |found: &PushSubscription| found.member == member.id && found.team == *team;
        let subscription = found.filter(is_its).ok_or(PushError::NotFound(id))?;
        let trail = self.push_trail(&attempt, &subscription, "push.unsubscribe");
        match self.store.delete_push(member.id, id, trail).await {
            Ok(()) => {
                self.look_at_damaged_again();
                Ok(subscription)
            }
            Err(StoreError::NotFound { .. }) => Err(PushError::NotFound(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets a browser that its push service does not know any more.
    pub(super) async fn forget_push(&self, subscription: &PushSubscription) -> Result<(), StoreError> {
        let attempt = Attempt::from(&Caller::Broker);
        let trail = self.push_trail(&attempt, subscription, "push.gone");
        match self.store.delete_push(subscription.member, subscription.id, trail).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A browser of a member, as messages are sent to it; `None`: it is not subscribed any more, or can't be used.
    pub(super) async fn browser(&self, id: PushSubscriptionId) -> Result<Option<Browser>, StoreError> {
        let Some(stored) = self.store.find_push(id).await? else { return Ok(None) };
        let sealed = match opened_push(&self.vault, &stored) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::error!(subscription = %id, %error, "a push subscription can't be used; subscribe again");
                return Ok(None);
            }
        };
        let keys = BrowserKeys::parse(&sealed.p256dh, &sealed.auth).ok();
        let endpoint = Url::parse(&sealed.endpoint).ok();
        let whole = endpoint.zip(keys);
        Ok(whole.map(|(endpoint, keys)| Browser { subscription: stored.subscription, endpoint, keys }))
    }

    /// Seals what belongs to push messages anew that an older key of the broker sealed. What does not open stays as it is.
    pub(in crate::service) async fn reseal_push(&self) -> Result<(), StoreError> {
        if let Some(sealed) = self.store.find_meta(MetaName::PushKey).await?
            && !self.vault.is_of_newest_own(&sealed)
            && let Ok(key) = self.vault.open_own(&KEY_PLACE, &sealed)
        {
            self.store.put_meta(MetaName::PushKey, self.vault.seal_own(&KEY_PLACE, &key)).await?;
        }
        let mut after = None;
        loop {
            let part = self.store.all_push(after, AT_ONCE).await?;
            let Some(last) = part.last() else { return Ok(()) };
            after = Some(last.subscription.id);
            for stored in part.iter().filter(|stored| !self.vault.is_of_newest_own(&stored.sealed)) {
                let Ok(plain) = opened_push(&self.vault, stored) else { continue };
                let version = stored.subscription.version + 1;
                let next = PushSubscription { version, ..stored.subscription.clone() };
                match self.store.reseal_push(next.id, version, self.sealed_push(&next, &plain)).await {
                    // Whoever changed it meanwhile sealed it with the newest key.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

fn place(row: &str, version: u32) -> OwnPlace<'_> {
    OwnPlace { table: "push_subscription", row, column: "sealed", version: u64::from(version) }
}

/// What is sealed of a subscription.
pub(in crate::service) fn opened_push(vault: &Vault, stored: &StoredPush) -> Result<Sealed, OpenOwnError> {
    let row = stored.subscription.id.to_string();
    let text = vault.open_own(&place(&row, stored.subscription.version), &stored.sealed)?;
    Ok(serde_json::from_str(text.expose()).expect("the broker sealed this text itself"))
}

/// The broker's own key for push messages, if one was made, and whether it opens.
pub(in crate::service) async fn opened_push_key<S: MetaStore + ?Sized>(
    store: &S,
    vault: &Vault,
) -> Result<Option<Result<Secret, OpenOwnError>>, StoreError> {
    Ok(store.find_meta(MetaName::PushKey).await?.map(|sealed| vault.open_own(&KEY_PLACE, &sealed)))
}
