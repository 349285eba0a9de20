//! The words of notices as a mail: HTML that shows alike everywhere, and plain text.
//!
//! HTML of mails is that of tables and inline styles: no scripts, no pictures, nothing that is loaded from elsewhere. All text is escaped.

use crate::domain::notice::Words;
use crate::domain::notice::chat::{and_more, parts};
use crate::text::Text;

/// The most notices of which a mail says everything; of more it says one line each.
const IN_FULL: usize = 3;

/// The notices as HTML. `more`: how many there are beside them; `settings`: where a person chooses what to hear.
pub fn html(text: Text, subject: &str, notices: &[Words], more: u32, settings: Option<&str>) -> String {
    let body: String = match notices.len() <= IN_FULL {
        true => notices.iter().map(|words| full(text, words)).collect(),
        false => {
            let rows: String = notices.iter().map(row).collect();
            format!("<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\">{rows}</table>")
        }
    };
    let more = and_more(text, more as usize)
        .map_or_else(String::new, |more| format!("<p style=\"margin:16px 0 0;color:#4b5563\">{}</p>", escaped(&more)));
    let choose = settings.map_or_else(String::new, |url| {
        let (url, choose) = (escaped(url), escaped(&text.say("message-choose")));
        format!(" <a href=\"{url}\" style=\"color:#4b5563\">{choose}</a>.")
    });
    let foot = format!("{}{choose}", escaped(&text.say("message-since")));
    format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title></head>\n\
         <body style=\"margin:0;padding:0;background:#f3f4f6\">\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"background:#f3f4f6\"><tr>\
         <td align=\"center\" style=\"padding:24px 12px\">\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"max-width:600px;background:#ffffff;\
         border-radius:8px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;color:#111827\">\
         <tr><td style=\"padding:20px 28px 0;font-size:13px;color:#4b5563\">Token Broker</td></tr>\
         <tr><td style=\"padding:4px 28px 28px\">{body}{more}</td></tr></table>\
         <p style=\"max-width:600px;margin:16px auto 0;font-family:Helvetica,Arial,sans-serif;font-size:12px;color:#4b5563\">{foot}</p>\
         </td></tr></table></body></html>\n",
        title = escaped(subject),
        language = escaped(&text.say("message-language")),
    )
}

fn full(text: Text, words: &Words) -> String {
    let accent = if words.asks { "#b45309" } else { "#047857" };
    let part = |(name, said): (&str, &str)| {
        format!(
            "<tr><td style=\"padding:6px 16px 6px 0;vertical-align:top;color:#4b5563;white-space:nowrap\">{}</td>\
             <td style=\"padding:6px 0;vertical-align:top\">{}</td></tr>",
            escaped(&text.say(name)),
            escaped(said)
        )
    };
    let named = [("message-why", &*words.why), ("message-stops", &words.stops), ("message-todo", &words.todo)];
    let parts = named.map(part).concat();
    let link = words.link.as_ref().map_or_else(String::new, |link| {
        format!(
            "<p style=\"margin:18px 0 0\"><a href=\"{}\" style=\"display:inline-block;padding:10px 18px;border-radius:6px;\
             background:#1d4ed8;color:#ffffff;text-decoration:none;font-weight:600\">{}</a></p>",
            escaped(&link.url),
            escaped(&link.text)
        )
    });
    format!(
        "<h1 style=\"margin:16px 0 8px;padding-left:12px;border-left:4px solid {accent};font-size:19px;line-height:1.35\">{}</h1>\
         <p style=\"margin:0 0 8px\">{}</p>\
         <table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\">{parts}</table>{link}",
        escaped(&words.subject),
        escaped(&words.happened)
    )
}

fn row(words: &Words) -> String {
    let subject = escaped(&words.subject);
    let named = match &words.link {
        Some(link) => format!("<a href=\"{}\" style=\"color:#1d4ed8\">{subject}</a>", escaped(&link.url)),
        None => subject,
    };
    format!(
        "<tr><td style=\"padding:10px 0;border-bottom:1px solid #e5e7eb\">{named}<br><span style=\"color:#4b5563\">{}</span></td></tr>",
        escaped(&words.todo)
    )
}

/// The notices as plain text.
pub fn plain(text: Text, notices: &[Words], more: u32, settings: Option<&str>) -> String {
    let mut page = String::new();
    for words in notices {
        let Words { subject, happened, todo, link, .. } = words;
        page.push_str(&match notices.len() <= IN_FULL {
            true => format!("{happened}\n\n{}\n", parts(text, words).join("\n")),
            false => format!("* {subject}\n  {todo}\n"),
        });
        if let Some(link) = link {
            page.push_str(&format!("{}: {}\n", link.text, link.url));
        }
        page.push('\n');
    }
    if let Some(more) = and_more(text, more as usize) {
        page.push_str(&format!("{more}\n\n"));
    }
    if let Some(url) = settings {
        page.push_str(&format!("-- \n{}: {url}\n", text.say("message-choose")));
    }
    page
}

/// Text in HTML, also in the value of an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::tests::words;

    #[test]
    fn foreign_text_is_no_markup() {
        let evil = "<img src=x onerror=\"alert(1)\">'";
        for count in [1, 5] {
            let page = html(Text::english(), evil, &vec![words(evil); count], 0, Some("https://t.example/\"><script>"));
            assert!(!page.contains("<img") && !page.contains("<script"), "{page}");
            assert!(page.contains("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&#39;"));
            assert!(page.contains("https://t.example/a?b=1&amp;c=2"));
        }
    }

    #[test]
    fn few_notices_are_told_in_full_and_many_in_a_line_each() {
        let few = plain(Text::english(), &[words("A"), words("B")], 0, None);
        assert!(few.contains(
            "A.\n\nWhy: Because.\nWhat it stops: All.\nWhat to do: Reconnect.\nReconnect the account: https://"
        ));
        let many = plain(Text::english(), &vec![words("A"); 4], 12, Some("https://t.example/s"));
        assert!(many.contains("* A\n  Reconnect.\n") && many.contains("And 12 more.") && !many.contains("Because"));
        assert!(many.ends_with("-- \nChoose what you hear: https://t.example/s\n"));
        assert!(html(Text::english(), "S", &vec![words("A"); 4], 12, None).contains("And 12 more."));
    }
}
