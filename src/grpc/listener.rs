//! Accepts the connections of collectors and operators, and bounds what each may take.
//!
//! Each worker is a thread with a runtime of its own, a listening socket of its own on the shared port, and its own copy of
//! the routes: the kernel spreads connections over them, and no call ever crosses threads, which serves up to twice as many
//! calls as tokio's shared scheduler. Connections are counted over all workers.
//!
//! A connection passes, in order: the caps and rates of [`Limits`], TLS within its time-out, the HTTP/2 preface within its own,
//! then HTTP/2 with the limits against floods, until it is idle, aged or the server stops. Then it is told so (GOAWAY), its
//! calls may finish, and after the grace it is closed whether they have or not. hyper is driven directly, one connection at a
//! time, because tonic's own server has no caps, no preface time-out and no jitter in the age of connections.
//!
//! What a call may take is bounded in [`super::call`], message sizes where services are built ([`MAX_REQUEST`] and its kin).

mod admission;
mod connection;
mod limits;
mod preface;
mod socket;
mod tls;
mod worker;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tower::Service;

pub use limits::{Limits, MAX_IMPORT_REQUEST, MAX_REQUEST, MAX_RESPONSE};
pub use tls::{ClientAuthority, PeerIdentity, Tls, TlsError};

use self::admission::Admission;
use self::worker::{Shared, Worker};
use super::call::Observer;
use crate::base::clock::Clock;

/// How long after the drain limit a worker's thread may take to end.
const THREAD_GRACE: Duration = Duration::from_secs(1);

/// What finds and calls the handler of a call: tonic's `Routes`, or what is cheaper.
pub trait Dispatch:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Dispatch for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// What a listener needs to know.
pub struct Listen {
    /// Where to listen. With port 0 the kernel chooses; see [`GrpcServer::local_addr`].
    pub address: SocketAddr,
    /// Threads that serve; 0: one per core.
    pub workers: usize,
    /// What connections and calls may take.
    pub limits: Limits,
    /// `None`: plain text, for loopback or a mesh that encrypts.
    pub tls: Option<Tls>,
    /// Times calls and accept rates.
    pub clock: Arc<dyn Clock>,
    /// Is told of calls and connections.
    pub observer: Arc<dyn Observer>,
    /// Spreads the ages of connections.
    pub seed: u64,
}

/// The listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address can't be had.
    #[error("can't listen on {address}; is another process there, and may this one use the port?")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("can't start a worker of the gRPC listener; raise the limits on threads and open files")]
    Worker(#[source] io::Error),
}

/// A running listener. Dropping it begins the drain without waiting for it.
pub struct GrpcServer {
    address: SocketAddr,
    admission: Arc<Admission>,
    workers: Vec<Worker>,
    drain_limit: Duration,
    failed: CancellationToken,
    stop: DropGuard,
}

impl GrpcServer {
    /// Binds and begins to serve. `routes` is called once per worker.
    ///
    /// # Errors
    /// Where the address is taken or forbidden, or threads can't be had; nothing is left running then.
    pub fn start<S: Dispatch>(listen: Listen, routes: impl Fn() -> S) -> Result<Self, ListenError> {
        let count = worker_count(listen.workers);
        let sockets = socket::bind(listen.address, count)
            .map_err(|source| ListenError::Bind { address: listen.address, source })?;
        let address = sockets[0].local_addr().map_err(ListenError::Worker)?;
        let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
        let guard = stop.clone().drop_guard();
        let drain_limit = listen.limits.drain;
        let shared = Arc::new(Shared::new(listen, count, stop, failed.clone()));
        let workers = sockets
            .into_iter()
            .enumerate()
            .map(|(number, socket)| Worker::start(number, socket, Arc::clone(&shared), routes()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(ListenError::Worker)?;
        let admission = Arc::clone(&shared.admission);
        Ok(Self { address, admission, workers, drain_limit, failed, stop: guard })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The connections open now, over all workers.
    pub fn connections(&self) -> usize {
        self.admission.open()
    }

    /// Resolves if a worker ends without having been asked to: a defect, on which the process should stop. Cancel-safe.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Accepts nothing more, tells every client to go, and lets calls in work finish: streams for a quarter of
    /// [`Limits::drain`], other calls for all of it. Returns whether all had ended by themselves. Never takes longer than the
    /// limit and a second.
    pub async fn drain(self) -> bool {
        let Self { workers, drain_limit, stop, .. } = self;
        drop(stop);
        let all = async {
            let mut clean = true;
            for worker in workers {
                clean &= worker.ended().await;
            }
            clean
        };
        tokio::time::timeout(drain_limit.saturating_add(THREAD_GRACE), all).await.unwrap_or(false)
    }
}

fn worker_count(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        count => count,
    }
}
