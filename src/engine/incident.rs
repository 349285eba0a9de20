//! Incidents of the live pools.

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, NetworkId, TokenId};
use crate::domain::evidence::{Blame, Evidence};
use crate::domain::incident::Progress;
use crate::domain::pool::{RenewalsOf, Verdict};
use crate::domain::token::{Token, TokenState};
use crate::engine::Engine;

impl Engine {
    /// Takes in what a renewal showed of a token, and says whose a failure is. If an incident begins by it, its leases are taken back.
    pub fn note_renewal(&self, token: &Token, evidence: Evidence) -> Option<Blame> {
        let cell = self.0.cells.get(&token.network)?;
        let noted = cell.lock().pool.note_renewal(token.id, evidence, self.now());
        self.tell(noted.recalled, Verdict::Recalled);
        noted.blame
    }

    /// Whether a token may be renewed now. Where single ones may, to look, the place of one is taken by asking.
    pub fn ask_to_renew(&self, network: &NetworkId, token: TokenId) -> RenewalsOf {
        let Some(cell) = self.0.cells.get(network) else { return RenewalsOf::Free };
        cell.lock().pool.ask_to_renew(token, self.now())
    }

    /// When the incident of an app began that is open. Tokens whose secrets are younger are outside.
    pub fn incident_since(&self, network: &NetworkId, app: &AppId) -> Option<Timestamp> {
        self.look(network, |pool| pool.incident_since(app)).flatten()
    }

    /// Whether an app's incident is open, and none of its tokens can be called any more, to look.
    pub fn is_out_of_calls(&self, network: &NetworkId, app: &AppId) -> bool {
        let now = self.now();
        self.look(network, |pool| pool.is_out_of_calls(app, now)).unwrap_or(false)
    }

    /// The incidents of all networks as their pools know them. Troubles that are over are forgotten.
    pub fn incidents(&self) -> Vec<(NetworkId, AppId, Progress)> {
        let now = self.now();
        let of_cell = |(network, cell): (&NetworkId, &std::sync::Arc<crate::engine::cell::Cell>)| {
            let mut state = cell.lock();
            state.pool.forget_troubles(now);
            state.pool.advance_incidents(now);
            let named = |(app, progress)| (network.clone(), app, progress);
            state.pool.incidents().into_iter().map(named).collect::<Vec<_>>()
        };
        self.0.cells.iter().flat_map(of_cell).collect()
    }

    /// Takes up an incident that an earlier run found; `outside`: tokens that it does not concern.
    pub fn restore_incident(&self, network: &NetworkId, app: &AppId, progress: Progress, outside: &[TokenId]) {
        if let Some(cell) = self.0.cells.get(network) {
            cell.lock().pool.restore_incident(app, progress, outside);
        }
    }

    /// A token's state after its incident, from this instant on.
    pub fn settle_token(&self, network: &NetworkId, token: TokenId, version: u32, state: TokenState) {
        let Some(cell) = self.0.cells.get(network) else { return };
        let recalled = cell.lock().pool.settle(token, version, state, self.now());
        self.tell(recalled, super::verdict_of(state));
    }

    /// Whether an open incident speaks for a token, so that it has no event of its own.
    pub fn incident_speaks_for(&self, network: &NetworkId, token: TokenId) -> bool {
        self.look(network, |pool| pool.incident_speaks_for(token)).unwrap_or(false)
    }

    /// Ends an app's incident: its tokens may all be leased.
    pub fn end_incident(&self, network: &NetworkId, app: &AppId) {
        let Some(cell) = self.0.cells.get(network) else { return };
        cell.lock().pool.end_incident(app, self.now());
        self.serve(cell);
    }
}
