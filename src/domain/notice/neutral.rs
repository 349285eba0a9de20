//! Foreign text: names that people and networks chose, before they are shown to other people.

/// The text in one line of at most `most` characters: no control characters, nothing that turns the direction of writing or can't be
/// seen. What is cut off shows as `…`.
pub fn neutral(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut kept = 0;
    let visible =
        text.chars().filter(|c| !is_hidden(*c)).map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c });
    for c in visible {
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        if kept + 1 > most {
            line.pop();
            line.push('…');
            break;
        }
        line.push(c);
        kept += 1;
    }
    line.trim_end().to_owned()
}

/// Characters that change how others are shown, or hide (Unicode's bidirectional controls, joiners, fillers, tags, line separators).
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_one_harmless_line() {
        let cases = [
            ("Acme Shop", "Acme Shop"),
            ("  Acme\r\nBcc: all@example.com\t!", "Acme Bcc: all@example.com !"),
            ("abc\u{202e}dcba\u{2066}", "abcdcba"),
            ("a\u{200b}\u{200d}\u{feff}b", "ab"),
            ("\u{0}\u{7}\u{1b}[31m", "[31m"),
            ("Ærøskøbing 東京 🎉", "Ærøskøbing 東京 🎉"),
            ("", ""),
            ("12345678901", "123456789…"),
            ("1234567890", "1234567890"),
        ];
        for (text, expected) in cases {
            assert_eq!(neutral(text, if text.starts_with('1') { 10 } else { 80 }), expected, "{text:?}");
        }
        assert!(neutral(&"x".repeat(100_000), 80).chars().count() <= 80);
    }
}
