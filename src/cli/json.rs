//! Messages of the API as JSON: the names of Protobuf's JSON mapping, with every field that can be empty shown as empty,
//! so that a program never has to ask whether a field is there.
//!
//! It differs from the mapping's default in one point that every reader of it accepts: 64-bit integers are numbers.
//! Fields are in the order of the alphabet, so that the same message is always the same text.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

use crate::grpc::pb;

/// A message that knows its name in the API.
pub trait Named: Message {
    /// The name under `tokenbroker.v1`.
    const NAME: &'static str;
}

macro_rules! named {
    ($($name:ident)*) => {$(
        impl Named for pb::$name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

named! {
    AcquireLeaseResponse Alert App AuditEvent Budget Collector Connection Consent CreateKeyResponse DeadLetter
    DeadSpan Departure Destination EstimateLoadResponse ExtendLeaseResponse GetTokenUsageStatementResponse Incident
    InviteMemberResponse Job JobResult Key Lease Manager Member Network Notice NoticeSettings Profile
    PushSubscription ReleaseLeaseResponse ReportUsageResponse ResendInvitationResponse Sealing Session SignProofResponse
    StartConnectionResponse Team TeamLoad Token TokenUsageRow
}

const OPTIONS: SerializeOptions =
    SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false).use_enum_numbers(false);

/// The message as JSON. Fails on a time outside the calendar, which no sound broker sends.
pub fn to_json<M: Named>(message: &M) -> Result<Value, serde_json::Error> {
    let name = format!("tokenbroker.v1.{}", M::NAME);
    let descriptor = descriptors().get_message_by_name(&name).expect("every message is in the embedded descriptors");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).expect("both sides are made from the same descriptors");
    dynamic.serialize_with_options(serde_json::value::Serializer, &OPTIONS)
}

fn descriptors() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).expect("the build wrote them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<M: Named + Default>() {
        assert!(to_json(&M::default()).expect("sound").is_object(), "{}", M::NAME);
    }

    #[test]
    fn every_named_message_is_in_the_api() {
        check::<pb::AcquireLeaseResponse>();
        check::<pb::Alert>();
        check::<pb::App>();
        check::<pb::AuditEvent>();
        check::<pb::Budget>();
        check::<pb::Collector>();
        check::<pb::Connection>();
        check::<pb::CreateKeyResponse>();
        check::<pb::StartConnectionResponse>();
        check::<pb::EstimateLoadResponse>();
        check::<pb::ExtendLeaseResponse>();
        check::<pb::GetTokenUsageStatementResponse>();
        check::<pb::Key>();
        check::<pb::Lease>();
        check::<pb::Network>();
        check::<pb::ReleaseLeaseResponse>();
        check::<pb::ReportUsageResponse>();
        check::<pb::Team>();
        check::<pb::TeamLoad>();
        check::<pb::Token>();
        check::<pb::TokenUsageRow>();
    }

    #[test]
    fn names_numbers_times_and_enums_follow_the_mapping() {
        let team = pb::Team {
            name: "teams/acme".to_owned(),
            weight: 100,
            tokens: 12,
            create_time: Some(prost_types::Timestamp { seconds: 1_705_420_800, nanos: 0 }),
            ..pb::Team::default()
        };
        let expected = r#"{"collectors":0,"createTime":"2024-01-16T16:00:00Z","displayName":"","name":"teams/acme","tokens":12,"weight":100}"#;
        assert_eq!(to_json(&team).expect("sound").to_string(), expected);
        let key = pb::Key { role: pb::KeyRole::Admin.into(), ..pb::Key::default() };
        assert_eq!(to_json(&key).expect("sound")["role"], "KEY_ROLE_ADMIN");
    }

    #[test]
    fn maps_are_in_the_order_of_the_alphabet() {
        let facts = ["c", "a", "b"].map(|fact| (fact.to_owned(), 1)).into();
        let json = to_json(&pb::App { facts, ..pb::App::default() }).expect("sound");
        assert_eq!(json["facts"].to_string(), r#"{"a":1,"b":1,"c":1}"#);
    }
}
