//! Looks at all tokens once an hour, and tells what people must do in time: connect again what will not go on, and heal what is dead before
//! what was collected with it must be deleted.
//!
//! Everything is worked out anew each time; an event's key makes sure that it is told once. What an open incident covers waits until it is over,
//! since its notice would be dropped. A new version of the catalogue comes with a start, and a start looks at once.

use crate::base::ids::TokenId;
use crate::domain::notice::{Event, Fact, RetentionStage};
use crate::domain::reach::{needs_reconnecting, retention_clocks};
use crate::domain::token::{Token, TokenState};
use crate::service::Broker;
use crate::service::tell::{event, of_need};
use crate::store::StoreError;
use crate::text::Sentence;

/// Tokens that are read at once.
const AT_ONCE: u32 = 500;

impl Broker {
    /// Looks at all tokens. Returns what was told, for people.
    pub async fn watch_tokens(&self) -> Result<Sentence, StoreError> {
        let (mut told, mut after): (u64, Option<TokenId>) = (0, None);
        loop {
            let part = self.store.all_tokens(after, AT_ONCE).await?;
            let mut events = Vec::new();
            for token in part.tokens.iter().map(|stored| &stored.token) {
                let found = self.to_tell(token);
                // In an incident nobody is told of single tokens, but after it.
                if !found.is_empty() && !self.rests_in_incident(token).await? {
                    events.extend(found);
                }
            }
            if !events.is_empty() {
                told += self.store.append_events(events).await?;
            }
            match part.next {
                Some(next) if !self.tasks.is_stopping() => after = Some(next),
                _ => return Ok(Sentence::new("ran-tokens").with("count", told)),
            }
        }
    }

    async fn rests_in_incident(&self, token: &Token) -> Result<bool, StoreError> {
        let Token { id, network, app, state, .. } = token;
        let open = self.engine.incident_since(network, app).is_some();
        // Whether one that is invalid is so by the incident, the store alone knows.
        let invalid = matches!(state, TokenState::Invalid { .. });
        let spoken_for = !invalid && self.engine.incident_speaks_for(network, *id);
        Ok(spoken_for || (open && self.is_covered(*id).await?))
    }

    fn to_tell(&self, token: &Token) -> Vec<Event> {
        let now = self.now();
        let Some(network) = self.catalogue.network(token.network.as_str()) else { return Vec::new() };
        let (id, team) = (token.id, Some(token.team.clone()));
        let needs = needs_reconnecting(network, token, now).into_iter().map(|needs| of_need(token, needs, now));
        let running = retention_clocks(network, token, now);
        let clocks = running.iter().enumerate().filter_map(|(nth, clock)| {
            let (stage, deadline, duty) = (clock.stage(now), clock.deadline, clock.duty);
            // They begin together: the first to end says so for all.
            if nth > 0 && stage == RetentionStage::Started {
                return None;
            }
            let rules = running[nth..].iter().map(|clock| clock.rule.clone()).collect();
            let key = format!("{id}/retention/{}/{stage:?}", deadline.secs());
            let network = token.network.clone();
            Some(event(
                now,
                team.clone(),
                Fact::RetentionClock { network, token: id, stage, deadline, duty, rules },
                key,
            ))
        });
        needs.chain(clocks).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Clock;
    use crate::domain::networks::{Duty, Purpose};
    use crate::domain::token::Clocks;
    use crate::domain::token::Reason;
    use crate::service::testing::{TestBroker, ask, x_token};
    use crate::service::tokens::{AddToken, TokenListFilter};
    use crate::service::{AcquireLease, Answered, ReportUsage};
    use crate::text::Text;

    const DAY: Duration = Duration::from_secs(86_400);

    fn of_youtube(person: &str) -> AddToken {
        AddToken {
            network: "youtube".to_owned(),
            scopes: vec!["https://www.googleapis.com/auth/youtube.readonly".to_owned()],
            ..x_token(person)
        }
    }

    async fn told(test: &TestBroker) -> Vec<Fact> {
        let events = test.broker.store.untold_events(None, 1000).await.unwrap();
        events.into_iter().map(|event| event.fact).collect()
    }

    #[tokio::test]
    async fn a_retention_clock_is_told_at_its_start_and_as_it_runs_out() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.broker.add_token(&test.admin, &team, of_youtube("ann")).await.unwrap().token.id;
        test.broker.watch_tokens().await.unwrap();
        assert_eq!(told(&test).await, []);
        test.broker.invalidate_token(&test.admin, &team, token, Reason::PasswordChanged, "").await.unwrap();
        let mut stages = Vec::new();
        for _ in 0..62 {
            test.broker.watch_tokens().await.unwrap();
            test.clock.advance(DAY / 2);
        }
        for fact in told(&test).await {
            if let Fact::RetentionClock { stage, deadline, duty, rules, .. } = fact {
                let days = deadline.since(crate::service::testing::START).as_secs() / 86_400;
                stages.push((stage, days, duty, rules.len()));
            }
        }
        use RetentionStage::{OneDay, Over, Started, ThreeDays};
        let deleting = [Started, ThreeDays, OneDay, Over].map(|stage| (stage, 7, Duty::Delete, 2));
        let authorising = [ThreeDays, OneDay, Over].map(|stage| (stage, 30, Duty::Authorise, 1));
        assert_eq!(stages, [&deleting[..], &authorising].concat(), "the first tells the start of both");
        let shown = test.broker.show_token(&team, token).await.unwrap().0;
        assert_eq!(shown.retention.len(), 2);
        test.stop().await;
    }

