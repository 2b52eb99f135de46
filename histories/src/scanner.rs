//! Walking through text: what the JSON and the EDN reader have in common.

use std::fmt;

/// How much of an unexpected token a message repeats, in characters.
const FOUND_CHARS_MAX: usize = 24;

/// Why text is not what it should be, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The byte at which it goes wrong; the text's length when the text ends too early.
    pub offset: usize,
    /// What was expected there.
    pub expected: String,
    /// What is there; `None` for the end of the text.
    pub found: Option<String>,
}

impl SyntaxError {
    /// Whether more text could have made it right.
    pub fn cut_off(&self) -> bool {
        self.found.is_none()
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "expected {}, found {found}", self.expected),
            None => write!(f, "expected {}, found the end", self.expected),
        }
    }
}

/// A position in a text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// The byte it stands at.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next byte, if any.
    pub fn peek(&self) -> Option<u8> {
        self.peek_ahead(0)
    }

    /// The byte `distance` after the next.
    pub fn peek_ahead(&self, distance: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + distance).copied()
    }

    /// Takes `byte`, which must be ASCII, if it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    /// Takes `word` if it is next.
    pub fn take_word(&mut self, word: &str) -> bool {
        let next = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if next {
            self.at += word.len();
        }
        next
    }

    /// Takes bytes as long as `wanted` holds, and returns them. `wanted` must treat all bytes of a
    /// character that is not ASCII alike.
    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| wanted(*byte)) {
            self.at += 1;
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Takes the next character.
    pub fn take_char(&mut self) -> Option<char> {
        let next = self.text.get(self.at..)?.chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// The text between two offsets.
    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The four hexadecimal digits after `\u`, and the second half of a surrogate pair where the
    /// first half calls for one.
    pub fn take_unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let from = self.at;
        let first = self.take_hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !(self.take_word("\\u")) {
                return Err(self.error("\\u and the second half of a surrogate pair"));
            }
            let second = self.take_hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error_at(from, "a surrogate pair of two halves"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error_at(from, "the number of a character"))
    }

    fn take_hex4(&mut self) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.error("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(code)
    }

    /// That `expected` is not what stands here.
    pub fn error(&self, expected: impl Into<String>) -> SyntaxError {
        self.error_at(self.at, expected)
    }

    /// That `expected` is not what stands at `offset`.
    pub fn error_at(&self, offset: usize, expected: impl Into<String>) -> SyntaxError {
        let rest = self.text.get(offset..).unwrap_or_default();
        SyntaxError {
            offset,
            expected: expected.into(),
            found: token(rest),
        }
    }
}

/// The first word of `rest`, quoted, or `None` at the end.
fn token(rest: &str) -> Option<String> {
    let first = rest.chars().next()?;
    let ends = |c: char| c.is_whitespace() || ",()[]{}\"".contains(c);
    let mut word: String = rest
        .chars()
        .take_while(|c| !ends(*c))
        .take(FOUND_CHARS_MAX)
        .collect();
    if word.is_empty() {
        word.push(first);
    }
    Some(format!("`{}`", word.escape_debug()))
}
