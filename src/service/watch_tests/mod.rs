//! Loads, alerts and their messages, on a whole broker whose clock stands still.

mod alert_tests;
mod load_tests;
mod webhook_tests;

use std::time::Duration;

use crate::base::clock::Clock;
use crate::service::watched::{ROUND, Watched};
use crate::text::Sentence;

/// The window of the limits: the span that loads are judged over.
pub const MINUTES_5: Duration = Duration::from_secs(300);
const MINUTES_6: Duration = Duration::from_secs(360);

async fn plain() -> Watched {
    Watched::start(|_| {}).await
}

#[tokio::test]
async fn metrics_show_the_books() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 4, MINUTES_5).await;
    watched.broker.show_metrics();
    let shown = watched.broker.metrics.render();
    for line in [
        "token_broker_team_load_ratio{team=\"acme\",network=\"net\",class=\"search\"} 0.6",
        "token_broker_tokens{network=\"net\",status=\"live\"} 2",
        "token_broker_leases_active{network=\"net\"} 0",
        "token_broker_over_grants 0",
        "token_broker_alerts{kind=\"token_load_too_high\",state=\"open\"} 0",
    ] {
        assert!(shown.lines().any(|seen| seen == line), "{line}\n{shown}");
    }
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_every_run_is_noted() {
    let watched = plain().await;
    assert_eq!(watched.broker.prune().await.unwrap().name, "ran-prune-nothing");
    let began = watched.clock.now();
    watched.broker.watch.status.note("prune", began, began, Ok(Sentence::new("ran-prune-nothing")));
    watched.broker.watch.status.note("prune", began, began + ROUND, Err("the disk is full".to_owned()));
    let last = watched.broker.watch.status.last_runs().remove("prune").unwrap();
    assert_eq!((last.runs, last.failures, last.took), (2, 1, ROUND));
    assert_eq!(last.result.unwrap_err(), "the disk is full");
}
