//! Many leases over one stream.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use super::*;
use crate::domain::reach::{DeadSpan, Reach};
use crate::domain::token::Reason;
use crate::grpc::pb::collect_request::Command;
use crate::grpc::pb::collect_response::Event;
use crate::service::Streams;
use crate::service::dead_spans::DeadSpanView;

/// A stream, from the client's side.
struct Stream {
    commands: mpsc::Sender<pb::CollectRequest>,
    messages: Streaming<pb::CollectResponse>,
    tag: u64,
}

impl Stream {
    async fn open(client: &mut Client) -> Self {
        let (commands, sent) = mpsc::channel(1024);
        let messages = client.collect(ReceiverStream::new(sent)).await.unwrap().into_inner();
        Self { commands, messages, tag: 0 }
    }

    async fn send(&mut self, command: Command) -> u64 {
        self.tag += 1;
        let request = pb::CollectRequest { tag: self.tag, command: Some(command) };
        self.commands.send(request).await.unwrap();
        self.tag
    }

    async fn next(&mut self) -> (u64, Event) {
        let message = self.messages.message().await.unwrap().expect("the stream goes on");
        (message.tag, message.event.unwrap())
    }

    /// Sends a command and waits for its answer, passing over what is said unasked.
    async fn ask(&mut self, command: Command) -> Event {
        let tag = self.send(command).await;
        loop {
            let (answered, event) = self.next().await;
            if answered == tag {
                return event;
            }
            assert_eq!(answered, 0);
        }
    }

    async fn acquire(&mut self, ask: pb::AcquireLeaseRequest) -> pb::Lease {
        match self.ask(Command::Acquire(Box::new(ask))).await {
            Event::Acquired(acquired) => acquired.lease.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn resume(&mut self, leases: &[&str]) -> pb::CollectResync {
        let leases = leases.iter().map(|lease| (*lease).to_owned()).collect();
        match self.ask(Command::Resume(pb::CollectResume { leases })).await {
            Event::Resync(resync) => resync,
            other => panic!("{other:?}"),
        }
    }
}

fn small() -> pb::AcquireLeaseRequest {
    pb::AcquireLeaseRequest { calls: 1, ..ask() }
}

#[tokio::test]
async fn a_whole_life_on_a_stream() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let lease = stream.acquire(ask()).await;
    assert_eq!(lease.access_token, ACCESS);
    let more = pb::ReportUsageRequest { want_calls: 5, ..report(&lease.name, 1, 4) };
    let Event::Reported(standing) = stream.ask(Command::Report(more)).await else { panic!() };
    assert_eq!((standing.calls_granted, standing.calls_left), (5, 11));
    let extend = pb::ExtendLeaseRequest { lease: lease.name.clone(), ttl: seconds(600), ..Default::default() };
    assert!(matches!(stream.ask(Command::Extend(extend)).await, Event::Extended(_)));
    let Event::Released(released) = stream.ask(Command::Release(release(&lease.name))).await else { panic!() };
    assert_eq!(released.calls_returned, 11);
    let Event::Refused(refused) = stream.ask(Command::Report(report(&lease.name, 2, 1))).await else { panic!() };
    assert_eq!((refused.code, &*refused.reason), (Code::FailedPrecondition as i32, "LEASE_ENDED"));
    assert_eq!(refused.metadata.get("state").map(String::as_str), Some("RELEASED"));
    drop(stream.commands);
    assert!(stream.messages.message().await.unwrap().is_none(), "half-closing ends it");
}

#[tokio::test]
async fn every_command_is_answered_once_and_those_about_one_lease_in_order() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let lease = stream.acquire(pb::AcquireLeaseRequest { calls: 60, ..ask() }).await;
    let mut sent = Vec::new();
    for sequence in 1..=500 {
        // Every tenth one goes to the store, and the reports behind it must wait for it.
        let command = match sequence % 10 {
            0 => Command::Extend(pb::ExtendLeaseRequest { lease: lease.name.clone(), ..Default::default() }),
            _ => Command::Report(report(&lease.name, sequence, 0)),
        };
        sent.push(stream.send(command).await);
    }
    drop(stream.commands);
    let mut answered = Vec::new();
    let mut last = 0;
    while let Some(message) = stream.messages.message().await.unwrap() {
        if let Some(Event::Reported(standing)) = message.event {
            assert!(standing.sequence > last, "{} after {last}", standing.sequence);
            last = standing.sequence;
        }
        answered.push(message.tag);
    }
    assert_eq!(answered, sent);
}

#[tokio::test]
async fn a_bad_command_is_refused_and_a_bad_tag_ends_the_stream() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let Event::Refused(refused) = stream.ask(Command::Report(report("leases/none", 0, 1))).await else { panic!() };
    assert_eq!(&*refused.reason, "INVALID_FIELD");
    assert!(refused.message.contains("lease") && refused.message.contains("sequence"), "{}", refused.message);
    stream.commands.send(pb::CollectRequest { tag: 77, command: None }).await.unwrap();
    assert!(matches!(stream.next().await, (77, Event::Refused(_))));
    stream.commands.send(pb::CollectRequest { tag: 0, command: None }).await.unwrap();
    let status = stream.messages.message().await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::InvalidArgument, "INVALID_FIELD"));
}

