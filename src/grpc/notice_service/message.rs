//! Notices, settings, destinations and dead letters on the wire.

use crate::base::ids::{MemberId, TeamId};
use crate::domain::notice::{Channel, Destination, DestinationKind, Kind, NoticeSettings};
use crate::grpc::change::{Answer, answers};
use crate::grpc::convert::{optional_timestamp, timestamp};
use crate::grpc::pb;
use crate::service::Broker;
use crate::service::notices::{ChosenSettings, DeadLetter, DestinationView, GivenUp, Notice, NoticesRead, TestSent};

/// A notice of a member of a team.
pub fn notice_message(team: &TeamId, notice: &Notice) -> pb::Notice {
    let (event, words) = (&notice.event, &notice.words);
    pb::Notice {
        name: format!("teams/{team}/members/{}/notices/{}", notice.member, event.id),
        kind: kind_of(event.fact.kind()).into(),
        event_time: Some(timestamp(event.at)),
        subject: words.subject.clone(),
        happened: words.happened.clone(),
        why: words.why.clone(),
        stops: words.stops.clone(),
        todo: words.todo.clone(),
        page_url: words.link.as_ref().map(|link| link.url.clone()).unwrap_or_default(),
        network: event.fact.network().map(|network| format!("networks/{network}")).unwrap_or_default(),
        token: event.fact.token().map(|token| format!("teams/{team}/tokens/{token}")).unwrap_or_default(),
        read: notice.read,
        over: notice.over.map(|over| over.to_string()).unwrap_or_default(),
        dedup_key: event.dedup_key.clone(),
    }
}

/// A kind.
pub fn kind_of(kind: Kind) -> pb::NoticeKind {
    match kind {
        Kind::TokenExpiring => pb::NoticeKind::TokenExpiring,
        Kind::TokenExpired => pb::NoticeKind::TokenExpired,
        Kind::TokenInvalid => pb::NoticeKind::TokenInvalid,
        Kind::NeedsReconnecting => pb::NoticeKind::NeedsReconnecting,
        Kind::TokenBlocked => pb::NoticeKind::TokenBlocked,
        Kind::TokenRenewed => pb::NoticeKind::TokenRenewed,
        Kind::TokenConnected => pb::NoticeKind::TokenConnected,
        Kind::OperationRefused => pb::NoticeKind::OperationRefused,
        Kind::OutOfBandSpending => pb::NoticeKind::OutOfBandSpending,
        Kind::RetentionClock => pb::NoticeKind::RetentionClock,
        Kind::LoadTooHigh => pb::NoticeKind::LoadTooHigh,
        Kind::LoadCleared => pb::NoticeKind::LoadCleared,
        Kind::NoAccessTokens => pb::NoticeKind::NoAccessTokens,
        Kind::AccessTokensAgain => pb::NoticeKind::AccessTokensAgain,
        Kind::IncidentOpened => pb::NoticeKind::IncidentOpened,
        Kind::IncidentClosed => pb::NoticeKind::IncidentClosed,
        Kind::OutOfOrder => pb::NoticeKind::OutOfOrder,
    }
}

/// What a member chose.
pub fn settings_message(team: &TeamId, member: MemberId, settings: &NoticeSettings) -> pb::NoticeSettings {
    let choice = |choice: &crate::domain::notice::Choice| pb::NoticeChoice {
        kind: kind_of(choice.kind).into(),
        channel: match choice.channel {
            Channel::Mail => pb::NoticeChannel::Mail.into(),
            Channel::InApp => pb::NoticeChannel::InApp.into(),
            Channel::WebPush => pb::NoticeChannel::WebPush.into(),
        },
        profile: choice.profile.clone().unwrap_or_default(),
        on: choice.on,
    };
    pb::NoticeSettings {
        name: format!("teams/{team}/members/{member}/noticeSettings"),
        choices: settings.choices.iter().map(choice).collect(),
        quiet_hours: settings
            .quiet
            .map(|quiet| pb::QuietHours { from_minute: i32::from(quiet.from), until_minute: i32::from(quiet.until) }),
    }
}

/// A destination, without its target.
pub fn destination_message(destination: &Destination) -> pb::Destination {
    pb::Destination {
        name: destination.name(),
        display_name: destination.display_name.clone(),
        kind: match destination.kind {
            DestinationKind::Mail => pb::DestinationKind::Mail.into(),
            DestinationKind::Slack => pb::DestinationKind::Slack.into(),
            DestinationKind::Teams => pb::DestinationKind::Teams.into(),
            DestinationKind::Webhook => pb::DestinationKind::Webhook.into(),
        },
        target: String::new(),
        signing_secrets: Vec::new(),
        kinds: destination.events.iter().map(|kind| kind_of(*kind).into()).collect(),
        shown_target: destination.shown.clone(),
        create_time: Some(timestamp(destination.created_at)),
        gone_time: optional_timestamp(destination.gone_since),
        // What was just written opens.
        damaged: false,
    }
}

/// A destination as it stands in the store.
pub fn destination_view_message(view: &DestinationView) -> pb::Destination {
    pb::Destination { damaged: view.damaged, ..destination_message(&view.destination) }
}

/// A message that was given up.
pub fn dead_letter_message(row: &GivenUp) -> pb::DeadLetter {
    let events = row.events.len() + row.more as usize;
    pb::DeadLetter {
        name: format!("deadLetters/{}", row.id),
        destination: row.destination.clone(),
        events: i32::try_from(events).unwrap_or(i32::MAX),
        attempts: i32::try_from(row.attempts).unwrap_or(i32::MAX),
        error: row.last_error.clone().unwrap_or_default(),
        create_time: Some(timestamp(row.made_at)),
    }
}

answers! {
    UpdateNoticeSettingsResponse { settings } = |_, made| settings_message(&made.team, made.member, &made.settings), of ChosenSettings;
    CreateDestinationResponse { destination } = |_, made| destination_message(made), of Destination;
    UpdateDestinationResponse { destination } = |_, made| destination_message(made), of Destination;
    DeleteDestinationResponse { destination } = |_, made| destination_message(made), of Destination;
}

/// Answers that say nothing but that it was done.
macro_rules! done {
    ($($response:ident of $made:ty;)*) => {$(
        impl Answer<$made> for pb::$response {
            fn of(_: &Broker, _: &$made) -> Self {
                Self {}
            }
        }
    )*};
}

done! {
    MarkNoticesReadResponse of NoticesRead;
    SendTestNoticeResponse of TestSent;
    ReplayDeadLetterResponse of DeadLetter;
    PurgeDeadLetterResponse of DeadLetter;
}
