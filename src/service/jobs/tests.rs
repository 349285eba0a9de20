//! Jobs on a whole broker whose token endpoints answer as they are told.

use zeroize::Zeroizing;

use super::*;
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::job::Outcome;
use crate::outbound::http::NetworkAnswer;
use crate::service::apps::{UpdateApp, default_app};
use crate::service::testing::TestBroker;

const GOOD: &str = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":7200}"#;
const REFUSED: &str = r#"{"error":"invalid_grant"}"#;

struct Bench {
    test: TestBroker,
    team: TeamId,
    x: NetworkId,
    tokens: Vec<TokenId>,
}

/// A broker with tokens at X, of which so many may be renewed a second.
async fn bench(tokens: usize, per_second: usize) -> Bench {
    let mut config = Config::default();
    config.renewals.per_second = per_second;
    bench_with(tokens, config).await
}

async fn bench_with(tokens: usize, mut config: Config) -> Bench {
    config.renewals.in_flight = 1;
    let test = TestBroker::start_with(config).await;
    let (team, x) = (test.team("acme").await, "x".parse().unwrap());
    let client = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
        ..UpdateApp::default()
    };
    test.broker.update_app(&test.admin, &x, &default_app(), client).await.unwrap();
    let mut made = Vec::new();
    for n in 0..tokens {
        made.push(test.token(&team, &format!("p{n}")).await);
    }
    Bench { test, team, x, tokens: made }
}

impl Bench {
    fn broker(&self) -> &Broker {
        &self.test.broker
    }

    fn answer(&self, status: u16, body: &str) {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        self.test.endpoint.answer_next(Ok(NetworkAnswer { status, headers: Vec::new(), body }));
    }

    async fn begin(&self) -> Job {
        self.broker().renew_all(&self.test.admin, &self.team, &self.x).await.unwrap()
    }

    /// Lets jobs go on as far as they may at this moment.
    async fn run(&self) {
        self.broker().run_jobs().await.unwrap();
        self.broker().jobs.idle().await;
    }

    async fn job(&self, id: JobId) -> Job {
        self.broker().show_job(&self.team, id).await.unwrap()
    }

    async fn outcomes(&self, id: JobId) -> Vec<(TokenId, Outcome)> {
        let results = self.broker().list_job_results(&self.team, id, None, 100).await.unwrap();
        results.into_iter().map(|result| (result.token, result.outcome)).collect()
    }
}

#[tokio::test]
async fn every_token_is_tried_and_its_result_told() {
    let bench = bench(4, 1000).await;
    bench.broker().revoke_token(&bench.test.admin, &bench.team, bench.tokens[0], "").await.unwrap();
    let job = bench.begin().await;
    assert_eq!((job.state, job.tokens), (JobState::Running, 3));
    bench.answer(200, GOOD);
    bench.answer(400, REFUSED);
    bench.answer(503, "<html>");
    bench.run().await;
    let done = bench.job(job.id).await;
    let counts = JobCounts { renewed: 1, failed: 1, needs_person: 1, nothing_to_renew: 0 };
    assert_eq!((done.state, done.counts, done.ended_at.is_some()), (JobState::Done, counts, true));
    let told = [Outcome::Renewed, Outcome::NeedsPerson, Outcome::Failed];
    assert_eq!(bench.outcomes(job.id).await, bench.tokens[1..].iter().copied().zip(told).collect::<Vec<_>>());
    let refused = bench.broker().cancel_job(&bench.test.admin, &bench.team, job.id).await;
    assert!(matches!(refused, Err(JobError::Done(_))));
    let again = bench.begin().await;
    assert_ne!(again.id, job.id, "a job that is done hinders no other");
    bench.test.stop().await;
}

#[tokio::test]
async fn a_job_runs_also_where_nothing_is_renewed_by_itself() {
    let mut config = Config::default();
    config.renewals.enabled = false;
    let bench = bench_with(1, config).await;
    let job = bench.begin().await;
    bench.answer(200, GOOD);
    bench.run().await;
    let done = bench.job(job.id).await;
    assert_eq!((done.state, done.counts.renewed), (JobState::Done, 1));
    bench.test.stop().await;
}

#[tokio::test]
async fn a_job_keeps_to_the_rate_of_the_app_and_goes_on_after_a_restart() {
    let bench = bench(5, 2).await;
    let job = bench.begin().await;
    let other = bench.broker().renew_all(&bench.test.admin, &bench.team, &bench.x).await;
    assert!(matches!(other, Err(JobError::NotDone(id)) if id == job.id));
    (0..5).for_each(|_| bench.answer(200, GOOD));
    bench.run().await;
    bench.run().await;
    assert_eq!((bench.test.endpoint.asked(), bench.job(job.id).await.counts.renewed), (2, 2));
    let bench = Bench { test: bench.test.restart().await, ..bench };
    bench.test.clock.advance(Duration::from_secs(1));
    bench.run().await;
    assert_eq!(bench.job(job.id).await.counts.renewed, 4);
    bench.test.clock.advance(Duration::from_secs(1));
    bench.run().await;
    let done = bench.job(job.id).await;
    assert_eq!((done.state, done.counts.renewed), (JobState::Done, 5));
    assert_eq!(bench.test.endpoint.asked(), 5, "none was renewed twice");
    bench.test.stop().await;
}

#[tokio::test]
async fn a_job_stops_when_it_is_cancelled_and_goes_on_when_it_is_resumed() {
    let bench = bench(3, 1).await;
    let job = bench.begin().await;
    (0..3).for_each(|_| bench.answer(200, GOOD));
    bench.run().await;
    let stopped = bench.broker().cancel_job(&bench.test.admin, &bench.team, job.id).await.unwrap();
    assert_eq!((stopped.state, stopped.counts.renewed), (JobState::Cancelled, 1));
    bench.broker().cancel_job(&bench.test.admin, &bench.team, job.id).await.unwrap();
    bench.test.clock.advance(Duration::from_secs(1));
    bench.run().await;
    assert_eq!(bench.test.endpoint.asked(), 1);
    let resumed = bench.broker().resume_job(&bench.test.admin, &bench.team, job.id).await.unwrap();
    assert_eq!((resumed.state, resumed.ended_at), (JobState::Running, None));
    for _ in 0..3 {
        bench.run().await;
        bench.test.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(bench.job(job.id).await.state, JobState::Done);
    assert_eq!(bench.test.endpoint.asked(), 3);
    bench.test.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let bench = bench(0, 1).await;
    let broker = bench.broker();
    let nowhere = broker.renew_all(&bench.test.admin, &"nobody".parse().unwrap(), &bench.x).await;
    assert!(matches!(nowhere, Err(JobError::TeamNotFound(_))));
    let nothing = broker.renew_all(&bench.test.admin, &bench.team, &"nonet".parse().unwrap()).await;
    assert!(matches!(nothing, Err(JobError::UnknownNetwork(_))));
    let zenith = bench.test.team("zenith").await;
    let job = bench.begin().await;
    assert!(matches!(broker.show_job(&zenith, job.id).await, Err(JobError::NotFound { .. })));
    assert!(matches!(broker.cancel_job(&bench.test.admin, &zenith, job.id).await, Err(JobError::NotFound { .. })));
    bench.run().await;
    assert_eq!(bench.job(job.id).await.state, JobState::Done, "there was nothing to do");
    bench.test.stop().await;
}
