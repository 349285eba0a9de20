//! Teams, collectors and keys in memory: asked with every call, changed seldom.
//!
//! The store is the truth; whoever changes it there puts the new value here before the change is acknowledged.

use std::sync::Arc;

use dashmap::DashMap;

use crate::base::ids::{CollectorId, KeyId, TeamId};
use crate::domain::team::{Collector, Key, Team};
use crate::store::{Store, StoreError};

/// The directory.
#[derive(Default)]
pub struct Directory {
    teams: DashMap<TeamId, Arc<Team>>,
    collectors: DashMap<CollectorId, Arc<Collector>>,
    keys: DashMap<KeyId, Arc<Key>>,
}

impl Directory {
    /// Reads everything from the store.
    pub async fn read(store: &dyn Store) -> Result<Directory, StoreError> {
        let directory = Directory::default();
        store.list_teams().await?.into_iter().for_each(|team| directory.put_team(team));
        store.list_collectors(None).await?.into_iter().for_each(|collector| directory.put_collector(collector));
        store.list_keys(None).await?.into_iter().for_each(|key| directory.put_key(key));
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
        self.keys.get(&id).map(|key| key.value().clone())
    }

    /// All keys, by id.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.keys.iter().map(|key| key.value().clone()).collect();
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
    }

    /// Adds or replaces a collector.
    pub fn put_collector(&self, collector: Collector) {
        self.collectors.insert(collector.id, Arc::new(collector));
    }

    /// Forgets a collector.
    pub fn remove_collector(&self, collector: CollectorId) {
        self.collectors.remove(&collector);
    }

    /// Adds or replaces a key.
    pub fn put_key(&self, key: Key) {
        self.keys.insert(key.id, Arc::new(key));
    }
}
