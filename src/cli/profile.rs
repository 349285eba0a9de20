//! `token-broker profile`.

use clap::Subcommand;

use super::failure::Failure;
use super::member;
use super::names::{short, top};
use super::options::{Paging, update_mask};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone};
use super::words::word_of;
use crate::grpc::pb;
use crate::grpc::pb::profile_service_client::ProfileServiceClient;

/// What to do with profiles.
#[derive(Subcommand)]
pub enum ProfileCommand {
    /// Show who is told of a profile, and who administers it.
    Show {
        #[command(flatten)]
        profile: ProfileArgs,
    },
    /// List the profiles of which something was said.
    List {
        /// Only this network.
        #[arg(long, default_value = "", hide_default_value = true)]
        network: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Say who is told of a profile, and who administers it.
    #[command(
        after_help = "Example:\n  token-broker profile update facebook_page 112233 --owner ada@example.com --admin bob@example.com"
    )]
    Update {
        #[command(flatten)]
        profile: ProfileArgs,
        /// A name for people.
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Who is told of it, by id or mail address; '' for who connected it.
        #[arg(long, value_name = "MEMBER")]
        owner: Option<String>,
        /// A member who administers it, by id or mail address; may be repeated. Replaces those it has.
        #[arg(long = "admin", value_name = "MEMBER")]
        admins: Vec<String>,
        /// Nobody administers it any more.
        #[arg(long, conflicts_with = "admins")]
        no_admins: bool,
    },
    /// List who can renew a profile's token at the network.
    Managers {
        #[command(flatten)]
        profile: ProfileArgs,
        #[command(flatten)]
        paging: Paging,
    },
}

/// Which profile is meant.
#[derive(clap::Args)]
pub struct ProfileArgs {
    /// Its network.
    network: String,
    /// Its id at the network.
    profile: String,
}

const COLUMNS: &[Column<pb::Profile>] = &[
    Column::text("NETWORK", |profile, _| short(&profile.network).into()),
    Column::text("PROFILE", |profile, _| profile.profile.as_str().into()),
    Column::minor_text("NAME", |profile, _| profile.display_name.as_str().into()),
    Column::text("OWNER", |profile, _| short(&profile.owner).into()),
    Column::minor_text("ADMINS", |profile, _| {
        profile.admins.iter().map(|admin| short(admin)).collect::<Vec<_>>().join(", ").into()
    }),
    Column::text("TOLD", |profile, _| short(&profile.notified).into()),
];

const MANAGERS: &[Column<pb::Manager>] = &[
    Column::text("MEMBER", |manager, _| manager.member.as_ref().map_or("", |member| short(&member.name)).into()),
    Column::text("MAIL", |manager, _| manager.member.as_ref().map_or("", |member| member.mail.as_str()).into()),
    Column::text("CAN RENEW", |manager, _| can(manager)),
    Column::text("WHY", |manager, _| word_of::<pb::RenewEvidence>(manager.evidence).into()),
    Column::minor_text("MAY HERE", |manager, _| if manager.may_renew { "yes" } else { "no" }.into()),
];

fn can(manager: &pb::Manager) -> Cell {
    let word = word_of::<pb::CanRenew>(manager.can_renew);
    match manager.can_renew() {
        pb::CanRenew::Yes => Cell::toned(word, Tone::Good),
        pb::CanRenew::No => Cell::toned(word, Tone::Bad),
        pb::CanRenew::Unknown | pb::CanRenew::Unspecified => word.into(),
    }
}

/// Carries a command out.
pub async fn run(command: ProfileCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = ProfileServiceClient::new(session.client());
    let profile = match command {
        ProfileCommand::List { network, paging } => return list(session, &network, &paging).await,
        ProfileCommand::Managers { profile, paging } => return managers(session, profile, &paging).await,
        ProfileCommand::Show { profile } => {
            let (parent, network) = (session.team().await?, top("networks", &profile.network));
            let request = pb::GetProfileRequest { parent, network, profile: profile.profile };
            part(client.get_profile(session.request(request)).await?, |answer| answer.profile)?
        }
        ProfileCommand::Update { profile, display_name, owner, admins, no_admins } => {
            let renews_admins = no_admins || !admins.is_empty();
            let fields =
                [("display_name", display_name.is_some()), ("owner", owner.is_some()), ("admins", renews_admins)];
            let update_mask = Some(update_mask(&fields, &[])?);
            let owner = match owner.as_deref() {
                None | Some("") => String::new(),
                Some(owner) => member::named(session, owner).await?,
            };
            let mut named = Vec::new();
            for admin in &admins {
                named.push(member::named(session, admin).await?);
            }
            let profile = pb::Profile {
                team: session.team().await?,
                network: top("networks", &profile.network),
                profile: profile.profile,
                display_name: display_name.unwrap_or_default(),
                owner,
                admins: named,
                ..pb::Profile::default()
            };
            let request =
                pb::UpdateProfileRequest { profile: Some(profile), update_mask, request_id: session.request_id() };
            part(client.update_profile(session.request(request)).await?, |answer| answer.profile)?
        }
    };
    session.terminal.record(&profile, COLUMNS)
}

async fn list(session: &mut Session, network: &str, paging: &Paging) -> Result<(), Failure> {
    let client = ProfileServiceClient::new(session.client());
    let (parent, network) = (session.team().await?, top("networks", network));
    let fetch = async |page_size, page_token| {
        let request =
            pb::ListProfilesRequest { parent: parent.clone(), network: network.clone(), page_size, page_token };
        let answer = client.clone().list_profiles(request).await?.into_inner();
        Ok(Page { items: answer.profiles, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "nothing was said of any profile; who connected one is told of it", fetch).await
}

async fn managers(session: &mut Session, profile: ProfileArgs, paging: &Paging) -> Result<(), Failure> {
    let client = ProfileServiceClient::new(session.client());
    let (parent, network) = (session.team().await?, top("networks", &profile.network));
    let filter = pb::ListManagersRequest { parent, network, profile: profile.profile, ..Default::default() };
    let fetch = async |page_size, page_token| {
        let request = pb::ListManagersRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_managers(request).await?.into_inner();
        Ok(Page { items: answer.managers, next: answer.next_page_token })
    };
    session.list(MANAGERS, paging, "the team has no members; invite one with `token-broker member invite`", fetch).await
}
