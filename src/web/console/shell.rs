//! What stands around every page: who is signed in, where in the console it is, and what its last action did.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::base::ids::FormId;
use crate::domain::member::{Action, Member, Standing, may};
use crate::domain::team::OperatorRole;
use crate::service::usage::{day_of, start_of};
use crate::text::{InWords, Text, Value, time_in};
use crate::web::assets;

/// A part of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Place {
    /// The tokens.
    Tokens,
    /// The token load.
    Load,
    /// Alerts and incidents.
    Alerts,
    /// What the member was told.
    Notices,
    /// What happened in the team.
    Activity,
    /// The people.
    Members,
    /// The programs.
    Collectors,
    /// The member's own account.
    Account,
    /// For operators: the process, its tasks, incidents.
    Overview,
    /// For operators: networks and our apps there.
    Networks,
    /// For operators: the books of the live pools.
    Pools,
    /// For operators: leases that are held, and who waits.
    Leases,
    /// For operators: messages that were given up.
    DeadLetters,
    /// For operators: keys.
    Keys,
}

impl Place {
    /// Those that the navigation of members shows, in its order: the others are in the head of the page.
    const OF_MEMBERS: [Place; 6] =
        [Place::Tokens, Place::Load, Place::Alerts, Place::Activity, Place::Members, Place::Collectors];
    /// Those that the navigation of operators shows.
    const OF_OPERATORS: [Place; 6] =
        [Place::Overview, Place::Networks, Place::Pools, Place::Leases, Place::DeadLetters, Place::Keys];

    const fn name(self) -> &'static str {
        match self {
            Place::Tokens => "tokens",
            Place::Load => "load",
            Place::Alerts => "alerts",
            Place::Notices => "notices",
            Place::Activity => "activity",
            Place::Members => "members",
            Place::Collectors => "collectors",
            Place::Account => "account",
            Place::Overview => "overview",
            Place::Networks => "networks",
            Place::Pools => "pools",
            Place::Leases => "leases",
            Place::DeadLetters => "dead-letters",
            Place::Keys => "keys",
        }
    }

    fn path(self) -> String {
        match self {
            Place::Overview => super::operator::HOME.to_owned(),
            place if Place::OF_OPERATORS.contains(&place) => format!("{}/{}", super::operator::HOME, place.name()),
            place => format!("/{}", place.name()),
        }
    }
}

/// A link of the navigation.
pub(in crate::web) struct Link {
    /// Where it leads.
    pub(in crate::web) href: String,
    /// What it is called.
    pub(in crate::web) text: String,
    /// The page is below it.
    pub(in crate::web) here: bool,
}

/// A time, for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct When {
    /// In the form of RFC 3339.
    pub(in crate::web) machine: String,
    /// As the member reads it.
    pub(in crate::web) text: String,
}

/// Who looks at a page.
#[derive(Debug, Clone)]
pub(in crate::web) enum Reader {
    /// A member.
    Member {
        /// The member.
        member: Arc<Member>,
        /// Its team's name for people.
        team_name: String,
    },
    /// An operator.
    Operator {
        /// What it may do.
        role: OperatorRole,
        /// Its key's name for people; may be empty.
        name: String,
    },
}

/// What stands around a page.
pub(in crate::web) struct Shell {
    text: Text,
    zone: TimeZone,
    /// The time at which the page is made.
    pub(in crate::web) now: Timestamp,
    place: Place,
    reader: Reader,
    /// What the last action did, in words.
    pub(in crate::web) done: Option<String>,
}

impl Shell {
    /// Around a page of `place`. Members see times as they are where they live, operators those of the log.
    pub(in crate::web) fn new(place: Place, reader: Reader, now: Timestamp) -> Self {
        let zone = match &reader {
            Reader::Member { member, .. } => member.time_zone.zone(),
            Reader::Operator { .. } => TimeZone::UTC,
        };
        Self { text: Text::english(), zone, now, place, reader, done: None }
    }

    /// Whether a member looks at it.
    pub(in crate::web) fn is_of_member(&self) -> bool {
        matches!(self.reader, Reader::Member { .. })
    }

    /// What the pages are about: the team, or the broker.
    pub(in crate::web) fn scope(&self) -> String {
        match &self.reader {
            Reader::Member { team_name, .. } => team_name.clone(),
            Reader::Operator { .. } => self.say("operators"),
        }
    }

