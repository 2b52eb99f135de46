//! The plain lines of our format, read without detours: known fields, each once, whole numbers,
//! ASCII texts without escapes. Whatever is not plain, and whatever is wrong, is left to the exact
//! reader, so that this one only has to be right when it says yes.

use crate::events::{Events, Packed, Symbol};
use crate::{EventType, json};

/// The fields, as bits.
const INDEX: u16 = 1;
const TIME: u16 = 1 << 1;
const PROCESS: u16 = 1 << 2;
const TYPE: u16 = 1 << 3;
const F: u16 = 1 << 4;
const KEY: u16 = 1 << 5;
const VALUE: u16 = 1 << 6;
const NODE: u16 = 1 << 7;
const ERROR: u16 = 1 << 8;
const PATH: u16 = 1 << 9;

/// What a plain line says, its names and values interned already.
pub(crate) struct PlainEvent {
    pub index: Option<u64>,
    pub time_ns: Option<u64>,
    pub process: u64,
    pub kind: EventType,
    pub f: Symbol,
    pub key: Packed,
    pub value: Packed,
    pub node: Option<Symbol>,
    pub error: Option<Symbol>,
    /// Whether nodes of its path were added to those of `events`.
    pub has_path: bool,
}

/// Reads the plain line at the beginning of `text`, and says how long it is with its end.
///
/// `None` when it is not plain; some names may have been interned then, which does no harm.
#[inline]
pub(crate) fn read(
    text: &[u8],
    events: &mut Events,
    known: &mut Known,
) -> Option<(PlainEvent, usize)> {
    let mut line = Line { text, at: 0 };
    let path_start = events.path_nodes.len();
    let event = line.event(events, known);
    if event.is_none() {
        // What a path began.
        events.path_nodes.truncate(path_start);
    }
    Some((event?, line.at))
}

/// Names and texts of up to seven bytes that were read lately, by their bytes as a number: looked
/// up without hashing each again.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    names: [(u64, Symbol); KNOWN],
    texts: [(u64, Packed); KNOWN],
}

const KNOWN_BITS: u32 = 8;
const KNOWN: usize = 1 << KNOWN_BITS;

impl Default for Known {
    fn default() -> Self {
        // No text of JSON is zero bytes, so 0 is no text.
        Known {
            names: [(0, Symbol(0)); KNOWN],
            texts: [(0, Packed::NIL); KNOWN],
        }
    }
}

/// Where a short text is looked for.
#[inline]
fn place(short: u64) -> usize {
    (short.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KNOWN_BITS)) as usize
}

/// The bytes of a text of up to eight bytes as a number.
const fn word_of(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut word = 0;
    let mut at = bytes.len();
    while at > 0 {
        at -= 1;
        word = word << 8 | bytes[at] as u64;
    }
    word
}

/// The lowest `count` bytes of a word; `count` is 1 to 8.
#[inline]
const fn low(word: u64, count: usize) -> u64 {
    word & (u64::MAX >> (64 - 8 * count))
}

