//! Serves HTTP/1.1 with bounds: connections at once, time for a request's headers, and time to finish when the process stops.
//!
//! axum's own `serve` has none of them. A connection over the cap waits in the kernel's backlog until another ends; since
//! the headers of a request, the pause between two requests, and a connection as a whole are bounded in time, one always does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::base::tasks::Tasks;

/// A pause after the system had no socket to give, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server of HTTP may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at once. At least 1.
    pub connections: usize,
    /// In which the headers of a request must arrive, and the longest pause between two requests.
    pub header_timeout: Duration,
    /// After which a connection is cut off, whatever it does: else readers that never read would keep all places.
    pub connection_age: Duration,
    /// The largest request body, in bytes.
    pub body: usize,
    /// How long requests may go on after the process was asked to stop.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            header_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(900),
            body: 16 * 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// A running server. It ends with the [`Tasks`] that it was started in.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
}

impl HttpServer {
    /// Binds `address` (port 0: the kernel chooses) and serves `routes` as the task `name` until `tasks` are stopped.
    ///
    /// # Errors
    /// The system's, where the address is taken or forbidden.
    pub async fn start(
        name: &'static str,
        address: SocketAddr,
        limits: HttpLimits,
        routes: Router,
        tasks: &Tasks,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let routes = routes.layer(DefaultBodyLimit::max(limits.body));
        let stop = tasks.clone();
        tasks.spawn(name, async move { serve(listener, limits, routes, stop).await });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, limits: HttpLimits, routes: Router, stop: Tasks) {
    let connections = TaskTracker::new();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    loop {
        let (place, stream) = tokio::select! {
            next = accept(&listener, &places) => next,
            () = stop.stopped() => break,
        };
        let served = serve_connection(stream, limits.header_timeout, routes.clone(), graceful.watcher());
        connections.spawn(hold(place, served, stop.clone(), limits.clone()));
    }
    drop(listener);
    connections.close();
    let drained = timeout(limits.drain, graceful.shutdown()).await.is_ok();
    if !drained {
        tracing::warn!("HTTP requests were still in work when the time to finish was over; they were cut off");
    }
    connections.wait().await;
}

/// Waits for a free place, then for a connection to take it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (OwnedSemaphorePermit, TcpStream) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (place, stream),
            Err(error) => {
                tracing::warn!(%error, "can't accept an HTTP connection; is the limit on open files too low?");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection to its end, to its age, or to the end of the drain.
async fn hold(place: OwnedSemaphorePermit, served: impl Future<Output = ()>, stop: Tasks, limits: HttpLimits) {
    let drained = async {
        stop.stopped().await;
        sleep(limits.drain).await;
    };
    tokio::select! {
        () = served => {},
        () = drained => {},
        () = sleep(limits.connection_age) => {},
    }
    drop(place);
}

async fn serve_connection(stream: TcpStream, header_timeout: Duration, routes: Router, watcher: Watcher) {
    // HTTP/1 only: finding out the version has no time-out, and probes and Prometheus speak nothing newer.
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "an HTTP connection ended early");
    }
}
