//! `PushService`: members' browsers that get push messages.

use tonic::{Request, Response, Status};

use crate::base::ids::{MemberId, PushSubscriptionId, TeamId};
use crate::base::secret::Secret;
use crate::domain::notice::PushSubscription;
use crate::grpc::authorization::authorize;
use crate::grpc::change::{answers, asked, change};
use crate::grpc::convert::timestamp;
use crate::grpc::fields::{NAME, check_given, check_text, child_in, required};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, push_service_server::PushService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::notices::Subscribe;

/// The longest endpoint.
const MOST_ENDPOINT: usize = 2048;

/// The service, for a broker.
pub struct PushServer(pub Broker);

#[tonic::async_trait]
impl PushService for PushServer {
    async fn get_push_key(
        &self,
        request: Request<pb::GetPushKeyRequest>,
    ) -> Result<Response<pb::GetPushKeyResponse>, Status> {
        authorize(&self.0, &request, "PushService/GetPushKey")?;
        let public_key = self.0.show_push_key().await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetPushKeyResponse { public_key }))
    }

    async fn create_push_subscription(
        &self,
        request: Request<pb::CreatePushSubscriptionRequest>,
    ) -> Result<Response<pb::CreatePushSubscriptionResponse>, Status> {
        let call = "PushService/CreatePushSubscription";
        change(&self.0, request, call, read, |broker, attempt, (team, member, ask)| async move {
            broker.subscribe_push(attempt, &team, member, ask).await
        })
        .await
    }

    async fn list_push_subscriptions(
        &self,
        request: Request<pb::ListPushSubscriptionsRequest>,
    ) -> Result<Response<pb::ListPushSubscriptionsResponse>, Status> {
        authorize(&self.0, &request, "PushService/ListPushSubscriptions")?;
        let (team, member) = asked(request.get_ref(), |request, mistakes| {
            child_in("parent", ["teams", "members"], &request.parent, mistakes)
        })?;
        let page = Page::of(&self.0, "push subscriptions", request.get_ref())?;
        let after = page.after_id(PushSubscriptionId::from_slice);
        let mut found = self.0.list_push(&team, member).await.map_err(Refusal::from)?;
        found.retain(|subscription| after.is_none_or(|after| subscription.id > after));
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|subscription| subscription.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let push_subscriptions = found.iter().map(message).collect();
        Ok(Response::new(pb::ListPushSubscriptionsResponse { push_subscriptions, next_page_token }))
    }

    async fn delete_push_subscription(
        &self,
        request: Request<pb::DeletePushSubscriptionRequest>,
    ) -> Result<Response<pb::DeletePushSubscriptionResponse>, Status> {
        let call = "PushService/DeletePushSubscription";
        change(&self.0, request, call, read_name, |broker, attempt, (team, member, id)| async move {
            broker.unsubscribe_push(attempt, &team, member, id).await
        })
        .await
    }
}

answers! {
    CreatePushSubscriptionResponse { push_subscription } = |_, made| message(made), of PushSubscription;
    DeletePushSubscriptionResponse { push_subscription } = |_, made| message(made), of PushSubscription;
}

fn read(
    request: &pb::CreatePushSubscriptionRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, MemberId, Subscribe)> {
    let named = child_in("parent", ["teams", "members"], &request.parent, mistakes);
    let given = required("push_subscription", request.push_subscription.clone(), mistakes);
    check_text("push_subscription.display_name", &given.display_name, NAME, mistakes);
    check_text("push_subscription.endpoint", &given.endpoint, MOST_ENDPOINT, mistakes);
    for (field, text) in [("endpoint", &given.endpoint), ("p256dh", &given.p256dh), ("auth", &given.auth)] {
        check_given(&format!("push_subscription.{field}"), text, mistakes);
    }
    let (team, member) = named?;
    let ask = Subscribe {
        display_name: given.display_name,
        endpoint: Secret::new(given.endpoint),
        p256dh: Secret::new(given.p256dh),
        auth: Secret::new(given.auth),
    };
    Some((team, member, ask))
}

fn read_name(
    request: &pb::DeletePushSubscriptionRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, MemberId, PushSubscriptionId)> {
    let parts = request.name.rsplit_once("/pushSubscriptions/");
    let named = parts.and_then(|(member, id)| {
        let (team, member) = child_in("name", ["teams", "members"], member, &mut FieldMistakes::default())?;
        Some((team, member, id.parse().ok()?))
    });
    if named.is_none() {
        mistakes.note("name", "must be 'teams/{team}/members/{member}/pushSubscriptions/{subscription}'");
    }
    named
}

/// A subscription, without its address and keys.
fn message(subscription: &PushSubscription) -> pb::PushSubscription {
    pb::PushSubscription {
        name: subscription.name(),
        display_name: subscription.display_name.clone(),
        host: subscription.shown.clone(),
        create_time: Some(timestamp(subscription.created_at)),
        ..pb::PushSubscription::default()
    }
}
