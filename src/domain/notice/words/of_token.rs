//! What is told about one token.

use super::{NAME, TEXT, Told, dashed};
use crate::base::clock::Timestamp;
use crate::domain::networks::Duty;
use crate::domain::notice::{Clock, Need, RetentionStage, neutral};
use crate::domain::token::Reason;
use crate::text::Sentence;

impl Told<'_> {
    pub(super) fn of_token(&self, notice: &str) -> Sentence {
        self.at_network(notice).with("token", neutral(self.token, NAME))
    }

    pub(super) fn expiring(&self, clock: Clock, ends_at: Timestamp, within_days: u8) -> Sentence {
        let why = match clock {
            Clock::Unrenewed => return self.of_token("notice-token-unrenewed").in_full("at", ends_at),
            Clock::Access => "ends-access",
            Clock::Refresh => "ends-refresh",
            Clock::DataAccess => "ends-data-access",
        };
        let expiring = self.of_token("notice-token-expiring").in_full("at", ends_at);
        expiring.with("days", u64::from(within_days)).and("why", Sentence::new(why))
    }

    pub(super) fn invalid(&self, reason: Reason) -> Sentence {
        let reason = dashed(reason.as_str());
        self.of_token("notice-token-invalid")
            .in_full("at", self.event.at)
            .and("why", Sentence::new(format!("died-{reason}")))
            .and("todo", Sentence::new(format!("died-{reason}.todo")))
    }

    pub(super) fn needs_reconnecting(&self, need: Option<&Need>, by: Option<Timestamp>) -> Sentence {
        let why = need.map_or_else(|| self.at_network("need-unknown"), |need| need.in_words(self.network));
        match (need, by) {
            (Some(Need::Permission { operations }), _) => {
                let names: Vec<&str> = operations.iter().map(|operation| operation.as_str()).collect();
                let lost = self.of_token("notice-permission-lost").and("why", why);
                lost.with("operations", neutral(&names.join(", "), TEXT))
            }
            (_, Some(by)) => self.of_token("notice-needs-reconnecting-by").and("why", why).in_full("by", by),
            (_, None) => self.of_token("notice-needs-reconnecting").and("why", why),
        }
    }

    /// That collected data must be deleted, or that the person must authorise the account anew, for collected data to be kept.
    pub(super) fn retention(
        &self,
        duty: Duty,
        stage: RetentionStage,
        deadline: Timestamp,
        rules: &[String],
    ) -> Sentence {
        let stage = dashed(stage.as_str());
        let (notice, left) = match duty {
            Duty::Delete => ("notice-retention-delete", format!("retention-delete-{stage}")),
            Duty::Authorise => ("notice-retention-authorise", format!("retention-authorise-{stage}")),
        };
        self.of_token(notice)
            .and("left", Sentence::new(left))
            .with("stage", stage)
            .in_full("at", deadline)
            .and("terms", self.terms(rules))
    }

    /// By which rules of a network something must be done with what was collected.
    fn terms(&self, rules: &[String]) -> Sentence {
        if rules.is_empty() {
            return self.at_network("retention-terms-unknown");
        }
        let rules: Vec<String> = rules.iter().map(|rule| format!("{}.", rule.trim_end_matches('.'))).collect();
        let rules = neutral(&rules.join(" "), TEXT);
        let rules = if rules.ends_with('.') { rules } else { format!("{rules}.") };
        self.at_network("retention-terms").with("rules", rules)
    }
}
