//! What requests about notices say.

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::base::ids::{DestinationId, EventId, MemberId, OutboxId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::notice::{Channel, Choice, DestinationKind, Kind, QuietHours};
use crate::grpc::fields::{NAME, check_given, check_text, child_in, mask, name_in, required};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::notices::{CreateDestination, MarkRead, RiskPlace, UpdateDestination, UpdateSettings};

const CHANGEABLE: [&str; 4] = ["display_name", "target", "signing_secrets", "kinds"];
const SETTINGS: [&str; 2] = ["choices", "quiet_hours"];
/// The most notices that one request marks.
const MOST_MARKS: usize = 1000;

/// The member that a call is about.
pub fn read_member(parent: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, MemberId)> {
    child_in("parent", ["teams", "members"], parent, mistakes)
}

/// The member whose settings a call is about.
pub fn read_settings_name(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, MemberId)> {
    match name.strip_suffix("/noticeSettings") {
        Some(member) => child_in(field, ["teams", "members"], member, mistakes),
        None => {
            mistakes.note(field, "must be 'teams/{team}/members/{member}/noticeSettings'");
            None
        }
    }
}

/// What a member has read.
pub fn read_marks(
    request: &pb::MarkNoticesReadRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, MemberId, MarkRead)> {
    let (team, member) = read_member(&request.parent, mistakes)?;
    if request.notices.len() > MOST_MARKS {
        mistakes.note("notices", format!("must be at most {MOST_MARKS}; use `through` for all up to one"));
    }
    if request.notices.is_empty() && request.through.is_empty() {
        mistakes.note("notices", "is required, unless `through` is given");
    }
    let mut event = |field: &str, name: &str| -> Option<EventId> {
        // Whatever stands before, the notice is looked for in the parent alone.
        let id = name.rsplit_once("/notices/").and_then(|(_, id)| id.parse().ok());
        if id.is_none() {
            mistakes.note(field, "must be 'teams/{team}/members/{member}/notices/{notice}'");
        }
        id
    };
    let through = if request.through.is_empty() { None } else { event("through", &request.through) };
    let events = request.notices.iter().take(MOST_MARKS).filter_map(|name| event("notices", name)).collect();
    Some((team, member, MarkRead { through, events }))
}

/// What a member chooses.
pub fn read_settings(
    request: &pb::UpdateNoticeSettingsRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, MemberId, UpdateSettings)> {
    let given = required("settings", request.settings.clone(), mistakes);
    let named = read_settings_name("settings.name", &given.name, mistakes);
    let mut change = UpdateSettings::default();
    for path in mask(request.update_mask.as_ref(), &SETTINGS, &[], mistakes) {
        match path.as_str() {
            "choices" => {
                let choices = given.choices.iter().filter_map(|choice| read_choice(choice, mistakes));
                change.choices = Some(choices.collect());
            }
            _ => change.quiet = Some(given.quiet_hours.as_ref().map(read_quiet)),
        }
    }
    let (team, member) = named?;
    Some((team, member, change))
}

/// What is out of range is found with the settings as a whole.
fn read_quiet(quiet: &pb::QuietHours) -> QuietHours {
    let minute = |minute: i32| u16::try_from(minute).unwrap_or(u16::MAX);
    QuietHours { from: minute(quiet.from_minute), until: minute(quiet.until_minute) }
}

fn read_choice(choice: &pb::NoticeChoice, mistakes: &mut FieldMistakes) -> Option<Choice> {
    let kind = read_kind("settings.choices.kind", choice.kind, mistakes);
    let channel = match pb::NoticeChannel::try_from(choice.channel) {
        Ok(pb::NoticeChannel::Mail) => Some(Channel::Mail),
        Ok(pb::NoticeChannel::InApp) => Some(Channel::InApp),
        Ok(pb::NoticeChannel::WebPush) => Some(Channel::WebPush),
        Ok(pb::NoticeChannel::Unspecified) | Err(_) => {
            mistakes.note("settings.choices.channel", "must be mail, in_app or web_push");
            None
        }
    };
    let profile = Some(choice.profile.clone()).filter(|profile| !profile.is_empty());
    Some(Choice { kind: kind?, channel: channel?, profile, on: choice.on })
}

fn read_kind(field: &str, value: i32, mistakes: &mut FieldMistakes) -> Option<Kind> {
    let named = pb::NoticeKind::try_from(value).ok().map(|kind| kind.as_str_name());
    let name = named.and_then(|name| name.strip_prefix("NOTICE_KIND_")).unwrap_or_default().to_lowercase();
    let kind = Kind::from_name(&name);
    if kind.is_none() {
        mistakes.note(field, "must be a known kind of notice");
    }
    kind
}

fn read_kinds(field: &str, values: &[i32], mistakes: &mut FieldMistakes) -> BTreeSet<Kind> {
    values.iter().filter_map(|value| read_kind(field, *value, mistakes)).collect()
}

/// A destination to add.
pub fn read_destination(
    request: &pb::CreateDestinationRequest,
    mistakes: &mut FieldMistakes,
) -> Option<CreateDestination> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let given = required("destination", request.destination.clone(), mistakes);
    check_text("destination.display_name", &given.display_name, NAME, mistakes);
    check_given("destination.target", &given.target, mistakes);
    let kind = match pb::DestinationKind::try_from(given.kind) {
        Ok(pb::DestinationKind::Mail) => Some(DestinationKind::Mail),
        Ok(pb::DestinationKind::Slack) => Some(DestinationKind::Slack),
        Ok(pb::DestinationKind::Teams) => Some(DestinationKind::Teams),
        Ok(pb::DestinationKind::Webhook) => Some(DestinationKind::Webhook),
        Ok(pb::DestinationKind::Unspecified) | Err(_) => {
            mistakes.note("destination.kind", "must be mail, slack, teams or webhook");
            None
        }
    };
    let events = Some(read_kinds("destination.kinds", &given.kinds, mistakes)).filter(|kinds| !kinds.is_empty());
    Some(CreateDestination {
        team: team?,
        display_name: given.display_name,
        kind: kind?,
        target: Secret::new(given.target),
        secrets: given.signing_secrets.into_iter().map(Secret::new).collect(),
        events,
    })
}

