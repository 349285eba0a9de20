//! What one member hears, where, and when not.
//!
//! A choice names a kind of event and a channel, for all profiles or for one; the one for the profile counts more. Where nothing was chosen,
//! owners, whoever granted the token and who looks after its profile hear what needs them and that it is over, owners also that somebody else connected
//! an account, and everybody finds everything in the app. Of destinations that are out of order only those are told who may change them, whatever
//! was chosen.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Unit};
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::domain::notice::Kind;

/// The most choices of one member.
pub const MOST_CHOICES: usize = 500;

/// A way by which a member is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By mail.
    Mail,
    /// In the list of the app.
    InApp,
    /// On the member's phones and browsers.
    WebPush,
}

/// Whether a member hears of a kind of event by a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The kind of event.
    pub kind: Kind,
    /// The channel.
    pub channel: Channel,
    /// Of this profile only; `None`: of all that have no choice of their own, and of what concerns no profile.
    pub profile: Option<String>,
    /// Whether it is told.
    pub on: bool,
}

/// A part of each day in which a member is not disturbed. What would be told then is told together at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// When it begins, in minutes after midnight, in the member's time zone. 0 to 1439.
    pub from: u16,
    /// When it ends. Before `from`: on the next day. Never the same.
    pub until: u16,
}

/// What a member chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeSettings {
    /// The choices, at most one for each kind, channel and profile.
    pub choices: Vec<Choice>,
    /// When the member is not disturbed.
    pub quiet: Option<QuietHours>,
    /// Whether the console leaves out the dialog after the sign-in that lists the tokens which need the member.
    #[serde(default, skip_serializing_if = "is_off")]
    pub hides_dialog: bool,
}

/// What is off is not written, as it was before there was the switch: settings are compared as they are written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_off(switch: &bool) -> bool {
    !*switch
}

/// Settings that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Too many choices.
    #[error("there can be at most {MOST_CHOICES} choices; make one for all profiles in their place")]
    Many,
    /// Two choices say something of the same.
    #[error("there are two choices for one kind, channel and profile; keep one of them")]
    Twice,
    /// A profile has a name that can't be one.
    #[error("a profile of a choice must have 1 to 200 characters, without control characters")]
    Profile,
    /// The quiet hours are no part of a day.
    #[error("quiet hours begin and end between 00:00 and 23:59, and not at the same time")]
    Quiet,
}

/// How a member stands to what an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stands {
    /// It owns the team.
    pub owner: bool,
    /// It is its own: a token that it granted, or whose profile it looks after; a destination that it may change.
    pub own: bool,
    /// It granted the token.
    pub granted: bool,
}

impl Channel {
    /// All channels.
    pub const ALL: [Channel; 3] = [Channel::Mail, Channel::InApp, Channel::WebPush];

    /// The name used in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Mail => "mail",
            Channel::InApp => "in_app",
            Channel::WebPush => "web_push",
        }
    }
}

impl NoticeSettings {
    /// The settings, if they can be.
    pub fn checked(self) -> Result<NoticeSettings, SettingsError> {
        if self.choices.len() > MOST_CHOICES {
            return Err(SettingsError::Many);
        }
        let named = |profile: &String| {
            let length = profile.chars().count();
            (1..=200).contains(&length) && !profile.chars().any(char::is_control)
        };
        if !self.choices.iter().filter_map(|choice| choice.profile.as_ref()).all(named) {
            return Err(SettingsError::Profile);
        }
        let mut keys: Vec<_> =
            self.choices.iter().map(|Choice { kind, channel, profile, .. }| (kind, channel, profile)).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(SettingsError::Twice);
        }
        match self.quiet {
            Some(QuietHours { from, until }) if from > 1439 || until > 1439 || from == until => {
                Err(SettingsError::Quiet)
            }
            _ => Ok(self),
        }
    }

    /// Whether the member hears of that kind by that channel, of something that concerns these profiles. Of several profiles one that is
    /// chosen suffices.
    pub fn hears(&self, kind: Kind, channel: Channel, profiles: &[String], stands: Stands) -> bool {
        let of = |profile: Option<&String>| {
            let is = |choice: &&Choice| {
                choice.kind == kind && choice.channel == channel && choice.profile.as_ref() == profile
            };
            self.choices.iter().find(is).map(|choice| choice.on)
        };
        let general = || of(None).unwrap_or_else(|| by_default(kind, channel, stands));
        if profiles.is_empty() {
            return general();
        }
        profiles.iter().any(|profile| of(Some(profile)).unwrap_or_else(general))
    }

    /// The first moment from `at` on in which the member may be disturbed.
    pub fn awake(&self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        self.quiet.and_then(|quiet| quiet.end(at, zone)).unwrap_or(at)
    }
}

