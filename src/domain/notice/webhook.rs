//! The bodies of webhooks: JSON, `{"type":…,"timestamp":…,"data":{…}}`, times as RFC 3339 in UTC.
//!
//! Of an alert `data` is the alert (`domain::alert::payload`). Of any other fact it is what is known of it beside the words that people read.
//! Several facts come as one message of type `digest`, with the bodies that they would have had as `data.events`.

use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::domain::notice::{Event, Words};

/// The most facts that one message lists; of more it says how many.
pub const LISTED: usize = 50;

/// The body for one event that is not about an alert.
pub fn event_body(event: &Event, words: &Words) -> Value {
    let fact = serde_json::to_value(&event.fact).expect("a fact has text, numbers and string keys only");
    let fields = fact.as_object().and_then(|kinds| kinds.values().next()).cloned().unwrap_or_default();
    let mut data = json!({
        "id": event.id,
        "key": event.dedup_key,
        "kind": event.fact.kind().as_str(),
        "team": event.team,
        "message": words.happened,
        "why": words.why,
        "stops": words.stops,
        "todo": words.todo,
        "link": words.link.as_ref().map(|link| link.url.as_str()),
    });
    if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
        let timed = |(name, value): (String, Value)| match value.as_i64().filter(|_| is_time(&name)) {
            Some(micros) => (name, Timestamp::from_micros(micros).to_string().into()),
            None => (name, value),
        };
        data.extend(fields.into_iter().map(timed));
    }
    json!({ "type": event.fact.kind().as_str(), "timestamp": event.at.to_string(), "data": data })
}

fn is_time(name: &str) -> bool {
    matches!(name, "ends_at" | "deadline" | "by")
}

/// The body for several events, and for `more` that are not listed.
pub fn digest_body(events: Vec<Value>, more: u32, now: Timestamp) -> Value {
    let count = events.len() + more as usize;
    json!({ "type": "digest", "timestamp": now.to_string(), "data": { "count": count, "more": more, "events": events } })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::ids::EventId;
    use crate::domain::notice::tests::{NOW, facts};
    use crate::domain::notice::{Fact, Told};
    use crate::text::Text;

    #[test]
    fn a_body_holds_the_fact_and_the_words() {
        for fact in facts() {
            let event = Event {
                id: EventId::from_u128(1),
                at: NOW,
                team: Some("acme".parse().unwrap()),
                fact,
                dedup_key: "key".to_owned(),
            };
            let (text, zone) = (Text::english(), &TimeZone::UTC);
            let told = Told { event: &event, network: "X", token: "Acme", alert: None, pages: None, text, zone };
            let body = event_body(&event, &Words::of(&told));
            assert_eq!(body["type"], event.fact.kind().as_str());
            assert_eq!(body["data"]["kind"], body["type"], "no field of the fact takes its place");
            assert_eq!(body["data"]["network"].as_str(), event.fact.network().map(|network| network.as_str()));
            assert_eq!(body["data"]["key"], "key");
            assert_eq!(body["timestamp"], NOW.to_string());
            if let Fact::TokenExpiring { ends_at, .. } = &event.fact {
                assert_eq!(body["data"]["ends_at"], ends_at.to_string());
                assert_eq!(body["data"]["within_days"], 7);
            }
        }
        let digest = digest_body(vec![json!({"type": "a"})], 9, NOW);
        assert_eq!((&digest["data"]["count"], &digest["data"]["events"][0]["type"]), (&json!(10), &json!("a")));
    }
}
