//! Keys of collectors and operators: made, listed, revoked. Members make and revoke those of their team's collectors, never an operator's; who made
//! a key is noted, since that person has seen it.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, KeyId, MemberId, TeamId};
use crate::base::secret::Secret;
use crate::domain::certificate::CertificateName;
use crate::domain::key::ApiKey;
use crate::domain::member::Action;
use crate::domain::team::{Key, KeyHolder, OperatorRole};
use crate::service::collectors::comment_detail;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::StoreError;

/// Why nothing was done about a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such key.
    #[error("there is no key '{0}'; see the list of keys")]
    NotFound(KeyId),
    /// The team has no such collector.
    #[error("team '{team}' has no collector '{collector}'; see the list of its collectors")]
    CollectorNotFound {
        /// The team.
        team: TeamId,
        /// What was asked for.
        collector: CollectorId,
    },
    /// The certificate is somebody's already.
    #[error(
        "the certificate name '{0}' is registered already, for a collector or an operator; each name stands for one"
    )]
    CertificateTaken(CertificateName),
    /// Nobody could administer the broker any more.
    #[error("this is the last admin key; create another one first")]
    LastAdmin,
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers, so no key can be made; check the machine")]
    Random,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which keys are wanted.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Only this collector's.
    pub collector: Option<(TeamId, CollectorId)>,
    /// Only those of this kind.
    pub role: Option<KeyRole>,
    /// Also those that were revoked or have ended.
    pub with_ended: bool,
    /// Older than this one: the last of the page before.
    pub before: Option<KeyId>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// One collector.
    Collector,
    /// An operator.
    Operator(OperatorRole),
}

impl From<&KeyHolder> for KeyRole {
    fn from(holder: &KeyHolder) -> Self {
        match holder {
            KeyHolder::Collector(..) => KeyRole::Collector,
            KeyHolder::Operator(role) => KeyRole::Operator(*role),
        }
    }
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct CreateKey {
    /// Whose it shall be.
    pub holder: KeyHolder,
    /// Its name for people.
    pub display_name: String,
    /// When it ends by itself; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// The certificate that its holder shows in place of a secret.
    pub certificate: Option<CertificateName>,
}

/// A key that was made, with its text; a key that is a certificate has none.
pub type MadeKey = (Key, Option<Secret>);

impl CreateKey {
    /// A key with a secret, without a name and without an end.
    pub fn of(holder: KeyHolder) -> Self {
        Self { holder, display_name: String::new(), expires_at: None, certificate: None }
    }
}

impl Broker {
    /// Makes a key. Its text is returned this once; a key that is a certificate has none.
    pub async fn create_key(&self, attempt: impl Into<Attempt<MadeKey>>, ask: CreateKey) -> Result<MadeKey, KeyError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        self.must_permit_key(&attempt.caller, &ask.holder)?;
        if let KeyHolder::Collector(team, id) = &ask.holder {
            self.must_have_collector(team, *id)?;
        }
        if let Some(name) = &ask.certificate
            && self.directory.certificate(name).is_some()
        {
            return Err(KeyError::CertificateTaken(name.clone()));
        }
        let (key, secret) = self.make_key(ask).ok_or(KeyError::Random)?;
        let key = Key { made_by: attempt.caller.member().map(|member| member.id), ..key };
        let audit = self.key_audit(&attempt.caller, "key.create", &key, detail_of(&key));
        let made = (key, secret);
        self.store.insert_key(made.0.clone(), attempt.trail(audit, &made)).await?;
        self.directory.put_key(made.0.clone());
        Ok(made)
    }

    /// At most `limit` keys, newest first, and whether there are more.
    pub fn list_keys(&self, filter: &KeyFilter, limit: usize) -> Result<(Vec<Arc<Key>>, bool), KeyError> {
        if let Some((team, id)) = &filter.collector {
            self.must_have_collector(team, *id)?;
        }
        let owned = |key: &Key| match (&filter.collector, &key.holder) {
            (None, _) => true,
            (Some((team, id)), KeyHolder::Collector(of, collector)) => team == of && id == collector,
            (Some(_), KeyHolder::Operator(_)) => false,
        };
        let now = self.now();
        let wanted = |key: &Arc<Key>| {
            filter.before.is_none_or(|before| key.id < before)
                && filter.role.is_none_or(|role| role == KeyRole::from(&key.holder))
                && (filter.with_ended || key.works(now))
                && owned(key)
        };
        let mut keys: Vec<_> = self.directory.keys().into_iter().rev().filter(wanted).take(limit + 1).collect();
        let more = keys.len() > limit;
        keys.truncate(limit);
        Ok((keys, more))
    }