#[tokio::test]
async fn a_refused_acquire_says_when_its_pool_may_go_on() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    stream.acquire(pb::AcquireLeaseRequest { calls: 90, ..ask() }).await;
    let Event::Refused(refused) = stream.ask(Command::Acquire(Box::new(ask()))).await else { panic!() };
    assert_eq!(&*refused.reason, "LIMITED_UNTIL");
    assert!(refused.retry_at.is_some());
    let (tag, Event::RetryAt(pool)) = stream.next().await else { panic!() };
    assert_eq!((tag, pool.retry_at), (0, refused.retry_at));
    assert_eq!((&*pool.team, &*pool.network, &*pool.operation), ("teams/acme", "networks/toy", "posts.list"));
}

#[tokio::test]
async fn a_recall_comes_to_the_stream_of_its_lease_and_to_no_other() {
    let bench = Bench::without_token().await;
    let token = bench.add_token(|_| {}).await;
    let mut client = bench.client().await;
    let (mut stream, mut other) = (Stream::open(&mut client).await, Stream::open(&mut client).await);
    let lease = stream.acquire(ask()).await;
    let elsewhere = other.acquire(ask()).await;
    let (reason, since) = (Reason::PasswordChanged, bench.now());
    bench.set_state(token, TokenState::Invalid { reason, since });
    let (tag, Event::Recall(recall)) = stream.next().await else { panic!() };
    assert_eq!((tag, &recall.lease), (0, &lease.name));
    assert_eq!((recall.verdict(), recall.reason()), (pb::Verdict::TokenDead, pb::TokenReason::PasswordChanged));
    let ack = pb::CollectAck {
        lease: lease.name.clone(),
        sequence: 1,
        calls: Some(pb::CallCounts { ok: 3, ..Default::default() }),
    };
    let Event::Released(released) = stream.ask(Command::Ack(ack)).await else { panic!() };
    assert_eq!(released.calls_returned, 7);
    let (_, Event::Recall(recall)) = other.next().await else { panic!() };
    assert_eq!(recall.lease, elsewhere.name);
}

#[tokio::test]
async fn leases_outlive_their_stream_and_are_resumed_on_another() {
    let bench = Bench::without_token().await;
    let token = bench.add_token(|_| {}).await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let first = stream.acquire(ask()).await;
    let second = stream.acquire(ask()).await;
    stream.ask(Command::Report(report(&first.name, 3, 4))).await;
    drop(stream);
    let (_, key) = add_collector(&bench.broker, |_| {}).await;
    let foreign = acquire(&mut bench.client_with(Some(&key)).await, ask()).await;

    let mut stream = Stream::open(&mut client).await;
    let resync = stream.resume(&[&first.name, &foreign.name]).await;
    let [standing] = &resync.leases[..] else { panic!("{resync:?}") };
    assert_eq!((&standing.lease, standing.calls_left, standing.sequence), (&first.name, 6, 3));
    assert_eq!((standing.verdict(), resync.more), (pb::Verdict::Keep, false));
    let all = stream.resume(&[]).await;
    let names: Vec<_> = all.leases.iter().map(|standing| &standing.lease).collect();
    assert!(names.len() == 2 && names.contains(&&first.name) && names.contains(&&second.name), "{names:?}");
    bench.set_state(token, TokenState::Revoked { since: bench.now() });
    let mut recalled = BTreeMap::new();
    for _ in 0..2 {
        let (_, Event::Recall(recall)) = stream.next().await else { panic!() };
        recalled.insert(recall.lease.clone(), recall.verdict());
    }
    assert_eq!(recalled, BTreeMap::from([(first.name, pb::Verdict::Recalled), (second.name, pb::Verdict::Recalled)]));
}

#[tokio::test]
async fn too_many_recalls_become_one_resync() {
    let bench = Bench::without_token().await;
    let token = bench.add_token(|token| token.max_leases = Some(1000)).await;
    // 300 leases need more credit than one token has.
    for _ in 0..3 {
        bench.add_token(|token| token.max_leases = Some(1000)).await;
    }
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let mut leases = Vec::new();
    for _ in 0..300 {
        leases.push(stream.acquire(small()).await);
    }
    let tokens: std::collections::BTreeSet<_> =
        leases.iter().map(|lease| lease.token.rsplit('/').next().unwrap().parse::<TokenId>().unwrap()).collect();
    assert!(tokens.contains(&token) && tokens.len() == 4);
    // All of it happens before the stream's task runs again.
    for token in tokens {
        bench.set_state(token, TokenState::Revoked { since: bench.now() });
    }
    let mut standings = BTreeMap::new();
    let mut parts = 0;
    loop {
        let (tag, Event::Resync(resync)) = stream.next().await else { panic!("only standings come") };
        assert_eq!(tag, 0);
        assert!(resync.leases.len() <= 256);
        parts += 1;
        standings.extend(resync.leases.iter().map(|standing| (standing.lease.clone(), standing.verdict())));
        if !resync.more {
            break;
        }
    }
    assert_eq!((parts, standings.len()), (2, 300));
    assert!(standings.values().all(|verdict| *verdict == pb::Verdict::Recalled));
}

