//! The member's matrix: what it hears of each kind of event by each channel, for all profiles or for one.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};

use crate::base::ids::TokenId;
use crate::domain::member::{Action, Role, Standing, may};
use crate::domain::notice::{self, Channel, Kind, NoticeSettings, Stands};
use crate::domain::token::Token;
use crate::service::Broker;
use crate::service::notices::UpdateSettings;
use crate::service::profiles::ProfileName;
use crate::service::tokens::{TokenError, TokenListFilter};
use crate::web::console::filter::{Choice, address};
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit};

/// Profiles that can be chosen from.
const MOST_PROFILES: usize = 500;

/// The matrix, row by row.
pub(super) struct Matrix {
    pub(super) channels: Vec<String>,
    pub(super) rows: Vec<KindRow>,
}

/// A kind of event.
pub(super) struct KindRow {
    pub(super) name: String,
    pub(super) asks: bool,
    pub(super) cells: Vec<Cell>,
}

/// What was chosen of a kind and a channel.
pub(super) struct Cell {
    /// The name of its field.
    pub(super) field: String,
    pub(super) label: String,
    /// Named as the row is on a small screen.
    pub(super) channel: String,
    pub(super) options: Vec<Choice>,
}

/// Which profiles there are, and which is chosen.
pub(super) struct Profiles {
    /// All of them: the first is none.
    pub(super) options: Vec<Choice>,
    /// There are more than are shown.
    pub(super) more: bool,
    chosen: Option<String>,
    /// Profiles of the token that is asked for, each with its page, where there is more than one.
    pub(super) of_token: Vec<(String, String)>,
}

impl Profiles {
    /// Those of the team, and those of a token. `None`: there is no such profile.
    pub(super) async fn of(
        broker: &Broker,
        visit: &Visit,
        settings: &NoticeSettings,
        token: &str,
        profile: &str,
    ) -> Result<Option<Self>, TokenError> {
        let held = broker.list_held_profiles(visit.team(), MOST_PROFILES as u32 + 1).await?;
        let more = held.len() > MOST_PROFILES;
        let chosen_before = settings.choices.iter().filter_map(|choice| choice.profile.clone());
        let mut names: BTreeMap<String, String> = chosen_before.map(|id| (id.clone(), id)).collect();
        for profile in broker.directory.profiles(visit.team()) {
            let name = if profile.display_name.is_empty() { &profile.id } else { &profile.display_name };
            names.insert(profile.id.clone(), name.clone());
        }
        names.extend(held.into_iter().map(|(profile, name)| (profile.id, name)));
        let asked = match (token, profile) {
            ("", "") => None,
            ("", profile) if names.contains_key(profile) => None,
            ("", profile) => that_speaks_for(broker, visit, profile).await?,
            (token, _) => Some(broker.show_token(visit.team(), TokenId::typed(token)).await?.0.token),
        };
        names.extend(asked.iter().flat_map(|token| names_of(broker, token)));
        tell_apart(&mut names);
        let of_token = asked.filter(|_| !token.is_empty()).map(|token| token.profiles).unwrap_or_default();
        let chosen = match (profile, of_token.as_slice()) {
            ("", [first, ..]) => Some(first.clone()),
            ("", []) => None,
            (profile, _) if names.contains_key(profile) => Some(profile.to_owned()),
            _ => return Ok(None),
        };
        let page = |id: &String| address("/notifications", &[("profile", id)]);
        let several = of_token.iter().filter(|_| of_token.len() > 1);
        let of_token = several.map(|id| (names.get(id).cloned().unwrap_or_default(), page(id))).collect();
        // The chosen one is among those that are shown, however many there are.
        let mut shown: Vec<(String, String)> =
            names.iter().filter(|(id, _)| Some(*id) != chosen.as_ref()).take(MOST_PROFILES).map(owned).collect();
        shown.extend(chosen.as_ref().and_then(|id| names.get_key_value(id)).map(owned));
        let more = more || names.len() > shown.len();
        shown.sort_by(|one, other| one.1.cmp(&other.1));
        let option = |(value, text): (String, String)| Choice { chosen: Some(&value) == chosen.as_ref(), value, text };
        Ok(Some(Self { options: shown.into_iter().map(option).collect(), more, chosen, of_token }))
    }

    /// The profile that is chosen; `None`: all.
    pub(super) fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The id of the profile that is chosen; empty: all.
    pub(super) fn chosen_id(&self) -> &str {
        self.chosen.as_deref().unwrap_or_default()
    }

    /// What people call it.
    pub(super) fn chosen_name(&self) -> &str {
        self.options.iter().find(|option| option.chosen).map_or("", |option| &option.text)
    }
}

fn owned((id, name): (&String, &String)) -> (String, String) {
    (id.clone(), name.clone())
}

/// A token of the team that speaks for a profile.
async fn that_speaks_for(broker: &Broker, visit: &Visit, profile: &str) -> Result<Option<Token>, TokenError> {
    let (team, profile) = (Some(visit.team().clone()), Some(profile.to_owned()));
    let filter = TokenListFilter { team, profile, held: true, ..TokenListFilter::default() };
    Ok(broker.list_tokens(&filter, None, 1).await?.0.pop().map(|view| view.token))
}

