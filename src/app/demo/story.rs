//! What happens while the collectors work: scenes begin, alerts open and clear, and the operator adds the tokens that were advised.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::Streaming;

use crate::app::demo::board::Board;
use crate::app::demo::pace::Pace;
use crate::app::demo::plan::{COLLECTIONS, CollectionPlan, OUTGROWN, Scene};
use crate::app::demo::setup::{NewToken, Operator};
use crate::base::tasks::Tasks;
use crate::grpc::pb;
use pb::alert_service_client::AlertServiceClient;
use pb::watch_alerts_response::Event;

/// The most tokens that are added on one advice.
const MOST_ADDED: i32 = 20;

/// How long it takes until the operator has read the alert and members have granted tokens: this part of the demonstration.
const REACTION: u32 = 40;

/// The one who watches and acts.
pub struct Story {
    /// The operator.
    pub operator: Arc<Operator>,
    /// Where it is told.
    pub board: Arc<Board>,
    /// The clock.
    pub pace: Pace,
    /// When it stops.
    pub tasks: Tasks,
    /// How long the demonstration lasts, by the machine's clock.
    pub whole: Duration,
    /// The scene, for the collectors.
    pub scene: watch::Sender<Scene>,
}

impl Story {
    /// Plays until the tasks stop.
    pub async fn run(self) {
        if let Err(error) = self.play().await
            && !self.tasks.is_stopping()
        {
            self.board.tell(self.pace.elapsed(), format!("the operator had to stop: {error:#}"));
        }
    }

    async fn play(&self) -> anyhow::Result<()> {
        let request = pb::WatchAlertsRequest { parent: "teams/-".to_owned() };
        let alerts = AlertServiceClient::new(self.operator.client()).watch_alerts(request).await;
        let mut alerts = alerts.context("watching the alerts")?.into_inner();
        let (mut helped, mut open) = (false, BTreeSet::new());
        self.begin(Scene::Usual);
        loop {
            let next = self.next_scene();
            tokio::select! {
                () = self.tasks.stopped() => return Ok(()),
                () = tokio::time::sleep(next) => self.begin(Scene::at(self.pace.elapsed(), self.whole)),
                alert = next_alert(&mut alerts) => {
                    let alert = alert?;
                    self.tell(&alert, &mut open);
                    if !helped && is_outgrown(&alert) {
                        helped = self.help(&alert).await?;
                    }
                }
            }
        }
    }

    /// How long until the next scene may begin.
    fn next_scene(&self) -> Duration {
        let elapsed = self.pace.elapsed();
        let thirds = [self.whole / 3, self.whole / 3 * 2];
        let next = thirds.into_iter().find(|third| *third > elapsed);
        next.map_or(Duration::from_secs(3600), |third| third.saturating_sub(elapsed))
    }

    fn begin(&self, scene: Scene) {
        let is_new = self.scene.send_if_modified(|present| std::mem::replace(present, scene) != scene);
        if is_new || scene == Scene::Usual {
            self.board.tell(self.pace.elapsed(), scene.announcement());
        }
    }

    /// Tells that an alert opened or cleared. How it goes on in between stands in the alert itself.
    fn tell(&self, alert: &pb::Alert, open: &mut BTreeSet<String>) {
        let team = alert.name.split('/').nth(1).unwrap_or_default();
        if alert.clear_time.is_some() {
            open.remove(&alert.name);
            let what = label_of(team, &alert.network, &alert.credit_class);
            self.board.tell(self.pace.elapsed(), format!("CLEARED  {team}'s tokens carry its {what} again"));
        } else if open.insert(alert.name.clone()) {
            // The first sentence says what is wrong and what to do; the figures behind it stand in the alert.
            let gist = alert.message.split_once(". ").map_or(alert.message.as_str(), |(gist, _)| gist);
            self.board.tell(self.pace.elapsed(), format!("ALERT  {gist}"));
        }
    }

    /// Adds as many tokens as the alert advises. Returns whether it advised any.
    async fn help(&self, alert: &pb::Alert) -> anyhow::Result<bool> {
        let needed = alert.advice.as_ref().map_or(0, |advice| advice.tokens_needed).min(MOST_ADDED);
        if needed <= 0 {
            return Ok(false);
        }
        tokio::select! {
            () = self.tasks.stopped() => return Ok(true),
            () = tokio::time::sleep(self.whole / REACTION) => {}
        }
        let (team, network, kind) = OUTGROWN;
        for _ in 0..needed {
            self.operator.add_token(NewToken { team, network, kind, engaged_users: None }).await?;
        }
        let tokens = if needed == 1 { "1 token".to_owned() } else { format!("{needed} tokens") };
        self.board.tell(self.pace.elapsed(), format!("{team}'s members connect {tokens} of {network}, as advised"));
        Ok(true)
    }
}

async fn next_alert(alerts: &mut Streaming<pb::WatchAlertsResponse>) -> anyhow::Result<pb::Alert> {
    loop {
        let message = alerts.next().await.context("the stream of alerts ended")??;
        if let Some(Event::Alert(alert)) = message.event {
            return Ok(*alert);
        }
    }
}

/// Whether it is the open alert that the story is about.
fn is_outgrown(alert: &pb::Alert) -> bool {
    let (team, network, _) = OUTGROWN;
    alert.kind() == pb::AlertKind::TokenLoadTooHigh
        && alert.clear_time.is_none()
        && alert.name.starts_with(&format!("teams/{team}/"))
        && alert.network == format!("networks/{network}")
}

/// What a team collects of a class, as people call it.
fn label_of<'a>(team: &str, network: &str, class: &'a str) -> &'a str {
    let is_it = |plan: &&CollectionPlan| {
        plan.team == team && network == format!("networks/{}", plan.network) && plan.class == class
    };
    COLLECTIONS.iter().find(is_it).map_or(class, |plan| plan.label)
}

/// The kind of an alert, as metrics and logs name it.
pub fn kind_name(kind: pb::AlertKind) -> &'static str {
    match kind {
        pb::AlertKind::TokenLoadTooHigh => "token_load_too_high",
        pb::AlertKind::NoAccessTokens => "no_access_tokens",
        pb::AlertKind::Unspecified => "unknown",
    }
}
