//! Calls by the descriptors alone: requests written as text, answers of any type.

use std::sync::LazyLock;

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use token_broker::grpc::client::Client;
use token_broker::grpc::pb::{ErrorReason, FILE_DESCRIPTOR_SET};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::identity::reason;
use crate::soon;

/// The descriptors of the API.
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build wrote it"));
    &POOL
}

/// The call of that name, as `Service/Call`.
fn method(call: &str) -> MethodDescriptor {
    let (service, name) = call.split_once('/').expect("a service and a call");
    let service = pool().get_service_by_name(&format!("tokenbroker.v1.{service}")).expect("it exists");
    service.methods().find(|method| method.name() == name).expect("it exists")
}

/// A request of a call, in the text format of protobuf.
pub fn message(call: &str, text: &str) -> DynamicMessage {
    DynamicMessage::parse_text_format(method(call).input(), text)
        .unwrap_or_else(|error| panic!("{call}: {error}\n{text}"))
}

/// Makes a call and waits for its first answer, whatever kind of call it is; or why it was refused, on a stream also by a message.
pub async fn answered(
    client: &Client,
    call: &str,
    request: &DynamicMessage,
) -> Result<Option<DynamicMessage>, ErrorReason> {
    let answer = first_answer(client, call, request).await.map_err(|status| reason(&status))?;
    let refused = answer.as_ref().filter(|_| call == "LeaseService/Collect").and_then(refusal);
    refused.map_or(Ok(answer), Err)
}

fn refusal(answer: &DynamicMessage) -> Option<ErrorReason> {
    let refused = answer.get_field_by_name("refused")?;
    let reason = refused.as_message()?.get_field_by_name("reason")?.into_owned();
    let Value::String(reason) = reason else { return None };
    ErrorReason::from_reason(&reason)
}

async fn first_answer(client: &Client, call: &str, request: &DynamicMessage) -> Result<Option<DynamicMessage>, Status> {
    Ok(first_answers(client, call, std::slice::from_ref(request), 1).await?.pop())
}

/// Makes a call with these messages and waits for all of its answers.
pub async fn conversation(
    client: &Client,
    call: &str,
    requests: &[DynamicMessage],
) -> Result<Vec<DynamicMessage>, Status> {
    first_answers(client, call, requests, usize::MAX).await
}

/// As [`conversation`], for at most so many answers.
pub async fn first_answers(
    client: &Client,
    call: &str,
    requests: &[DynamicMessage],
    most: usize,
) -> Result<Vec<DynamicMessage>, Status> {
    let mut left = most;
    let messages: Vec<_> = requests.iter().map(Message::encode_to_vec).collect();
    answers(client, call, tokio_stream::iter(messages), |_| {
        left -= 1;
        left == 0
    })
    .await
}

/// Makes a call with these messages, and keeps its own side open until an answer of which `done` is true has come.
pub async fn held_open(
    client: &Client,
    call: &str,
    requests: &[DynamicMessage],
    done: impl FnMut(&DynamicMessage) -> bool,
) -> Result<Vec<DynamicMessage>, Status> {
    let messages: Vec<_> = requests.iter().map(Message::encode_to_vec).collect();
    let messages = tokio_stream::StreamExt::chain(tokio_stream::iter(messages), tokio_stream::pending());
    answers(client, call, messages, done).await
}

/// The answers to messages, up to the first of which `done` is true.
async fn answers(
    client: &Client,
    call: &str,
    messages: impl tokio_stream::Stream<Item = Vec<u8>> + Send + 'static,
    mut done: impl FnMut(&DynamicMessage) -> bool,
) -> Result<Vec<DynamicMessage>, Status> {
    let mut grpc = tonic::client::Grpc::new(client.clone());
    soon(grpc.ready()).await.expect("the listener runs");
    let path: PathAndQuery = format!("/tokenbroker.v1.{call}").parse().expect("a path");
    let mut answers = soon(grpc.streaming(Request::new(messages), path, Raw)).await?.into_inner();
    let (output, mut found) = (method(call).output(), Vec::new());
    while let Some(bytes) = soon(answers.message()).await? {
        found.push(DynamicMessage::decode(output.clone(), &*bytes).expect("an answer of its type"));
        if found.last().is_some_and(&mut done) {
            break;
        }
    }
    Ok(found)
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
