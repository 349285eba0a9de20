//! `KeyService`: the keys of collectors and operators.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::base::clock::Timestamp;
use crate::base::ids::KeyId;
use crate::base::secret::Secret;
use crate::domain::team::{Key, KeyHolder, OperatorRole};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{Answer, answers, asked, change};
use crate::grpc::convert::{from_timestamp, optional_timestamp, timestamp};
use crate::grpc::fields::{COMMENT, NAME, check_request_id, check_text, child_in, count, name_in, required};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, key_service_server::KeyService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::keys::{CreateKey, KeyFilter, KeyRole, MadeKey};
use crate::service::sealing::SealingView;

/// The service, for a broker.
pub struct KeyServer(pub Broker);

#[tonic::async_trait]
impl KeyService for KeyServer {
    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Result<Response<pb::CreateKeyResponse>, Status> {
        let now = self.0.now();
        let read = |request: &pb::CreateKeyRequest, mistakes: &mut _| read_key(request, now, mistakes);
        let call = "KeyService/CreateKey";
        change(
            &self.0,
            request,
            call,
            read,
            |broker, attempt, ask| async move { broker.create_key(attempt, ask).await },
        )
        .await
    }

    async fn list_keys(&self, request: Request<pb::ListKeysRequest>) -> Result<Response<pb::ListKeysResponse>, Status> {
        authorize(&self.0, &request, "KeyService/ListKeys")?;
        let request = request.into_inner();
        let filter = asked(&request, read_filter)?;
        let page = Page::of(&self.0, "keys", &request)?;
        let filter = KeyFilter { before: page.after_id(KeyId::from_slice), ..filter };
        let (found, more) = self.0.list_keys(&filter, page.size).map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|key| key.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let keys = found.iter().map(|key| key_message(key)).collect();
        Ok(Response::new(pb::ListKeysResponse { keys, next_page_token }))
    }

    async fn revoke_key(
        &self,
        request: Request<pb::RevokeKeyRequest>,
    ) -> Result<Response<pb::RevokeKeyResponse>, Status> {
        let read = |request: &pb::RevokeKeyRequest, mistakes: &mut _| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let id: Option<KeyId> = name_in("name", "keys", &request.name, mistakes);
            Some((id?, request.comment.clone()))
        };
        change(&self.0, request, "KeyService/RevokeKey", read, |broker, attempt, (id, comment)| async move {
            broker.revoke_key(attempt, id, &comment).await
        })
        .await
    }

    /// Needs no key: whoever found a key may end it.
    async fn revoke_key_by_value(
        &self,
        request: Request<pb::RevokeKeyByValueRequest>,
    ) -> Result<Response<pb::RevokeKeyByValueResponse>, Status> {
        let request = request.into_inner();
        asked(&request, |request, mistakes| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            check_request_id(&request.request_id, mistakes);
            Some(())
        })?;
        let (broker, comment, value) = (self.0.clone(), request.comment, Secret::new(request.value));
        // Revoking twice changes nothing, so a repetition needs no note.
        let work = async move { broker.revoke_key_by_value(&value, &comment).await };
        let done = self.0.finish(work).await.ok_or_else(|| Status::internal("the broker is about to stop"))?;
        done.map_err(Refusal::from)?;
        Ok(Response::new(pb::RevokeKeyByValueResponse {}))
    }

    async fn get_sealing(
        &self,
        request: Request<pb::GetSealingRequest>,
    ) -> Result<Response<pb::GetSealingResponse>, Status> {
        authorize(&self.0, &request, "KeyService/GetSealing")?;
        let sealing = Some(sealing_message(&self.0.view_sealing()));
        Ok(Response::new(pb::GetSealingResponse { sealing }))
    }

    async fn rotate_sealing_key(
        &self,
        request: Request<pb::RotateSealingKeyRequest>,
    ) -> Result<Response<pb::RotateSealingKeyResponse>, Status> {
        let read = |_: &pb::RotateSealingKeyRequest, _: &mut _| Some(());
        change(&self.0, request, "KeyService/RotateSealingKey", read, |broker, attempt, ()| async move {
            broker.rotate_sealing_key(attempt).await
        })
        .await
    }
}

impl Answer<MadeKey> for pb::CreateKeyResponse {
    fn of(broker: &Broker, made: &MadeKey) -> Self {
        let secret = made.1.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
        Self { secret, ..Self::again(broker, made) }
    }

