//! The events that fit the filters, as a file: a JSON object in each line, or CSV. It is written while it is read, a part at a time.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;

use super::query::Asked;
use super::{MOST_EXPORTED, list, refused};
use crate::domain::member::Action;
use crate::service::audit::{AuditEntry, AuditQuery, details};
use crate::service::members::On;
use crate::service::{Broker, StoreError};
use crate::web::console::{Place, Visit};

/// Events read at once.
const PART: usize = 1_000;
const TITLES: &[u8] = b"number,time,actor,action,subject,detail,comment\r\n";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Csv,
}

/// A file that is being written.
struct Writing {
    broker: Broker,
    query: AuditQuery,
    form: Form,
    next: Option<i64>,
    left: usize,
    begun: bool,
}

/// The file.
pub(in crate::web::console) async fn export(
    State(broker): State<Broker>,
    visit: Visit,
    Path(file): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Activity);
    if let Err(error) = broker.must_permit(&visit.caller(), Action::SeeAudit, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    let (form, content_type) = match file.as_str() {
        "export.jsonl" => (Form::Lines, "application/jsonl; charset=utf-8"),
        "export.csv" => (Form::Csv, "text/csv; charset=utf-8"),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    // The page says what is wrong.
    let Some(query) = asked.query(&broker, &visit) else {
        return list(State(broker), visit, Query(asked)).await;
    };
    let ending = if form == Form::Csv { "csv" } else { "jsonl" };
    let name = format!("attachment; filename=\"activity-{}.{ending}\"", visit.team());
    let writing = Writing { broker, query, form, next: None, left: MOST_EXPORTED, begun: false };
    let body = Body::from_stream(stream::try_unfold(writing, Writing::part));
    ([(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, name)], body).into_response()
}

impl Writing {
    async fn part(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        if self.left == 0 || (self.begun && self.next.is_none()) {
            return Ok(None);
        }
        let page = self.broker.list_audit(&self.query, self.next, PART.min(self.left)).await?;
        let mut text = if self.form == Form::Csv && !self.begun { TITLES.to_vec() } else { Vec::new() };
        for event in &page.events {
            match self.form {
                Form::Lines => self.write_line(event, &mut text),
                Form::Csv => self.write_row(event, &mut text),
            }
        }
        (self.begun, self.next, self.left) = (true, page.next, self.left - page.events.len());
        Ok(Some((Bytes::from(text), self)))
    }

    fn write_line(&self, event: &AuditEntry, text: &mut Vec<u8>) {
        let (pairs, comment) = details(&event.detail);
        let pairs: serde_json::Map<_, _> =
            pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let line = json!({
            "number": event.seq,
            "time": event.at.to_string(),
            "actor": self.broker.actor_name(event.actor, event.team.as_ref()),
            "action": event.action,
            "subject": event.subject,
            "detail": pairs,
            "comment": comment,
        });
        text.extend_from_slice(line.to_string().as_bytes());
        text.push(b'\n');
    }

    fn write_row(&self, event: &AuditEntry, text: &mut Vec<u8>) {
        let (pairs, comment) = details(&event.detail);
        let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let cells = [
            event.seq.to_string(),
            event.at.to_string(),
            self.broker.actor_name(event.actor, event.team.as_ref()),
            event.action.clone(),
            event.subject.clone(),
            pairs.join(" "),
            comment.to_owned(),
        ];
        text.extend_from_slice(cells.map(|cell| csv_cell(&cell)).join(",").as_bytes());
        text.extend_from_slice(b"\r\n");
    }
}

/// A cell of CSV (RFC 4180). What a spreadsheet would take for a formula begins with an apostrophe, which makes it text.
fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::csv_cell;

    #[test]
    fn cells_are_text_whatever_they_hold() {
        let cases =
            [("plain", "plain"), ("a,\"b\"", "\"a,\"\"b\"\"\""), ("=1+1", "'=1+1"), ("", ""), ("@x\ny", "\"'@x\ny\"")];
        for (text, expected) in cases {
            assert_eq!(csv_cell(text), expected);
        }
    }
}
