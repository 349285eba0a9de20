//! Serves HTTP/1.1 with bounds: connections at once, time for a request's headers, and time to finish when the process stops.
//!
//! axum's own `serve` has none of them. A connection over the cap waits in the kernel's backlog until another ends; since
//! the headers of a request, the pause between two requests, and a connection as a whole are bounded in time, one always does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use metrics::Gauge;
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
            connections: 1_024,
            header_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(900),
            body: 16 * 1024,
            drain: Duration::from_secs(5),
        }
    }
}

/// Who is at the other end of a connection: an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// A running server. It ends with the [`Tasks`] that it was started in.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
}

impl HttpServer {
    /// Binds `address` (port 0: the kernel chooses) and serves `routes` as the task `name` until `tasks` are stopped. `open` counts the
    /// connections.
    ///
    /// # Errors
    /// The system's, where the address is taken or forbidden.
    pub async fn start(
        name: &'static str,
        address: SocketAddr,
        limits: HttpLimits,
        routes: Router,
        open: Gauge,
        tasks: &Tasks,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let routes = routes.layer(DefaultBodyLimit::max(limits.body));
        let stop = tasks.clone();
        tasks.spawn(name, async move { serve(listener, limits, routes, open, stop).await });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, limits: HttpLimits, routes: Router, open: Gauge, stop: Tasks) {
    let connections = TaskTracker::new();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    loop {
        let (place, stream) = tokio::select! {
            next = accept(&listener, &places) => next,
            () = stop.stopped() => break,
        };
        let routes = match stream.peer_addr() {
            Ok(peer) => routes.clone().layer(Extension(PeerAddress(peer))),
            Err(_) => routes.clone(),
        };
        let served = serve_connection(stream, limits.header_timeout, routes, graceful.watcher());
        let (held, open) = (hold(place, served, stop.clone(), limits.clone()), open.clone());
        open.increment(1.0);
        connections.spawn(async move {
            held.await;
            open.decrement(1.0);
        });
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::telemetry::Metrics;

    const SHORT: Duration = Duration::from_millis(50);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn start(limits: HttpLimits) -> (SocketAddr, Tasks) {
        start_counted(limits, Gauge::noop()).await
    }

    async fn start_counted(limits: HttpLimits, open: Gauge) -> (SocketAddr, Tasks) {
        let tasks = Tasks::default();
        let routes = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/hang", get(|| async { std::future::pending::<()>().await }));
        let server = HttpServer::start("test", (Ipv4Addr::LOCALHOST, 0).into(), limits, routes, open, &tasks).await;
        (server.expect("a free port on loopback").local_addr(), tasks)
    }

    async fn say(address: SocketAddr, text: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("the server runs");
        stream.write_all(text).await.expect("the server runs");
        stream
    }

    /// A test that hangs fails instead.
    async fn soon<T>(work: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(30), work).await.expect("this should have happened long ago")
    }

    async fn all_of(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end, too.
        let _ = soon(stream.read_to_end(&mut text)).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn headers_have_a_time_out() {
        let (address, _tasks) = start(HttpLimits { header_timeout: SHORT, ..HttpLimits::default() }).await;
        for beginning in [&b""[..], b"GET / HTTP/1.1\r\nx-slow: "] {
            let answer = all_of(say(address, beginning).await).await;
            assert!(!answer.contains("hello"), "{answer}");
        }
        let answer = all_of(say(address, REQUEST).await).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn open_connections_are_counted() {
        let metrics = Metrics::new(&Default::default());
        let counted = |count: &str| metrics.render().contains(&format!("connections{{listener=\"http\"}} {count}\n"));
        let (address, tasks) = start_counted(HttpLimits::default(), metrics.connections("http")).await;
        let mut held = say(address, REQUEST).await;
        soon(held.read_u8()).await.expect("it is accepted");
        assert!(counted("1"), "{}", metrics.render());
        drop(held);
        tasks.stop();
        assert!(tasks.join(Duration::from_secs(30)).await);
        assert!(counted("0"), "{}", metrics.render());
    }

    #[tokio::test]
    async fn who_comes_late_waits_for_a_place() {
        let limits = HttpLimits { connections: 1, header_timeout: SHORT, ..HttpLimits::default() };
        let (address, _tasks) = start(limits).await;
        let _silent = say(address, b"").await;
        let answer = all_of(say(address, REQUEST).await).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_has_an_age() {
        let (address, _tasks) = start(HttpLimits { connection_age: SHORT, ..HttpLimits::default() }).await;
        let answer = all_of(say(address, b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
        assert_eq!(answer, "");
    }

    #[tokio::test]
    async fn a_hung_request_does_not_hold_up_the_stop() {
        let (address, tasks) = start(HttpLimits { drain: SHORT, ..HttpLimits::default() }).await;
        let hung = say(address, b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut other = say(address, REQUEST).await;
        soon(other.read_u8()).await.expect("both were accepted");
        tasks.stop();
        assert!(tasks.join(Duration::from_secs(30)).await);
        assert_eq!(all_of(hung).await, "");
        assert!(TcpStream::connect(address).await.is_err(), "nothing new is accepted");
    }
}
