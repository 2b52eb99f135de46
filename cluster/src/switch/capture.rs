//! A packet capture: every frame of the switch in one file that Wireshark and tcpdump read.
//!
//! The format is pcapng (draft-ietf-opsawg-pcapng). Frames that were sent are on the interface
//! `forwarded`, those that were not on the interface `dropped`, each with the reason and the link
//! as a comment. A file that ends in the middle of a frame is read up to there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::socket::OFFLOAD_HEADER_BYTES;
use crate::error::{For, SystemCall};

/// How large a capture may become; what comes later is not captured.
const CAPTURE_BYTES_MAX: u64 = 1 << 30;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const LINK_TYPE_ETHERNET: u16 = 1;
const OPTION_COMMENT: u16 = 1;
const OPTION_INTERFACE_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
/// Times are in units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// Where and how much is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureSpec {
    /// The file, written anew.
    pub path: PathBuf,
    /// How many bytes of each frame are kept.
    pub frame_bytes_max: u32,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Interface {
    Forwarded = 0,
    Dropped = 1,
}

/// A capture being written.
#[derive(Debug)]
pub(super) struct Capture<W: Write = BufWriter<File>> {
    file: W,
    frame_bytes_max: u32,
    /// The time of the clock when that of the switch was 0.
    zero: Duration,
    written_bytes: u64,
    /// Whether writing failed, or the file has become too large.
    is_over: bool,
}

impl Capture {
    /// Begins the file.
    pub fn create(spec: &CaptureSpec) -> Result<Self, SystemCall> {
        let action = || format!("write the capture {}", spec.path.display());
        let file = File::create(&spec.path).call(action())?;
        let zero = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::begin(BufWriter::new(file), spec.frame_bytes_max, zero).call(action())
    }
}

impl<W: Write> Capture<W> {
    fn begin(file: W, frame_bytes_max: u32, zero: Duration) -> std::io::Result<Self> {
        let mut capture = Self {
            file,
            frame_bytes_max,
            zero,
            written_bytes: 0,
            is_over: false,
        };
        let mut header = BYTE_ORDER.to_ne_bytes().to_vec();
        // Version 1.0, of unknown length.
        header.extend([1_u16, 0].map(u16::to_ne_bytes).concat());
        header.extend((-1_i64).to_ne_bytes());
        capture.write_block(SECTION_HEADER, &header)?;
        for name in ["forwarded", "dropped"] {
            let mut body = [LINK_TYPE_ETHERNET, 0].map(u16::to_ne_bytes).concat();
            body.extend(frame_bytes_max.to_ne_bytes());
            add_option(&mut body, OPTION_INTERFACE_NAME, name.as_bytes());
            add_option(&mut body, OPTION_RESOLUTION, &[NANOSECONDS]);
            add_option(&mut body, 0, &[]);
            capture.write_block(INTERFACE_DESCRIPTION, &body)?;
        }
        capture.file.flush()?;
        Ok(capture)
    }

    /// Adds a frame, which begins with an offload header. Once writing has failed nothing is added
    /// any more: the run is worth more than its capture.
    pub fn add(&mut self, interface: Interface, at_ns: u64, frame: &[u8], comment: &str) {
        if self.is_over {
            return;
        }
        let frame = frame.get(OFFLOAD_HEADER_BYTES..).unwrap_or_default();
        let kept = &frame[..frame.len().min(self.frame_bytes_max as usize)];
        let time_ns = (self.zero + Duration::from_nanos(at_ns)).as_nanos() as u64;
        let mut body = Vec::with_capacity(kept.len() + 64);
        for number in [
            interface as u32,
            (time_ns >> 32) as u32,
            time_ns as u32,
            kept.len() as u32,
            frame.len() as u32,
        ] {
            body.extend(number.to_ne_bytes());
        }
        body.extend_from_slice(kept);
        pad(&mut body);
        if !comment.is_empty() {
            add_option(&mut body, OPTION_COMMENT, comment.as_bytes());
            add_option(&mut body, 0, &[]);
        }
        self.is_over = self.write_block(ENHANCED_PACKET, &body).is_err()
            || self.written_bytes > CAPTURE_BYTES_MAX;
    }

    /// Writes out what was added.
    pub fn flush(&mut self) {
        self.is_over |= self.file.flush().is_err();
    }

    fn write_block(&mut self, kind: u32, body: &[u8]) -> std::io::Result<()> {
        let length = body.len() as u32 + 12;
        self.file.write_all(&kind.to_ne_bytes())?;
        self.file.write_all(&length.to_ne_bytes())?;
        self.file.write_all(body)?;
        self.file.write_all(&length.to_ne_bytes())?;
        self.written_bytes += u64::from(length);
        Ok(())
    }
}

fn add_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_ne_bytes());
    body.extend((value.len() as u16).to_ne_bytes());
    body.extend_from_slice(value);
    pad(body);
}

/// Everything is aligned to 32 bits.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_and_say_their_length_twice() {
        let zero = Duration::from_secs(1_700_000_000);
        let mut capture = Capture::begin(Vec::new(), 6, zero).unwrap();
        let mut frame = vec![0xee; OFFLOAD_HEADER_BYTES];
        frame.extend(1..=9);
        capture.add(Interface::Forwarded, 5, &frame, "");
        capture.add(Interface::Dropped, 6, &frame[..13], "cut n1 to n2");
        let bytes = capture.file;

        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = word(at + 4) as usize;
            assert_eq!(word(at + length - 4) as usize, length);
            assert_eq!(length % 4, 0);
            blocks.push((word(at), at + 8, length - 12));
            at += length;
        }
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _, _)| *kind).collect();
        assert_eq!(
            kinds,
            [
                SECTION_HEADER,
                INTERFACE_DESCRIPTION,
                INTERFACE_DESCRIPTION,
                ENHANCED_PACKET,
                ENHANCED_PACKET
            ]
        );
        let (_, first, first_bytes) = blocks[3];
        let time = u64::from(word(first + 4)) << 32 | u64::from(word(first + 8));
        assert_eq!(time, 1_700_000_000_000_000_005);
        assert_eq!((word(first), word(first + 12), word(first + 16)), (0, 6, 9));
        assert_eq!(bytes[first + 20..first + 28], [1, 2, 3, 4, 5, 6, 0, 0]);
        assert_eq!(first_bytes, 28, "no options");
        let (_, second, _) = blocks[4];
        assert_eq!(
            (word(second), word(second + 12), word(second + 16)),
            (1, 3, 3)
        );
        assert_eq!(&bytes[second + 28..second + 40], b"cut n1 to n2");
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_nothing_else() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(Capture::begin(Full, 100, Duration::ZERO).is_err());
        let mut capture = Capture {
            file: Full,
            frame_bytes_max: 100,
            zero: Duration::ZERO,
            written_bytes: 0,
            is_over: false,
        };
        capture.add(Interface::Forwarded, 1, &[0; 100], "");
        assert!(capture.is_over);
        capture.add(Interface::Forwarded, 1, &[0; 100], "");
    }
}