    #[tokio::test]
    async fn a_retention_clock_that_ran_out_is_not_told_again_once_events_are_forgotten() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.broker.add_token(&test.admin, &team, of_youtube("ann")).await.unwrap().token.id;
        test.broker.invalidate_token(&test.admin, &team, token, Reason::PasswordChanged, "").await.unwrap();
        test.clock.advance(31 * DAY);
        assert_eq!(Text::english().tell_of(&test.broker.watch_tokens().await.unwrap()), "2 events to tell");
        test.tell().await;
        test.clock.advance(test.broker.config.keep.alerts + DAY);
        test.broker.prune().await.unwrap();
        assert_eq!(Text::english().tell_of(&test.broker.watch_tokens().await.unwrap()), "Nothing to tell");
        test.stop().await;
    }

    #[tokio::test]
    async fn a_grant_that_can_not_be_prolonged_is_shown_listed_and_told_once() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let clocks = Clocks { refresh_expires_at: Some(test.clock.now() + 40 * DAY), ..Clocks::default() };
        let linkedin = test.broker.catalogue.network("linkedin").unwrap().clone();
        let kind = linkedin.kinds.iter().find(|kind| kind.refresh_validity.is_some()).unwrap();
        let scopes = kind.scopes.iter().flat_map(|needed| needed.scopes.clone()).collect();
        let given =
            AddToken { network: "linkedin".to_owned(), kind: kind.id.to_string(), clocks, scopes, ..x_token("ann") };
        let token = test.broker.add_token(&test.admin, &team, given).await.unwrap().token.id;
        test.token(&team, "bea").await;
        let wanted = TokenListFilter { needs_reconnecting: true, ..TokenListFilter::default() };
        let listed = async || test.broker.list_tokens(&wanted, None, 10).await.unwrap().0.len();
        assert_eq!(listed().await, 0);
        test.clock.advance(10 * DAY);
        for _ in 0..3 {
            test.broker.watch_tokens().await.unwrap();
        }
        assert_eq!(listed().await, 1);
        let facts = told(&test).await;
        let [Fact::NeedsReconnecting { token: of, by, .. }] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!((*of, *by), (token, clocks.refresh_expires_at));
        test.stop().await;
    }

    #[tokio::test]
    async fn out_of_band_spending_is_told_once_a_day() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.token(&team, "ann").await;
        let collector = test.collector(&team, "one").await;
        let caller = test.caller(collector.id);
        let mut told_after = Vec::new();
        for day in 0..2 {
            for nth in 0..3 {
                let leased = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap();
                let reset = test.clock.now() + Duration::from_secs(600);
                let remaining = 200 - nth * 20;
                let headers = [
                    ("x-rate-limit-limit", "300".to_owned()),
                    ("x-rate-limit-remaining", remaining.to_string()),
                    ("x-rate-limit-reset", reset.secs().to_string()),
                ];
                let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
                let answer = Some(Answered { status: 200, headers, ..Answered::default() });
                let report = ReportUsage { sequence: 1, used: 1, served: 1, answer, ..ReportUsage::default() };
                test.broker.report_usage(&caller, leased.lease, report).await.unwrap();
                test.broker.release_lease(&caller, leased.lease, None).await.unwrap();
            }
            let facts = told(&test).await;
            assert!(facts.iter().all(|fact| matches!(fact, Fact::OutOfBandSpending { token: of, .. } if *of == token)));
            told_after.push(facts.len());
            test.clock.advance(DAY + Duration::from_secs(day));
        }
        assert_eq!(told_after, [1, 2]);
        test.stop().await;
    }

    #[tokio::test]
    async fn whose_spending_an_app_shares_is_told_to_operators_once() {
        let test = TestBroker::start().await;
        for name in ["acme", "bolt", "core"] {
            let team = test.team(name).await;
            let person = AddToken {
                network: "facebook".to_owned(),
                scopes: ["public_profile", "pages_show_list", "pages_read_engagement", "read_insights"]
                    .map(str::to_owned)
                    .into(),
                refresh: None,
                ..x_token(name)
            };
            test.broker.add_token(&test.admin, &team, person).await.unwrap();
            let caller = test.caller(test.collector(&team, "one").await.id);
            for percent in [20, 40] {
                let wanted = AcquireLease {
                    network: "facebook".to_owned(),
                    operation: "page.get".to_owned(),
                    purpose: Purpose::CollectStatistics,
                    ..ask(&team, 1)
                };
                let leased = test.broker.acquire_lease(&caller, wanted).await.unwrap();
                let usage = format!(r#"{{"call_count":{percent},"total_time":1,"total_cputime":1}}"#);
                let headers = vec![("x-app-usage".to_owned(), usage)];
                let answer = Some(Answered { status: 200, headers, ..Answered::default() });
                let report = ReportUsage { sequence: 1, used: 1, served: 1, answer, ..ReportUsage::default() };
                test.broker.report_usage(&caller, leased.lease, report).await.unwrap();
                test.broker.release_lease(&caller, leased.lease, None).await.unwrap();
            }
        }
        let events = test.broker.store.untold_events(None, 1000).await.unwrap();
        let [event] = &events[..] else { panic!("{events:?}") };
        assert_eq!(event.team, None);
        let default = "default".parse().ok();
        assert!(matches!(&event.fact, Fact::SharedSpending { app, .. } if *app == default), "{event:?}");
        test.stop().await;
    }
}
