//! What only a handler of one's own can show; the rest is tested over sockets, in `tests/listener`.

use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use http_body::Frame;
use http_body_util::{BodyExt, StreamBody as Frames};
use tonic::Status;

use super::*;
use crate::base::clock::ManualClock;

const UNARY: &str = "/tokenbroker.v1.LeaseService/ReportUsage";
const WAITING: &str = "/tokenbroker.v1.LeaseService/AcquireLease";
const STREAM: &str = "/tokenbroker.v1.AlertService/WatchAlerts";

#[derive(Default)]
struct Heard(Mutex<Vec<(String, Code, Duration)>>);

impl Observer for Heard {
    fn answered(&self, method: &'static Method, code: Code, took: Duration) {
        self.0.lock().unwrap().push((method.name().to_owned(), code, took));
    }
}

struct Bench {
    front: Arc<Front>,
    link: Arc<Link>,
    heard: Arc<Heard>,
    clock: Arc<ManualClock>,
}

fn bench() -> Bench {
    let (heard, clock) = (Arc::new(Heard::default()), Arc::new(ManualClock::default()));
    let front = Front {
        deadlines: Deadlines::default(),
        calls: CallGate::new(1),
        long_calls: CallGate::new(1),
        request_ids: RequestIds::new(1),
        clock: clock.clone(),
        observer: heard.clone(),
    };
    let link = Link::new(TcpConnectInfo { local_addr: None, remote_addr: None }, None);
    Bench { front: Arc::new(front), link: Arc::new(link), heard, clock }
}

impl Bench {
    async fn call<F>(&self, path: &str, handler: impl FnMut(Request<Body>) -> F) -> Response<Body>
    where
        F: Future<Output = Result<Response<Body>, Infallible>>,
    {
        let request = Request::builder().uri(path).body(Body::default()).unwrap();
        let answer = Arc::clone(&self.front).answer(Arc::clone(&self.link), tower::service_fn(handler), request);
        answer.await.unwrap_or_else(|never| match never {})
    }

    fn outcomes(&self) -> Vec<Code> {
        self.heard.0.lock().unwrap().iter().map(|(_, code, _)| *code).collect()
    }

    fn assert_at_rest(&self) {
        assert_eq!((self.front.calls.in_work(), self.front.long_calls.in_work()), (0, 0));
        assert!(self.link.calls_if_quiet().is_some());
    }
}

fn streaming<S>(frames: S) -> Response<Body>
where
    S: futures_util::Stream<Item = Result<Frame<bytes::Bytes>, Status>> + Send + 'static,
{
    Response::new(Body::new(Frames::new(frames)))
}

fn ends_well() -> impl futures_util::Stream<Item = Result<Frame<bytes::Bytes>, Status>> {
    let trailers = [(Status::GRPC_STATUS, http::HeaderValue::from_static("0"))];
    futures_util::stream::iter([
        Ok(Frame::data(bytes::Bytes::from_static(b"message"))),
        Ok(Frame::trailers(trailers.into_iter().collect())),
    ])
}

async fn last_status(body: Body) -> Status {
    let collected = body.collect().await.expect("trailers are no error");
    Status::from_header_map(collected.trailers().expect("a stream ends with trailers")).expect("a status")
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_ends_when_the_grace_is_over() {
    let bench = bench();
    let cut = bench.link.cut.clone();
    let (response, ()) = tokio::join!(bench.call(WAITING, |_| std::future::pending()), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        cut.cancel();
    });
    assert_eq!(status::code_in(response.headers()), Some(Code::Unavailable));
    assert_eq!(bench.outcomes(), [Code::Unavailable]);
    bench.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_outlives_the_grace_but_not_its_deadline() {
    let bench = bench();
    bench.link.cut.cancel();
    let response = bench.call(UNARY, |_| std::future::pending()).await;
    assert_eq!(status::code_in(response.headers()), Some(Code::DeadlineExceeded));
    bench.assert_at_rest();
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_it_ends() {
    let bench = bench();
    let clock = Arc::clone(&bench.clock);
    let response = bench.call(STREAM, |_| std::future::ready(Ok(streaming(ends_well())))).await;
    assert_eq!(bench.front.long_calls.in_work(), 1);
    assert_eq!(bench.outcomes(), []);
    clock.advance(Duration::from_secs(5));
    assert_eq!(last_status(response.into_body()).await.code(), Code::Ok);
    assert_eq!(bench.heard.0.lock().unwrap()[0].2, Duration::from_secs(5));
    bench.assert_at_rest();
}

#[tokio::test]
async fn a_stream_that_panics_ends_with_internal() {
    let bench = bench();
    let frames = futures_util::stream::poll_fn(|_| -> Poll<Option<Result<Frame<bytes::Bytes>, Status>>> {
        panic!("as the test asked")
    });
    let mut frames = Some(frames);
    let response = bench.call(STREAM, |_| std::future::ready(Ok(streaming(frames.take().unwrap())))).await;
    assert_eq!(last_status(response.into_body()).await.code(), Code::Internal);
    assert_eq!(bench.outcomes(), [Code::Internal]);
    bench.assert_at_rest();
}

#[tokio::test]
async fn a_stream_is_told_before_it_is_ended() {
    let bench = bench();
    let mut closing = None;
    let response = bench
        .call(STREAM, |request| {
            closing = request.extensions().get::<Closing>().cloned();
            std::future::ready(Ok(streaming(futures_util::stream::pending())))
        })
        .await;
    bench.link.closing.cancel();
    closing.expect("streams have it").wait().await;
    bench.link.cut.cancel();
    assert_eq!(last_status(response.into_body()).await.code(), Code::Unavailable);
    bench.assert_at_rest();
}

#[tokio::test]
async fn a_stream_that_is_refused_is_over() {
    let bench = bench();
    let response = bench.call(STREAM, |_| std::future::ready(Ok(Status::not_found("no").into_http()))).await;
    assert_eq!(status::code_in(response.headers()), Some(Code::NotFound));
    assert_eq!(bench.outcomes(), [Code::NotFound]);
    bench.assert_at_rest();
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let bench = bench();
    {
        let call = bench.call(UNARY, |_| std::future::pending());
        tokio::pin!(call);
        assert!(futures_util::poll!(&mut call).is_pending());
        assert_eq!(bench.front.calls.in_work(), 1);
    }
    assert_eq!(bench.outcomes(), [Code::Cancelled]);
    bench.assert_at_rest();
}
