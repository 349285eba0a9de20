//! `KeyService`: the keys of collectors and operators.

use prost::Message;
use tonic::{Request, Response, Status};

use crate::base::ids::KeyId;
use crate::base::secret::Secret;
use crate::domain::team::{Key, KeyHolder, OperatorRole};
use crate::grpc::authorization::authorize;
use crate::grpc::convert::{name_in, optional_timestamp, timestamp};
use crate::grpc::fields::{COMMENT, check_request_id, check_text, child_in, required};
use crate::grpc::mutation::Mutation;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, key_service_server::KeyService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::keys::{KeyFilter, KeyRole};

/// The service, for a broker.
pub struct KeyServer(pub Broker);

#[tonic::async_trait]
impl KeyService for KeyServer {
    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Result<Response<pb::CreateKeyResponse>, Status> {
        const CALL: &str = "KeyService/CreateKey";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let holder = read_holder(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let (key, secret) = broker.create_key(&caller, holder).await.map_err(Refusal::from)?;
            Ok(pb::CreateKeyResponse { key: Some(key_message(&key)), secret: secret.expose().to_owned() })
        };
        // A repetition gets the key without its secret, which is kept nowhere.
        let without_secret = |made: &pb::CreateKeyResponse| {
            pb::CreateKeyResponse { key: made.key.clone(), secret: String::new() }.encode_to_vec()
        };
        mutation.once_noting(&request, without_secret, work).await
    }

    async fn list_keys(&self, request: Request<pb::ListKeysRequest>) -> Result<Response<pb::ListKeysResponse>, Status> {
        authorize(&self.0, &request, "KeyService/ListKeys")?;
        let request = request.into_inner();
        let mut filter = read_filter(&request)?;
        let filters = pb::ListKeysRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let filters = filters.encode_to_vec();
        let page = Page::read(&self.0, "keys", filters, request.page_size, &request.page_token)?;
        filter.before = page.after_id(KeyId::from_slice);
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
        const CALL: &str = "KeyService/RevokeKey";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        let id: Option<KeyId> = name_in("name", "keys", &request.name, &mut mistakes);
        check_text("comment", &request.comment, COMMENT, &mut mistakes);
        check_request_id(&request.request_id, &mut mistakes);
        mistakes.check()?;
        let id = id.ok_or_else(unread)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let key = broker.revoke_key(&caller, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::RevokeKeyResponse { key: Some(key_message(&key)) })
        };
        mutation.once(&request, work).await
    }

    /// Needs no key: whoever found a key may end it.
    async fn revoke_key_by_value(
        &self,
        request: Request<pb::RevokeKeyByValueRequest>,
    ) -> Result<Response<pb::RevokeKeyByValueResponse>, Status> {
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        check_text("comment", &request.comment, COMMENT, &mut mistakes);
        check_request_id(&request.request_id, &mut mistakes);
        mistakes.check()?;
        let (broker, comment, value) = (self.0.clone(), request.comment, Secret::new(request.value));
        // Revoking twice changes nothing, so a repetition needs no note.
        let work = async move { broker.revoke_key_by_value(&value, &comment).await };
        let done = self.0.finish(work).await.ok_or_else(|| Status::internal("the broker is about to stop"))?;
        done.map_err(Refusal::from)?;
        Ok(Response::new(pb::RevokeKeyByValueResponse {}))
    }
}

/// A field could not be read although no mistake was noted: never sent, since each reader notes its mistakes.
fn unread() -> Status {
    Status::invalid_argument("a required field can't be read")
}

fn read_holder(request: &pb::CreateKeyRequest) -> Result<KeyHolder, Status> {
    let mut mistakes = FieldMistakes::default();
    check_request_id(&request.request_id, &mut mistakes);
    let key = required("key", request.key.clone(), &mut mistakes);
    if !key.display_name.is_empty() {
        mistakes.note("key.display_name", "this broker keeps no names of keys; leave it empty");
    }
    if key.expire_time.is_some() {
        mistakes.note("key.expire_time", "keys of this broker don't end by themselves; leave it unset");
    }
    let operator = matches!(pb::KeyRole::try_from(key.role), Ok(pb::KeyRole::Admin | pb::KeyRole::Reader));
    if operator && !key.collector.is_empty() {
        mistakes.note("key.collector", "must be empty for an operator's key");
    }
    let holder = match pb::KeyRole::try_from(key.role) {
        Ok(pb::KeyRole::Admin) => Some(KeyHolder::Operator(OperatorRole::Admin)),
        Ok(pb::KeyRole::Reader) => Some(KeyHolder::Operator(OperatorRole::Reader)),
        Ok(pb::KeyRole::Collector) => {
            let named = child_in("key.collector", ["teams", "collectors"], &key.collector, &mut mistakes);
            named.map(|(team, id)| KeyHolder::Collector(team, id))
        }
        Ok(pb::KeyRole::Unspecified) | Err(_) => {
            mistakes.note("key.role", "is required: COLLECTOR, READER or ADMIN");
            None
        }
    };
    mistakes.check()?;
    holder.ok_or_else(unread)
}

fn read_filter(request: &pb::ListKeysRequest) -> Result<KeyFilter, Status> {
    let mut mistakes = FieldMistakes::default();
    let collector = Some(&request.collector).filter(|name| !name.is_empty());
    let collector = collector.and_then(|name| child_in("collector", ["teams", "collectors"], name, &mut mistakes));
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
    mistakes.check()?;
    Ok(KeyFilter { collector, role, with_ended: request.show_ended, before: None })
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
        display_name: String::new(),
        expire_time: None,
        create_time: Some(timestamp(key.created_at)),
        revoke_time: optional_timestamp(key.revoked_at),
        last_use_time: None,
    }
}
