//! `token-broker team`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Paging, update_mask};
use super::session::{Page, Session, part};
use super::table::Column;
use crate::grpc::pb;
use crate::grpc::pb::team_service_client::TeamServiceClient;

/// What to do with teams.
#[derive(Subcommand)]
pub enum TeamCommand {
    /// Create a team.
    #[command(after_help = "Example:\n  token-broker team create acme --display-name 'Acme Ltd'")]
    Create {
        /// Its id: 1 to 63 of a-z, 0-9, '_', '-', '.'.
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// List the teams.
    List(Paging),
    /// Show one team.
    Show {
        /// The team.
        name: String,
    },
    /// Change a team.
    #[command(after_help = "Example:\n  token-broker team update acme --weight 200")]
    Update {
        /// The team.
        name: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a team.
    Delete {
        /// The team.
        name: String,
        /// Also recall its leases, revoke its tokens and delete its collectors. They can't be had back.
        #[arg(long)]
        force: bool,
    },
}

/// What can be said about a team.
#[derive(clap::Args)]
pub struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Share of credit that teams compete for: 1 to 1000. Default: 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000), allow_negative_numbers = true)]
    weight: Option<i32>,
    /// Percent of each limit that is never spent: 0 to 90. Default: the network's, then 10.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=90), allow_negative_numbers = true)]
    reserve_percent: Option<i32>,
}

impl Fields {
    fn mask(&self) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", self.display_name.is_some()),
            ("weight", self.weight.is_some()),
            ("reserve_percent", self.reserve_percent.is_some()),
        ];
        update_mask(&fields, &[])
    }

    fn into_team(self, name: String) -> pb::Team {
        pb::Team {
            name,
            display_name: self.display_name.unwrap_or_default(),
            weight: self.weight.unwrap_or_default(),
            reserve_percent: self.reserve_percent,
            ..pb::Team::default()
        }
    }
}

const COLUMNS: &[Column<pb::Team>] = &[
    Column::text("TEAM", |team, _| short(&team.name).into()),
    Column::minor_text("NAME", |team, _| team.display_name.as_str().into()),
    Column::number("TOKENS", |team, _| team.tokens.into()),
    Column::number("COLLECTORS", |team, _| team.collectors.into()),
    Column::minor_number("WEIGHT", |team, _| team.weight.into()),
    Column::minor_number("RESERVE", |team, _| {
        team.reserve_percent.map(|percent| format!("{percent} %")).unwrap_or_default().into()
    }),
    Column::minor_text("CREATED", |team, view| view.time(team.create_time.as_ref())),
];

/// Carries a command out.
pub async fn run(command: TeamCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = TeamServiceClient::new(session.client());
    let team = match command {
        TeamCommand::List(paging) => return list(session, &paging).await,
        TeamCommand::Delete { name, force } => return delete(session, &name, force).await,
        TeamCommand::Create { id, fields } => {
            let team = Some(fields.into_team(String::new()));
            let request = pb::CreateTeamRequest { team_id: id, team, request_id: session.request_id() };
            part(client.create_team(session.request(request)).await?, |answer| answer.team)?
        }
        TeamCommand::Show { name } => {
            let request = pb::GetTeamRequest { name: top("teams", &name) };
            part(client.get_team(session.request(request)).await?, |answer| answer.team)?
        }
        TeamCommand::Update { name, fields } => {
            let update_mask = Some(fields.mask()?);
            let team = Some(fields.into_team(top("teams", &name)));
            let request = pb::UpdateTeamRequest { team, update_mask, request_id: session.request_id() };
            part(client.update_team(session.request(request)).await?, |answer| answer.team)?
        }
    };
    session.terminal.record(&team, COLUMNS)
}

async fn list(session: &mut Session, paging: &Paging) -> Result<(), Failure> {
    let client = TeamServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let answer = client.clone().list_teams(pb::ListTeamsRequest { page_size, page_token }).await?.into_inner();
        Ok(Page { items: answer.teams, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no teams; make one with `token-broker team create`", fetch).await
}

async fn delete(session: &mut Session, name: &str, force: bool) -> Result<(), Failure> {
    let request = pb::DeleteTeamRequest { name: top("teams", name), force, request_id: session.request_id() };
    TeamServiceClient::new(session.client()).delete_team(session.request(request)).await?;
    session.terminal.say(&format!("team {} is deleted", short(name)))
}
