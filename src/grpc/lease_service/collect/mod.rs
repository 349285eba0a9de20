//! The stream for many leases: commands come in, each is answered once, and what the broker has to say goes out beside the answers.
//!
//! One task per stream owns all of its state ([`session::Session`]) and hands batches of messages to the answer's body through a
//! channel of one batch, so that a slow reader is slowed by flow control: while a batch is not read, the task collects up to
//! [`COMMANDS`] answers and then reads no further. The stream's end leaves its leases alone.

mod session;
mod unasked;

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use crate::grpc::call::Closing;
use crate::grpc::pb::{CollectRequest, CollectResponse, ErrorReason};
use crate::grpc::status::{Refusal, refuse};
use crate::service::{Broker, Caller, OpenStream};

use session::Session;

/// Commands that are in work at once.
const COMMANDS: usize = 256;
/// Commands taken in before their answers are handed on.
const BATCH: usize = 64;
/// How long something may wait to be read.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The looks at a stream in that time.
const LOOKS: u32 = 4;
/// How long a client waits before it opens a stream anew.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// The messages of a stream, as the answer's body reads them.
pub struct Messages {
    batches: mpsc::Receiver<Vec<CollectResponse>>,
    batch: std::vec::IntoIter<CollectResponse>,
    end: Option<oneshot::Receiver<Status>>,
}

impl Stream for Messages {
    type Item = Result<CollectResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.batch.next() {
                return Poll::Ready(Some(Ok(message)));
            }
            match self.batches.poll_recv(cx) {
                Poll::Ready(Some(batch)) => self.batch = batch.into_iter(),
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let ended = std::task::ready!(end.poll_unpin(cx));
        self.end = None;
        Poll::Ready(ended.ok().map(Err))
    }
}

/// Starts a stream for a caller that was authenticated.
pub fn start(
    broker: &Broker,
    caller: Caller,
    inbound: Streaming<CollectRequest>,
    closing: Option<Closing>,
    patience: Duration,
) -> Result<Messages, Refusal> {
    let open = open(broker, &caller)?;
    let (sender, batches) = mpsc::channel(1);
    let (end, ended) = oneshot::channel();
    let session = Session::new(broker.clone(), caller);
    let task = Task { session, inbound, sender, closing, patience, _open: open };
    broker.tasks.spawn("collect", async move {
        if let Err(status) = task.run().await {
            // Nobody listens, if the client has left.
            let _ = end.send(status);
        }
    });
    Ok(Messages { batches, batch: Vec::new().into_iter(), end: Some(ended) })
}

fn open(broker: &Broker, caller: &Caller) -> Result<OpenStream, Refusal> {
    caller.must_be_enabled()?;
    if caller.collector().is_none() {
        caller.must_be_admin()?;
    }
    broker
        .streams
        .open(caller.number())
        .map_err(|error| refuse(Code::ResourceExhausted, ErrorReason::TooManyStreams, error.to_string()))
}

struct Task {
    session: Session,
    inbound: Streaming<CollectRequest>,
    sender: mpsc::Sender<Vec<CollectResponse>>,
    closing: Option<Closing>,
    patience: Duration,
    _open: OpenStream,
}

/// What a look at a stream compares with the look before.
#[derive(Default)]
struct Progress {
    sent: u64,
    seen: u64,
    looks: u32,
}

impl Task {
    /// Runs until the client has half-closed and every command is answered, or until the status that ends the stream.
    async fn run(self) -> Result<(), Status> {
        let Task { mut session, mut inbound, sender, closing, patience, _open } = self;
        let mut recalls = session.broker().engine.recalls();
        let mut dead_spans = session.broker().watch.watch_dead_spans();
        let tasks = session.broker().tasks.clone();
        let mut ending = pin!(async move {
            match closing {
                Some(closing) => tokio::select! { () = closing.wait() => {}, () = tasks.stopped() => {} },
                None => tasks.stopped().await,
            }
        });
        let mut look = tokio::time::interval(patience / LOOKS);
        let mut progress = Progress::default();
        let (mut reads, mut ends) = (true, false);
        loop {
            if ends && !session.has_messages() {
                return Err(shutting_down());
            }
            if !reads && !ends && session.is_idle() {
                return Ok(());
            }
            tokio::select! {
                biased;
                place = sender.reserve(), if session.has_messages() => match place {
                    Ok(place) => {
                        progress.sent += 1;
                        place.send(session.take_batch());
                    }
                    Err(_) => return Ok(()),
                },
                Some(()) = session.finish_one(), if session.has_work() => {}
                told = recalls.recv() => {
                    ends |= take_told(&mut session, told, &mut recalls, |session, recall| session.recalled(recall));
                }
                told = dead_spans.recv() => {
                    ends |= take_told(&mut session, told, &mut dead_spans, |session, ended| session.healed(ended));
                }
                message = inbound.message(), if reads && session.may_read() => {
                    session.look_at_caller()?;
                    reads = take(&mut session, &mut inbound, message?)?;
                }
                () = &mut ending, if !ends => (reads, ends) = (false, true),
                _ = look.tick() => {
                    session.check_caller()?;
                    if sender.is_closed() {
                        return Ok(());
                    }
                    progress.look(sender.capacity() == 0)?;
                }
            }
        }
    }
}

/// Takes a command in, and those that have arrived behind it. Returns whether there may be more.
fn take(
    session: &mut Session,
    inbound: &mut Streaming<CollectRequest>,
    first: Option<CollectRequest>,
) -> Result<bool, Status> {
    let Some(first) = first else { return Ok(false) };
    session.take(first)?;
    for _ in 1..BATCH {
        if !session.may_read() {
            break;
        }
        match inbound.next().now_or_never() {
            Some(Some(message)) => session.take(message?)?,
            Some(None) => return Ok(false),
            None => break,
        }
    }
    Ok(true)
}

/// Takes in what the broker told, and all that has arrived together with it. Returns whether no more will come.
fn take_told<T: Clone>(
    session: &mut Session,
    first: Result<T, RecvError>,
    more: &mut broadcast::Receiver<T>,
    take: impl Fn(&mut Session, &T),
) -> bool {
    match first {
        Ok(told) => take(session, &told),
        Err(RecvError::Lagged(_)) => session.missed_messages(),
        Err(RecvError::Closed) => return true,
    }
    loop {
        match more.try_recv() {
            Ok(told) => take(session, &told),
            Err(TryRecvError::Lagged(_)) => session.missed_messages(),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
        }
    }
}

impl Progress {
    /// Fails if nothing was read since so many looks that the patience is over.
    fn look(&mut self, is_waiting: bool) -> Result<(), Status> {
        let is_stuck = is_waiting && self.sent == self.seen;
        self.seen = self.sent;
        self.looks = if is_stuck { self.looks + 1 } else { 0 };
        if self.looks < LOOKS { Ok(()) } else { Err(too_slow()) }
    }
}

fn too_slow() -> Status {
    let message = "the stream was not read for 10 seconds; open a new one, resume the leases, and read faster";
    refuse(Code::ResourceExhausted, ErrorReason::ReaderTooSlow, message).retry_in(REOPEN_AFTER).status()
}

fn shutting_down() -> Status {
    let message = "the connection is about to close; open a new stream and resume the leases";
    refuse(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_in(REOPEN_AFTER).status()
}
