//! The load: gRPC over the h2 crate by hand, on one thread, since a whole client costs more than the server that is measured.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request};
use prost::Message;
use token_broker::grpc::pb;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};

use crate::child::Child;

/// How long the load runs before it is counted.
const WARM: Duration = Duration::from_millis(100);
/// Calls of a lease of the acquire bench.
const CALLS: i32 = 10;
/// What the flow control of a connection and of each of its streams leaves open.
const WINDOW: u32 = 1 << 20;

/// What all workers of one measurement share.
#[derive(Default)]
pub struct Meter {
    done: Cell<u64>,
    stop: Cell<bool>,
    /// Round trips in microseconds, where they are recorded.
    latencies: RefCell<Vec<u32>>,
}

impl Meter {
    fn count(&self, more: u64) {
        self.done.set(self.done.get() + more);
    }
}

/// What was measured.
pub struct Sample {
    /// Answers per second.
    pub rate: f64,
    /// Answers per second of the server's CPU.
    pub per_cpu_second: f64,
    /// The server's CPU per answer, in microseconds.
    pub cpu_us: f64,
    /// Answers per commit of the store; 0 without a commit.
    pub per_commit: f64,
    /// The middle and the 99th percentile of the round trips, in milliseconds; 0 where they are not recorded.
    pub latency_ms: (f64, f64),
}

/// Runs `workers` until enough was counted, and measures the server beside them.
pub async fn measure(
    child: &mut Child,
    span: Duration,
    meter: Rc<Meter>,
    mut workers: JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Sample> {
    tokio::time::sleep(WARM).await;
    let began = tokio::time::Instant::now();
    let (done, cpu, commits) = (meter.done.get(), child.cpu()?, child.commits()?);
    meter.latencies.borrow_mut().clear();
    tokio::time::sleep(span).await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), (child.cpu()? - cpu).as_secs_f64());
    let (done, commits) = (meter.done.get() - done, child.commits()? - commits);
    meter.stop.set(true);
    while let Some(ended) = workers.join_next().await {
        ended.context("a worker of the load panicked")??;
    }
    ensure!(done > 0 && cpu > 0.0, "nothing was served in {took:.1} s");
    let answers = done as f64;
    Ok(Sample {
        rate: answers / took,
        per_cpu_second: answers / cpu,
        cpu_us: cpu * 1e6 / answers,
        per_commit: if commits == 0 { 0.0 } else { answers / commits as f64 },
        latency_ms: percentiles(&mut meter.latencies.borrow_mut()),
    })
}

fn percentiles(micros: &mut [u32]) -> (f64, f64) {
    if micros.is_empty() {
        return (0.0, 0.0);
    }
    micros.sort_unstable();
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]) / 1000.0;
    (at(0.5), at(0.99))
}

/// One connection to a server, and a request for each method that is called.
pub struct Connection {
    sender: SendRequest<Bytes>,
    acquire: Request<()>,
    report: Request<()>,
    release: Request<()>,
    collect: Request<()>,
}

impl Connection {
    /// Connects. It serves as long as the thread's `LocalSet` runs.
    pub async fn open(child: &Child) -> anyhow::Result<Rc<Self>> {
        let socket = TcpStream::connect(child.address()).await?;
        socket.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW * 8);
        let (sender, connection) = builder.handshake(socket).await?;
        spawn_local(async move {
            // It ends with its server, when nobody waits for it any more; while somebody does, the calls fail.
            let _ = connection.await;
        });
        let request = |method| request(child, method);
        Ok(Rc::new(Self {
            sender,
            acquire: request("AcquireLease")?,
            report: request("ReportUsage")?,
            release: request("ReleaseLease")?,
            collect: request("Collect")?,
        }))
    }

    /// One unary call.
    async fn call<A: Message + Default>(&self, request: &Request<()>, message: &impl Message) -> anyhow::Result<A> {
        let mut sender = self.sender.clone().ready().await?;
        let (answer, mut body) = sender.send_request(request.clone(), false)?;
        body.send_data(framed(message), true)?;
        let answer = answer.await?;
        let (head, mut body) = answer.into_parts();
        let mut whole = Bytes::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            whole = if whole.is_empty() { chunk } else { [whole, chunk].concat().into() };
        }
        match body.trailers().await? {
            Some(trailers) => must_be_ok(&trailers)?,
            None => must_be_ok(&head.headers)?,
        }
        ensure!(whole.len() >= 5, "an answer without a message");
        Ok(A::decode(whole.slice(5..))?)
    }

    /// Opens a lease.
    pub async fn acquire(&self, calls: i32) -> anyhow::Result<String> {
        let request = pb::AcquireLeaseRequest {
            team: "teams/bench".to_owned(),
            network: "networks/bench".to_owned(),
            operation: "posts.search".to_owned(),
            calls,
            purpose: pb::Purpose::CollectContent.into(),
            collection: "wire".to_owned(),
            ttl: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
            ..Default::default()
        };
        let answer: pb::AcquireLeaseResponse = self.call(&self.acquire, &request).await?;
        Ok(answer.lease.context("an answer without a lease")?.name)
    }

    /// Gives a lease back, all of whose calls were made.
    async fn release(&self, lease: String) -> anyhow::Result<()> {
        let calls = Some(pb::CallCounts { ok: CALLS, ..Default::default() });
        let request = pb::ReleaseLeaseRequest { lease, sequence: 1, calls, ..Default::default() };
        let _: pb::ReleaseLeaseResponse = self.call(&self.release, &request).await?;
        Ok(())
    }

    async fn collect(&self) -> anyhow::Result<(SendStream<Bytes>, RecvStream)> {
        let mut sender = self.sender.clone().ready().await?;
        let (answer, commands) = sender.send_request(self.collect.clone(), false)?;
        let answer = answer.await?;
        must_be_ok(answer.headers())?;
        Ok((commands, answer.into_body()))
    }
}

