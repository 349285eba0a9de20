//! Shows the state of the whole broker as metrics: a look at the books, not a count of events.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::ids::{NetworkId, TeamId};
use crate::domain::pool::{BucketSurvey, Pool};
use crate::service::Broker;
use crate::store::StoreError;
use crate::telemetry::{LoadRow, TokenRow};
use crate::text::Sentence;

/// Buckets that are looked at under one lock.
const PIECE: usize = 5_000;

type Left = BTreeMap<(TeamId, NetworkId, usize), u64>;

impl Broker {
    /// Sets every gauge that tells of a state. Looks at every bucket: call it where blocking is allowed.
    pub fn show_metrics(&self) {
        let (mut left, mut over_grants, mut tokens) = (Left::new(), 0_u32, Vec::new());
        for network in self.engine.networks() {
            over_grants = over_grants.saturating_add(self.survey_buckets(&network.id, &mut left));
            let counts = self.engine.look(&network.id, Pool::counts).unwrap_or_default();
            let metrics = self.metrics.network(&network.id);
            metrics.leases_are(counts.leases);
            metrics.waiting_are(self.engine.waiting(&network.id));
            if let Some(supply) = self.watch.supply(&network.id).filter(|_| counts.tokens > 0) {
                let rows = supply.by_status.iter();
                tokens.extend(rows.map(|(status, count)| TokenRow {
                    network: network.id.clone(),
                    status,
                    count: *count,
                }));
            }
        }
        self.metrics.set_over_grants(over_grants);
        self.metrics.set_tokens(&tokens);
        self.metrics.set_loads(&self.load_rows(&left));
    }

    /// Sets the gauges that tell of messages. Returns what waits, for people.
    pub(super) async fn show_messages(&self) -> Result<Sentence, StoreError> {
        let (facts, now) = (self.store.outbox_facts().await?, self.now());
        let oldest = facts.oldest_due_at.into_iter().chain(facts.oldest_untold_at).min();
        self.metrics.set_messages(facts.pending, facts.dead, oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)));
        Ok(Sentence::new("ran-messages").with("count", facts.pending).with("dead", facts.dead))
    }

    fn survey_buckets(&self, network: &NetworkId, left: &mut Left) -> u32 {
        let count = self.engine.look(network, Pool::bucket_count).unwrap_or_default();
        let mut sum = BucketSurvey::default();
        for from in (0..count).step_by(PIECE) {
            let piece = self.engine.look(network, |pool| pool.survey_buckets(from..from + PIECE)).unwrap_or_default();
            sum.over_granted = sum.over_granted.saturating_add(piece.over_granted);
            for (key, credit) in piece.left {
                let of_key: &mut u64 = sum.left.entry(key).or_default();
                *of_key = of_key.saturating_add(credit);
            }
            for (class, credit) in piece.wasted {
                *sum.wasted.entry(class).or_default() += credit;
            }
        }
        let names = self.engine.look(network, Pool::team_names).unwrap_or_default();
        for ((team, class), credit) in sum.left {
            if let Some(team) = names.get(team) {
                left.insert((team.clone(), network.clone(), class), credit);
            }
        }
        let classes = self.catalogue.network(network.as_str()).map(|network| &network.classes);
        for (class, credit) in sum.wasted {
            if let Some(class) = classes.and_then(|classes| classes.get(class)) {
                self.metrics.blocks_wasted(network, &class.id, credit);
            }
        }
        sum.over_granted
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
    fn load_rows(&self, left: &Left) -> Vec<LoadRow> {
        let loads = self.watch.loads();
        let classes = loads.teams.values().flat_map(|team| &team.classes);
        let rows = classes.map(|class| {
            let (key, load) = (&class.key, class.load());
            let network = self.catalogue.network(key.network.as_str());
            let index = network.and_then(|network| network.class_index(key.class.as_str()));
            let credit = index.and_then(|index| left.get(&(key.team.clone(), key.network.clone(), index)));
            LoadRow {
                team: key.team.clone(),
                network: key.network.clone(),
                class: key.class.clone(),
                ratio: load.ratio.value(),
                demand: load.demand,
                supply: load.supply,
                left: credit.copied().unwrap_or_default() as f64,
            }
        });
        rows.collect()
    }
}
