//! What a report's answer means for the token, the app and the holder.

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::domain::evidence::{Blame, Evidence, Source};
use crate::domain::incident::{Asked, Symptom};
use crate::domain::pool::Pool;
use crate::domain::pool::report::{CallReport, Effect, Verdict};
use crate::domain::token::{Reason, TokenState};

/// How long a token is in doubt at least before a word that leaves no doubt is believed of it while others of its app are refused alike.
const BELIEVED_AFTER: std::time::Duration = std::time::Duration::from_secs(3600);

impl Pool {
    /// Takes in what the network answered to the latest of the calls that a lease reports.
    pub(super) fn judge(
        &mut self,
        lease: LeaseId,
        slot: u32,
        report: &CallReport,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let Some(held) = self.leases.get(&lease) else { return Verdict::Keep };
        let (operation, same_secrets) = (held.operation, held.version == self.slots[slot as usize].version);
        match Evidence::of(report.class, Source::Call) {
            Evidence::Works => {
                if report.used > 0 {
                    let after = held.reported_at.max(report.answered_at.unwrap_or(Timestamp::EPOCH));
                    self.note_work(lease, slot, now);
                    self.prove(lease, after, now, effects);
                }
                Verdict::Keep
            }
            Evidence::Nothing => {
                if report.answered {
                    self.note_failure(lease, slot, Symptom::Failed, now, effects);
                }
                Verdict::Keep
            }
            Evidence::Request => Verdict::Keep,
            Evidence::AppRefused => self.refuse_app(lease, slot, operation, now, effects),
            Evidence::Blocked => match self.note_block(slot, operation, now) {
                Blame::Shared if !self.slots[slot as usize].blocked => {
                    self.rest_if_refused_to_all(slot, operation, now, effects)
                }
                _ => {
                    self.is_refused_to_all(slot, operation, now);
                    self.block(slot, report.retry_after, now, effects)
                }
            },
            Evidence::Limited(_) => self.cool(lease, slot, report, now, effects),
            // The holder has secrets that were replaced since: they say nothing of the present ones.
            _ if !same_secrets => {
                self.recall(lease);
                Verdict::Recalled
            }
            Evidence::PermissionLost => self.refuse_permission(lease, slot, operation, now, effects),
            Evidence::Doubt => self.refuse(lease, slot, None, now, effects),
            Evidence::Ended(reason) => self.refuse(lease, slot, Some(reason), now, effects),
        }
    }

    /// The network refused the app: in one operation, which rests if everybody is refused it, or as a whole.
    fn refuse_app(
        &mut self,
        lease: LeaseId,
        slot: u32,
        operation: u16,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        effects.push(Effect::AppRefused);
        let is_own_check = usize::from(operation) == self.network.probe_index();
        let asked = if is_own_check { Asked::Basic } else { Asked::Operation(operation) };
        self.note_failure(lease, slot, Symptom::AppRefused(asked), now, effects);
        if is_own_check { Verdict::Keep } else { self.rest_if_refused_to_all(slot, operation, now, effects) }
    }

    /// An operation was refused, and not for the token's sake: it rests for the app if everybody who asks is refused it.
    fn rest_if_refused_to_all(
        &mut self,
        slot: u32,
        operation: u16,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let is_known = self.operation_cooling(self.slots[slot as usize].app, operation.into()).is_some();
        let to_all = self.is_refused_to_all(slot, operation, now) || is_known;
        // In an incident single calls are let through by its own rule.
        if !to_all || self.incident_of(slot).is_some() {
            return Verdict::Keep;
        }
        effects.push(Effect::OperationRefused { operation, rests: true });
        Verdict::StopUntil(self.rest_operation(slot, operation, now))
    }

    /// The network refused a permission. Where that is the token's own lack, the operation is closed for it; else the app lacks it, or the
    /// request asks for what nobody may see, and nothing is closed.
    fn refuse_permission(
        &mut self,
        lease: LeaseId,
        slot: u32,
        operation: u16,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        if self.is_closed_for(slot, operation) {
            return Verdict::Recalled;
        }
        let to_all = self.is_refused_to_all(slot, operation, now);
        match self.note_lack(slot, operation, now) {
            Some(Blame::Token) => return self.lose_permission(lease, slot, now, effects),
            Some(Blame::Shared) if to_all => effects.push(Effect::OperationRefused { operation, rests: false }),
            _ => {}
        }
        Verdict::Keep
    }

    /// The network refused a token, with a word that leaves no doubt or without. It is dead if the word, or the probe of one in doubt, says
    /// so of it alone. Where others of its app are refused alike, it is in doubt: then the app, the network or what collectors send is to
    /// blame. In an incident it is in doubt until the incident is proven to be a loss.
    fn refuse(
        &mut self,
        lease: LeaseId,
        slot: u32,
        reason: Option<Reason>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let token = &self.slots[slot as usize];
        let probed_since = match token.state {
            TokenState::Suspect { since } if token.cooling.is_probed_by(lease) => Some(since),
            _ => None,
        };
        let blame = self.note_refusal(lease, slot, reason, now, effects);
        if let Some(incident) = self.incident_of(slot) {
            return match incident.lost_for() {
                Some(reason) => self.bury(slot, reason, now, effects),
                None => self.doubt(slot, now, effects),
            };
        }
        let long_in_doubt = probed_since.is_some_and(|since| now.since(since) >= BELIEVED_AFTER);
        match (blame, reason) {
            (Blame::Token, Some(reason)) => self.bury(slot, reason, now, effects),
            (Blame::Token, None) if probed_since.is_some() => self.bury(slot, Reason::NotAccepted, now, effects),
            (Blame::Shared, Some(reason)) if long_in_doubt => self.bury(slot, reason, now, effects),
            _ => {
                if probed_since.is_some() {
                    effects.push(Effect::ManyRefused);
                }
                self.doubt(slot, now, effects)
            }
        }
    }
}
