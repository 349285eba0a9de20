//! What a report's answer means for the token, the app and the holder.

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::domain::evidence::{Blame, Evidence, Source};
use crate::domain::incident::Symptom;
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
        let same_secrets = held.version == self.slots[slot as usize].version;
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
            Evidence::AppRefused => {
                effects.push(Effect::AppRefused);
                self.note_failure(lease, slot, Symptom::AppRefused, now, effects);
                Verdict::Keep
            }
            Evidence::Blocked => self.block(slot, report.retry_after, now, effects),
            Evidence::Limited(_) => self.cool(lease, slot, report, now, effects),
            // The holder has secrets that were replaced since: they say nothing of the present ones.
            _ if !same_secrets => {
                self.recall(lease);
                Verdict::Recalled
            }
            Evidence::PermissionLost => self.lose_permission(lease, slot, now, effects),
            Evidence::Doubt => self.refuse(lease, slot, None, now, effects),
            Evidence::Ended(reason) => self.refuse(lease, slot, Some(reason), now, effects),
        }
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