    /// Ends a key at once. Twice is no error.
    pub async fn revoke_key(
        &self,
        attempt: impl Into<Attempt<Arc<Key>>>,
        id: KeyId,
        comment: &str,
    ) -> Result<Arc<Key>, KeyError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        let before = self.directory.key(id).ok_or(KeyError::NotFound(id))?;
        self.must_permit_key(&attempt.caller, &before.holder)?;
        if before.revoked_at.is_some() {
            self.note_unchanged(&attempt, &before).await?;
            return Ok(before);
        }
        if self.is_last_admin(&before) {
            return Err(KeyError::LastAdmin);
        }
        self.end_key(&attempt, &before, comment).await
    }

    /// Ends the key of that text, if it is one that works; whether it is, is not told. Also the last admin key: it is out, and the
    /// next start makes a new one where none works.
    pub async fn revoke_key_by_value(&self, value: &Secret, comment: &str) -> Result<(), KeyError> {
        let Ok(shown) = ApiKey::parse(value.expose().trim()) else { return Ok(()) };
        let kept = self.directory.key(shown.id()).filter(|key| key.revoked_at.is_none());
        let hash = kept.as_ref().and_then(|key| key.hash());
        let proven = self.vault.verify_key(shown.id(), shown.secret(), hash);
        let Some(key) = kept.filter(|_| proven) else { return Ok(()) };
        let _one_at_a_time = self.changes.directory.lock().await;
        if self.is_last_admin(&key) {
            tracing::error!(key = %key.id, "the last admin key is revoked, since it was found; restart the broker to get a new one");
        }
        self.end_key(&Attempt::from(&Caller::Broker), &key, comment).await.map(drop)
    }

    /// Ends a key. The caller holds the lock of the directory.
    async fn end_key(&self, attempt: &Attempt<Arc<Key>>, before: &Key, comment: &str) -> Result<Arc<Key>, KeyError> {
        let now = self.now();
        let revoked = Arc::new(Key { revoked_at: Some(now), ..before.clone() });
        let audit = self.key_audit(&attempt.caller, "key.revoke", &revoked, comment_detail(comment));
        // In memory first: no call with it is let in once this is acknowledged, whatever is under way.
        self.directory.put_key((*revoked).clone());
        if let Err(error) = self.store.revoke_key(before.id, now, attempt.trail(audit, &revoked)).await {
            self.directory.put_key(before.clone());
            return Err(error.into());
        }
        Ok(revoked)
    }

    /// The keys that a member made, also those that do not work any more.
    pub fn keys_made_by(&self, member: MemberId) -> Vec<Arc<Key>> {
        self.directory.keys().into_iter().filter(|key| key.made_by == Some(member)).collect()
    }

    /// Requires that the caller may make or end a key of `holder`: a member those of its team's collectors only.
    fn must_permit_key(&self, caller: &Caller, holder: &KeyHolder) -> Result<(), Forbidden> {
        match holder {
            KeyHolder::Collector(team, _) => self.must_permit(caller, Action::ChangeCollectors, team, On::Team),
            KeyHolder::Operator(_) => caller.must_be_admin(),
        }
    }

    fn is_last_admin(&self, key: &Key) -> bool {
        let admin = KeyHolder::Operator(OperatorRole::Admin);
        let now = self.now();
        let works = |other: &Arc<Key>| other.holder == admin && other.works(now) && other.id != key.id;
        key.holder == admin && !self.directory.keys().iter().any(works)
    }

    fn must_have_collector(&self, team: &TeamId, id: CollectorId) -> Result<(), KeyError> {
        let found = self.directory.collector(id).is_some_and(|collector| collector.team == *team);
        if found { Ok(()) } else { Err(KeyError::CollectorNotFound { team: team.clone(), collector: id }) }
    }

    fn key_audit(
        &self,
        caller: &Caller,
        action: &'static str,
        key: &Key,
        detail: String,
    ) -> crate::domain::audit::AuditEvent {
        let mut audit = self.audit(caller, action, format!("keys/{}", key.id), detail);
        if let KeyHolder::Collector(team, _) = &key.holder {
            audit.team = Some(team.clone());
        }
        audit
    }
}

fn detail_of(key: &Key) -> String {
    let mut detail = match &key.holder {
        KeyHolder::Operator(OperatorRole::Admin) => "role=admin".to_owned(),
        KeyHolder::Operator(OperatorRole::Reader) => "role=reader".to_owned(),
        KeyHolder::Collector(team, id) => format!("role=collector collector=teams/{team}/collectors/{id}"),
    };
    if let Some(name) = key.certificate() {
        detail.push_str(&format!(" certificate={name}"));
    }
    if let Some(end) = key.expires_at {
        detail.push_str(&format!(" expires={end}"));
    }
    detail
}
