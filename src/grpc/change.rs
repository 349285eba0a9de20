//! Requests, read with all of their mistakes; and changes, done to their end even if the caller goes away, and only once for a
//! request id.

use std::future::Future;

use prost::Message;
use tonic::{Code, Request, Response, Status};

use crate::grpc::authorization::authorize;
use crate::grpc::fields::check_request_id;
use crate::grpc::pb::{self, ErrorReason};
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::service::Broker;
use crate::service::requests::{Attempt, RepeatError, RepeatableRequest};

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
    AcknowledgeAlertRequest, AcknowledgeIncidentRequest, AddTokenRequest, CancelConnectionRequest, CancelJobRequest,
    CloseIncidentRequest, CompleteConnectionRequest, CreateAppRequest, CreateCollectorRequest,
    CreateDestinationRequest, CreateKeyRequest, CreatePushSubscriptionRequest, CreateTeamRequest, DeleteAppRequest,
    DeleteCollectorRequest, DeleteDestinationRequest, DeletePushSubscriptionRequest, DeleteTeamRequest,
    DisableCollectorRequest, EnableCollectorRequest, EndSessionRequest, InvalidateTokenRequest, InviteMemberRequest,
    MarkNoticesReadRequest, PauseTokenRequest, ProbeTokenRequest, PurgeDeadLetterRequest, RemoveMemberRequest,
    RenewAllTokensRequest, RenewTokenRequest, ReplayDeadLetterRequest, ResendInvitationRequest, ResumeJobRequest,
    ResumeTokenRequest, RevokeKeyRequest, RevokeTokenRequest, RotateSealingKeyRequest, SendTestNoticeRequest,
    StartConnectionRequest, TopUpBudgetRequest, UpdateAppRequest, UpdateCollectorRequest, UpdateDestinationRequest,
    UpdateMemberRequest, UpdateNoticeSettingsRequest, UpdateProfileRequest, UpdateTeamRequest, UpdateTokenRequest,
    WithdrawConsentRequest, WithdrawInvitationRequest,
}

/// What is answered once a change made a `V`.
pub trait Answer<V>: Message + Default {
    /// The answer.
    fn of(broker: &Broker, made: &V) -> Self;

    /// What is answered to a repetition, and kept until it can't come any more: never a secret.
    fn again(broker: &Broker, made: &V) -> Self {
        Self::of(broker, made)
    }
}

/// Answers that hold nothing but the message of what was made.
macro_rules! answers {
    ($($response:ident { $field:ident } = $message:expr, of $made:ty;)*) => {$(
        impl $crate::grpc::change::Answer<$made> for $crate::grpc::pb::$response {
            fn of(broker: &$crate::service::Broker, made: &$made) -> Self {
                let message: fn(&$crate::service::Broker, &$made) -> _ = $message;
                Self { $field: Some(message(broker, made)) }
            }
        }
    )*};
}
pub(in crate::grpc) use answers;

/// What a request asks for, or the status that names all of its mistakes. `read` gives nothing only where it notes a mistake.
pub fn asked<Q, R>(request: &Q, read: impl FnOnce(&Q, &mut FieldMistakes) -> Option<R>) -> Result<R, Status> {
    let mut mistakes = FieldMistakes::default();
    let asked = read(request, &mut mistakes);
    mistakes.check()?;
    asked.ok_or_else(defect)
}

/// Answers a request for a change: lets in whom the rule of `call` names, reads what is asked with `read`, and has `work` do it.
pub async fn change<Q, R, V, E, A, W>(
    broker: &Broker,
    request: Request<Q>,
    call: &'static str,
    read: impl FnOnce(&Q, &mut FieldMistakes) -> Option<R>,
    work: impl FnOnce(Broker, Attempt<V>, R) -> W,
) -> Result<Response<A>, Status>
where
    Q: Change,
    V: Send + Sync + 'static,
    A: Answer<V> + Send + 'static,
    E: Send + 'static,
    Refusal: From<E>,
    W: Future<Output = Result<V, E>> + Send + 'static,
{
    let caller = authorize(broker, &request, call)?;
    let request = request.into_inner();
    let read = |request: &Q, mistakes: &mut FieldMistakes| {
        check_request_id(request.request_id(), mistakes);
        read(request, mistakes)
    };
    let asked = asked(&request, read)?;
    let repeatable = (!request.request_id().is_empty())
        .then(|| broker.repeatable(&caller, call, request.request_id(), &request.encode_to_vec()));
    let attempt = match &repeatable {
        None => Attempt::from(&caller),
        Some(repeatable) => {
            let broker = broker.clone();
            Attempt::of(caller, repeatable.clone(), move |made| A::again(&broker, made).encode_to_vec())
        }
    };
    let work = work(broker.clone(), attempt, asked);
    let of_made = broker.clone();
    let work = async move { Ok(A::of(&of_made, &work.await?)) };
    let answer = match repeatable {
        None => broker.finish(work).await,
        Some(repeatable) => broker.finish(once(broker.clone(), repeatable, work)).await,
    };
    Ok(Response::new(answer.ok_or_else(defect)??))
}

/// Does `work`, unless it was done for the same request before: then the first answer holds. Also where that happens at the same time: what
/// was refused is looked up once more, since it may be the other one that stood in the way.
async fn once<A: Message + Default>(
    broker: Broker,
    request: RepeatableRequest,
    work: impl Future<Output = Result<A, Refusal>>,
) -> Result<A, Refusal> {
    let answered = async || match broker.first_answer(&request).await? {
        Some(first) => A::decode(&*first).map(Some).map_err(|_| unfinished()),
        None => Ok(None),
    };
    if let Some(first) = answered().await? {
        return Ok(first);
    }
    match work.await {
        Ok(answer) => Ok(answer),
        Err(refusal) => answered().await?.ok_or(refusal),
    }
}

impl From<RepeatError> for Refusal {
    fn from(error: RepeatError) -> Self {
        match error {
            RepeatError::OtherContent => request_id_reused(error.to_string()),
            RepeatError::Store(error) => Refusal::from(error),
        }
    }
}

/// The request id was used for something else.
pub fn request_id_reused(message: String) -> Refusal {
    refuse(Code::InvalidArgument, ErrorReason::RequestIdReused, message)
}

fn unfinished() -> Refusal {
    let message = "the broker could not finish this because of a defect; see its log";
    refuse(Code::Internal, ErrorReason::Internal, message)
}

fn defect() -> Status {
    unfinished().status()
}

#[cfg(test)]
mod tests;
