//! The wire format of ZooKeeper, jute: big-endian numbers, and texts and buffers after their length.
//! Pure functions, no network.

/// Writes what a message has, in order.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub fn bool(mut self, truth: bool) -> Self {
        self.0.push(truth.into());
        self
    }

    pub fn int(mut self, number: i32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn long(mut self, number: i64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn buffer(mut self, bytes: &[u8]) -> Self {
        self = self.int(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.buffer(text.as_bytes())
    }

    /// The message, after its length.
    pub fn frame(self) -> Vec<u8> {
        Writer::default().buffer(&self.0).0
    }
}

/// Reads what a message has, in order; nothing where it is shorter.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub fn long(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// A length of -1 is no buffer, which is taken for an empty one.
    pub fn buffer(&mut self) -> Option<&'a [u8]> {
        match self.int()? {
            -1 => Some(&[]),
            length => self.take(usize::try_from(length).ok()?),
        }
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.buffer()?).ok()
    }
}

/// Bytes of a message, at most.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// The first message in these bytes, without its length, and how long it is with it; nothing while
/// it is not whole.
///
/// # Errors
/// It is longer than any message.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let mut reader = Reader(bytes);
    let Some(length) = reader.int() else {
        return Ok(None);
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= FRAME_BYTES_MAX)
        .ok_or_else(|| format!("a message of {length} bytes"))?;
    let message = reader.take(length);
    Ok(message.map(|message| (message.to_vec(), length + 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let message = Writer::default()
            .bool(true)
            .int(-2)
            .long(i64::MIN)
            .text("é")
            .buffer(&[])
            .int(-1);
        let bytes = message.frame();
        assert_eq!(bytes[..5], [0, 0, 0, 27, 1]);
        for torn in 0..bytes.len() {
            assert_eq!(frame(&bytes[..torn]), Ok(None));
        }
        let more = [bytes.as_slice(), &[0, 0]].concat();
        let (message, length) = frame(&more).expect("it is one").expect("it is whole");
        assert_eq!(length, bytes.len());
        let mut reader = Reader(&message[1..]);
        assert_eq!(reader.int(), Some(-2));
        assert_eq!(reader.long(), Some(i64::MIN));
        assert_eq!(reader.text(), Some("é"));
        assert_eq!(reader.buffer(), Some(&[][..]));
        assert_eq!(reader.buffer(), Some(&[][..]), "-1 stands for none");
        assert_eq!(reader.int(), None);
        for odd in [[255; 4], [127; 4]] {
            assert!(frame(&odd).is_err());
        }
    }
}