#[tokio::test]
async fn a_healed_token_is_told_to_its_team_with_what_it_missed() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let (mut stream, mut missed) = (Stream::open(&mut client).await, Stream::open(&mut client).await);
    // A command that is answered shows that the streams listen.
    stream.resume(&[]).await;
    missed.resume(&[]).await;
    let ended = |team: &str, token: u128| {
        std::sync::Arc::new(DeadSpanView {
            team: team.parse().unwrap(),
            token: TokenId::from_u128(token),
            network: "x".parse().unwrap(),
            profile: Some("77".to_owned()),
            span: DeadSpan { from: bench.now(), until: bench.now(), reason: Reason::PasswordChanged },
            reach: Reach::Whole,
        })
    };
    bench.broker.watch.tell_dead_span(ended("zenith", 1));
    bench.broker.watch.tell_dead_span(ended("acme", 2));
    let (tag, Event::DeadSpan(told)) = stream.next().await else { panic!("a dead span comes") };
    let token = format!("teams/acme/tokens/{}", TokenId::from_u128(2));
    assert_eq!((tag, told.token.clone(), told.network.as_str(), told.profile.as_str()), (0, token, "networks/x", "77"));
    assert_eq!((told.reason(), told.reach()), (pb::TokenReason::PasswordChanged, pb::HistoryReach::Whole));
    // More than a stream keeps become one resync.
    for token in 0..300 {
        bench.broker.watch.tell_dead_span(ended("acme", token + 10));
    }
    loop {
        match missed.next().await {
            (0, Event::DeadSpan(_)) => {}
            (0, Event::Resync(resync)) => break assert!(!resync.more),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_ends_and_leaves_its_leases() {
    let bench = Bench::with_patience(Duration::from_millis(200)).await;
    bench.add_token(|token| token.max_leases = Some(1000)).await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let mut leases = Vec::new();
    for _ in 0..80 {
        leases.push(stream.acquire(small()).await.name);
    }
    // The standings of all leases, again and again: more than the connection's windows hold.
    let lease = leases[0].clone();
    let unread = Command::Resume(pb::CollectResume { leases });
    let mut sent = 0_u64;
    while bench.broker.streams.count(bench.collector.id.as_u128()) > 0 {
        let request = pb::CollectRequest { tag: sent + 1000, command: Some(unread.clone()) };
        sent += u64::from(stream.commands.try_send(request).is_ok());
        tokio::task::yield_now().await;
    }
    let mut answered = 0;
    let status = loop {
        match stream.messages.message().await {
            Ok(Some(_)) => answered += 1,
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), &*reason(&status)), (Code::ResourceExhausted, "READER_TOO_SLOW"), "{status:?}");
    assert!(answered < sent, "{answered} of {sent}");
    assert!(client.report_usage(report(&lease, 1, 1)).await.is_ok(), "the lease is still held");
}

#[tokio::test]
async fn who_is_locked_out_loses_the_stream_at_once() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    let lease = stream.acquire(ask()).await;
    bench.broker.directory.put_collector(Collector { disabled: true, ..bench.collector.clone() });
    stream.send(Command::Report(report(&lease.name, 1, 1))).await;
    let status = stream.messages.message().await.unwrap_err();
    assert_eq!(reason(&status), "COLLECTOR_DISABLED");
    bench.broker.directory.put_collector(bench.collector.clone());
    let mut stream = Stream::open(&mut client).await;
    stream.ask(Command::Report(report(&lease.name, 1, 1))).await;
    let key = bench.broker.directory.keys().into_iter().find(|key| matches!(key.holder, KeyHolder::Collector(..)));
    let key = crate::domain::team::Key { revoked_at: Some(bench.now()), ..(*key.unwrap()).clone() };
    bench.broker.directory.put_key(key);
    stream.send(Command::Report(report(&lease.name, 2, 1))).await;
    assert_eq!(reason(&stream.messages.message().await.unwrap_err()), "KEY_INVALID");
}

#[tokio::test]
async fn streams_are_counted_and_end_with_the_process() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut stream = Stream::open(&mut client).await;
    stream.acquire(ask()).await;
    let streams: Streams = bench.broker.streams.clone();
    let mut others = Vec::new();
    while let Ok(open) = streams.open(bench.collector.id.as_u128()) {
        others.push(open);
    }
    let (_commands, sent) = mpsc::channel(1);
    let status = client.collect(ReceiverStream::new(sent)).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::ResourceExhausted, "TOO_MANY_STREAMS"));
    bench.tasks.stop();
    let status = stream.messages.message().await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::Unavailable, "SHUTTING_DOWN"));
}