    /// The page to begin with.
    pub(in crate::web) fn home(&self) -> &'static str {
        if self.is_of_member() { super::HOME } else { super::operator::HOME }
    }

    /// What leads back to it, in words.
    pub(in crate::web) fn back_home(&self) -> String {
        self.say(if self.is_of_member() { "back-to-tokens" } else { "back-to-overview" })
    }

    /// Where open pages hear of changes.
    pub(in crate::web) fn live(&self) -> &'static str {
        if self.is_of_member() { "/live" } else { "/operator/live" }
    }

    /// Whose events open pages hear: those of one browser with the same share a stream.
    pub(in crate::web) fn reader(&self) -> String {
        match &self.reader {
            Reader::Member { member, .. } => member.id.to_string(),
            Reader::Operator { .. } => "operator".to_owned(),
        }
    }

    /// Where the session is ended.
    pub(in crate::web) fn sign_out(&self) -> &'static str {
        if self.is_of_member() { "/sign-out" } else { "/operator/sign-out" }
    }

    /// The words of that name.
    pub(in crate::web) fn say(&self, name: &str) -> String {
        self.text.say(name)
    }

    /// What an error says to the reader.
    pub(in crate::web) fn tell(&self, error: &dyn InWords) -> String {
        self.text.tell(&error.in_words(), &self.zone)
    }

    /// The words of that name, or `other` where there are none.
    pub(in crate::web) fn say_or(&self, name: &str, other: &str) -> String {
        if self.text.has(name) { self.text.say(name) } else { other.to_owned() }
    }

    /// The words of that name, with what they are about.
    pub(in crate::web) fn say_with(&self, name: &str, about: &[(&'static str, Value)]) -> String {
        self.text.say_with(name, about)
    }

    /// The words of that name, about one thing.
    pub(in crate::web) fn say_of(&self, name: &str, thing: &'static str, is: impl Into<Value>) -> String {
        self.text.say_of(name, thing, is)
    }

    /// Whether there are words of that name.
    pub(in crate::web) fn knows(&self, name: &str) -> bool {
        self.text.has(name)
    }

    /// Says what the last action did, which the page's address names; what it should not name is not said.
    pub(in crate::web) fn with_done(mut self, done: &str, count: u64) -> Self {
        let name = format!("done-{done}");
        self.done = self.text.has(&name).then(|| self.say_of(&name, "count", count));
        self
    }

    /// A time as the member reads it.
    pub(in crate::web) fn when(&self, at: Timestamp) -> When {
        When { machine: at.to_string(), text: time_in(at, &self.zone) }
    }

    /// A day of the books, which begin and end their days as UTC does: it is the same day wherever the member lives.
    pub(in crate::web) fn day(&self, day: i32) -> String {
        start_of(day).to_string().chars().take("2026-01-01".len()).collect()
    }

    /// When something was used last, by the day of the books; `None`: never. Whoever lives east or west of UTC has another day for a part of
    /// each, so that no such day is called today or yesterday.
    pub(in crate::web) fn last_used(&self, day: Option<i32>) -> String {
        let today = day_of(self.now);
        match day {
            None => self.say("used-never"),
            Some(day) if day >= today => self.say("used-within-a-day"),
            Some(day) if day == today - 1 => self.say("used-within-two-days"),
            Some(day) => self.say_of("used-on", "day", self.day(day)),
        }
    }

    /// How often the day changes until `at` where the reader lives: 0 today, 1 tomorrow. What is over is of today.
    pub(in crate::web) fn days_until(&self, at: Timestamp) -> u64 {
        let date = |at: Timestamp| {
            let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
            Some(at.to_zoned(self.zone.clone()).date())
        };
        let Some((now, then)) = date(self.now).zip(date(at)) else { return 0 };
        u64::try_from(now.duration_until(then).as_hours() / 24).unwrap_or(0)
    }

    /// The time zone in which times are shown, as the IANA names it.
    pub(in crate::web) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// How far a time is from now, in the largest unit that fits: for times ahead and behind.
    pub(in crate::web) fn far(&self, at: Timestamp) -> String {
        let (name, span) = match at >= self.now {
            true => ("ahead", at.since(self.now)),
            false => ("ago", self.now.since(at)),
        };
        let minutes = span.as_secs() / 60;
        let (unit, count) = match minutes {
            0 => return self.say("span-now"),
            1..60 => ("minutes", minutes),
            60..2_880 => ("hours", minutes / 60),
            _ => ("days", minutes / 1_440),
        };
        self.say_of(&format!("span-{name}-{unit}"), "count", count)
    }

    /// The name of who is signed in.
    pub(in crate::web) fn name(&self) -> String {
        match &self.reader {
            Reader::Member { member, .. } => member.name_for_people().to_owned(),
            Reader::Operator { name, .. } if name.is_empty() => self.say("operator"),
            Reader::Operator { name, .. } => name.clone(),
        }
    }

    /// The role of who is signed in.
    pub(in crate::web) fn role(&self) -> String {
        match &self.reader {
            Reader::Member { member, .. } => self.say(&format!("role-{}", member.role.as_str())),
            Reader::Operator { role: OperatorRole::Admin, .. } => self.say("role-admin"),
            Reader::Operator { role: OperatorRole::Reader, .. } => self.say("role-reader"),
        }
    }

    /// What a form is told from others by that is done once, however often it is sent.
    pub(in crate::web) fn form_id(&self) -> String {
        FormId::generate().to_string()
    }

    /// Where an asset is.
    pub(in crate::web) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// The navigation.
    pub(in crate::web) fn links(&self) -> Vec<Link> {
        let places = if self.is_of_member() { Place::OF_MEMBERS } else { Place::OF_OPERATORS };
        places.into_iter().filter(|place| self.offers(*place)).map(|place| self.link(place)).collect()
    }

    /// Whether the reader may look at a place at all.
    fn offers(&self, place: Place) -> bool {
        match (&self.reader, place) {
            (Reader::Member { member, .. }, Place::Activity) => may(member.role, Action::SeeAudit, Standing::Other),
            _ => true,
        }
    }

    /// The way to what the member was told.
    pub(in crate::web) fn bell(&self) -> Link {
        self.link(Place::Notices)
    }

    /// The way to the member's account.
    pub(in crate::web) fn account(&self) -> Link {
        self.link(Place::Account)
    }

    fn link(&self, place: Place) -> Link {
        let text = self.say(&format!("place-{}", place.name()));
        Link { href: place.path(), text, here: place == self.place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands around a page of somebody who lives in `zone`, at `now` in UTC.
    fn shell(zone: &str, now: &str) -> Shell {
        let reader = Reader::Operator { role: OperatorRole::Reader, name: String::new() };
        Shell { zone: TimeZone::get(zone).unwrap(), ..Shell::new(Place::Tokens, reader, at(now)) }
    }

    fn at(time: &str) -> Timestamp {
        Timestamp::from_micros(time.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn what_ends_today_ends_before_midnight_where_the_member_lives() {
        let now = "2026-11-26T22:30:00Z";
        for (zone, end, days) in [
            ("UTC", "2026-11-26T23:59:00Z", 0),
            ("UTC", "2026-11-27T00:10:00Z", 1),
            ("UTC", "2026-11-27T22:00:00Z", 1),
            ("UTC", "2026-11-28T00:10:00Z", 2),
            ("UTC", "2026-11-26T22:00:00Z", 0),
            // There it is 14:30, and the end is at 16:10 of the same day.
            ("America/Los_Angeles", "2026-11-27T00:10:00Z", 0),
            ("America/Los_Angeles", "2026-11-27T08:10:00Z", 1),
            // There it is 07:30 of the 27th.
            ("Asia/Tokyo", "2026-11-27T14:59:00Z", 0),
            ("Asia/Tokyo", "2026-11-27T15:00:00Z", 1),
            ("Asia/Tokyo", "2026-12-03T22:29:00Z", 7),
        ] {
            assert_eq!(shell(zone, now).days_until(at(end)), days, "{zone} {end}");
        }
    }

    #[test]
    fn the_last_use_is_told_by_words_that_are_true_in_every_zone() {
        let now = "2026-11-26T22:30:00Z";
        let today = day_of(at(now));
        for zone in ["UTC", "America/Los_Angeles", "Asia/Tokyo"] {
            let shell = shell(zone, now);
            let told = [Some(today), Some(today - 1), Some(today - 2), None].map(|day| shell.last_used(day));
            let expected = ["Last 24 h", "Last 48 h", "2026-11-24 (UTC)", "Never"];
            assert_eq!(told, expected, "{zone}");
        }
    }
}