/// A text between quotes.
enum Text<'a> {
    /// Of one to seven bytes, as a number.
    Short(u64, &'a [u8]),
    Long(&'a [u8]),
}

/// The same byte eight times.
const fn each(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

/// Where in a line the reader stands. What reads a few bytes is always made part of its caller: a
/// line takes some thirty such calls, and they took a sixth of the time.
struct Line<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Line<'a> {
    #[inline]
    fn event(&mut self, events: &mut Events, known: &mut Known) -> Option<PlainEvent> {
        let mut event = PlainEvent {
            index: None,
            time_ns: None,
            process: 0,
            kind: EventType::Info,
            f: Symbol(0),
            key: Packed::NIL,
            value: Packed::NIL,
            node: None,
            error: None,
            has_path: false,
        };
        let mut seen = 0;
        self.expect(b'{')?;
        loop {
            let field = self.name()?;
            if seen & field != 0 {
                return None;
            }
            seen |= field;
            self.spaces();
            match field {
                INDEX => event.index = Some(self.natural()?),
                TIME => event.time_ns = Some(self.natural()?),
                PROCESS => event.process = self.natural()?,
                TYPE => event.kind = self.kind()?,
                F => event.f = self.symbol(events, known, true)?,
                KEY => event.key = self.value(events, known)?,
                VALUE => event.value = self.value(events, known)?,
                NODE => event.node = Some(self.symbol(events, known, false)?),
                ERROR => event.error = Some(self.symbol(events, known, false)?),
                _ => event.has_path = self.path(events, known)?,
            }
            self.spaces();
            match self.next()? {
                b',' => self.spaces(),
                b'}' => break,
                _ => return None,
            }
        }
        const NEEDED: u16 = PROCESS | TYPE | F;
        (seen & NEEDED == NEEDED).then_some(())?;
        self.end()?;
        Some(event)
    }

    /// The end of the line, or of the text.
    #[inline]
    fn end(&mut self) -> Option<()> {
        match self.text.get(self.at..)? {
            [] => Some(()),
            [b'\n', ..] => {
                self.at += 1;
                Some(())
            }
            [b'\r', b'\n', ..] => {
                self.at += 2;
                Some(())
            }
            _ => None,
        }
    }

    /// The name of a field with its quotes and its colon.
    #[inline(always)]
    fn name(&mut self) -> Option<u16> {
        let word = self.word()?;
        let (is_it, length, field) = match (word >> 8) as u8 {
            b'i' => (word == const { word_of("\"index\":") }, 8, INDEX),
            b'v' => (word == const { word_of("\"value\":") }, 8, VALUE),
            b'e' => (word == const { word_of("\"error\":") }, 8, ERROR),
            b'f' => (low(word, 4) == const { word_of("\"f\":") }, 4, F),
            b'k' => (low(word, 6) == const { word_of("\"key\":") }, 6, KEY),
            b'n' => (low(word, 7) == const { word_of("\"node\":") }, 7, NODE),
            b't' if low(word, 7) == const { word_of("\"time\":") } => (true, 7, TIME),
            b't' => (low(word, 7) == const { word_of("\"type\":") }, 7, TYPE),
            b'p' if low(word, 7) == const { word_of("\"path\":") } => (true, 7, PATH),
            b'p' => {
                let colon = self.text.get(self.at + 8..self.at + 10) == Some(b"\":");
                let process = word == const { word_of("\"process") };
                (process && colon, 10, PROCESS)
            }
            _ => return None,
        };
        self.at += length;
        is_it.then_some(field)
    }

    #[inline(always)]
    fn kind(&mut self) -> Option<EventType> {
        let word = self.word()?;
        let (length, kind) = if word == const { word_of("\"invoke\"") } {
            (8, EventType::Invoke)
        } else if low(word, 4) == const { word_of("\"ok\"") } {
            (4, EventType::Ok)
        } else if low(word, 6) == const { word_of("\"info\"") } {
            (6, EventType::Info)
        } else if low(word, 6) == const { word_of("\"fail\"") } {
            (6, EventType::Fail)
        } else {
            return None;
        };
        self.at += length;
        Some(kind)
    }

    #[inline]
    fn symbol(&mut self, events: &mut Events, known: &mut Known, named: bool) -> Option<Symbol> {
        match self.text()? {
            Text::Short(short, bytes) => {
                let place = &mut known.names[place(short)];
                if place.0 != short {
                    let name = std::str::from_utf8(bytes).ok()?;
                    *place = (short, events.symbols.intern(name));
                }
                Some(place.1)
            }
            Text::Long([]) if named => None,
            Text::Long(bytes) => {
                let name = std::str::from_utf8(bytes).ok()?;
                Some(events.symbols.intern(name))
            }
        }
    }

    fn path(&mut self, events: &mut Events, known: &mut Known) -> Option<bool> {
        self.expect(b'[')?;
        self.spaces();
        if self.take(b']') {
            return Some(false);
        }
        loop {
            let node = self.symbol(events, known, false)?;
            events.path_nodes.push(node);
            self.spaces();
            match self.next()? {
                b',' => self.spaces(),
                b']' => return Some(true),
                _ => return None,
            }
        }
    }

    #[inline]
    fn value(&mut self, events: &mut Events, known: &mut Known) -> Option<Packed> {
        match self.peek()? {
            b'"' => match self.text()? {
                Text::Short(short, bytes) => {
                    let place = &mut known.texts[place(short)];
                    if place.0 != short {
                        let text = std::str::from_utf8(bytes).ok()?;
                        *place = (short, events.table.pack_text(text));
                    }
                    Some(place.1)
                }
                Text::Long(bytes) => {
                    let text = std::str::from_utf8(bytes).ok()?;
                    Some(events.table.pack_text(text))
                }
            },
            b'-' | b'0'..=b'9' => Packed::from_int(self.whole()?),
            b'n' => self.constant(b"null", Packed::NIL),
            b't' => self.constant(b"true", Packed::TRUE),
            b'f' => self.constant(b"false", Packed::FALSE),
            b'[' | b'{' => self.pair().or_else(|| self.nested(events)),
            _ => None,
        }
    }

    /// A list of two whole numbers.
    #[inline]
    fn pair(&mut self) -> Option<Packed> {
        let begin = self.at;
        let pair = self.pair_after_bracket();
        if pair.is_none() {
            self.at = begin;
        }
        pair
    }

    #[inline]
    fn pair_after_bracket(&mut self) -> Option<Packed> {
        self.expect(b'[')?;
        let first = self.whole()?;
        self.expect(b',')?;
        self.spaces();
        let second = self.whole()?;
        self.expect(b']')?;
        Packed::from_pair(first, second)
    }

    /// A list or map, as the exact reader reads it.
    fn nested(&mut self, events: &mut Events) -> Option<Packed> {
        let rest = self.text.get(self.at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = std::str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()?;
        let (value, length) = json::parse_member(line)?;
        self.at += length;
        Some(events.table.pack_owned(value))
    }

    /// A number of up to sixteen digits that is not negative. What follows is for the caller to
    /// look at: a number with a fraction is followed by `.` or `e`.
    #[inline(always)]
    fn natural(&mut self) -> Option<u64> {
        let first = self.peek()?;
        let (mut number, mut digits) = self.digits()?;
        if digits == 8 {
            let (lower, more) = self.digits()?;
            number = number * TENS[more] + lower;
            digits += more;
            if more == 8 && self.peek()?.is_ascii_digit() {
                return None;
            }
        }
        (digits == 1 || digits > 1 && first != b'0').then_some(number)
    }

    /// Up to eight digits, as many as there are: their number, and how many.
    ///
    /// Eight bytes at once: a digit is 0 to 9 once `0` is taken from it, and neighbours are put
    /// together in three multiplications, ones and tens first.
    #[inline(always)]
    fn digits(&mut self) -> Option<(u64, usize)> {
        let word = self.word()? ^ each(b'0');
        let others = (word.wrapping_add(each(0x76)) | word) & each(0x80);
        let count = others.trailing_zeros() as usize / 8;
        if count == 0 {
            return Some((0, 0));
        }
        self.at += count;
        let word = word << (64 - 8 * count);
        let word = word.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
        let word = word.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
        Some((word.wrapping_mul(10_000 << 32 | 1) >> 32, count))
    }

    #[inline]
    fn whole(&mut self) -> Option<i64> {
        let negative = self.take(b'-');
        let number = self.natural()?.cast_signed();
        Some(if negative { -number } else { number })
    }

    fn constant(&mut self, word: &[u8], value: Packed) -> Option<Packed> {
        let rest = self.text.get(self.at..)?;
        rest.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    /// A text of ASCII without escapes and control characters.
    #[inline(always)]
    fn text(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let begin = self.at;
        let word = self.word()?;
        let ends = ends(word);
        if ends == 0 {
            return self.long_text(begin);
        }
        let length = ends.trailing_zeros() as usize / 8;
        if (word >> (8 * length)) as u8 != b'"' {
            return None;
        }
        self.at += length + 1;
        let bytes = &self.text[begin..begin + length];
        Some(match length {
            0 => Text::Long(bytes),
            _ => Text::Short(low(word, length), bytes),
        })
    }

    /// The same of eight bytes or more.
    fn long_text(&mut self, begin: usize) -> Option<Text<'a>> {
        self.at += 8;
        loop {
            let word = self.word()?;
            let ends = ends(word);
            if ends == 0 {
                self.at += 8;
                continue;
            }
            let length = ends.trailing_zeros() as usize / 8;
            self.at += length;
            let text = self.text.get(begin..self.at)?;
            self.expect(b'"')?;
            return Some(Text::Long(text));
        }
    }

    /// The next eight bytes; `None` where there are less, as at the end of a block.
    #[inline(always)]
    fn word(&self) -> Option<u64> {
        let chunk = self.text.get(self.at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*chunk))
    }

    #[inline(always)]
    fn spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }
}

/// Powers of ten.
const TENS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// The highest bit of the first byte that ends a plain text: a quote, a backslash, a control
/// character, or one that is not ASCII. Bits above that may be wrong.
#[inline]
fn ends(word: u64) -> u64 {
    let zero_in = |word: u64| word.wrapping_sub(each(1)) & !word;
    let control = word.wrapping_sub(each(0x20)) & !word;
    let found = zero_in(word ^ each(b'"')) | zero_in(word ^ each(b'\\')) | control | word;
    found & each(0x80)
}
