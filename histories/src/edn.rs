//! EDN, the data notation of Clojure (<https://github.com/edn-format/edn>), in which Jepsen writes
//! histories.
//!
//! Beyond the notation's own page this reads what Clojure prints: ratios, `##NaN`, hexadecimal
//! numbers, regular expressions, metadata, `#:ns{…}` maps. A tag passes through what it tags.

use std::borrow::Cow;
use std::fmt;

use crate::Value;
use crate::scanner::{Scanner, SyntaxError};

/// How deep values may be nested: the reader recurses, and the stack is finite.
pub const DEPTH_MAX: usize = 64;

/// Why a text is not one EDN value: what was expected, where, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdnError(SyntaxError);

impl fmt::Display for EdnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.0, self.0.offset)
    }
}

impl std::error::Error for EdnError {}

/// Reads a text that is one value and nothing else but comments, such as `{:x 0, :y 0}`.
///
/// Keywords and symbols become `Text` without the colon; sets become a sorted `List`.
///
/// # Errors
///
/// When it is none.
pub fn parse_value(text: &str) -> Result<Value, EdnError> {
    let mut reader = Reader::new(text);
    let value = reader.value().map_err(EdnError)?;
    match reader.at_end() {
        Ok(true) => Ok(value),
        Ok(false) => Err(EdnError(reader.error("the end of the text"))),
        Err(error) => Err(EdnError(error)),
    }
}

/// Walks through EDN text.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

