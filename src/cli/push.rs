//! `token-broker push`.

use clap::Subcommand;
use serde::Deserialize;

use super::failure::Failure;
use super::member::named;
use super::names::{short, under};
use super::options::Paging;
use super::secrets::SecretSource;
use super::session::{Page, Session, part};
use super::table::Column;
use crate::grpc::pb;
use crate::grpc::pb::push_service_client::PushServiceClient;

/// What to do with push subscriptions.
#[derive(Subcommand)]
pub enum PushCommand {
    /// Show the public key that browsers subscribe with.
    Key,
    /// Tell a browser of a member's notices.
    #[command(
        after_help = "Example:\n  token-broker push subscribe ada@example.com --from subscription.json --display-name 'Ada\'s phone'"
    )]
    Subscribe {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// Where the browser's PushSubscription is read from, as JSON: '-', 'env:NAME' or a file.
        #[arg(long, value_name = "SOURCE")]
        from: SecretSource,
        /// A name for people.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        display_name: String,
    },
    /// List the browsers of a member.
    List {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Tell a browser of nothing any more.
    Unsubscribe {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// The subscription's id, `psh_…`.
        subscription: String,
    },
}

/// What browsers write of a subscription (`JSON.stringify(subscription)`).
#[derive(Deserialize)]
struct Subscription {
    endpoint: String,
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    p256dh: String,
    auth: String,
}

const COLUMNS: &[Column<pb::PushSubscription>] = &[
    Column::text("SUBSCRIPTION", |subscription, _| short(&subscription.name).into()),
    Column::text("NAME", |subscription, _| subscription.display_name.as_str().into()),
    Column::text("HOST", |subscription, _| subscription.host.as_str().into()),
    Column::minor_text("MADE", |subscription, view| view.time(subscription.create_time.as_ref())),
];

/// Carries a command out.
pub async fn run(command: PushCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = PushServiceClient::new(session.client());
    let subscription = match command {
        PushCommand::Key => {
            let answer = client.get_push_key(session.request(pb::GetPushKeyRequest {})).await?.into_inner();
            return session.terminal.text(&format!("{}\n", answer.public_key));
        }
        PushCommand::Subscribe { member, from, display_name } => {
            let parent = named(session, &member).await?;
            let text = from.read("the subscription")?;
            let read: Subscription = serde_json::from_str(text.expose()).map_err(|_| {
                Failure::Usage("the subscription is no JSON of a browser's PushSubscription".to_owned())
            })?;
            let Subscription { endpoint, keys: Keys { p256dh, auth } } = read;
            let subscription = pb::PushSubscription { display_name, endpoint, p256dh, auth, ..Default::default() };
            let (push_subscription, request_id) = (Some(subscription), session.request_id());
            let request = pb::CreatePushSubscriptionRequest { parent, push_subscription, request_id };
            let answer = client.create_push_subscription(session.request(request)).await?;
            part(answer, |answer| answer.push_subscription)?
        }
        PushCommand::List { member, paging } => return list(session, &member, &paging).await,
        PushCommand::Unsubscribe { member, subscription } => {
            let name = under(&named(session, &member).await?, "pushSubscriptions", &subscription);
            let request = pb::DeletePushSubscriptionRequest { name, request_id: session.request_id() };
            let answer = client.delete_push_subscription(session.request(request)).await?;
            part(answer, |answer| answer.push_subscription)?
        }
    };
    session.terminal.record(&subscription, COLUMNS)
}

async fn list(session: &mut Session, member: &str, paging: &Paging) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let client = PushServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let request = pb::ListPushSubscriptionsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_push_subscriptions(request).await?.into_inner();
        Ok(Page { items: answer.push_subscriptions, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "no browser of this member is subscribed", fetch).await
}
