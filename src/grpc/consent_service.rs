//! `ConsentService`: what persons agreed to.

use tonic::{Request, Response, Status};

use crate::base::ids::{TeamId, TokenId};
use crate::domain::consent::{Consent, text_of};
use crate::domain::networks::Purposes;
use crate::grpc::authorization::authorize;
use crate::grpc::change::{answers, asked, change};
use crate::grpc::convert::timestamp;
use crate::grpc::fields::{COMMENT, check_text, child_in, from_purposes, purposes};
use crate::grpc::pb::{self, consent_service_server::ConsentService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::consents::ConsentView;

/// The service, for a broker.
pub struct ConsentServer(pub Broker);

#[tonic::async_trait]
impl ConsentService for ConsentServer {
    async fn get_consent(
        &self,
        request: Request<pb::GetConsentRequest>,
    ) -> Result<Response<pb::GetConsentResponse>, Status> {
        authorize(&self.0, &request, "ConsentService/GetConsent")?;
        let (team, token) = asked(request.get_ref(), |request, mistakes| {
            child_in("token", ["teams", "tokens"], &request.token, mistakes)
        })?;
        let view = self.0.show_consent(&team, token).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetConsentResponse { consent: Some(consent_message(&view)) }))
    }

    async fn withdraw_consent(
        &self,
        request: Request<pb::WithdrawConsentRequest>,
    ) -> Result<Response<pb::WithdrawConsentResponse>, Status> {
        let call = "ConsentService/WithdrawConsent";
        change(&self.0, request, call, read_withdrawal, |broker, attempt, ask| async move {
            broker.withdraw_consent(attempt, (&ask.team, ask.token), ask.purposes, &ask.comment).await
        })
        .await
    }
}

/// What is to be withdrawn.
struct Withdrawal {
    team: TeamId,
    token: TokenId,
    purposes: Purposes,
    comment: String,
}

fn read_withdrawal(request: &pb::WithdrawConsentRequest, mistakes: &mut FieldMistakes) -> Option<Withdrawal> {
    let named = child_in("token", ["teams", "tokens"], &request.token, mistakes);
    let purposes = purposes("purposes", &request.purposes, mistakes);
    if request.purposes.is_empty() {
        mistakes.note("purposes", "must name what to withdraw");
    }
    check_text("comment", &request.comment, COMMENT, mistakes);
    let (team, token) = named?;
    Some(Withdrawal { team, token, purposes, comment: request.comment.clone() })
}

fn consent_message(view: &ConsentView) -> pb::Consent {
    let now = &view.now;
    pb::Consent {
        token: format!("teams/{}/tokens/{}", view.team, now.token),
        purposes: from_purposes(now.purposes),
        consent_time: Some(timestamp(now.at)),
        text_version: now.text_version.clone(),
        text: text_of(&now.text_version).unwrap_or_default().to_owned(),
        changes: view.history.iter().map(|consent| change_message(&view.team, consent)).collect(),
    }
}

fn change_message(team: &TeamId, consent: &Consent) -> pb::ConsentChange {
    pb::ConsentChange {
        change_time: Some(timestamp(consent.at)),
        purposes: from_purposes(consent.purposes),
        withdrawn: from_purposes(consent.withdrawn),
        text_version: consent.text_version.clone(),
        member: consent.member.map(|member| format!("teams/{team}/members/{member}")).unwrap_or_default(),
    }
}

answers! {
    WithdrawConsentResponse { consent } = |_, view| consent_message(view), of ConsentView;
}
