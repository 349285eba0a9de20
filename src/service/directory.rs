//! Teams, collectors, keys, certificates and apps in memory: asked with every call, changed seldom.
//!
//! The store is the truth; whoever changes it there puts the new value here before the change is acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::base::ids::{AppId, CollectorId, KeyId, MemberId, NetworkId, SharedIdMap, TeamId};
use crate::domain::certificate::CertificateName;
use crate::domain::profile::Profile;
use crate::domain::team::{Collector, Key, Team};
use crate::domain::token::Token;
use crate::store::{Store, StoreError, StoredApp};

/// The directory.
#[derive(Default)]
pub struct Directory {
    teams: DashMap<TeamId, Arc<Team>>,
    collectors: SharedIdMap<CollectorId, Arc<Collector>>,
    keys: SharedIdMap<KeyId, Arc<KnownKey>>,
    certificates: DashMap<CertificateName, CertificateHolder>,
    apps: DashMap<(NetworkId, AppId), Arc<StoredApp>>,
    profiles: DashMap<TeamId, BTreeMap<(NetworkId, String), Arc<Profile>>>,
    changes: AtomicU64,
    news: watch::Sender<()>,
}

/// A key, with the digest of the secret that was proven to be its own.
pub struct KnownKey {
    /// The key.
    pub key: Arc<Key>,
    /// The SHA-256 of the secret that once passed the keyed hash, so that it need not be computed with each call. A change of the
    /// key, its revocation above all, replaces the entry and with it this proof.
    pub proven: OnceLock<[u8; 32]>,
}

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateHolder {
    /// A collector's.
    Collector(CollectorId),
    /// An operator's, by the key that stands for it.
    Operator(KeyId),
}

impl Directory {
    /// Reads everything from the store.
    pub async fn read(store: &dyn Store) -> Result<Directory, StoreError> {
        let directory = Directory::default();
        store.list_teams().await?.into_iter().for_each(|team| directory.put_team(team));
        store.list_collectors(None).await?.into_iter().for_each(|collector| directory.put_collector(collector));
        store.list_keys(None).await?.into_iter().for_each(|key| directory.put_key(key));
        store.list_apps().await?.into_iter().for_each(|app| directory.put_app(app));
        store.list_profiles().await?.into_iter().for_each(|profile| directory.put_profile(profile));
        Ok(directory)
    }

    /// A team.
    pub fn team(&self, id: &TeamId) -> Option<Arc<Team>> {
        self.teams.get(id).map(|team| team.value().clone())
    }

    /// All teams, by id.
    pub fn teams(&self) -> Vec<Arc<Team>> {
        let mut teams: Vec<_> = self.teams.iter().map(|team| team.value().clone()).collect();
        teams.sort_by(|a, b| a.id.cmp(&b.id));
        teams
    }

    /// A collector.
    pub fn collector(&self, id: CollectorId) -> Option<Arc<Collector>> {
        self.collectors.get(&id).map(|collector| collector.value().clone())
    }

    /// The collectors of a team, by id.
    pub fn collectors(&self, team: &TeamId) -> Vec<Arc<Collector>> {
        let all = self.collectors.iter().map(|collector| collector.value().clone());
        let mut of_team: Vec<_> = all.filter(|collector| collector.team == *team).collect();
        of_team.sort_by_key(|collector| collector.id);
        of_team
    }

    /// A key.
    pub fn key(&self, id: KeyId) -> Option<Arc<Key>> {
        self.keys.get(&id).map(|known| known.key.clone())
    }

    /// A key, with the proof of its secret.
    pub fn known_key(&self, id: KeyId) -> Option<Arc<KnownKey>> {
        self.keys.get(&id).map(|known| known.value().clone())
    }

    /// Rises with each change of a collector or a key: who has seen this number need not look again.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Tells of each change of a collector or a key from now on.
    pub fn watch_changes(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.news.send_replace(());
    }

