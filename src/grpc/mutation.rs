//! Changes: done to their end even if the caller goes away, and only once for a request id.

use std::future::Future;

use prost::Message;
use tonic::{Code, Response, Status};

use crate::domain::audit::Actor;
use crate::grpc::pb::ErrorReason;
use crate::grpc::status::refuse;
use crate::service::requests::Noted;
use crate::service::{Broker, Caller};

/// A change that somebody asks for.
pub struct Mutation<'a> {
    /// The broker.
    pub broker: &'a Broker,
    /// Who asks.
    pub caller: &'a Caller,
    /// The call, as `Service/Call`.
    pub call: &'static str,
    /// The id that the caller chose; may be empty.
    pub request_id: &'a str,
}

impl Mutation<'_> {
    /// Does `work` for `request`, unless it was done before: then the first answer holds.
    pub async fn once<Q, A>(
        self,
        request: &Q,
        work: impl Future<Output = Result<A, Status>> + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Message,
        A: Message + Default + 'static,
    {
        self.once_noting(request, Message::encode_to_vec, work).await
    }

    /// As [`Mutation::once`]; `note` says what is answered to a repetition.
    pub async fn once_noting<Q, A>(
        self,
        request: &Q,
        note: fn(&A) -> Vec<u8>,
        work: impl Future<Output = Result<A, Status>> + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Message,
        A: Message + Default + 'static,
    {
        let broker = self.broker;
        if self.request_id.is_empty() {
            return broker.finish(work).await.ok_or_else(stopped)?.map(Response::new);
        }
        // The request may hold secrets: its hash is keyed.
        let content = broker.vault.mac_key("request content").sign(&[&request.encode_to_vec()]);
        let scope = format!("{}/{}", name_of(self.caller), self.call);
        let slot = broker.requests.slot(&scope, self.request_id, broker.now());
        let done = broker.finish(async move {
            let mut noted = slot.lock_owned().await;
            match &*noted {
                Some(before) if before.content == content => A::decode(&*before.response).map_err(|_| stopped()),
                Some(_) => Err(reused()),
                None => {
                    let answer = work.await?;
                    *noted = Some(Noted { content, response: note(&answer) });
                    Ok(answer)
                }
            }
        });
        done.await.ok_or_else(stopped)?.map(Response::new)
    }
}

fn name_of(caller: &Caller) -> String {
    match caller.actor() {
        Actor::Collector(id) => id.to_string(),
        Actor::Operator(id) => id.to_string(),
        Actor::Broker => "broker".to_owned(),
    }
}

fn reused() -> Status {
    let message = "this request id was used with other content in the last 24 hours; choose a new id for each request";
    refuse(Code::InvalidArgument, ErrorReason::RequestIdReused, message).status()
}

fn stopped() -> Status {
    let message = "the broker could not finish this because of a defect; see its log";
    refuse(Code::Internal, ErrorReason::Internal, message).status()
}
