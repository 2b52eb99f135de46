//! Text as a terminal of 100 columns shows it, whatever histories, logs and names hold.

use std::borrow::Cow;

/// How wide a terminal is taken to be.
pub const COLUMNS: usize = 100;

/// The text with nothing in it that a terminal would obey or hide: control characters (but for the end
/// of a line), and those that turn the direction of writing, as `\u{1b}`.
///
/// A value, a node's name or a line of its log may hold any.
pub fn harmless(text: &str) -> Cow<'_, str> {
    shown(text, |character| {
        format!("\\u{{{:x}}}", u32::from(character))
    })
}

/// The same for a JSON document, which says the same then.
pub fn harmless_json(text: &str) -> Cow<'_, str> {
    shown(text, |character| format!("\\u{:04x}", u32::from(character)))
}

fn shown(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_obeyed(character) {
            true => shown.push_str(&escape(character)),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal does not show it, but does something else. All are below U+10000.
fn is_obeyed(character: char) -> bool {
    let turns = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || character.is_control() && character != '\n'
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// Beginning and end of a text that is wider than so many columns, for what was read stands at its
/// end.
pub fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let (half, mut shown) = (columns / 2, String::new());
    for character in text.chars() {
        shown.push(character);
        if width(&shown) > half {
            shown.pop();
            break;
        }
    }
    let room = columns.saturating_sub(width(&shown) + 1);
    let mut end = text.len();
    for (at, _) in text.char_indices().rev() {
        if width(&text[at..]) > room {
            break;
        }
        end = at;
    }
    shown.push('…');
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// A text in lines no wider than the terminal, the first after `before`, the others below it.
pub fn hanging(before: &str, text: &str) -> String {
    let below = " ".repeat(width(before));
    let options = textwrap::Options::new(COLUMNS)
        .initial_indent(before)
        .subsequent_indent(&below)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let mut lines = textwrap::wrap(text, options).join("\n");
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let rows = [
            ("plain, äöü 日本\nnext", "plain, äöü 日本\nnext"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\tb\rc\u{7f}", "a\\u{9}b\\u{d}c\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}abc\u{2066}", "\\u{202e}abc\\u{2066}"),
        ];
        for (text, shown) in rows {
            assert_eq!(harmless(text), shown);
        }
        let value = "\u{1b}\u{9b}\u{202e} \u{7f} ü";
        let json = serde_json::to_string_pretty(&[value]).expect("a text");
        let shown = harmless_json(&json);
        assert!(!shown.contains(is_obeyed), "{shown}");
        let again: Vec<String> = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(again, [value]);
    }

    #[test]
    fn what_is_too_wide_loses_its_middle() {
        let rows = [
            ("short", 5, "short"),
            ("longer", 5, "lo…er"),
            ("日本語日本語", 12, "日本語日本語"),
            ("日本語日本語", 11, "日本…日本語"),
            ("日本語", 2, "…"),
        ];
        for (text, columns, shown) in rows {
            assert_eq!(shortened(text, columns), shown);
        }
        for columns in 0..20 {
            for text in [
                "",
                "a",
                "e\u{301}e\u{301}e\u{301}",
                "日本語日本語",
                "a日b本c語d",
            ] {
                let shown = shortened(text, columns.max(1));
                assert!(width(&shown) <= columns.max(1), "{text} in {columns}");
            }
        }
    }

    #[test]
    fn sentences_hang_below_their_beginning() {
        let text = "a few words ".repeat(20) + &"x".repeat(120);
        let lines = hanging("  - ", &text);
        assert!(lines.starts_with("  - a few"), "{lines}");
        assert!(lines.lines().skip(1).all(|line| line.starts_with("    ")));
        assert!(lines.lines().all(|line| width(line) <= COLUMNS), "{lines}");
        assert_eq!(hanging("  - ", "short"), "  - short\n");
    }
}
