//! One worker: a thread, a runtime, a listening socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpConnectInfo;

use super::admission::Admission;
use super::connection::Connection;
use super::limits::Limits;
use super::tls::Tls;
use super::{Dispatch, Listen, THREAD_GRACE};
use crate::base::clock::Clock;
use crate::base::ids::ProcessId;
use crate::grpc::call::{CallGate, Front, Observer, RequestIds};

/// A pause after the system had no socket to give, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all workers of a listener share.
pub(super) struct Shared {
    pub limits: Limits,
    pub tls: Option<Tls>,
    pub admission: Arc<Admission>,
    pub observer: Arc<dyn Observer>,
    pub stop: CancellationToken,
    failed: CancellationToken,
    clock: Arc<dyn Clock>,
    seed: u64,
    workers: usize,
    origin: u64,
}

impl Shared {
    pub(super) fn new(listen: Listen, workers: usize, stop: CancellationToken, failed: CancellationToken) -> Self {
        let Listen { limits, tls, clock, observer, seed, .. } = listen;
        let admission = Arc::new(Admission::new(&limits, Arc::clone(&clock)));
        let origin = origin_of(ProcessId::generate());
        Self { limits, tls, admission, observer, stop, failed, clock, seed, workers, origin }
    }

    fn front(&self, number: u64) -> Front {
        let share = |of_all: usize| CallGate::new(of_all.div_ceil(self.workers));
        Front {
            deadlines: self.limits.deadlines,
            calls: share(self.limits.calls),
            long_calls: share(self.limits.long_calls),
            request_ids: RequestIds::new(self.origin.wrapping_add(number)),
            clock: Arc::clone(&self.clock),
            observer: Arc::clone(&self.observer),
        }
    }
}

/// The random half of the id, with room below for the number of a worker.
fn origin_of(process: ProcessId) -> u64 {
    u64::try_from(process.as_u128() & u128::from(u64::MAX)).unwrap_or_default() << 8
}

/// A worker that was started.
pub(super) struct Worker {
    ended: oneshot::Receiver<bool>,
}

impl Worker {
    /// Starts the thread. Fails if there can be no thread or runtime.
    pub(super) fn start(
        number: usize,
        socket: std::net::TcpListener,
        shared: Arc<Shared>,
        routes: impl Dispatch,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (tell, ended) = oneshot::channel();
        std::thread::Builder::new().name(format!("grpc-{number}")).spawn(move || {
            let _watch = FailureWatch { stop: shared.stop.clone(), failed: shared.failed.clone() };
            let clean = run(runtime, number as u64, socket, &shared, routes);
            // Nobody listens when the server was dropped instead of drained.
            let _ = tell.send(clean);
        })?;
        Ok(Self { ended })
    }

    /// Waits for the thread's work to end. Returns whether it ended by itself, with nothing cut off.
    pub(super) async fn ended(self) -> bool {
        self.ended.await.unwrap_or(false)
    }
}

/// Says so when a worker's thread ends before it was asked to.
struct FailureWatch {
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Drop for FailureWatch {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!("a worker of the gRPC listener ended without being asked to");
            self.failed.cancel();
        }
    }
}

fn run(
    runtime: Runtime,
    number: u64,
    socket: std::net::TcpListener,
    shared: &Arc<Shared>,
    routes: impl Dispatch,
) -> bool {
    let front = Arc::new(shared.front(number));
    let connections = TaskTracker::new();
    let clean = runtime.block_on(async {
        let listener = match TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "a listening socket can't be used");
                return false;
            }
        };
        let ages = StdRng::seed_from_u64(shared.seed.wrapping_add(number));
        accept(listener, shared, &front, &routes, &connections, ages).await;
        connections.close();
        timeout(shared.limits.drain, connections.wait()).await.is_ok()
    });
    runtime.shutdown_timeout(THREAD_GRACE / 2);
    clean
}

/// Accepts until the stop.
async fn accept(
    listener: TcpListener,
    shared: &Arc<Shared>,
    front: &Arc<Front>,
    routes: &impl Dispatch,
    connections: &TaskTracker,
    mut ages: StdRng,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let age = jittered(shared.limits.connection_age, &mut ages);
                let (shared, front, routes) = (Arc::clone(shared), Arc::clone(front), routes.clone());
                welcome(Connection { shared, front, routes, age }, stream, peer, connections);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept connections; is the limit on open files too low?");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Admits the connection and serves it on its own task, or resets it, which costs the least.
fn welcome(connection: Connection<impl Dispatch>, stream: TcpStream, peer: SocketAddr, connections: &TaskTracker) {
    match connection.shared.admission.admit(peer.ip()) {
        Ok(admitted) => {
            // Both may fail only on a socket that is dead already, and its first read says so.
            let _ = stream.set_nodelay(true);
            let addresses = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
            connections.spawn(connection.serve(stream, addresses, admitted));
        }
        Err(why) => {
            connection.shared.observer.connection_refused(why);
            tracing::debug!(?why, %peer, "a connection was refused");
            let _ = stream.set_zero_linger();
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// The age, ± 10 %.
fn jittered(age: Duration, ages: &mut StdRng) -> Duration {
    age.mul_f64(ages.random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_nobody_asked_for_is_a_failure() {
        for asked in [false, true] {
            let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
            if asked {
                stop.cancel();
            }
            drop(FailureWatch { stop, failed: failed.clone() });
            assert_eq!(failed.is_cancelled(), !asked);
        }
    }

    #[test]
    fn ages_spread_around_the_middle() {
        let mut ages = StdRng::seed_from_u64(7);
        let middle = Duration::from_secs(900);
        let drawn: Vec<_> = (0..1000).map(|_| jittered(middle, &mut ages)).collect();
        let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*least >= middle.mul_f64(0.9) && *most <= middle.mul_f64(1.1));
        assert!(*least < middle.mul_f64(0.92) && *most > middle.mul_f64(1.08));
    }
}
