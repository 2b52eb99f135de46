//! RESP, the protocol of Redis, version 2: pure functions, no network.

/// How deep answers may be nested.
const DEPTH_MAX: u32 = 8;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resp {
    /// `+text`.
    Simple(String),
    /// `-CODE text`.
    Error(String),
    /// `:number`.
    Int(i64),
    /// `$length`, and so many bytes.
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`.
    Nil,
    /// `*length`, and so many answers.
    Array(Vec<Resp>),
}

/// A command with its arguments.
pub(super) fn command(parts: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    bytes
}

/// The first answer in these bytes and how long it is; nothing while it is not whole.
///
/// # Errors
/// They are no answer.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Resp, usize)>, String> {
    let mut reader = Reader { bytes, at: 0 };
    let answer = reader.answer(DEPTH_MAX)?;
    Ok(answer.map(|answer| (answer, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn answer(&mut self, depth: u32) -> Result<Option<Resp>, String> {
        let Some(line) = self.line() else {
            return Ok(None);
        };
        let (kind, text) = line.split_at_checked(1).ok_or("an empty answer")?;
        let text = text.to_owned();
        match kind {
            "+" => Ok(Some(Resp::Simple(text))),
            "-" => Ok(Some(Resp::Error(text))),
            ":" => number(&text).map(|number| Some(Resp::Int(number))),
            "$" => self.bulk(number(&text)?),
            "*" => self.array(number(&text)?, depth),
            _ => Err(format!("unexpected answer {line:?}")),
        }
    }

    fn bulk(&mut self, length: i64) -> Result<Option<Resp>, String> {
        let Ok(length) = usize::try_from(length) else {
            return Ok(Some(Resp::Nil));
        };
        let Some(end) = self
            .at
            .checked_add(length)
            .and_then(|end| end.checked_add(2))
        else {
            return Err("an answer without end".to_owned());
        };
        let Some(bytes) = self.bytes.get(self.at..end) else {
            return Ok(None);
        };
        let Some(bytes) = bytes.strip_suffix(b"\r\n") else {
            return Err("an answer that is longer than it says".to_owned());
        };
        self.at = end;
        Ok(Some(Resp::Bulk(bytes.to_vec())))
    }

    fn array(&mut self, length: i64, depth: u32) -> Result<Option<Resp>, String> {
        let Ok(length) = usize::try_from(length) else {
            return Ok(Some(Resp::Nil));
        };
        let depth = depth.checked_sub(1).ok_or("an answer nested too deep")?;
        let mut answers = Vec::new();
        for _ in 0..length {
            match self.answer(depth)? {
                Some(answer) => answers.push(answer),
                None => return Ok(None),
            }
        }
        Ok(Some(Resp::Array(answers)))
    }

    /// The line that is next, without its end.
    fn line(&mut self) -> Option<String> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.windows(2).position(|end| end == b"\r\n")?;
        self.at += length + 2;
        Some(String::from_utf8_lossy(&rest[..length]).into_owned())
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("unexpected number {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_only_when_they_are_whole() {
        let bulk = |text: &str| Resp::Bulk(text.as_bytes().to_vec());
        let rows = [
            ("+OK\r\n", Resp::Simple("OK".to_owned())),
            ("-ERR no\r\n", Resp::Error("ERR no".to_owned())),
            (":-7\r\n", Resp::Int(-7)),
            ("$-1\r\n", Resp::Nil),
            ("*-1\r\n", Resp::Nil),
            ("$0\r\n\r\n", bulk("")),
            ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
            ("*0\r\n", Resp::Array(vec![])),
            (
                "*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n",
                Resp::Array(vec![Resp::Int(1), Resp::Array(vec![bulk("x")]), Resp::Nil]),
            ),
        ];
        for (text, expected) in rows {
            let more = format!("{text}+more\r\n");
            assert_eq!(
                parse(more.as_bytes()),
                Ok(Some((expected, text.len()))),
                "{text:?}"
            );
            for torn in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..torn]), Ok(None), "{text:?}");
            }
        }
        let nested = "*1\r\n".repeat(20);
        for odd in [
            "what?\r\n",
            "\r\n",
            ":x\r\n",
            "$x\r\n",
            "$1\r\nabc",
            &nested,
        ] {
            assert!(parse(odd.as_bytes()).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_command_is_an_array_of_texts() {
        assert_eq!(
            command(&["SET", "k", "é"]),
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\né\r\n".as_bytes()
        );
    }
}