/// What people call the profiles of a token, each behind its id.
fn names_of(broker: &Broker, token: &Token) -> Vec<(String, String)> {
    let named = |id: &String| {
        let profile = ProfileName { team: token.team.clone(), network: token.network.clone(), id: id.clone() };
        (id.clone(), broker.name_of_profile(&profile, &token.label))
    };
    token.profiles.iter().map(named).collect()
}

/// Adds the id to each name that several have.
fn tell_apart(names: &mut BTreeMap<String, String>) {
    let mut known = BTreeSet::new();
    let again: BTreeSet<String> = names.values().filter(|name| !known.insert(*name)).cloned().collect();
    for (id, name) in names.iter_mut().filter(|(_, name)| again.contains(&**name)) {
        *name = format!("{name} ({id})");
    }
}

impl Matrix {
    /// As the member chose, for a profile or (`None`) for all.
    pub(super) fn of(shell: &Shell, settings: &NoticeSettings, role: Role, profile: Option<&str>) -> Self {
        let channel_name = |channel: Channel| shell.say(&format!("channel-{}", channel.as_str().replace('_', "-")));
        let cell = |kind: Kind, kind_name: &str, channel: Channel| Cell {
            field: field_of(kind, channel),
            label: format!("{kind_name}: {}", channel_name(channel)),
            channel: channel_name(channel),
            options: options(shell, settings, role, (kind, channel, profile)),
        };
        let row = |kind: Kind| {
            let name = shell.say(&format!("kind-{}", kind.as_str().replace('_', "-")));
            let cells = Channel::ALL.into_iter().map(|channel| cell(kind, &name, channel)).collect();
            KindRow { cells, asks: kind.asks_for_action(), name }
        };
        // Of destinations only who may change them is told.
        let is_told = |kind: &Kind| *kind != Kind::OutOfOrder || may(role, Action::ChangeDestinations, Standing::Other);
        Self {
            channels: Channel::ALL.into_iter().map(channel_name).collect(),
            rows: Kind::ALL.into_iter().filter(is_told).map(row).collect(),
        }
    }
}

fn field_of(kind: Kind, channel: Channel) -> String {
    format!("{}-{}", kind.as_str(), channel.as_str())
}

/// What can be chosen of a cell. Where nothing is chosen it is as for all profiles, and there as is usual.
fn options(
    shell: &Shell,
    settings: &NoticeSettings,
    role: Role,
    (kind, channel, profile): (Kind, Channel, Option<&str>),
) -> Vec<Choice> {
    let is = |choice: &&notice::Choice| {
        choice.kind == kind && choice.channel == channel && choice.profile.as_deref() == profile
    };
    let chosen = settings.choices.iter().find(is).map(|choice| choice.on);
    let usual = match profile {
        Some(_) => shell.say("choice-as-for-all"),
        None => {
            let nothing = NoticeSettings::default();
            let owner = role == Role::Owner;
            let always_own = kind == Kind::OutOfOrder;
            let hears = |own| nothing.hears(kind, channel, &[], Stands { owner, own: own || always_own, granted: own });
            shell.say(match (hears(false), hears(true)) {
                (true, true) => "choice-usual-on",
                (true, false) => "choice-usual-others",
                (false, true) => "choice-usual-own",
                (false, false) => "choice-usual-off",
            })
        }
    };
    let option =
        |value: &str, text: String, is: Option<bool>| Choice { value: value.to_owned(), text, chosen: chosen == is };
    vec![
        option("", usual, None),
        option("on", shell.say("choice-on"), Some(true)),
        option("off", shell.say("choice-off"), Some(false)),
    ]
}

/// Notes what the member chose of a profile, or of all.
pub(in crate::web::console) async fn choose(
    State(broker): State<Broker>,
    visit: Visit,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let profile = fields.get("profile").filter(|profile| !profile.is_empty()).cloned();
    let member = visit.stay.member.id;
    let before = match broker.notice_settings(visit.team(), member).await {
        Ok(settings) => settings,
        Err(error) => return refused(shell, &error),
    };
    let others = before.choices.into_iter().filter(|choice| choice.profile != profile);
    let pairs = Kind::ALL.into_iter().flat_map(|kind| Channel::ALL.map(|channel| (kind, channel)));
    let chosen = pairs.filter_map(|(kind, channel)| {
        let on = match fields.get(&field_of(kind, channel)).map(String::as_str) {
            Some("on") => true,
            Some("off") => false,
            _ => return None,
        };
        Some(notice::Choice { kind, channel, profile: profile.clone(), on })
    });
    let change = UpdateSettings { choices: Some(others.chain(chosen).collect()), ..UpdateSettings::default() };
    match broker.update_notice_settings(&visit.caller(), visit.team(), member, change).await {
        Ok(_) => {
            let profile = profile.unwrap_or_default();
            Redirect::to(&address("/notifications", &[("profile", &profile), ("done", "chosen")])).into_response()
        }
        Err(error) => refused(shell, &error),
    }
}
