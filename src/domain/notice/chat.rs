//! The words of notices as messages of chats: blocks for Slack, an adaptive card for Teams. Foreign text is shown as it is, never as markup.

use serde_json::{Value, json};

use crate::domain::notice::Words;
use crate::text::Text;

/// The most notices that a message of a chat shows.
const SHOWN: usize = 10;

/// The body of an incoming webhook of Slack. Text is `plain_text`, and in the fallback escaped, so that no name calls a channel or forms a link.
/// `id` is the message's, by which people know one that came twice.
pub fn slack(text: Text, notices: &[Words], more: u32, id: &str) -> Value {
    let mut blocks = Vec::new();
    for words in notices.iter().take(SHOWN) {
        let plain = |text: String| json!({ "type": "plain_text", "text": text, "emoji": false });
        blocks.push(json!({ "type": "section", "text": plain(words.subject.clone()) }));
        if notices.len() == 1 {
            let lines = [words.happened.clone()].into_iter().chain(parts(text, words));
            blocks.push(json!({ "type": "section", "text": plain(lines.collect::<Vec<_>>().join("\n")) }));
        }
        if let Some(link) = &words.link {
            let button = json!({ "type": "button", "text": plain(link.text.clone()), "url": link.url });
            blocks.push(json!({ "type": "actions", "elements": [button] }));
        }
    }
    for line in rest(text, notices, more).into_iter().chain([id.to_owned()]) {
        blocks.push(json!({ "type": "context", "elements": [{ "type": "plain_text", "text": line, "emoji": false }] }));
    }
    json!({ "text": escaped(&summary(text, notices, more)), "blocks": blocks })
}

/// The body of a webhook of Teams: a message with one adaptive card. Text runs know no markup. `id` as with Slack.
pub fn teams(text: Text, notices: &[Words], more: u32, id: &str) -> Value {
    let run = |text: &str, bold: bool| {
        let weight = if bold { "Bolder" } else { "Default" };
        json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text, "weight": weight }] })
    };
    let mut body = Vec::new();
    let mut actions = Vec::new();
    for words in notices.iter().take(SHOWN) {
        body.push(run(&words.subject, true));
        if notices.len() == 1 {
            body.push(run(&words.happened, false));
            body.extend(parts(text, words).map(|part| run(&part, false)));
        }
        if let Some(link) = words.link.as_ref().filter(|_| actions.len() < 4) {
            let title = if notices.len() == 1 { link.text.clone() } else { words.subject.clone() };
            actions.push(json!({ "type": "Action.OpenUrl", "title": title, "url": link.url }));
        }
    }
    body.extend(rest(text, notices, more).map(|rest| run(&rest, false)));
    let id = json!({ "type": "TextRun", "text": id, "size": "Small", "isSubtle": true });
    body.push(json!({ "type": "RichTextBlock", "inlines": [id] }));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": summary(text, notices, more),
        "body": body,
        "actions": actions,
    });
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

/// What a notice says beside what happened, each part with its name.
pub(super) fn parts(text: Text, words: &Words) -> [String; 3] {
    [("message-why", &words.why), ("message-stops", &words.stops), ("message-todo", &words.todo)].map(|(name, said)| {
        text.say_with("message-part", &[("name", text.say(name).into()), ("text", said.clone().into())])
    })
}

/// All of it in one line.
pub fn summary(text: Text, notices: &[Words], more: u32) -> String {
    let first = notices.iter().find(|words| words.asks).or(notices.first()).map_or("", |words| &words.subject);
    let others = (notices.len() + more as usize).saturating_sub(1);
    text.say_with("message-subject", &[("first", first.to_owned().into()), ("count", others.into())])
}

/// How many notices there are beside those that are shown, if any.
pub(super) fn and_more(text: Text, more: usize) -> Option<String> {
    (more > 0).then(|| text.say_of("message-more", "count", more))
}

fn rest(text: Text, notices: &[Words], more: u32) -> Option<String> {
    and_more(text, notices.len().saturating_sub(SHOWN) + more as usize)
}

/// Text for Slack's own markup, in which three characters have a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::tests::words;

    /// Every value under a key.
    fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
            Value::Object(fields) => {
                found.extend(fields.get(key));
                fields.values().for_each(|field| all(field, key, found));
            }
            _ => {}
        }
    }

    #[test]
    fn a_name_calls_no_channel_and_forms_no_link() {
        let evil = "<!channel> <https://evil.example|click> [x](https://evil.example)";
        let body = slack(Text::english(), &[words(evil)], 0, "out_1");
        assert_eq!(body["text"], "&lt;!channel&gt; &lt;https://evil.example|click&gt; [x](https://evil.example)");
        let mut kinds = Vec::new();
        all(&body["blocks"], "type", &mut kinds);
        assert!(kinds.iter().all(|kind| *kind != "mrkdwn"), "{body}");
        let card = teams(Text::english(), &[words(evil)], 0, "out_1");
        let mut kinds = Vec::new();
        all(&card["attachments"][0]["content"]["body"], "type", &mut kinds);
        assert!(kinds.iter().all(|kind| *kind == "RichTextBlock" || *kind == "TextRun"), "{card}");
    }

    #[test]
    fn a_message_that_comes_twice_is_known_by_its_id() {
        let body = slack(Text::english(), &[words("A")], 0, "out_1");
        assert_eq!(body["blocks"].as_array().unwrap().last().unwrap()["elements"][0]["text"], "out_1");
        let card = teams(Text::english(), &[words("A")], 0, "out_1");
        let lines = card["attachments"][0]["content"]["body"].as_array().unwrap();
        assert_eq!(lines.last().unwrap()["inlines"][0]["text"], "out_1");
    }

    #[test]
    fn many_are_cut_short_and_counted() {
        let many: Vec<Words> = (0..30).map(|n| words(&format!("Token {n}"))).collect();
        let body = slack(Text::english(), &many, 7, "out_1");
        assert!(body["blocks"].as_array().unwrap().len() <= 50, "Slack takes no more blocks");
        assert!(
            body.to_string().contains("And 27 more.") && body["text"].as_str().unwrap().contains("and 36 more notices")
        );
        let card = teams(Text::english(), &many, 0, "out_1");
        assert!(card.to_string().contains("And 20 more.") && card.to_string().len() < 28_000);
        assert_eq!(summary(Text::english(), &many[..2], 0), "Token 0, and 1 more notice");
    }
}