/// How a collection ends, and what people call it.
const LIST: (u8, &str) = (b')', "the `)` of the list");
const VECTOR: (u8, &str) = (b']', "the `]` of the vector");
const BRACE: (u8, &str) = (b'}', "the `}` of the map or set");

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Reader {
            scanner: Scanner::new(text),
            depth: 0,
        }
    }

    /// The byte it stands at.
    pub fn offset(&self) -> usize {
        self.scanner.offset()
    }

    /// That `expected` is not what stands here.
    pub fn error(&self, expected: &str) -> SyntaxError {
        self.scanner.error(expected)
    }

    /// Whether nothing but space, comments and discarded values is left.
    pub fn at_end(&mut self) -> Result<bool, SyntaxError> {
        self.skip()?;
        Ok(self.scanner.peek().is_none())
    }

    /// The next byte that belongs to a value, tags and metadata passed over.
    pub fn peek(&mut self) -> Result<Option<u8>, SyntaxError> {
        self.skip()?;
        while self.prefix()? {
            self.skip()?;
        }
        Ok(self.scanner.peek())
    }

    /// Takes the opening bracket of the collection that [`Reader::peek`] found.
    pub fn open(&mut self) {
        self.scanner.take_char();
    }

    /// Takes `byte`, the end of a collection, if it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        self.scanner.take(byte)
    }

    /// Takes a map, handing over each entry: the key, whether the value is a keyword, the value.
    pub fn map(
        &mut self,
        mut entry: impl FnMut(Value, bool, Value) -> Result<(), String>,
    ) -> Result<Result<(), String>, SyntaxError> {
        if self.peek()? != Some(b'{') {
            return Err(self.error("a map, `{`"));
        }
        self.scanner.take(b'{');
        // The first complaint is kept: the syntax of the whole map comes first.
        let mut complaint = Ok(());
        self.entries("", |key, is_keyword, value| {
            if complaint.is_ok() {
                complaint = entry(key, is_keyword, value);
            }
        })?;
        Ok(complaint)
    }

    /// Takes a value.
    pub fn value(&mut self) -> Result<Value, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(&format!("at most {DEPTH_MAX} levels of nesting")));
        }
        let value = self.peek().and_then(|next| match next {
            Some(b'(') => self.elements(LIST).map(Value::List),
            Some(b'[') => self.elements(VECTOR).map(Value::List),
            Some(b'{') => self.namespaced_map(""),
            Some(b'"') => self.string(),
            Some(b'\\') => self.character(),
            Some(b':') => self.keyword(""),
            Some(b'#') => self.dispatch(),
            Some(byte) if is_constituent(byte) => self.atom(),
            _ => Err(self.error("a value")),
        })?;
        self.depth -= 1;
        Ok(value)
    }

    /// Passes over space, commas, comments and `#_` with what it discards.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.scanner.take_while(is_space);
            if self.scanner.take(b';') {
                self.scanner.take_while(|byte| byte != b'\n');
            } else if self.scanner.take_word("#_") {
                self.value()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Passes over one tag (`#inst`) or one piece of metadata (`^{…}`, `^:once`).
    fn prefix(&mut self) -> Result<bool, SyntaxError> {
        if self.scanner.take(b'^') {
            self.value()?;
            return Ok(true);
        }
        let tagged = match (self.scanner.peek(), self.scanner.peek_ahead(1)) {
            (Some(b'#'), Some(next)) => next.is_ascii_alphabetic(),
            (Some(b'#'), None) => {
                self.scanner.take(b'#');
                return Err(self.error("a value"));
            }
            _ => false,
        };
        if tagged {
            self.scanner.take(b'#');
            self.scanner.take_while(is_constituent);
        }
        Ok(tagged)
    }

    /// What begins with `#` and is no tag.
    fn dispatch(&mut self) -> Result<Value, SyntaxError> {
        let from = self.offset();
        self.scanner.take(b'#');
        match self.scanner.peek() {
            Some(b'{') => self.set(),
            Some(b'"') => self.regular_expression(),
            Some(b':') => {
                self.scanner.take(b':');
                let namespace = self.scanner.take_while(is_constituent);
                match self.peek()? {
                    Some(b'{') if !namespace.is_empty() => self.namespaced_map(namespace),
                    _ => Err(self.error("the name of a namespace and a map")),
                }
            }
            Some(b'#') => {
                self.scanner.take(b'#');
                match self.scanner.take_while(is_constituent) {
                    name @ ("NaN" | "Inf" | "-Inf") => Ok(Value::from(name)),
                    _ => Err(self.scanner.error_at(from, "##NaN, ##Inf or ##-Inf")),
                }
            }
            _ => Err(self.scanner.error_at(from, "a value")),
        }
    }

    /// What stands between the brackets of a list, vector or set.
    fn elements(&mut self, (close, wanted): (u8, &str)) -> Result<Vec<Value>, SyntaxError> {
        let mut values = Vec::new();
        self.scanner.take_char();
        loop {
            self.skip()?;
            if self.scanner.take(close) {
                return Ok(values);
            }
            if matches!(self.scanner.peek(), None | Some(b')' | b']' | b'}')) {
                return Err(self.error(wanted));
            }
            values.push(self.value()?);
        }
    }

    /// A set, sorted: it has no order, so none that was written may tell two of them apart.
    fn set(&mut self) -> Result<Value, SyntaxError> {
        let mut values = self.elements(BRACE)?;
        values.sort_unstable();
        Ok(Value::List(values))
    }

    fn namespaced_map(&mut self, namespace: &str) -> Result<Value, SyntaxError> {
        let mut map = Vec::new();
        self.scanner.take(b'{');
        self.entries(namespace, |key, _, value| map.push((key, value)))?;
        Ok(Value::Map(map))
    }

    /// The entries of a map whose `{` is taken.
    fn entries(
        &mut self,
        namespace: &str,
        mut entry: impl FnMut(Value, bool, Value),
    ) -> Result<(), SyntaxError> {
        loop {
            self.skip()?;
            if self.scanner.take(b'}') {
                return Ok(());
            }
            if matches!(self.scanner.peek(), None | Some(b')' | b']')) {
                return Err(self.error(BRACE.1));
            }
            let key = match self.scanner.peek() {
                Some(b':') => self.keyword(namespace)?,
                _ => self.value()?,
            };
            let is_keyword = self.peek()? == Some(b':');
            entry(key, is_keyword, self.value()?);
        }
    }

    /// A keyword; `namespace` is that of the map around it.
    fn keyword(&mut self, namespace: &str) -> Result<Value, SyntaxError> {
        let from = self.offset();
        self.scanner.take(b':');
        let name = self.scanner.take_while(is_constituent);
        if name.is_empty() {
            return Err(self.error("a keyword"));
        }
        if name.starts_with(':') {
            return Err(self.scanner.error_at(from, "a keyword"));
        }
        Ok(Value::from(
            match name.strip_prefix("_/") {
                _ if namespace.is_empty() => Cow::Borrowed(name),
                Some(bare) => Cow::Borrowed(bare),
                None if name.contains('/') => Cow::Borrowed(name),
                None => Cow::Owned(format!("{namespace}/{name}")),
            }
            .as_ref(),
        ))
    }

    /// A number, `nil`, `true`, `false` or a symbol.
    fn atom(&mut self) -> Result<Value, SyntaxError> {
        let from = self.offset();
        let word = self.scanner.take_while(is_constituent);
        let mut digits = word.strip_prefix(['+', '-']).unwrap_or(word).bytes();
        if digits.next().is_some_and(|byte| byte.is_ascii_digit()) {
            return number(word).ok_or_else(|| self.scanner.error_at(from, "a number"));
        }
        Ok(match word {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            symbol => Value::from(symbol),
        })
    }

    fn string(&mut self) -> Result<Value, SyntaxError> {
        self.scanner.take(b'"');
        let plain = |byte: u8| byte != b'"' && byte != b'\\';
        let mut text = Cow::Borrowed(self.scanner.take_while(plain));
        loop {
            if self.scanner.take(b'"') {
                return Ok(Value::from(text.as_ref()));
            }
            if !self.scanner.take(b'\\') {
                return Err(self.error("the closing `\"` of a string"));
            }
            let text = text.to_mut();
            text.push(self.escape()?);
            text.push_str(self.scanner.take_while(plain));
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let from = self.offset();
        match self.scanner.peek() {
            Some(b'0'..=b'7') => {
                let digits = self.scanner.take_while(|byte| byte.is_ascii_digit());
                octal(digits).ok_or_else(|| self.scanner.error_at(from, "an octal escape"))
            }
            _ => match self.scanner.take_char() {
                Some(c @ ('"' | '\\')) => Ok(c),
                Some('b') => Ok('\u{8}'),
                Some('f') => Ok('\u{c}'),
                Some('n') => Ok('\n'),
                Some('r') => Ok('\r'),
                Some('t') => Ok('\t'),
                Some('u') => self.scanner.take_unicode_escape(),
                _ => Err(self.scanner.error_at(from, "an escape that EDN knows")),
            },
        }
    }

    /// `#"…"`, kept as it is written.
    fn regular_expression(&mut self) -> Result<Value, SyntaxError> {
        self.scanner.take(b'"');
        let from = self.offset();
        loop {
            self.scanner
                .take_while(|byte| byte != b'"' && byte != b'\\');
            let to = self.offset();
            if self.scanner.take(b'"') {
                return Ok(Value::from(self.scanner.slice(from, to)));
            }
            // The character after a backslash never ends it.
            if !self.scanner.take(b'\\') || self.scanner.take_char().is_none() {
                return Err(self.error("the closing `\"` of a regular expression"));
            }
        }
    }

    /// `\a`, `\newline`, `\u0041`, `\o101`.
    fn character(&mut self) -> Result<Value, SyntaxError> {
        let from = self.offset();
        self.scanner.take(b'\\');
        let first = self
            .scanner
            .take_char()
            .ok_or_else(|| self.error("a character"))?;
        let rest = self.scanner.take_while(is_constituent);
        let code = |digits: &str| {
            let digits = digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then_some(digits)?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        };
        let character = match (first, rest) {
            (first, "") => Some(first),
            ('n', "ewline") => Some('\n'),
            ('s', "pace") => Some(' '),
            ('t', "ab") => Some('\t'),
            ('r', "eturn") => Some('\r'),
            ('f', "ormfeed") => Some('\u{c}'),
            ('b', "ackspace") => Some('\u{8}'),
            ('u', digits) if digits.len() == 4 => code(digits),
            ('o', digits) => octal(digits),
            _ => None,
        };
        let mut buffer = [0; 4];
        character
            .map(|character| Value::from(&*character.encode_utf8(&mut buffer)))
            .ok_or_else(|| self.scanner.error_at(from, "a character"))
    }
}

/// A number: whole ones as such where they fit, others as they are written (a whole one without
/// its `N`, so that it equals the same number of another format).
fn number(word: &str) -> Option<Value> {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (negative, plus) = (word.starts_with('-'), word.starts_with('+'));
    if let Some(digits) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = i128::from_str_radix(hexadecimal.then_some(digits)?, 16).ok()?;
        let number = if negative { -number } else { number };
        return Some(i64::try_from(number).map_or_else(|_| Value::from(word), Value::Int));
    }
    let whole = unsigned.strip_suffix('N').unwrap_or(unsigned);
    if is_digits(whole) {
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let text = word.strip_suffix('N').unwrap_or(word);
        let text = if plus { &text[1..] } else { text };
        return Some(text.parse().map_or_else(|_| Value::from(text), Value::Int));
    }
    let ratio = unsigned
        .split_once('/')
        .is_some_and(|(a, b)| is_digits(a) && is_digits(b));
    (ratio || is_decimal(unsigned)).then(|| Value::from(word))
}

/// `1.5`, `1e9`, `1.5e-3`, `2M`.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_suffix('M').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    is_digits(whole) && (fraction.is_empty() || is_digits(fraction)) && exponent.is_none_or(digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The character of up to three octal digits.
fn octal(digits: &str) -> Option<char> {
    let digits = (1..=3).contains(&digits.len()).then_some(digits)?;
    char::from_u32(u32::from_str_radix(digits, 8).ok()?)
}

fn is_space(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' | b','
    )
}

/// Whether a byte can be part of a name or number.
fn is_constituent(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".*+!-_?$%&=<>/:#'|".contains(&byte) || byte >= 0x80
}
