//! The words of notices as messages of chats: blocks for Slack, an adaptive card for Teams. Foreign text is shown as it is, never as markup.

use serde_json::{Value, json};

use crate::domain::notice::Words;

/// The most notices that a message of a chat shows.
const SHOWN: usize = 10;

/// The body of an incoming webhook of Slack. Text is `plain_text`, and in the fallback escaped, so that no name calls a channel or forms a link.
/// `id` is the message's, by which people know one that came twice.
pub fn slack(notices: &[Words], more: u32, id: &str) -> Value {
    let mut blocks = Vec::new();
    for words in notices.iter().take(SHOWN) {
        let plain = |text: String| json!({ "type": "plain_text", "text": text, "emoji": false });
        blocks.push(json!({ "type": "section", "text": plain(words.subject.clone()) }));
        if notices.len() == 1 {
            let Words { happened, why, stops, todo, .. } = words;
            let text = format!("{happened}\nWhy: {why}\nWhat it stops: {stops}\nWhat to do: {todo}");
            blocks.push(json!({ "type": "section", "text": plain(text) }));
        }
        if let Some(link) = &words.link {
            let button = json!({ "type": "button", "text": plain(link.text.to_owned()), "url": link.url });
            blocks.push(json!({ "type": "actions", "elements": [button] }));
        }
    }
    for line in rest(notices, more).into_iter().chain([id.to_owned()]) {
        blocks.push(json!({ "type": "context", "elements": [{ "type": "plain_text", "text": line, "emoji": false }] }));
    }
    json!({ "text": escaped(&summary(notices, more)), "blocks": blocks })
}

/// The body of a webhook of Teams: a message with one adaptive card. Text runs know no markup. `id` as with Slack.
pub fn teams(notices: &[Words], more: u32, id: &str) -> Value {
    let run = |text: &str, bold: bool| {
        let weight = if bold { "Bolder" } else { "Default" };
        json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text, "weight": weight }] })
    };
    let mut body = Vec::new();
    let mut actions = Vec::new();
    for words in notices.iter().take(SHOWN) {
        body.push(run(&words.subject, true));
        if notices.len() == 1 {
            let Words { happened, why, stops, todo, .. } = words;
            body.push(run(happened, false));
            for (name, text) in [("Why", why), ("What it stops", stops), ("What to do", todo)] {
                body.push(run(&format!("{name}: {text}"), false));
            }
        }
        if let Some(link) = words.link.as_ref().filter(|_| actions.len() < 4) {
            let title = if notices.len() == 1 { link.text.to_owned() } else { words.subject.clone() };
            actions.push(json!({ "type": "Action.OpenUrl", "title": title, "url": link.url }));
        }
    }
    body.extend(rest(notices, more).map(|rest| run(&rest, false)));
    let id = json!({ "type": "TextRun", "text": id, "size": "Small", "isSubtle": true });
    body.push(json!({ "type": "RichTextBlock", "inlines": [id] }));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": summary(notices, more),
        "body": body,
        "actions": actions,
    });
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

/// All of it in one line.
pub fn summary(notices: &[Words], more: u32) -> String {
    let first = notices.iter().find(|words| words.asks).or(notices.first()).map_or("", |words| &words.subject);
    match notices.len() + more as usize {
        0 | 1 => first.to_owned(),
        2 => format!("{first}, and 1 more notice"),
        all => format!("{first}, and {} more notices", all - 1),
    }
}

fn rest(notices: &[Words], more: u32) -> Option<String> {
    let rest = notices.len().saturating_sub(SHOWN) + more as usize;
    (rest > 0).then(|| format!("And {rest} more."))
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
        let body = slack(&[words(evil)], 0, "out_1");
        assert_eq!(body["text"], "&lt;!channel&gt; &lt;https://evil.example|click&gt; [x](https://evil.example)");
        let mut kinds = Vec::new();
        all(&body["blocks"], "type", &mut kinds);
        assert!(kinds.iter().all(|kind| *kind != "mrkdwn"), "{body}");
        let card = teams(&[words(evil)], 0, "out_1");
        let mut kinds = Vec::new();
        all(&card["attachments"][0]["content"]["body"], "type", &mut kinds);
        assert!(kinds.iter().all(|kind| *kind == "RichTextBlock" || *kind == "TextRun"), "{card}");
    }

    #[test]
    fn a_message_that_comes_twice_is_known_by_its_id() {
        let body = slack(&[words("A")], 0, "out_1");
        assert_eq!(body["blocks"].as_array().unwrap().last().unwrap()["elements"][0]["text"], "out_1");
        let card = teams(&[words("A")], 0, "out_1");
        let lines = card["attachments"][0]["content"]["body"].as_array().unwrap();
        assert_eq!(lines.last().unwrap()["inlines"][0]["text"], "out_1");
    }

    #[test]
    fn many_are_cut_short_and_counted() {
        let many: Vec<Words> = (0..30).map(|n| words(&format!("Token {n}"))).collect();
        let body = slack(&many, 7, "out_1");
        assert!(body["blocks"].as_array().unwrap().len() <= 50, "Slack takes no more blocks");
        assert!(
            body.to_string().contains("And 27 more.") && body["text"].as_str().unwrap().contains("and 36 more notices")
        );
        let card = teams(&many, 0, "out_1");
        assert!(card.to_string().contains("And 20 more.") && card.to_string().len() < 28_000);
        assert_eq!(summary(&many[..2], 0), "Token 0, and 1 more notice");
    }
}