/// A lease that is reported on.
#[derive(Clone)]
pub struct Held {
    pub name: String,
    pub sequence: i64,
}

impl Held {
    /// The next report: one call was made, one more is wanted.
    fn next(&mut self) -> pb::ReportUsageRequest {
        self.sequence += 1;
        pb::ReportUsageRequest {
            lease: self.name.clone(),
            sequence: self.sequence,
            calls: Some(pb::CallCounts { ok: 1, ..Default::default() }),
            answer: Some(pb::NetworkAnswer { http_status: 200, ..Default::default() }),
            want_calls: 1,
            ..Default::default()
        }
    }
}

/// An answer to such a report must have granted what was wanted: a refusal would be cheaper.
fn must_grant(answer: &pb::ReportUsageResponse) -> anyhow::Result<()> {
    ensure!(answer.calls_granted == 1 && answer.verdict() == pb::Verdict::Keep, "a report was not granted: {answer:?}");
    Ok(())
}

/// One caller of ReportUsage: a call at a time.
pub async fn report(connection: Rc<Connection>, held: Rc<RefCell<Held>>, meter: Rc<Meter>) -> anyhow::Result<()> {
    while !meter.stop.get() {
        let request = held.borrow_mut().next();
        let answer = connection.call(&connection.report, &request).await?;
        must_grant(&answer)?;
        meter.count(1);
    }
    Ok(())
}

/// One caller of AcquireLease: an acquire is always in flight; the lease before is released beside it.
pub async fn acquire(connection: Rc<Connection>, meter: Rc<Meter>) -> anyhow::Result<()> {
    let mut last = None;
    while !meter.stop.get() {
        let began = tokio::time::Instant::now();
        let opened = async {
            let lease = connection.acquire(CALLS).await?;
            let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
            meter.latencies.borrow_mut().push(took);
            anyhow::Ok(lease)
        };
        let released = async {
            match last.take() {
                Some(lease) => connection.release(lease).await,
                None => Ok(()),
            }
        };
        let (opened, released) = tokio::join!(opened, released);
        released?;
        last = Some(opened?);
        meter.count(1);
    }
    match last {
        Some(lease) => connection.release(lease).await,
        None => Ok(()),
    }
}

/// One Collect stream: a report of each of its leases is always in flight.
pub async fn collect(
    connection: Rc<Connection>,
    leases: Rc<RefCell<Vec<Held>>>,
    meter: Rc<Meter>,
) -> anyhow::Result<()> {
    let (mut commands, mut events) = connection.collect().await?;
    let mut leases = leases.borrow_mut();
    let mut sending = BytesMut::new();
    for (at, lease) in leases.iter_mut().enumerate() {
        command(at, lease, &mut sending);
    }
    let mut in_flight = leases.len();
    commands.send_data(sending.split().freeze(), false)?;
    let mut coming = BytesMut::new();
    while in_flight > 0 {
        let chunk = events.data().await.context("the stream ended early")??;
        events.flow_control().release_capacity(chunk.len())?;
        coming.extend_from_slice(&chunk);
        while let Some(message) = unframed(&mut coming) {
            let at = settled(pb::CollectResponse::decode(message)?)?;
            meter.count(1);
            if meter.stop.get() {
                in_flight -= 1;
            } else {
                command(at, &mut leases[at], &mut sending);
            }
        }
        if !sending.is_empty() {
            commands.send_data(sending.split().freeze(), false)?;
        }
    }
    commands.send_data(Bytes::new(), true)?;
    Ok(())
}

fn command(at: usize, lease: &mut Held, into: &mut BytesMut) {
    let command = Some(pb::collect_request::Command::Report(lease.next()));
    frame(&pb::CollectRequest { tag: at as u64 + 1, command }, into);
}

/// The place of the lease whose report was settled.
fn settled(response: pb::CollectResponse) -> anyhow::Result<usize> {
    match response.event {
        Some(pb::collect_response::Event::Reported(answer)) => must_grant(&answer)?,
        other => bail!("a report was answered with {other:?}"),
    }
    Ok(usize::try_from(response.tag)? - 1)
}

fn request(child: &Child, method: &str) -> anyhow::Result<Request<()>> {
    let uri = format!("http://{}/tokenbroker.v1.LeaseService/{method}", child.address());
    let request = Request::post(uri)
        .version(http::Version::HTTP_2)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("authorization", HeaderValue::from_str(child.authorization())?);
    Ok(request.body(())?)
}

fn must_be_ok(headers: &HeaderMap) -> anyhow::Result<()> {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => {
            let message = headers.get("grpc-message").map(|message| String::from_utf8_lossy(message.as_bytes()));
            bail!("the server refused a call with status {status:?}: {message:?}")
        }
        _ => Ok(()),
    }
}

fn framed(message: &impl Message) -> Bytes {
    let mut into = BytesMut::with_capacity(128);
    frame(message, &mut into);
    into.freeze()
}

fn frame(message: &impl Message, into: &mut BytesMut) {
    let length = message.encoded_len();
    into.reserve(length + 5);
    into.put_u8(0);
    into.put_u32(u32::try_from(length).expect("a message of a bench is small"));
    message.encode(into).expect("a buffer that grows takes it");
}

fn unframed(coming: &mut BytesMut) -> Option<BytesMut> {
    let length = u32::from_be_bytes(coming.get(1..5)?.try_into().expect("four bytes"));
    let whole = usize::try_from(length).expect("32 bits fit") + 5;
    (coming.len() >= whole).then(|| coming.split_to(whole).split_off(5))
}