/// What is heard where nothing was chosen.
fn by_default(kind: Kind, channel: Channel, stands: Stands) -> bool {
    match channel {
        Channel::InApp => true,
        Channel::Mail | Channel::WebPush => match kind {
            // Somebody else's account in the pool may be nobody's wish. What it did itself is no news.
            Kind::TokenConnected => stands.owner && !stands.granted,
            _ => stands.owner || stands.own,
        },
    }
}

impl QuietHours {
    /// The end of the quiet hours that `at` lies in; `None`: it lies in none. Across a change of the clocks too.
    fn end(self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
        let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
        let over_midnight = self.until < self.from;
        let inside = match over_midnight {
            true => minute >= self.from || minute < self.until,
            false => minute >= self.from && minute < self.until,
        };
        if !inside {
            return None;
        }
        let day =
            if over_midnight && minute >= self.from { local.date().checked_add(1.days()).ok()? } else { local.date() };
        let time = Time::new(i8::try_from(self.until / 60).ok()?, i8::try_from(self.until % 60).ok()?, 0, 0).ok()?;
        let end = zone.to_zoned(day.to_datetime(time)).ok()?;
        let end = Timestamp::from_micros(end.round(Unit::Second).ok()?.timestamp().as_microsecond());
        // A clock that is set back can end the hours before they began.
        Some(end).filter(|end| *end > at && end.since(at) <= Duration::from_secs(25 * 3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Stands = Stands { owner: true, own: false, granted: false };
    const OWN: Stands = Stands { owner: false, own: true, granted: false };
    const OTHER: Stands = Stands { owner: false, own: false, granted: false };

    fn choice(kind: Kind, channel: Channel, profile: Option<&str>, on: bool) -> Choice {
        Choice { kind, channel, profile: profile.map(str::to_owned), on }
    }

    #[test]
    fn at_first_owners_and_grantors_hear_what_needs_them_owners_what_others_connect_and_the_others_look() {
        let settings = NoticeSettings::default();
        for kind in Kind::ALL {
            let heard = |channel, stands| settings.hears(kind, channel, &[], stands);
            let connected = kind == Kind::TokenConnected;
            let granter = Stands { own: true, granted: true, ..OWNER };
            assert!(heard(Channel::Mail, OWNER) && heard(Channel::WebPush, OWNER), "{kind:?}");
            assert_eq!(heard(Channel::Mail, OWN), !connected, "{kind:?}");
            assert_eq!(heard(Channel::Mail, granter), !connected, "{kind:?}");
            assert!(!heard(Channel::Mail, OTHER) && !heard(Channel::WebPush, OTHER), "{kind:?}");
            assert!(heard(Channel::InApp, OTHER), "{kind:?}");
        }
    }

    #[test]
    fn the_choice_for_a_profile_counts_more_than_the_one_for_all() {
        let (expired, mail) = (Kind::TokenExpired, Channel::Mail);
        let profiles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let off_but_one = NoticeSettings {
            choices: vec![choice(expired, mail, None, false), choice(expired, mail, Some("shop"), true)],
            ..NoticeSettings::default()
        };
        let choices = vec![choice(expired, mail, Some("shop"), false)];
        let on_but_one = NoticeSettings { choices, ..NoticeSettings::default() };
        let cases: [(&NoticeSettings, &[&str], Stands, bool); 9] = [
            (&off_but_one, &[], OWNER, false),
            (&off_but_one, &["blog"], OWNER, false),
            (&off_but_one, &["shop"], OTHER, true),
            (&off_but_one, &["blog", "shop"], OTHER, true),
            (&on_but_one, &["shop"], OWNER, false),
            (&on_but_one, &["blog", "shop"], OWNER, true),
            (&on_but_one, &["blog"], OWNER, true),
            (&on_but_one, &["blog"], OTHER, false),
            (&on_but_one, &[], OWN, true),
        ];
        for (settings, names, stands, heard) in cases {
            assert_eq!(settings.hears(expired, mail, &profiles(names), stands), heard, "{names:?} {stands:?}");
        }
        assert!(off_but_one.hears(Kind::TokenInvalid, mail, &[], OWNER), "of another kind nothing was chosen");
        assert!(off_but_one.hears(expired, Channel::InApp, &[], OWNER), "nor for another channel");
    }

    #[test]
    fn settings_that_can_not_be_are_refused() {
        let twice = choice(Kind::TokenExpired, Channel::Mail, Some("a"), true);
        let settings = |choices| NoticeSettings { choices, ..NoticeSettings::default() };
        assert_eq!(
            settings(vec![twice.clone(), Choice { on: false, ..twice.clone() }]).checked(),
            Err(SettingsError::Twice)
        );
        assert_eq!(settings(vec![twice.clone(); MOST_CHOICES + 1]).checked(), Err(SettingsError::Many));
        for bad in ["", "a\nb", &"x".repeat(201)] {
            let choice = choice(Kind::TokenExpired, Channel::Mail, Some(bad), true);
            assert_eq!(settings(vec![choice]).checked(), Err(SettingsError::Profile), "{bad:?}");
        }
        for (from, until) in [(1440, 0), (0, 1440), (60, 60)] {
            let settings = NoticeSettings { quiet: Some(QuietHours { from, until }), ..NoticeSettings::default() };
            assert_eq!(settings.checked(), Err(SettingsError::Quiet));
        }
        assert!(settings(vec![twice]).checked().is_ok());
    }

    #[test]
    fn quiet_hours_end_in_the_members_morning() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let at = |text: &str| Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let night = NoticeSettings {
            quiet: Some(QuietHours { from: 22 * 60, until: 7 * 60 + 30 }),
            ..NoticeSettings::default()
        };
        let noon =
            NoticeSettings { quiet: Some(QuietHours { from: 12 * 60, until: 13 * 60 }), ..NoticeSettings::default() };
        let cases = [
            (&night, "2026-01-10T20:59:59Z", "2026-01-10T20:59:59Z"),
            (&night, "2026-01-10T21:00:00Z", "2026-01-11T06:30:00Z"),
            (&night, "2026-01-11T05:00:00Z", "2026-01-11T06:30:00Z"),
            (&night, "2026-01-11T06:30:00Z", "2026-01-11T06:30:00Z"),
            (&noon, "2026-01-10T11:30:00Z", "2026-01-10T12:00:00Z"),
            (&noon, "2026-01-10T12:00:00Z", "2026-01-10T12:00:00Z"),
            // The night in which the clocks go forward is an hour shorter, the one in which they go back longer.
            (&night, "2026-03-28T22:00:00Z", "2026-03-29T05:30:00Z"),
            (&night, "2026-10-24T21:00:00Z", "2026-10-25T06:30:00Z"),
        ];
        for (settings, from, expected) in cases {
            assert_eq!(settings.awake(at(from), &zone), at(expected), "{from}");
        }
        assert_eq!(NoticeSettings::default().awake(at("2026-01-10T23:00:00Z"), &zone), at("2026-01-10T23:00:00Z"));
    }
}
