//! One connection, from the accepted socket to its end.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::TcpConnectInfo;

use super::Dispatch;
use super::admission::Admitted;
use super::limits::Limits;
use super::preface::expect_preface;
use super::tls::{PeerIdentity, Tls};
use super::worker::Shared;
use crate::grpc::call::{Front, Link};

/// The largest frame a peer may send, in bytes: the least that HTTP/2 allows.
const FRAME: u32 = 16 * 1024;
/// What a peer may send on one stream before we have read it, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What we keep for a slow reader, per stream, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// For the last frames to leave, where no call is open and after the grace.
const FLUSH: Duration = Duration::from_secs(1);

/// What a connection is served with.
pub(super) struct Connection<S> {
    pub shared: Arc<Shared>,
    pub front: Arc<Front>,
    pub routes: S,
    /// After which it is told to come again.
    pub age: Duration,
}

/// Why a connection is told to go.
enum Parting {
    Aged,
    Idle,
    Stopping,
}

impl<S: Dispatch> Connection<S> {
    /// Serves `stream` to its end. Errors of one connection concern nobody else and are noted at debug level.
    pub(super) async fn serve(self, stream: TcpStream, addresses: TcpConnectInfo, admitted: Admitted) {
        let observer = Arc::clone(&self.shared.observer);
        observer.connection_opened();
        let shared = Arc::clone(&self.shared);
        let begun = async {
            match &shared.tls {
                None => self.serve_io(stream, Link::new(addresses, None)).await,
                Some(tls) => {
                    let stream = agree(tls, stream, shared.limits.handshake_timeout).await?;
                    let certificates = stream.get_ref().1.peer_certificates();
                    let identity = certificates.and_then(<[_]>::first).map(PeerIdentity::of);
                    self.serve_io(stream, Link::new(addresses, identity)).await
                }
            }
        };
        if let Err(error) = begun.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(admitted);
        observer.connection_closed();
    }

    async fn serve_io<IO>(self, io: IO, link: Link) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { shared, front, routes, age } = self;
        let preface = expect_preface(io, shared.limits.preface_timeout);
        let io = tokio::select! {
            io = preface => TokioIo::new(io?),
            () = shared.stop.cancelled() => return Ok(()),
        };
        let link = Arc::new(link);
        let calls = Arc::clone(&link);
        let service = service_fn(move |request: Request<Incoming>| {
            // In a box, since hyper moves it several times before it runs.
            Box::pin(Arc::clone(&front).answer(Arc::clone(&calls), routes.clone(), request))
        });
        let connection = pin!(http2_of(&shared.limits).serve_connection(io, service));
        live(connection, &shared, &link, age).await.map_err(io::Error::other)
    }
}

async fn agree(
    tls: &Tls,
    stream: TcpStream,
    within: Duration,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    timeout(within, TlsAcceptor::from(Arc::clone(&tls.0)).accept(stream)).await?
}

fn http2_of(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_local_error_reset_streams(limits.local_error_resets)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_header_list_size(limits.header_list)
        .max_frame_size(FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive_timeout)
        .auto_date_header(false);
    http2
}

/// Drives the connection until the client leaves, or until it is time to part and the grace is over.
async fn live(
    mut connection: Pin<&mut impl GracefulConnection<Error = hyper::Error>>,
    shared: &Shared,
    link: &Link,
    age: Duration,
) -> hyper::Result<()> {
    // The connection wakes with every call; what ends it need be looked at only when it has woken itself.
    let mut due = pin!(FuturesUnordered::from_iter([time_to_part(shared, link, age)]));
    let parting = tokio::select! {
        biased;
        ended = &mut connection => return ended,
        Some(parting) = due.next() => parting,
    };
    connection.as_mut().graceful_shutdown();
    link.closing.cancel();
    tokio::select! {
        ended = &mut connection => return ended,
        // A client that stays without a call has nothing to finish.
        () = quiet(link, FLUSH) => return Ok(()),
        () = grace(&parting, shared) => {},
    }
    link.cut.cancel();
    let last = match parting {
        Parting::Stopping => shared.limits.drain,
        Parting::Aged | Parting::Idle => FLUSH,
    };
    timeout(last, connection).await.unwrap_or(Ok(()))
}

/// Waits until a connection must be told to go.
async fn time_to_part(shared: &Shared, link: &Link, age: Duration) -> Parting {
    tokio::select! {
        () = sleep(age) => Parting::Aged,
        () = quiet(link, shared.limits.idle) => Parting::Idle,
        () = shared.stop.cancelled() => Parting::Stopping,
    }
}

/// How long calls may go on. A stop in the meantime shortens it.
async fn grace(parting: &Parting, shared: &Shared) {
    let stopping = async {
        shared.stop.cancelled().await;
        sleep(shared.limits.drain / 4).await;
    };
    match parting {
        Parting::Stopping => stopping.await,
        Parting::Aged | Parting::Idle => tokio::select! {
            () = sleep(shared.limits.connection_age_grace) => {},
            () = stopping => {},
        },
    }
}

/// Resolves when there was no call for a whole span.
async fn quiet(link: &Link, span: Duration) {
    let mut before = None;
    loop {
        let now = link.calls_if_quiet();
        if now.is_some() && now == before {
            return;
        }
        before = now;
        sleep(span).await;
    }
}
