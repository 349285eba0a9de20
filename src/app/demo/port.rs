//! A collector's way to the broker: unary calls, or one `Collect` stream that carries all of its leases.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::app::demo::pace::Pace;
use crate::app::demo::plan::Way;
use crate::base::clock::Timestamp;
use crate::base::tasks::Tasks;
use crate::grpc::client::{Client, told_by};
use crate::grpc::convert::from_timestamp;
use crate::grpc::pb;
use pb::collect_request::Command;
use pb::collect_response::Event;
use pb::lease_service_client::LeaseServiceClient;

/// Commands that may be under way on a stream: as many as the broker takes.
const UNDER_WAY: usize = 256;

/// A refusal, as a collector reads it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The stable reason, such as `LIMITED_UNTIL`; empty where there is none.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When the same may succeed.
    pub retry_at: Option<Timestamp>,
}

/// The way to the broker.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a dozen of them, made once")]
pub enum Port {
    /// One call at a time.
    Unary(LeaseServiceClient<Client>, Pace),
    /// One stream.
    Stream(Arc<StreamPort>),
}

/// The near end of a stream.
pub struct StreamPort {
    commands: mpsc::Sender<pb::CollectRequest>,
    answers: Arc<Mutex<Answers>>,
    next_tag: AtomicU64,
}

/// Who waits for which answer; none any more once the stream has ended.
#[derive(Default)]
struct Answers {
    waiting: HashMap<u64, oneshot::Sender<Event>>,
    ended: bool,
}

impl Port {
    /// Opens the way. A stream's reader runs under `tasks`.
    pub async fn open(client: Client, way: Way, pace: Pace, tasks: &Tasks) -> anyhow::Result<Port> {
        let mut leases = LeaseServiceClient::new(client);
        if way == Way::Unary {
            return Ok(Port::Unary(leases, pace));
        }
        let (commands, outgoing) = mpsc::channel(UNDER_WAY);
        let incoming = leases.collect(ReceiverStream::new(outgoing)).await.context("opening a Collect stream")?;
        let answers = Arc::new(Mutex::new(Answers::default()));
        tasks.spawn("collect_reader", read_answers(incoming.into_inner(), answers.clone(), tasks.clone()));
        Ok(Port::Stream(Arc::new(StreamPort { commands, answers, next_tag: AtomicU64::new(1) })))
    }

    /// Takes a lease.
    pub async fn acquire(&self, request: pb::AcquireLeaseRequest) -> Result<pb::Lease, Refused> {
        let acquired = match self {
            Port::Unary(client, pace) => {
                let answer = client.clone().acquire_lease(request).await;
                answer.map_err(|status| refused(&status, pace))?.into_inner()
            }
            Port::Stream(stream) => match stream.command(Command::Acquire(Box::new(request))).await? {
                Event::Acquired(acquired) => *acquired,
                other => return Err(unexpected(&other)),
            },
        };
        acquired.lease.ok_or_else(|| Refused::of("the broker answered without a lease"))
    }

    /// Reports, and may ask for more.
    pub async fn report(&self, request: pb::ReportUsageRequest) -> Result<pb::ReportUsageResponse, Refused> {
        match self {
            Port::Unary(client, pace) => {
                let answer = client.clone().report_usage(request).await;
                Ok(answer.map_err(|status| refused(&status, pace))?.into_inner())
            }
            Port::Stream(stream) => match stream.command(Command::Report(request)).await? {
                Event::Reported(reported) => Ok(reported),
                other => Err(unexpected(&other)),
            },
        }
    }

    /// Ends a lease.
    pub async fn release(&self, request: pb::ReleaseLeaseRequest) -> Result<(), Refused> {
        match self {
            Port::Unary(client, pace) => {
                let answer = client.clone().release_lease(request).await;
                answer.map(|_| ()).map_err(|status| refused(&status, pace))
            }
            Port::Stream(stream) => match stream.command(Command::Release(request)).await? {
                Event::Released(_) => Ok(()),
                other => Err(unexpected(&other)),
            },
        }
    }
}

impl StreamPort {
    /// Sends a command and waits for its answer; a refusal is an error.
    async fn command(&self, command: Command) -> Result<Event, Refused> {
        let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.ended {
                return Err(Refused::of("the stream has ended"));
            }
            answers.waiting.insert(tag, sender);
        }
        let request = pb::CollectRequest { tag, command: Some(command) };
        self.commands.send(request).await.map_err(|_| Refused::of("the stream has ended"))?;
        match answer.await {
            Ok(Event::Refused(refused)) => Err(Refused {
                reason: refused.reason,
                message: refused.message,
                retry_at: refused.retry_at.as_ref().map(from_timestamp),
            }),
            Ok(event) => Ok(event),
            Err(_) => Err(Refused::of("the stream ended before the answer came")),
        }
    }
}

async fn read_answers(mut incoming: Streaming<pb::CollectResponse>, answers: Arc<Mutex<Answers>>, tasks: Tasks) {
    loop {
        let message = tokio::select! {
            () = tasks.stopped() => break,
            message = incoming.next() => message,
        };
        let Some(Ok(message)) = message else { break };
        let waiting = answers.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&message.tag);
        // Unasked messages have the tag 0. What they tell comes with the next report too.
        if let (Some(waiting), Some(event)) = (waiting, message.event) {
            let _ = waiting.send(event);
        }
    }
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.ended = true;
    answers.waiting.clear();
}

impl Refused {
    fn of(message: &str) -> Refused {
        Refused { reason: String::new(), message: message.to_owned(), retry_at: None }
    }

    /// Whether it says *not yet*.
    pub fn is_not_yet(&self) -> bool {
        matches!(self.reason.as_str(), "LIMITED_UNTIL" | "BUSY" | "OVERLOADED")
    }
}

fn refused(status: &tonic::Status, pace: &Pace) -> Refused {
    let (reason, delay) = told_by(status);
    let retry_at = delay.map(|delay| pace.now() + delay);
    Refused { reason, message: status.message().to_owned(), retry_at }
}

fn unexpected(event: &Event) -> Refused {
    let kind = match event {
        Event::Acquired(_) => "acquired",
        Event::Refused(_) => "refused",
        Event::Reported(_) => "reported",
        Event::Extended(_) => "extended",
        Event::Released(_) => "released",
        Event::Recall(_) => "recall",
        Event::RetryAt(_) => "retry_at",
        Event::Resync(_) => "resync",
        Event::DeadSpan(_) => "dead_span",
    };
    Refused::of(&format!("the broker answered a command with '{kind}', which does not answer it"))
}
