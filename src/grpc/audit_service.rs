//! `AuditService`: what happened, and what each token was used for.

use tonic::{Request, Response, Status};

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::grpc::authorization::authorize;
use crate::grpc::change::asked;
use crate::grpc::convert::{from_purpose, from_timestamp, timestamp};
use crate::grpc::fields::{check_text, child_in, count, name_in};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, audit_service_server::AuditService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::audit::{AuditEntry, AuditQuery, details, token_of};
use crate::service::usage::{UsageEntry, UsageStatement, day_of, start_of};

/// Days of a statement whose beginning is not given.
const USUAL_DAYS: i32 = 30;
/// Days between the ends of a statement at most.
const MOST_DAYS: i32 = 400;

/// The service, for a broker.
pub struct AuditServer(pub Broker);

#[tonic::async_trait]
impl AuditService for AuditServer {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        authorize(&self.0, &request, "AuditService/ListAuditEvents")?;
        let request = request.into_inner();
        let query = asked(&request, read_query)?;
        let page = Page::of(&self.0, "audit", &request)?;
        let before = page.after_id(|cursor| cursor.try_into().map(i64::from_be_bytes));
        let found = self.0.list_audit(&query, before, page.size).await.map_err(Refusal::from)?;
        let next = found.next.map(i64::to_be_bytes);
        let next_page_token = page.next(&self.0, next.as_ref().map(|cursor| &cursor[..]));
        let audit_events = found.events.iter().map(|event| event_message(&self.0, event)).collect();
        Ok(Response::new(pb::ListAuditEventsResponse { audit_events, next_page_token }))
    }

    async fn get_token_usage_statement(
        &self,
        request: Request<pb::GetTokenUsageStatementRequest>,
    ) -> Result<Response<pb::GetTokenUsageStatementResponse>, Status> {
        authorize(&self.0, &request, "AuditService/GetTokenUsageStatement")?;
        let request = request.into_inner();
        let now = self.0.now();
        let asked = asked(&request, |request, mistakes| read_statement(request, now, mistakes))?;
        let page = Page::of(&self.0, "usage", &request)?;
        let skip = page.after_id(|cursor| cursor.try_into().map(u64::from_be_bytes)).unwrap_or(0);
        let stated = self.0.state_usage(&asked.team, asked.token, asked.from, asked.to).await;
        let stated = stated.map_err(Refusal::from)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let rows: Vec<_> = stated.rows.iter().skip(skip).take(page.size).collect();
        let end = skip.saturating_add(rows.len());
        let next = (end < stated.rows.len()).then(|| (end as u64).to_be_bytes());
        Ok(Response::new(pb::GetTokenUsageStatementResponse {
            token: request.token,
            start_time: Some(timestamp(start_of(asked.from))),
            end_time: Some(timestamp(start_of(asked.to.saturating_add(1)))),
            total_calls: count(stated.total_calls),
            rows: rows.into_iter().map(|row| usage_message(&self.0, &asked.team, &stated, row)).collect(),
            next_page_token: page.next(&self.0, next.as_ref().map(|cursor| &cursor[..])),
        }))
    }
}

fn read_query(request: &pb::ListAuditEventsRequest, mistakes: &mut FieldMistakes) -> Option<AuditQuery> {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let team = given(&request.team).and_then(|name| name_in("team", "teams", &name, mistakes));
    for (field, text) in [
        ("resource", &request.resource),
        ("token", &request.token),
        ("actor", &request.actor),
        ("action", &request.action),
    ] {
        check_text(field, text, 256, mistakes);
    }
    if let Some(name) = given(&request.token) {
        let _: Option<(TeamId, TokenId)> = child_in("token", ["teams", "tokens"], &name, mistakes);
    }
    Some(AuditQuery {
        team,
        resource: given(&request.resource),
        token: given(&request.token),
        actor: given(&request.actor),
        action: given(&request.action),
        from: request.start_time.as_ref().map(from_timestamp),
        until: request.end_time.as_ref().map(from_timestamp),
        without_leases: false,
    })
}

/// A statement that is asked for: days are counted from 1970-01-01 in UTC, both included.
struct Asked {
    team: TeamId,
    token: TokenId,
    from: i32,
    to: i32,
}

fn read_statement(
    request: &pb::GetTokenUsageStatementRequest,
    now: Timestamp,
    mistakes: &mut FieldMistakes,
) -> Option<Asked> {
    let named = child_in("token", ["teams", "tokens"], &request.token, mistakes);
    let day = |at: &prost_types::Timestamp| day_of(from_timestamp(at));
    let to = request.end_time.as_ref().map_or_else(|| day_of(now), day);
    let from = request.start_time.as_ref().map_or_else(|| to.saturating_sub(USUAL_DAYS), day);
    if from > to {
        mistakes.note("start_time", "must not be after the end");
    } else if to.saturating_sub(from) > MOST_DAYS {
        mistakes.note("end_time", format!("must be at most {MOST_DAYS} days after the start"));
    }
    let (team, token) = named?;
    Some(Asked { team, token, from, to })
}

fn event_message(broker: &Broker, event: &AuditEntry) -> pb::AuditEvent {
    let (pairs, comment) = details(&event.detail);
    let more = pairs.iter().filter(|(key, _)| *key != "token");
    pb::AuditEvent {
        name: format!("auditEvents/{}", event.id),
        occur_time: Some(timestamp(event.at)),
        action: event.action.clone(),
        actor: broker.actor_name(event.actor, event.team.as_ref()),
        team: event.team.as_ref().map(|team| format!("teams/{team}")).unwrap_or_default(),
        resource: event.subject.clone(),
        token: token_of(event).unwrap_or_default(),
        comment: comment.to_owned(),
        details: more.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn usage_message(broker: &Broker, team: &TeamId, stated: &UsageStatement, row: &UsageEntry) -> pb::TokenUsageRow {
    let class = row.key.class.as_ref();
    let allowance = class.and_then(|class| stated.allowance.get(class)).filter(|units| **units > 0);
    let day = start_of(row.key.day).to_string();
    pb::TokenUsageRow {
        day: day.get(..10).unwrap_or_default().to_owned(),
        collection: row.key.collection.clone(),
        holder: row
            .key
            .collector
            .map_or_else(|| "keys/-".to_owned(), |collector| broker.collector_name(collector, Some(team))),
        purpose: from_purpose(row.key.purpose) as i32,
        credit_class: class.map(ToString::to_string).unwrap_or_default(),
        calls: count(row.calls),
        credits: count(row.credits),
        share_of_allowance: allowance.map(|units| share(row.credits, *units)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people needs no more than a float holds")]
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}
