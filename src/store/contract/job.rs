//! Jobs: one at a time for a team and network, and each result noted with how far the job came.

use super::Fixture;
use super::samples::{acme, at, event, seed};
use crate::base::ids::{JobId, TokenId};
use crate::domain::job::{Hindrance, Job, JobCounts, JobState, Outcome};
use crate::store::{JobChangeError, Store, TokenResult};

fn job(n: u128, network: &str) -> Job {
    Job {
        id: JobId::from_u128(n),
        team: acme(),
        network: network.parse().unwrap(),
        state: JobState::Running,
        tokens: 3,
        counts: JobCounts::default(),
        created_by: "keys/1".to_owned(),
        created_at: at(1),
        ended_at: None,
    }
}

fn result(n: u128, outcome: Outcome) -> TokenResult {
    let hindrance = (outcome == Outcome::Failed).then_some(Hindrance::Incident);
    TokenResult { token: TokenId::from_u128(n), outcome, hindrance, message: format!("number {n}"), at: at(5) }
}

async fn begin(store: &dyn Store, n: u128, network: &str) -> Result<(), JobChangeError> {
    store.insert_job(job(n, network), event("job.begin", "job").into()).await
}

async fn to(store: &dyn Store, n: u128, moved: (JobState, JobState)) -> Result<(), JobChangeError> {
    let ended_at = (moved.1 != JobState::Running).then(|| at(9));
    store.change_job(JobId::from_u128(n), moved, ended_at, event("job.change", "job").into()).await
}

pub(crate) async fn one_job_at_a_time_for_a_team_and_network(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    begin(&*store, 1, "x").await.unwrap();
    let second = begin(&*store, 2, "x").await;
    assert!(matches!(second, Err(JobChangeError::NotDone(other)) if other == JobId::from_u128(1)));
    begin(&*store, 3, "youtube").await.unwrap();
    to(&*store, 1, (JobState::Running, JobState::Cancelled)).await.unwrap();
    begin(&*store, 2, "x").await.unwrap_err();
    let changed = to(&*store, 1, (JobState::Running, JobState::Done)).await;
    assert!(matches!(changed, Err(JobChangeError::Changed)));
    to(&*store, 1, (JobState::Cancelled, JobState::Running)).await.unwrap();
    to(&*store, 1, (JobState::Running, JobState::Done)).await.unwrap();
    begin(&*store, 2, "x").await.unwrap();
    let listed = async |before| {
        let jobs = store.list_jobs(&acme(), before, 2).await.unwrap();
        jobs.iter().map(|job| job.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((listed(None).await, listed(Some(JobId::from_u128(2))).await), (vec![3, 2], vec![1]));
    let running = store.running_jobs().await.unwrap();
    assert_eq!(running.iter().map(|(job, last)| (job.id.as_u128(), *last)).collect::<Vec<_>>(), [(2, None), (3, None)]);
    store.close().await;
}

pub(crate) async fn results_say_how_far_a_job_came(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    begin(&*store, 1, "x").await.unwrap();
    let id = JobId::from_u128(1);
    let firsts = vec![result(10, Outcome::Renewed), result(11, Outcome::NeedsPerson)];
    assert!(store.note_results(id, firsts.clone()).await.unwrap());
    assert!(!store.note_results(id, firsts.clone()).await.unwrap(), "they were noted before");
    to(&*store, 1, (JobState::Running, JobState::Cancelled)).await.unwrap();
    let last = result(12, Outcome::Renewed);
    assert!(!store.note_results(id, vec![last.clone()]).await.unwrap(), "it was cancelled meanwhile");
    let found = store.find_job(id).await.unwrap().unwrap();
    let counts = JobCounts { renewed: 2, needs_person: 1, ..JobCounts::default() };
    assert_eq!(found, Job { state: JobState::Cancelled, counts, ended_at: Some(at(9)), ..job(1, "x") });
    to(&*store, 1, (JobState::Cancelled, JobState::Running)).await.unwrap();
    let running = store.running_jobs().await.unwrap();
    assert_eq!(running[0].1, Some(TokenId::from_u128(12)));
    assert_eq!(store.list_results(id, None, 10).await.unwrap(), [firsts, vec![last.clone()]].concat());
    assert_eq!(store.list_results(id, Some(TokenId::from_u128(11)), 10).await.unwrap(), [last]);
    store.close().await;
}

pub(crate) async fn results_are_read_by_what_came_of_them(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    begin(&*store, 1, "x").await.unwrap();
    let id = JobId::from_u128(1);
    let results = (1..=8).map(|n| result(n, Outcome::ALL[3 - (n as usize - 1) % 4])).collect();
    assert!(store.note_results(id, results).await.unwrap());
    let (mut after, mut read) = (None, Vec::new());
    loop {
        let page = store.list_results_by_outcome(id, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.outcome, last.token));
        read.extend(page.iter().map(|result| (result.outcome, result.token.as_u128())));
    }
    let expected = Outcome::ALL.into_iter().zip([[4, 8], [3, 7], [2, 6], [1, 5]]);
    let expected: Vec<_> = expected.flat_map(|(outcome, tokens)| tokens.map(|token| (outcome, token))).collect();
    assert_eq!(read, expected);
    store.close().await;
}

pub(crate) async fn jobs_are_forgotten_with_their_results(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    begin(&*store, 1, "x").await.unwrap();
    let id = JobId::from_u128(1);
    store.note_results(id, (1..=3).map(|n| result(n, Outcome::Failed)).collect()).await.unwrap();
    assert_eq!(store.prune_jobs(at(100), 10).await.unwrap(), 0, "it runs");
    to(&*store, 1, (JobState::Running, JobState::Done)).await.unwrap();
    assert_eq!(store.prune_jobs(at(9), 10).await.unwrap(), 0);
    let mut pruned = Vec::new();
    for _ in 0..4 {
        pruned.push(store.prune_jobs(at(10), 2).await.unwrap());
    }
    assert_eq!(pruned, [2, 1, 1, 0]);
    assert_eq!(store.find_job(id).await.unwrap(), None);
    let gone = to(&*store, 1, (JobState::Running, JobState::Done)).await;
    assert!(matches!(gone, Err(JobChangeError::Changed)));
    store.close().await;
}