/// The destination that a call is about.
pub fn read_destination_name(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, DestinationId)> {
    child_in(field, ["teams", "destinations"], name, mistakes)
}

/// What to change, and of which destination.
pub fn read_destination_change(
    request: &pb::UpdateDestinationRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, DestinationId, UpdateDestination)> {
    let given = required("destination", request.destination.clone(), mistakes);
    let named = read_destination_name("destination.name", &given.name, mistakes);
    let mut change = UpdateDestination::default();
    for path in mask(request.update_mask.as_ref(), &CHANGEABLE, &[], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("destination.display_name", &given.display_name, NAME, mistakes);
                change.display_name = Some(given.display_name.clone());
            }
            "target" => {
                check_given("destination.target", &given.target, mistakes);
                change.target = Some(Secret::new(given.target.clone()));
            }
            "kinds" => change.events = Some(read_kinds("destination.kinds", &given.kinds, mistakes)),
            _ => change.secrets = Some(given.signing_secrets.iter().cloned().map(Secret::new).collect()),
        }
    }
    let (team, id) = named?;
    Some((team, id, change))
}

/// The message that a call is about.
pub fn read_dead_letter(name: &str, mistakes: &mut FieldMistakes) -> Option<OutboxId> {
    name_in("name", "deadLetters", name, mistakes)
}

/// A place in the list of what is at risk, as a page token carries it.
pub fn risk_cursor(place: RiskPlace) -> Vec<u8> {
    [&place.at.micros().to_be_bytes()[..], &place.token.as_bytes()[..]].concat()
}

/// The place of [`risk_cursor`].
pub fn risk_place(cursor: &[u8]) -> Option<RiskPlace> {
    let (at, token) = cursor.split_first_chunk()?;
    Some(RiskPlace { at: Timestamp::from_micros(i64::from_be_bytes(*at)), token: TokenId::from_slice(token).ok()? })
}
