//! Calls that are made again, and callers that go away.

use super::*;
use crate::grpc::lease_service::longest_wait;

#[tokio::test]
async fn the_same_request_id_gets_the_same_lease() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let first = pb::AcquireLeaseRequest { request_id: "once".to_owned(), ..ask() };
    let lease = acquire(&mut client, first.clone()).await;
    client.report_usage(report(&lease.name, 1, 4)).await.unwrap();
    let again = acquire(&mut client, first.clone()).await;
    assert_eq!((&again.name, &again.access_token), (&lease.name, &lease.access_token));
    assert_eq!((again.calls_granted, again.calls_left), (10, 6), "as it stands");
    assert_eq!(bench.broker.engine.leases_of(bench.collector.id), 1);

    let other = pb::AcquireLeaseRequest { calls: 11, ..first.clone() };
    assert_eq!(reason(&client.acquire_lease(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    let (_, key) = add_collector(&bench.broker, |_| {}).await;
    let mut stranger = bench.client_with(Some(&key)).await;
    assert_ne!(acquire(&mut stranger, first.clone()).await.name, lease.name, "ids are each collector's own");

    client.release_lease(release(&lease.name)).await.unwrap();
    let new = acquire(&mut client, first.clone()).await;
    assert_ne!(new.name, lease.name, "a lease that has ended is of no use");
    assert_eq!(acquire(&mut client, first).await.name, new.name);
}

#[tokio::test]
async fn a_report_is_settled_once() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    let once = pb::ReportUsageRequest { want_calls: 5, ..report(&lease.name, 1, 4) };
    let first = client.report_usage(once.clone()).await.unwrap().into_inner();
    assert_eq!((first.calls_granted, first.calls_left), (5, 11));
    let again = client.report_usage(once.clone()).await.unwrap().into_inner();
    assert_eq!((again.calls_granted, again.calls_left, again.sequence), (0, 11, 1));
    client.report_usage(report(&lease.name, 7, 1)).await.unwrap();
    let late = client.report_usage(once).await.unwrap().into_inner();
    assert_eq!((late.calls_granted, late.calls_left, late.sequence), (0, 10, 7), "a lower number counts for nothing");
}

#[tokio::test]
async fn a_wait_ends_with_credit_or_with_its_caller() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let toy: NetworkId = "toy".parse().unwrap();
    let all = acquire(&mut client, pb::AcquireLeaseRequest { calls: 90, ..ask() }).await;
    let waiting = pb::AcquireLeaseRequest { wait: seconds(60), ..ask() };
    let (mut left, stays) = (bench.client().await, bench.client().await);
    {
        let asked = left.acquire_lease(waiting.clone());
        tokio::pin!(asked);
        let waits = async {
            while bench.broker.engine.waiting(&toy) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answered = &mut asked => panic!("there is no credit: {answered:?}"),
            () = waits => {}
        }
    }
    let (mut stays, releases) = (stays, client.clone());
    let stays = stays.acquire_lease(waiting);
    let releases = async {
        let mut client = releases;
        while bench.broker.engine.waiting(&toy) < 1 {
            tokio::task::yield_now().await;
        }
        client.release_lease(release(&all.name)).await.unwrap();
    };
    let (granted, ()) = tokio::join!(stays, releases);
    assert_eq!(granted.unwrap().into_inner().lease.unwrap().calls_granted, 10);
    let held = || bench.broker.engine.leases_of(bench.collector.id);
    while bench.broker.engine.waiting(&toy) > 0 || held() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(held(), 1, "who left holds nothing");
}

#[test]
fn a_part_of_the_deadline_is_kept_for_the_answer() {
    let millis = Duration::from_millis;
    for (deadline, waits) in [(20, 0), (300, 250), (2_000, 1_800), (60_000, 59_000)] {
        assert_eq!(longest_wait(millis(deadline)), millis(waits));
    }
}

#[tokio::test]
async fn a_wait_that_is_over_says_when_to_try_again() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    acquire(&mut client, pb::AcquireLeaseRequest { calls: 90, ..ask() }).await;
    let mut waiting = Request::new(pb::AcquireLeaseRequest { wait: seconds(60), ..ask() });
    waiting.set_timeout(Duration::from_secs(2));
    let status = client.acquire_lease(waiting).await.unwrap_err();
    assert_eq!(reason(&status), "LIMITED_UNTIL", "the refusal comes before the call's deadline: {status:?}");
}
