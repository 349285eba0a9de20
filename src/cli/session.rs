//! One command's work with the broker: the channel, the terminal, and what most commands need: the team that is meant,
//! request ids, deadlines, paging.

use std::time::Duration;

use tonic::{Code, Request, Response, Status};

use super::failure::Failure;
use super::json::Named;
use super::names;
use super::options::Paging;
use super::table::{Column, csv_line, csv_titles};
use super::terminal::{Format, Terminal, json_of};
use crate::base::clock::Timestamp;
use crate::grpc::client::Client;
use crate::grpc::pb;
use crate::grpc::pb::team_service_client::TeamServiceClient;

const PAGE_SIZE: usize = 200;
/// How many rows a table has unless more are asked for.
const TABLE_ROWS: usize = 100;

/// What a command works with.
pub struct Session {
    client: Client,
    /// Where its output goes.
    pub terminal: Terminal,
    team: Option<String>,
    request_id: Option<String>,
    deadline: Duration,
}

/// A page of a list.
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// For the next page; empty on the last.
    pub next: String,
}

impl Session {
    /// Brings together what the command line asked for.
    pub fn new(
        client: Client,
        terminal: Terminal,
        team: Option<String>,
        request_id: Option<String>,
        deadline: Duration,
    ) -> Self {
        Self { client, terminal, team, request_id, deadline }
    }

    /// The channel.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.terminal.now
    }

    /// A request with the deadline of this command.
    pub fn request<T>(&self, message: T) -> Request<T> {
        self.request_within(message, Duration::ZERO)
    }

    /// A request that may take this much longer than others.
    pub fn request_within<T>(&self, message: T, longer: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline + longer);
        request
    }

    /// The id that makes a retry safe: the one from the command line, else a new one.
    pub fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }

    /// `teams/{team}`: the one from the command line, else the only one there is. May be `teams/-`.
    pub async fn team(&self) -> Result<String, Failure> {
        if let Some(team) = &self.team {
            return Ok(names::top("teams", team));
        }
        let request = pb::ListTeamsRequest { page_size: 2, page_token: String::new() };
        let answer = TeamServiceClient::new(self.client()).list_teams(self.request(request)).await;
        let answer = match answer {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::PermissionDenied => {
                let text = "say which team with --team or TOKEN_BROKER_TEAM: a collector can't look for it";
                return Err(Failure::Usage(text.to_owned()));
            }
            Err(status) => return Err(status.into()),
        };
        match answer.teams.as_slice() {
            [only] => Ok(only.name.clone()),
            [] => Err(Failure::Usage("there is no team yet; make one with `token-broker team create NAME`".to_owned())),
            _ => Err(Failure::Usage("there are several teams; say which with --team or TOKEN_BROKER_TEAM".to_owned())),
        }
    }

    /// The filter by team: what the command line says, else all.
    pub fn team_filter(&self) -> String {
        match self.team.as_deref() {
            None | Some("-" | "teams/-") => String::new(),
            Some(team) => names::top("teams", team),
        }
    }

    /// The whole name of a thing that belongs to a team. Only a short one needs to know the team.
    pub async fn in_team(&self, noun: &str, text: &str) -> Result<String, Failure> {
        if text.contains('/') {
            return Ok(text.to_owned());
        }
        let team = self.team().await?;
        if team == "teams/-" {
            return Err(Failure::Usage(format!("'{text}' belongs to one team; say which with --team")));
        }
        Ok(names::under(&team, noun, text))
    }

    /// Fetches page after page and shows them. Tables end after 100 rows unless told otherwise; JSON has all. Where there is
    /// nothing, people are told `nothing`.
    pub async fn list<T: Named>(
        &mut self,
        columns: &[Column<T>],
        paging: &Paging,
        nothing: &str,
        mut fetch: impl AsyncFnMut(i32, String) -> Result<Page<T>, Status>,
    ) -> Result<(), Failure> {
        let is_table = self.terminal.format == Format::Table;
        let limit = match paging.limit {
            Some(0) => usize::MAX,
            Some(limit) => limit,
            None if is_table => TABLE_ROWS,
            None => usize::MAX,
        };
        let mut rows = Vec::new();
        let mut shown = 0;
        let mut token = String::new();
        let more = loop {
            let size = PAGE_SIZE.min(limit - shown);
            let page = fetch(i32::try_from(size).unwrap_or(i32::MAX), token);
            let page = tokio::time::timeout(self.deadline, page).await.map_err(|_| too_late())??;
            for item in page.items.into_iter().take(limit - shown) {
                if is_table {
                    rows.push(item);
                } else {
                    self.list_item(&item, shown, columns)?;
                }
                shown += 1;
            }
            self.terminal.flush()?;
            if page.next.is_empty() || shown >= limit {
                break !page.next.is_empty();
            }
            token = page.next;
        };
        self.list_end(&rows, columns, shown, nothing)?;
        if more {
            self.terminal.notice(&format!("there are more than {shown}; raise --limit, or use --limit 0 for all"));
        }
        Ok(())
    }

    fn list_item<T: Named>(&mut self, item: &T, index: usize, columns: &[Column<T>]) -> Result<(), Failure> {
        if self.terminal.format == Format::Csv {
            let titles = if index == 0 { csv_titles(columns) } else { String::new() };
            let line = csv_line(item, columns, self.terminal.view());
            return self.terminal.write(&format!("{titles}{line}"));
        }
        let value = json_of(item)?;
        match (self.terminal.format, index) {
            (Format::Json, 0) => self.terminal.write(&format!("[\n{value}")),
            (Format::Json, _) => self.terminal.write(&format!(",\n{value}")),
            _ => self.terminal.write(&format!("{value}\n")),
        }
    }

    fn list_end<T>(&mut self, rows: &[T], columns: &[Column<T>], shown: usize, nothing: &str) -> Result<(), Failure> {
        match self.terminal.format {
            Format::Json if shown == 0 => self.terminal.text("[]\n"),
            Format::Json => self.terminal.text("\n]\n"),
            Format::Csv if shown == 0 => self.terminal.text(&csv_titles(columns)),
            Format::Jsonl | Format::Csv => Ok(()),
            Format::Table if shown == 0 => {
                self.terminal.notice(nothing);
                Ok(())
            }
            Format::Table => self.terminal.table(rows, columns),
        }
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("the broker did not answer in time; raise --timeout")
}

/// The part of an answer that the API always sets.
pub fn part<A, T>(answer: Response<A>, pick: fn(A) -> Option<T>) -> Result<T, Failure> {
    pick(answer.into_inner()).ok_or_else(|| Failure::Answer("a part of it is missing".to_owned()))
}
