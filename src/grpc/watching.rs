//! Streams that show what is open and then each change of it, such as alerts and incidents.
//!
//! What a slow reader has not taken stays in the broker's broadcast, and is put together when it comes: of each thing only the latest state.
//! If the broadcast overflows, the stream begins anew.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use futures_util::{Stream, stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::{Request, Response, Status};

use crate::grpc::authorization::turned_away;
use crate::grpc::call::Closing;
use crate::grpc::watch_refusals::{shutting_down, too_many_streams};
use crate::service::{Broker, Caller, Place};

/// What a stream shows.
#[tonic::async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The call, as the table of rules names it.
    const CALL: &'static str;
    /// A change as the broker tells of it.
    type Change: Clone + Send + 'static;
    /// A message of the stream.
    type Message: Send + 'static;

    /// Changes from now on.
    fn changes(&self, broker: &Broker) -> Receiver<Self::Change>;
    /// A message for each thing that is open.
    async fn open(&self, broker: &Broker, caller: &Caller) -> Result<Vec<Self::Message>, Status>;
    /// Whether two changes are of the same thing.
    fn is_same(&self, one: &Self::Change, other: &Self::Change) -> bool;
    /// The message of a change; `None`: it is not for this stream.
    async fn message(
        &self,
        broker: &Broker,
        caller: &Caller,
        change: Self::Change,
    ) -> Result<Option<Self::Message>, Status>;
    /// That all that is open has been shown.
    fn synced() -> Self::Message;
    /// That what was shown is to be forgotten.
    fn restarted() -> Self::Message;
}

/// The messages of a stream.
pub type Messages<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// Opens a stream for a caller that may be there.
pub async fn watch<S: Subject, R>(
    broker: &Broker,
    caller: Caller,
    request: &Request<R>,
    subject: S,
) -> Result<Response<Messages<S::Message>>, Status> {
    let mut watching = Watching {
        _place: broker.watch.watches.take(&caller).ok_or_else(too_many_streams)?,
        changes: subject.changes(broker),
        closing: request.extensions().get::<Closing>().cloned(),
        broker: broker.clone(),
        caller,
        subject,
        pending: VecDeque::new(),
        over: false,
    };
    watching.begin().await?;
    Ok(Response::new(Box::pin(stream::unfold(watching, Watching::next))))
}

struct Watching<S: Subject> {
    broker: Broker,
    caller: Caller,
    subject: S,
    changes: Receiver<S::Change>,
    closing: Option<Closing>,
    _place: Place,
    pending: VecDeque<S::Message>,
    over: bool,
}

impl<S: Subject> Watching<S> {
    /// All that is open, then the mark that this was all.
    async fn begin(&mut self) -> Result<(), Status> {
        self.pending.extend(self.subject.open(&self.broker, &self.caller).await?);
        self.pending.push_back(S::synced());
        Ok(())
    }

    async fn next(mut self) -> Option<(Result<S::Message, Status>, Self)> {
        if self.over {
            return None;
        }
        let (broker, caller, closing) = (self.broker.clone(), self.caller.clone(), self.closing.clone());
        let told = until_over(&broker, &caller, S::CALL, closing, self.message()).await?;
        self.over = told.is_err();
        Some((told, self))
    }

    async fn message(&mut self) -> Result<S::Message, Status> {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Ok(message);
            }
            match self.changes.recv().await {
                Ok(change) => self.take_in(change).await?,
                Err(RecvError::Lagged(_)) => self.begin_anew().await?,
                Err(RecvError::Closed) => return Err(shutting_down()),
            }
        }
    }

    /// Takes this change and all that wait, of each thing the latest.
    async fn take_in(&mut self, first: S::Change) -> Result<(), Status> {
        let mut changed = vec![first];
        loop {
            match self.changes.try_recv() {
                Ok(change) => {
                    changed.retain(|before| !self.subject.is_same(before, &change));
                    changed.push(change);
                }
                // An overflow shows again with the next receive.
                Err(TryRecvError::Empty | TryRecvError::Lagged(_)) => break,
                Err(TryRecvError::Closed) => return Err(shutting_down()),
            }
        }
        for change in changed {
            self.pending.extend(self.subject.message(&self.broker, &self.caller, change).await?);
        }
        Ok(())
    }

    async fn begin_anew(&mut self) -> Result<(), Status> {
        self.changes = self.subject.changes(&self.broker);
        self.pending.clear();
        self.pending.push_back(S::restarted());
        self.begin().await
    }
}

/// What `event` resolves to, unless something ends the stream of `call` before: its caller may not be there any more, or the broker stops.
/// `None`: its connection is about to close.
pub async fn until_over<T>(
    broker: &Broker,
    caller: &Caller,
    call: &str,
    closing: Option<Closing>,
    event: impl Future<Output = Result<T, Status>>,
) -> Option<Result<T, Status>> {
    tokio::select! {
        biased;
        status = turned_away(broker, caller, call) => Some(Err(status)),
        told = event => Some(told),
        () = broker.tasks.stopped() => Some(Err(shutting_down())),
        () = closed(closing) => None,
    }
}

/// Resolves when the connection is about to close.
async fn closed(closing: Option<Closing>) {
    match closing {
        Some(closing) => closing.wait().await,
        None => std::future::pending().await,
    }
}
