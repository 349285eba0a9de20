//! One message in, one message out, without the streams in which tonic wraps both: for the call that comes most.
//!
//! The wire is that of every unary call: a message with its flag and its length before it, the answer likewise, then the status as
//! a trailer, or alone where the call was refused. Compressed messages are left to tonic; see [`is_plain`].

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::metadata::MetadataMap;

use crate::grpc::listener::{MAX_REQUEST, MAX_RESPONSE};

/// What stands before a message: one byte that says whether it is compressed, four with its length.
const PREFIX: usize = 5;
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Whether the messages of a call are not compressed: only such a call can be answered here.
pub fn is_plain<B>(request: &Request<B>) -> bool {
    !request.headers().contains_key(ENCODING)
}

/// Answers one call. The bounds of its messages are [`MAX_REQUEST`] and [`MAX_RESPONSE`].
pub async fn answer<B, A, R, F>(request: Request<B>, handler: impl FnOnce(tonic::Request<A>) -> F) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<StdError>>,
    A: Message + Default,
    R: Message,
    F: Future<Output = Result<tonic::Response<R>, Status>>,
{
    let answered = async {
        let (head, body) = request.into_parts();
        let message = read(body).await?;
        let request = tonic::Request::from_parts(MetadataMap::from_headers(head.headers), head.extensions, message);
        write(handler(request).await?)
    };
    answered.await.unwrap_or_else(Status::into_http)
}

async fn read<A: Message + Default>(body: impl HttpBody<Data = Bytes, Error: Into<StdError>>) -> Result<A, Status> {
    let mut message = whole(body).await?;
    if message.len() < PREFIX {
        return Err(Status::internal("Missing request message."));
    }
    let (flag, length) = (message.get_u8(), message.get_u32() as usize);
    if flag != 0 {
        return Err(Status::internal("the message says that it is compressed, the call does not say how"));
    }
    if length > MAX_REQUEST {
        return Err(too_large("request", length, MAX_REQUEST));
    }
    if length != message.len() {
        return Err(Status::internal(format!("one message of {length} bytes should come, {} came", message.len())));
    }
    A::decode(message).map_err(|error| Status::internal(error.to_string()))
}

/// All bytes of a body. Most come in one piece, which is not copied.
async fn whole(body: impl HttpBody<Data = Bytes, Error: Into<StdError>>) -> Result<Bytes, Status> {
    let mut body = pin!(body);
    let first = next(body.as_mut()).await?.unwrap_or_default();
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(more) = next(body.as_mut()).await? {
        all.extend_from_slice(&more);
        if all.len() > PREFIX + MAX_REQUEST {
            return Err(too_large("request", all.len() - PREFIX, MAX_REQUEST));
        }
    }
    Ok(all.freeze())
}

/// The next piece of a body; trailers of a request say nothing.
async fn next<B>(mut body: Pin<&mut B>) -> Result<Option<Bytes>, Status>
where
    B: HttpBody<Data = Bytes, Error: Into<StdError>>,
{
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| Status::from_error(error.into()))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn write(response: tonic::Response<impl Message>) -> Result<Response<Body>, Status> {
    let (metadata, message, extensions) = response.into_parts();
    let length = message.encoded_len();
    if length > MAX_RESPONSE {
        return Err(too_large("response", length, MAX_RESPONSE));
    }
    let mut data = BytesMut::with_capacity(PREFIX + length);
    data.put_u8(0);
    data.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut data);
    let mut response = Response::new(Body::new(Answer { data: Some(data.freeze()), is_ended: false }));
    *response.headers_mut() = metadata.into_headers();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    *response.extensions_mut() = extensions;
    Ok(response)
}

fn too_large(what: &str, length: usize, most: usize) -> Status {
    Status::out_of_range(format!("the {what} has {length} bytes, and may have {most}; make it smaller"))
}