    /// All keys, by id.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.keys.iter().map(|known| known.key.clone()).collect();
        keys.sort_by_key(|key| key.id);
        keys
    }

    /// Adds or replaces a team.
    pub fn put_team(&self, team: Team) {
        self.teams.insert(team.id.clone(), Arc::new(team));
    }

    /// Forgets a team.
    pub fn remove_team(&self, team: &TeamId) {
        self.teams.remove(team);
        self.profiles.remove(team);
    }

    /// Adds or replaces a collector.
    pub fn put_collector(&self, collector: Collector) {
        self.certificates.retain(|_, holder| *holder != CertificateHolder::Collector(collector.id));
        for name in &collector.certificates {
            self.certificates.insert(name.clone(), CertificateHolder::Collector(collector.id));
        }
        self.collectors.insert(collector.id, Arc::new(collector));
        self.changed();
    }

    /// Forgets a collector.
    pub fn remove_collector(&self, collector: CollectorId) {
        self.certificates.retain(|_, holder| *holder != CertificateHolder::Collector(collector));
        self.collectors.remove(&collector);
        self.changed();
    }

    /// Adds or replaces a key.
    pub fn put_key(&self, key: Key) {
        if let Some(name) = key.certificate() {
            let holder = CertificateHolder::Operator(key.id);
            if key.revoked_at.is_none() {
                self.certificates.insert(name.clone(), holder);
            } else {
                self.certificates.remove_if(name, |_, of| *of == holder);
            }
        }
        let known = KnownKey { key: Arc::new(key), proven: OnceLock::new() };
        self.keys.insert(known.key.id, Arc::new(known));
        self.changed();
    }

    /// Whose certificate of this name it is.
    pub fn certificate(&self, name: &CertificateName) -> Option<CertificateHolder> {
        self.certificates.get(name).map(|holder| *holder)
    }

    /// What is stored of an app.
    pub fn app(&self, network: &NetworkId, app: &AppId) -> Option<Arc<StoredApp>> {
        self.apps.get(&(network.clone(), app.clone())).map(|app| app.value().clone())
    }

    /// A profile of which something was said.
    pub fn profile(&self, team: &TeamId, network: &NetworkId, id: &str) -> Option<Arc<Profile>> {
        self.profiles.get(team)?.get(&(network.clone(), id.to_owned())).cloned()
    }

    /// The profiles of a team of which something was said, by network and id.
    pub fn profiles(&self, team: &TeamId) -> Vec<Arc<Profile>> {
        self.profiles.get(team).map(|profiles| profiles.values().cloned().collect()).unwrap_or_default()
    }

    /// The profiles of a team that a member owns or administers.
    pub fn profiles_of(&self, team: &TeamId, member: MemberId) -> Vec<Arc<Profile>> {
        self.profiles(team).into_iter().filter(|profile| profile.is_of(member)).collect()
    }

    /// Whether a member owns or administers a profile that a token speaks for.
    pub fn is_of_profiles(&self, member: MemberId, token: &Token) -> bool {
        let named = |id: &String| self.profile(&token.team, &token.network, id);
        token.profiles.iter().filter_map(named).any(|profile| profile.is_of(member))
    }

    /// Adds or replaces a profile.
    pub fn put_profile(&self, profile: Profile) {
        let key = (profile.network.clone(), profile.id.clone());
        self.profiles.entry(profile.team.clone()).or_default().insert(key, Arc::new(profile));
    }

    /// Everything that is stored of apps, in no order.
    pub fn apps(&self) -> Vec<Arc<StoredApp>> {
        self.apps.iter().map(|app| app.value().clone()).collect()
    }

    /// Adds or replaces an app.
    pub fn put_app(&self, stored: StoredApp) {
        self.apps.insert((stored.app.network.clone(), stored.app.id.clone()), Arc::new(stored));
    }

    /// Takes an app out.
    pub fn remove_app(&self, network: &NetworkId, app: &AppId) {
        self.apps.remove(&(network.clone(), app.clone()));
    }
}
