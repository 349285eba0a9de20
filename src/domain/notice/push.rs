//! Notices on members' phones and browsers: who subscribed, and what a browser is told.

use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, PushSubscriptionId, TeamId};
use crate::domain::notice::{Words, neutral, summary};
use crate::text::Text;

/// The most browsers of one member.
pub const MOST_SUBSCRIPTIONS: usize = 20;
/// The most characters of a title, and of the text below it: devices show less.
const TITLE: usize = 160;
const BODY: usize = 400;
/// The most notices whose subjects are shown together.
const SHOWN: usize = 4;
/// The longest address of a page that is sent.
const LINK: usize = 1024;

/// A browser of a member that is told of its notices. Its address and keys are kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSubscription {
    /// Its id.
    pub id: PushSubscriptionId,
    /// The team of the member.
    pub team: TeamId,
    /// Whose it is.
    pub member: MemberId,
    /// A name for people, such as that of the device.
    pub display_name: String,
    /// The host of its push service.
    pub shown: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised by one with each new sealing; bound into it.
    pub version: u32,
}

impl PushSubscription {
    /// Its resource name.
    pub fn name(&self) -> String {
        format!("teams/{}/members/{}/pushSubscriptions/{}", self.team, self.member, self.id)
    }
}

/// What a browser is told, as JSON: `id` names the message, `title` and `body` are shown, `url` is opened. Fits into one push message (at most
/// 3,993 bytes), whatever the notices say.
pub fn push_body(text: Text, id: &str, notices: &[Words], more: u32) -> Vec<u8> {
    let body = match notices {
        [words] if more == 0 => format!("{} {}", words.happened, words.todo),
        _ => notices.iter().take(SHOWN).map(|words| words.subject.as_str()).collect::<Vec<_>>().join(" · "),
    };
    let asking = notices.iter().find(|words| words.asks).or(notices.first());
    let url =
        asking.and_then(|words| words.link.as_ref()).map(|link| link.url.as_str()).filter(|url| url.len() <= LINK);
    let title = neutral(&summary(text, notices, more), TITLE);
    json!({ "id": id, "title": title, "body": neutral(&body, BODY), "url": url }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::Link;

    fn words(text: &str, asks: bool) -> Words {
        Words {
            subject: format!("subject {text}"),
            happened: format!("happened {text}"),
            why: String::new(),
            stops: String::new(),
            todo: format!("todo {text}"),
            link: Some(Link { text: "Look".to_owned(), url: format!("https://tokens.example.com/{}", text.len()) }),
            asks,
        }
    }

    #[test]
    fn a_browser_is_told_what_happened_and_where_to_go() {
        let read = |body: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        let one = read(push_body(Text::english(), "out_1", &[words("a", true)], 0));
        let expected = json!({ "id": "out_1", "title": "subject a", "body": "happened a todo a", "url": "https://tokens.example.com/1" });
        assert_eq!(one, expected);
        let several = read(push_body(Text::english(), "out_1", &[words("a", false), words("bb", true)], 3));
        assert_eq!(several["title"], "subject bb, and 4 more notices");
        assert_eq!(
            (&several["body"], &several["url"]),
            (&json!("subject a · subject bb"), &json!("https://tokens.example.com/2"))
        );
    }

    #[test]
    fn it_fits_into_one_message_whatever_is_said() {
        // A character that takes 12 bytes in JSON, and lines.
        for text in ["\u{10ffff}", "\u{1}", "\"\\", "語"] {
            let long = vec![words(&text.repeat(5000), true); 50];
            let body = push_body(Text::english(), "out_00000000000000000000000000000000", &long, u32::MAX);
            assert!(body.len() <= 3993, "{text:?}: {}", body.len());
        }
    }
}