    /// Without the secret, which is kept nowhere.
    fn again(_: &Broker, (key, _): &MadeKey) -> Self {
        Self { key: Some(key_message(key)), secret: String::new() }
    }
}

answers! {
    RevokeKeyResponse { key } = |_, key| key_message(key), of Arc<Key>;
    RotateSealingKeyResponse { sealing } = |_, view| sealing_message(view), of SealingView;
}

fn sealing_message(view: &SealingView) -> pb::Sealing {
    pb::Sealing {
        fingerprint: view.fingerprint.to_string(),
        resealing: view.resealing,
        looked_at: count(view.looked_at),
        resealed: count(view.resealed),
        damaged: count(view.damaged),
        finish_time: optional_timestamp(view.finished_at),
    }
}

fn read_key(request: &pb::CreateKeyRequest, now: Timestamp, mistakes: &mut FieldMistakes) -> Option<CreateKey> {
    let key = required("key", request.key.clone(), mistakes);
    check_text("key.display_name", &key.display_name, NAME, mistakes);
    let expires_at = key.expire_time.as_ref().map(from_timestamp);
    if expires_at.is_some_and(|end| end <= now) {
        mistakes.note("key.expire_time", "must lie in the future, or be unset");
    }
    let certificate = Some(&key.certificate_name).filter(|name| !name.is_empty());
    let certificate = certificate.and_then(|name| mistakes.parse("key.certificate_name", name));
    let holder = read_holder(&key, mistakes);
    if certificate.is_some() && matches!(holder, Some(KeyHolder::Collector(..))) {
        let wrong = "must be empty for a collector's key; add the name to the collector's certificate_names instead";
        mistakes.note("key.certificate_name", wrong);
    }
    Some(CreateKey { holder: holder?, display_name: key.display_name, expires_at, certificate })
}

fn read_holder(key: &pb::Key, mistakes: &mut FieldMistakes) -> Option<KeyHolder> {
    let role = match pb::KeyRole::try_from(key.role) {
        Ok(pb::KeyRole::Admin) => OperatorRole::Admin,
        Ok(pb::KeyRole::Reader) => OperatorRole::Reader,
        Ok(pb::KeyRole::Collector) => {
            let named = child_in("key.collector", ["teams", "collectors"], &key.collector, mistakes);
            return named.map(|(team, id)| KeyHolder::Collector(team, id));
        }
        Ok(pb::KeyRole::Unspecified) | Err(_) => {
            mistakes.note("key.role", "is required: COLLECTOR, READER or ADMIN");
            return None;
        }
    };
    if !key.collector.is_empty() {
        mistakes.note("key.collector", "must be empty for an operator's key");
    }
    Some(KeyHolder::Operator(role))
}

fn read_filter(request: &pb::ListKeysRequest, mistakes: &mut FieldMistakes) -> Option<KeyFilter> {
    let collector = Some(&request.collector).filter(|name| !name.is_empty());
    let collector = collector.and_then(|name| child_in("collector", ["teams", "collectors"], name, mistakes));
    let role = match pb::KeyRole::try_from(request.role) {
        Ok(pb::KeyRole::Unspecified) => None,
        Ok(pb::KeyRole::Collector) => Some(KeyRole::Collector),
        Ok(pb::KeyRole::Reader) => Some(KeyRole::Operator(OperatorRole::Reader)),
        Ok(pb::KeyRole::Admin) => Some(KeyRole::Operator(OperatorRole::Admin)),
        Err(_) => {
            mistakes.note("role", "is not known");
            None
        }
    };
    Some(KeyFilter { collector, role, with_ended: request.show_ended, before: None })
}

fn key_message(key: &Key) -> pb::Key {
    let role = match KeyRole::from(&key.holder) {
        KeyRole::Collector => pb::KeyRole::Collector,
        KeyRole::Operator(OperatorRole::Reader) => pb::KeyRole::Reader,
        KeyRole::Operator(OperatorRole::Admin) => pb::KeyRole::Admin,
    };
    let collector = match &key.holder {
        KeyHolder::Collector(team, id) => format!("teams/{team}/collectors/{id}"),
        KeyHolder::Operator(_) => String::new(),
    };
    pb::Key {
        name: format!("keys/{}", key.id),
        role: role as i32,
        collector,
        display_name: key.display_name.clone(),
        expire_time: optional_timestamp(key.expires_at),
        create_time: Some(timestamp(key.created_at)),
        revoke_time: optional_timestamp(key.revoked_at),
        certificate_name: key.certificate().map(ToString::to_string).unwrap_or_default(),
    }
}
