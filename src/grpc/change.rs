//! Requests, read with all of their mistakes; and changes, done to their end even if the caller goes away, and only once for a
//! request id.

use std::future::Future;

use prost::Message;
use tonic::{Code, Request, Response, Status};

use crate::grpc::authorization::authorize;
use crate::grpc::fields::check_request_id;
use crate::grpc::pb::{self, ErrorReason};
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::service::requests::Noted;
use crate::service::{Broker, Caller};

/// A request for a change.
pub trait Change: Message {
    /// The id that the caller chose; may be empty.
    fn request_id(&self) -> &str;
}

macro_rules! changes {
    ($($request:ident),* $(,)?) => {$(
        impl Change for pb::$request {
            fn request_id(&self) -> &str {
                &self.request_id
            }
        }
    )*};
}

changes! {
    AcknowledgeAlertRequest, AddTokenRequest, CreateAppRequest, CreateCollectorRequest, CreateKeyRequest, CreateTeamRequest,
    DeleteCollectorRequest, DeleteTeamRequest, DisableCollectorRequest, EnableCollectorRequest, InvalidateTokenRequest,
    PauseTokenRequest, ResumeTokenRequest, RevokeKeyRequest, RevokeTokenRequest, TopUpBudgetRequest, UpdateAppRequest,
    UpdateCollectorRequest, UpdateTeamRequest, UpdateTokenRequest,
}

/// What a request asks for, or the status that names all of its mistakes. `read` gives nothing only where it notes a mistake.
pub fn asked<Q, R>(request: &Q, read: impl FnOnce(&Q, &mut FieldMistakes) -> Option<R>) -> Result<R, Status> {
    let mut mistakes = FieldMistakes::default();
    let asked = read(request, &mut mistakes);
    mistakes.check()?;
    asked.ok_or_else(defect)
}

/// Answers a request for a change: lets in whom the rule of `call` names, reads what is asked with `read`, and has `work` do it.
pub async fn change<Q, R, A, W>(
    broker: &Broker,
    request: Request<Q>,
    call: &'static str,
    read: impl FnOnce(&Q, &mut FieldMistakes) -> Option<R>,
    work: impl FnOnce(Broker, Caller, R) -> W,
) -> Result<Response<A>, Status>
where
    Q: Change,
    A: Message + Default + 'static,
    W: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    change_noting(broker, request, call, read, Message::encode_to_vec, work).await
}

/// As [`change`]; `note` says what is answered to a repetition.
pub async fn change_noting<Q, R, A, W>(
    broker: &Broker,
    request: Request<Q>,
    call: &'static str,
    read: impl FnOnce(&Q, &mut FieldMistakes) -> Option<R>,
    note: fn(&A) -> Vec<u8>,
    work: impl FnOnce(Broker, Caller, R) -> W,
) -> Result<Response<A>, Status>
where
    Q: Change,
    A: Message + Default + 'static,
    W: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    let caller = authorize(broker, &request, call)?;
    let request = request.into_inner();
    let read = |request: &Q, mistakes: &mut FieldMistakes| {
        check_request_id(request.request_id(), mistakes);
        read(request, mistakes)
    };
    let asked = asked(&request, read)?;
    let scope = format!("{}/{call}", caller.name());
    let work = work(broker.clone(), caller, asked);
    let answer = match request.request_id() {
        "" => broker.finish(work).await,
        _ => broker.finish(once(broker, &scope, &request, note, work)).await,
    };
    Ok(Response::new(answer.ok_or_else(defect)??))
}

/// Does `work`, unless it was done for the same request before: then the first answer holds.
fn once<Q: Change, A: Message + Default + 'static>(
    broker: &Broker,
    scope: &str,
    request: &Q,
    note: fn(&A) -> Vec<u8>,
    work: impl Future<Output = Result<A, Refusal>> + Send + 'static,
) -> impl Future<Output = Result<A, Refusal>> + Send + 'static {
    // The request may hold secrets: its hash is keyed.
    let content = broker.vault.mac_key("request content").sign(&[&request.encode_to_vec()]);
    let slot = broker.requests.slot(scope, request.request_id(), broker.now());
    async move {
        let mut noted = slot.lock_owned().await;
        match &*noted {
            Some(before) if before.content == content => A::decode(&*before.response).map_err(|_| unfinished()),
            Some(_) => Err(request_id_reused()),
            None => {
                let answer = work.await?;
                *noted = Some(Noted { content, response: note(&answer) });
                Ok(answer)
            }
        }
    }
}

/// The request id was used for something else.
pub fn request_id_reused() -> Refusal {
    let message = "this request id was used with other content in the last 24 hours; choose a new id for each request";
    refuse(Code::InvalidArgument, ErrorReason::RequestIdReused, message)
}

fn unfinished() -> Refusal {
    let message = "the broker could not finish this because of a defect; see its log";
    refuse(Code::Internal, ErrorReason::Internal, message)
}

fn defect() -> Status {
    unfinished().status()
}