/// A message, then the status OK.
struct Answer {
    data: Option<Bytes>,
    is_ended: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let is_over = std::mem::replace(&mut self.is_ended, true);
        let trailers = || HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
        Poll::Ready((!is_over).then(|| Ok(Frame::trailers(trailers()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};
    use tonic::Code;

    use super::*;
    use crate::grpc::pb;

    fn framed(flag: u8, length: usize, message: &[u8]) -> Bytes {
        let mut data = BytesMut::new();
        data.put_u8(flag);
        data.put_u32(u32::try_from(length).unwrap());
        data.put_slice(message);
        data.freeze()
    }

    fn lease(name: &str) -> Vec<u8> {
        pb::ReportUsageRequest { lease: name.to_owned(), ..Default::default() }.encode_to_vec()
    }

    /// Answers with the length of the lease's name.
    async fn call(body: impl HttpBody<Data = Bytes, Error: Into<StdError>>) -> Result<i64, Status> {
        let mut request = Request::new(body);
        request.headers_mut().insert("x-said", HeaderValue::from_static("kept"));
        let response = answer(request, |request: tonic::Request<pb::ReportUsageRequest>| {
            assert_eq!(request.metadata().get("x-said").unwrap(), "kept");
            let sequence = i64::try_from(request.get_ref().lease.len()).unwrap();
            let mut response = tonic::Response::new(pb::ReportUsageResponse { sequence, ..Default::default() });
            response.metadata_mut().insert("x-answer", "kept".parse().unwrap());
            std::future::ready(Ok(response))
        });
        let (head, body) = response.await.into_parts();
        assert_eq!(head.headers[CONTENT_TYPE], "application/grpc");
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Err(status);
        }
        assert_eq!(head.headers["x-answer"], "kept");
        let collected = body.collect().await.unwrap();
        let status = Status::from_header_map(collected.trailers().unwrap()).unwrap();
        assert_eq!(status.code(), Code::Ok);
        let data = collected.to_bytes();
        let message = pb::ReportUsageResponse::decode(&data[PREFIX..]).unwrap();
        assert_eq!(data, framed(0, message.encoded_len(), &message.encode_to_vec()));
        Ok(message.sequence)
    }

    fn in_pieces(data: &Bytes, size: usize) -> impl HttpBody<Data = Bytes, Error = Infallible> + use<> {
        let pieces: VecDeque<_> =
            data.chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        StreamBody::new(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_message_comes_whole_or_in_pieces() {
        let message = lease("leases/1");
        let data = framed(0, message.len(), &message);
        assert_eq!(call(Full::new(data.clone())).await.unwrap(), 8);
        for size in [1, 3, 5, 100] {
            assert_eq!(call(in_pieces(&data, size)).await.unwrap(), 8, "{size}");
        }
        assert_eq!(call(Full::new(framed(0, 0, b""))).await.unwrap(), 0, "an empty message is one");
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let message = lease("leases/1");
        let (length, most) = (message.len(), vec![0; MAX_REQUEST + 1]);
        let cases = [
            (Bytes::new(), Code::Internal),
            (Bytes::from_static(b"\0\0\0"), Code::Internal),
            (framed(1, length, &message), Code::Internal),
            (framed(0, length - 1, &message), Code::Internal),
            (framed(0, length + 1, &message), Code::Internal),
            (framed(0, 1, b"\xff"), Code::Internal),
            (framed(0, MAX_REQUEST + 1, &message), Code::OutOfRange),
            (framed(0, most.len(), &most), Code::OutOfRange),
        ];
        for (data, code) in cases {
            let start = data.slice(..data.len().min(16));
            assert_eq!(call(in_pieces(&data, 4096)).await.unwrap_err().code(), code, "{start:?}");
            assert_eq!(call(Full::new(data)).await.unwrap_err().code(), code, "{start:?}");
        }
    }

    #[tokio::test]
    async fn the_longest_message_is_taken() {
        let name = "x".repeat(MAX_REQUEST - 4);
        let message = lease(&name);
        assert_eq!(message.len(), MAX_REQUEST);
        let data = framed(0, message.len(), &message);
        assert_eq!(call(in_pieces(&data, 16 * 1024)).await.unwrap(), i64::try_from(name.len()).unwrap());
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_alone() {
        let message = lease("leases/1");
        let refuse = |_: tonic::Request<pb::ReportUsageRequest>| {
            std::future::ready(Err::<tonic::Response<pb::ReportUsageResponse>, _>(Status::not_found("no such lease")))
        };
        let response = answer(Request::new(Full::new(framed(0, message.len(), &message))), refuse).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such lease"));
        assert!(response.into_body().is_end_stream());
    }

    #[test]
    fn a_compressed_call_is_not_plain() {
        let mut request = Request::new(());
        assert!(is_plain(&request));
        request.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
        assert!(!is_plain(&request));
    }
}
