//! The Graph API's dialects: percentages of an allowance whose size is not told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Look, MOST_READINGS, Reading, Usage, time};

/// What was used of one allowance. Each percentage is of another resource; the highest one counts.
#[derive(Deserialize)]
struct Used {
    #[serde(rename = "type")]
    of: Option<String>,
    call_count: Option<f64>,
    total_time: Option<f64>,
    total_cputime: Option<f64>,
    acc_id_util_pct: Option<f64>,
    /// Minutes.
    estimated_time_to_regain_access: Option<f64>,
    /// Seconds.
    reset_time_duration: Option<f64>,
}

/// Types of a percent map that speak of an advertiser's accounts, which are not those of the object's own calls.
const OF_ADVERTISERS: [&str; 5] =
    ["ads_insights", "ads_management", "custom_audience", "leadgen", "catalog_management"];

/// `{"call_count":28,"total_time":25,"total_cputime":25}`.
pub fn object(look: &Look<'_>) -> Option<Vec<Reading>> {
    let used: Used = serde_json::from_str(look.whole().ok()??).ok()?;
    Some(vec![reading(look, &used)?])
}

/// `{"<id>":[{"type":"pages","call_count":28,"estimated_time_to_regain_access":0}]}`.
pub fn map(look: &Look<'_>) -> Option<Vec<Reading>> {
    let objects: BTreeMap<String, Vec<Used>> = serde_json::from_str(look.whole().ok()??).ok()?;
    let mut readings = Vec::new();
    for (object, uses) in &objects {
        for used in uses {
            let of = used.of.as_deref().unwrap_or_default();
            if OF_ADVERTISERS.contains(&of) || readings.len() == MOST_READINGS {
                continue;
            }
            // One entry that makes no sense puts the whole header in doubt.
            let mut reading = reading(look, used)?;
            if let Some(class) = look.network.class(of) {
                reading.class = Some(class.id.clone());
            }
            readings.push(Reading { object: Some(object.clone()), ..reading });
        }
    }
    Some(readings)
}

fn reading(look: &Look<'_>, used: &Used) -> Option<Reading> {
    let shares = [used.call_count, used.total_time, used.total_cputime, used.acc_id_util_pct];
    let waits = [used.estimated_time_to_regain_access.map(|minutes| minutes * 60.0), used.reset_time_duration];
    if shares.iter().chain(&waits).flatten().any(|number| *number < 0.0) {
        return None;
    }
    let regain = waits[0].filter(|seconds| *seconds > 0.0);
    let highest = shares.into_iter().flatten().reduce(f64::max);
    if highest.is_none() && regain.is_none() {
        return None;
    }
    // A cast from a float saturates.
    let percent = highest.unwrap_or(100.0).ceil() as u8;
    let blocked = regain.is_some() || percent >= 100;
    let seconds = regain.or(waits[1]).filter(|seconds| *seconds > 0.0);
    let resets_at = seconds.map(|seconds| look.now + Duration::from_secs(seconds.ceil() as u64));
    let resets_at = resets_at.filter(|at| time::is_believable(*at, look.now));
    Some(look.reading(if blocked { Usage::Blocked } else { Usage::Percent(percent) }, resets_at))
}
