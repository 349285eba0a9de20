//! Who did something, as pages name them.

use crate::base::ids::MemberId;
use crate::service::Broker;
use crate::web::console::Visit;

/// The name for people of whom the audit names `actor`: a member of the team by its own, others as they are.
pub(super) async fn name_of(broker: &Broker, visit: &Visit, actor: &str) -> String {
    let id = actor.rsplit_once("/members/").and_then(|(_, id)| id.parse::<MemberId>().ok());
    let found = match id {
        Some(id) => broker.show_member(visit.team(), id).await.ok(),
        None => None,
    };
    found.map_or_else(|| actor.to_owned(), |found| found.member.name_for_people().to_owned())
}
