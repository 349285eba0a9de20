//! What the address of the page asks for.

use jiff::civil::Date;
use serde::Deserialize;

use crate::base::clock::Timestamp;
use crate::base::ids::CollectorId;
use crate::service::Broker;
use crate::service::audit::AuditQuery;
use crate::web::console::Visit;
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    /// The id of a member or a collector, or `broker`.
    pub(super) who: String,
    /// An action, or all of a noun that ends in a dot.
    pub(super) action: String,
    /// The id of a token.
    pub(super) token: String,
    /// The first day and the last, as the member's calendar has them.
    pub(super) from: String,
    pub(super) to: String,
    /// `1`: with the leases.
    pub(super) leases: String,
    before: String,
    trail: String,
}

impl Asked {
    /// The sequence number before which the page begins.
    pub(super) fn before(&self) -> Option<i64> {
        self.before.parse().ok()
    }

    pub(super) fn with_leases(&self) -> bool {
        self.leases == "1" || self.action.starts_with("lease")
    }

    pub(super) fn is_filtered(&self) -> bool {
        [&self.who, &self.action, &self.token, &self.from, &self.to, &self.leases].iter().any(|text| !text.is_empty())
    }

    pub(super) fn address(&self, path: &str, before: &str, trail: &str) -> String {
        let filters = [
            ("who", self.who.as_str()),
            ("action", &self.action),
            ("token", self.token.trim()),
            ("from", &self.from),
            ("to", &self.to),
            ("leases", &self.leases),
            ("before", before),
            ("trail", trail),
        ];
        address(path, &filters)
    }

    /// The pages around this one; `next`: the sequence number before which the next one begins.
    pub(super) fn pages(&self, next: Option<i64>) -> Pages {
        let (cursor, next) =
            (self.before().map(|_| &*self.before).unwrap_or_default(), next.map(|next| next.to_string()));
        Pages::around((cursor, &self.trail), next.as_deref(), |before, trail| self.address("/activity", before, trail))
    }

    /// The events that are asked for, of the visitor's team; `None`: a day is none. What names nobody and nothing finds nothing.
    pub(super) fn query(&self, broker: &Broker, visit: &Visit) -> Option<AuditQuery> {
        let team = visit.team();
        let set = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let actor = set(&self.who).map(|who| match who.parse::<CollectorId>() {
            Ok(collector) => broker.collector_name(collector, Some(team)),
            Err(_) if who.starts_with("key_") => format!("keys/{who}"),
            Err(_) if who == "broker" => who,
            Err(_) => format!("teams/{team}/members/{who}"),
        });
        Some(AuditQuery {
            team: Some(team.clone()),
            resource: None,
            token: set(&self.token).map(|token| format!("teams/{team}/tokens/{token}")),
            actor,
            action: set(&self.action),
            from: start_of(&self.from, visit, 0)?,
            until: start_of(&self.to, visit, 1)?,
            without_leases: !self.with_leases(),
        })
    }
}

/// The start of a day of the member's calendar, some days later; `Some(None)`: no day was said.
fn start_of(day: &str, visit: &Visit, later: i64) -> Option<Option<Timestamp>> {
    if day.is_empty() {
        return Some(None);
    }
    let day: Date = day.parse().ok()?;
    let day = day.checked_add(jiff::Span::new().days(later)).ok()?;
    let start = day.to_zoned(visit.stay.member.time_zone.zone()).ok()?;
    Some(Some(Timestamp::from_micros(start.timestamp().as_microsecond())))
}
