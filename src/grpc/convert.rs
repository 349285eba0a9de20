//! Between wire types and our own: times, spans, purposes.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::networks::Purpose;
use crate::grpc::pb;

/// A time on the wire.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.micros().rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: at.secs(), nanos }
}

/// A time on the wire, unset where there is none or it never comes.
pub fn optional_timestamp(at: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    at.filter(|at| *at != Timestamp::NEVER).map(timestamp)
}

/// A time from the wire; saturates.
pub fn from_timestamp(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_secs(at.seconds) + Duration::from_nanos(u64::try_from(at.nanos).unwrap_or_default())
}

/// A span on the wire.
pub fn duration(span: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default() }
}

/// A purpose from the wire; unspecified is `None`.
pub fn purpose(value: i32) -> Option<Purpose> {
    match pb::Purpose::try_from(value).ok()? {
        pb::Purpose::Unspecified => None,
        pb::Purpose::CollectStatistics => Some(Purpose::CollectStatistics),
        pb::Purpose::CollectContent => Some(Purpose::CollectContent),
        pb::Purpose::Publish => Some(Purpose::Publish),
        pb::Purpose::Activate => Some(Purpose::Activate),
        pb::Purpose::Validate => Some(Purpose::Validate),
        pb::Purpose::ListPages => Some(Purpose::ListPages),
    }
}

/// A purpose on the wire.
pub fn from_purpose(purpose: Purpose) -> pb::Purpose {
    match purpose {
        Purpose::CollectStatistics => pb::Purpose::CollectStatistics,
        Purpose::CollectContent => pb::Purpose::CollectContent,
        Purpose::Publish => pb::Purpose::Publish,
        Purpose::Activate => pb::Purpose::Activate,
        Purpose::Validate => pb::Purpose::Validate,
        Purpose::ListPages => pb::Purpose::ListPages,
    }
}
