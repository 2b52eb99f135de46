//! Frames as the switch handles them: what is in them, and how to corrupt or answer one.
//!
//! A frame is what a packet socket gives: an offload header, an Ethernet header, a packet. Only IPv4
//! is understood: the network has nothing else.

use std::ops::Range;

use super::socket::OFFLOAD_HEADER_BYTES;

const ETHERNET_HEADER_BYTES: usize = 14;
const IP: usize = OFFLOAD_HEADER_BYTES + ETHERNET_HEADER_BYTES;
const IP_HEADER_BYTES: usize = 20;
const TCP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// Where in their headers the checksums are (RFC 9293, 3.1; RFC 768).
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// In the first byte of the offload header: the checksum is still to be computed (virtio_net.h).
const NEEDS_CHECKSUM: u8 = 1;

const FIN_TO_ACK: u8 = 0x3f;
const SYN: u8 = 0x02;
const RST_ACK: u8 = 0x14;

/// What is in a frame that carries an IPv4 packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    protocol: u8,
    /// Where in the frame the segment is: what IP carries.
    segment: Range<usize>,
    /// A part of a datagram that did not fit one packet.
    is_fragment: bool,
    /// Of TCP or UDP, where they can be read.
    ports: Option<(u16, u16)>,
}

impl Packet {
    /// Reads a frame's headers; `None` where it carries no whole IPv4 packet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(IP - 2..IP)? != [0x08, 0x00] {
            return None;
        }
        let header = frame.get(IP..IP + IP_HEADER_BYTES)?;
        let header_bytes = usize::from(header[0] & 0xf) * 4;
        let length = usize::from(be16(header, 2));
        if header[0] >> 4 != 4 || header_bytes < IP_HEADER_BYTES || length < header_bytes {
            return None;
        }
        let segment = IP + header_bytes..IP + length;
        let bytes = frame.get(segment.clone())?;
        let (protocol, fragment) = (header[9], be16(header, 6) & 0x3fff);
        // Only the first fragment has the ports; the offset is in units of 8 bytes.
        let has_ports = matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP) && fragment & 0x1fff == 0;
        Some(Self {
            protocol,
            ports: (has_ports && bytes.len() >= 4).then(|| (be16(bytes, 0), be16(bytes, 2))),
            segment,
            is_fragment: fragment != 0,
        })
    }

    /// Whether it comes from or goes to one of these ports.
    pub fn is_of(&self, ports: &[u16]) -> bool {
        self.ports
            .is_some_and(|(from, to)| ports.contains(&from) || ports.contains(&to))
    }

    /// Whether it opens a TCP connection.
    pub fn opens_connection(&self, frame: &[u8]) -> bool {
        self.protocol == PROTOCOL_TCP
            && self.ports.is_some()
            && frame[self.segment.clone()]
                .get(13)
                .is_some_and(|flags| flags & FIN_TO_ACK == SYN)
    }

    /// The payload of a whole TCP segment or UDP datagram.
    fn payload(&self, frame: &[u8]) -> Option<Range<usize>> {
        let bytes = &frame[self.segment.clone()];
        let header_bytes = match self.protocol {
            PROTOCOL_TCP => usize::from(bytes.get(12)? >> 4) * 4,
            PROTOCOL_UDP => UDP_HEADER_BYTES,
            _ => return None,
        };
        let start = self.segment.start + header_bytes;
        let is_whole = self.ports.is_some() && !self.is_fragment;
        (is_whole && start < self.segment.end).then_some(start..self.segment.end)
    }

    /// Where the checksum of the segment is.
    fn checksum_at(&self) -> Option<usize> {
        let offset = match self.protocol {
            PROTOCOL_TCP => TCP_CHECKSUM,
            PROTOCOL_UDP => UDP_CHECKSUM,
            _ => return None,
        };
        let at = self.segment.start + offset;
        (at + 2 <= self.segment.end).then_some(at)
    }

    /// Inverts the bit that `chance` names. Either the receiver's kernel will notice, as the
    /// checksum is that of the packet as it was, or only the application can, as the checksum is
    /// made good again. Whether there was such a bit: the latter needs payload.
    pub fn corrupt(&self, frame: &mut [u8], chance: u64, repair: bool) -> bool {
        let where_ = if repair {
            self.payload(frame)
        } else {
            Some(self.segment.clone()).filter(|segment| !segment.is_empty())
        };
        let Some(where_) = where_ else {
            return false;
        };
        // A frame from a neighbour may have no checksum yet. Corrupted first, it would get one that
        // is right, or none that anybody looks at.
        complete_checksum(frame);
        let bit = ((u128::from(chance) * (where_.len() as u128 * 8)) >> 64) as usize;
        frame[where_.start + bit / 8] ^= 1 << (bit % 8);
        if repair {
            self.repair_checksum(frame);
        }
        true
    }

    /// Gives the segment the checksum of what is in it.
    fn repair_checksum(&self, frame: &mut [u8]) {
        let Some(at) = self.checksum_at() else {
            return;
        };
        frame[at..at + 2].fill(0);
        let length = self.segment.len() as u32;
        let pseudo_header = sum(&frame[IP + 12..IP + 20]) + u32::from(self.protocol) + length;
        let checksum = fold(pseudo_header + sum(&frame[self.segment.clone()]));
        // 0 would mean that there is none (RFC 768); the same number has another form.
        let checksum = if checksum == 0 { 0xffff } else { checksum };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    /// See RFC 9293, 3.5.2.
    fn reset(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let opening = frame.get(self.segment.clone())?;
        if opening.len() < TCP_HEADER_BYTES {
            return None;
        }
        let mut reset = vec![0; IP + IP_HEADER_BYTES + TCP_HEADER_BYTES];
        let ethernet = &frame[OFFLOAD_HEADER_BYTES..IP];
        reset[OFFLOAD_HEADER_BYTES..OFFLOAD_HEADER_BYTES + 6].copy_from_slice(&ethernet[6..12]);
        reset[OFFLOAD_HEADER_BYTES + 6..OFFLOAD_HEADER_BYTES + 12].copy_from_slice(&ethernet[..6]);
        reset[IP - 2..IP].copy_from_slice(&[0x08, 0x00]);

        let ip = &mut reset[IP..IP + IP_HEADER_BYTES];
        let length = (IP_HEADER_BYTES + TCP_HEADER_BYTES) as u16;
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[6] = 0x40; // Not to be cut up.
        ip[8] = 64;
        ip[9] = PROTOCOL_TCP;
        ip[12..16].copy_from_slice(&frame[IP + 16..IP + 20]);
        ip[16..20].copy_from_slice(&frame[IP + 12..IP + 16]);
        let checksum = fold(sum(ip));
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());

        let tcp = &mut reset[IP + IP_HEADER_BYTES..];
        tcp[..2].copy_from_slice(&opening[2..4]);
        tcp[2..4].copy_from_slice(&opening[..2]);
        let sequence = u32::from_be_bytes([opening[4], opening[5], opening[6], opening[7]]);
        tcp[8..12].copy_from_slice(&sequence.wrapping_add(1).to_be_bytes());
        tcp[12] = 5 << 4;
        tcp[13] = RST_ACK;
        Self::parse(&reset)?.repair_checksum(&mut reset);
        Some(reset)
    }
}

/// The frame by which a host answers the opening of a connection where nobody listens.
pub(super) fn reset(opening: &[u8]) -> Option<Vec<u8>> {
    Packet::parse(opening)?.reset(opening)
}

/// Computes the checksum that was left to us, as the offload header describes it.
fn complete_checksum(frame: &mut [u8]) {
    if frame[0] & NEEDS_CHECKSUM == 0 {
        return;
    }
    let native = |at: usize| usize::from(u16::from_ne_bytes([frame[at], frame[at + 1]]));
    let start = OFFLOAD_HEADER_BYTES + native(6);
    let at = start + native(8);
    frame[0] &= !NEEDS_CHECKSUM;
    frame[6..10].fill(0);
    if at + 2 > frame.len() {
        return;
    }
    // The sum of the pseudo-header stands there already.
    let checksum = fold(sum(&frame[start..]));
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The sum of the 16-bit words, not folded yet (RFC 1071). No frame is so long that it overflows.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| match word {
        [high, low] => u16::from_be_bytes([*high, *low]),
        odd => u16::from_be_bytes([odd[0], 0]),
    });
    words.map(u32::from).sum()
}

/// The complement of the sum with its carries added.
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const PORTS: (u16, u16) = (40_000, 8_080);

    /// A frame of a segment from 10.77.0.1 to 10.77.0.2, all checksums right.
    pub fn frame(protocol: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let header_bytes = if protocol == PROTOCOL_TCP {
            TCP_HEADER_BYTES
        } else {
            UDP_HEADER_BYTES
        };
        let mut segment = vec![0; header_bytes];
        segment[..2].copy_from_slice(&PORTS.0.to_be_bytes());
        segment[2..4].copy_from_slice(&PORTS.1.to_be_bytes());
        if protocol == PROTOCOL_TCP {
            segment[4..8].copy_from_slice(&0xffff_ffff_u32.to_be_bytes());
            segment[12] = 5 << 4;
            segment[13] = flags;
        } else {
            let length = (header_bytes + payload.len()) as u16;
            segment[4..6].copy_from_slice(&length.to_be_bytes());
        }
        segment.extend_from_slice(payload);

        let mut frame = vec![0; OFFLOAD_HEADER_BYTES];
        frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        let length = (IP_HEADER_BYTES + segment.len()) as u16;
        let mut ip = [0; IP_HEADER_BYTES];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[9] = protocol;
        ip[12..16].copy_from_slice(&[10, 77, 0, 1]);
        ip[16..20].copy_from_slice(&[10, 77, 0, 2]);
        let checksum = fold(sum(&ip));
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        frame.extend(ip);
        frame.extend(segment);
        let packet = Packet::parse(&frame).unwrap();
        packet.repair_checksum(&mut frame);
        frame
    }

    pub fn udp(payload: &[u8]) -> Vec<u8> {
        frame(PROTOCOL_UDP, 0, payload)
    }

    pub fn opening() -> Vec<u8> {
        frame(PROTOCOL_TCP, SYN, b"")
    }

    /// Whether the receiver finds the segment's checksum right.
    fn is_right(frame: &[u8]) -> bool {
        let packet = Packet::parse(frame).unwrap();
        let pseudo_header = sum(&frame[IP + 12..IP + 20])
            + u32::from(packet.protocol)
            + packet.segment.len() as u32;
        fold(pseudo_header + sum(&frame[packet.segment])) == 0
    }

    /// The frame as a host sends it that leaves the checksum to others.
    fn unfinished(mut frame: Vec<u8>) -> Vec<u8> {
        let packet = Packet::parse(&frame).unwrap();
        let at = packet.checksum_at().unwrap();
        let start = packet.segment.start;
        let pseudo_header = sum(&frame[IP + 12..IP + 20])
            + u32::from(packet.protocol)
            + packet.segment.len() as u32;
        frame[at..at + 2].copy_from_slice(&(!fold(pseudo_header)).to_be_bytes());
        frame[0] = NEEDS_CHECKSUM;
        frame[6..8].copy_from_slice(&((start - OFFLOAD_HEADER_BYTES) as u16).to_ne_bytes());
        frame[8..10].copy_from_slice(&((at - start) as u16).to_ne_bytes());
        frame
    }

    #[test]
    fn every_bit_that_can_be_inverted_is_noticed_or_reaches_the_application() {
        let whole = [
            udp(b"payload"),
            udp(b"odd pay"),
            frame(PROTOCOL_TCP, 0x18, b"payload!"),
        ];
        for whole in whole
            .iter()
            .flat_map(|whole| [whole.clone(), unfinished(whole.clone())])
        {
            let packet = Packet::parse(&whole).unwrap();
            let payload = packet.payload(&whole).unwrap();
            for chance in (0..512_u64).map(|at| at << 55) {
                let mut wrong = whole.clone();
                assert!(packet.corrupt(&mut wrong, chance, false));
                assert!(!is_right(&wrong), "the receiver must notice: {chance:x}");
                assert_eq!(wrong[0], 0, "nobody else is to compute the checksum");

                let mut repaired = whole.clone();
                assert!(packet.corrupt(&mut repaired, chance, true));
                assert!(is_right(&repaired), "the receiver must not notice");
                let changed = |range: Range<usize>| {
                    let pairs = whole[range.clone()].iter().zip(&repaired[range]);
                    pairs.map(|(was, is)| (was ^ is).count_ones()).sum::<u32>()
                };
                assert_eq!(changed(payload.clone()), 1);
                assert_eq!(changed(IP..packet.checksum_at().unwrap()), 0);
            }
        }
    }

    #[test]
    fn without_payload_there_is_nothing_to_corrupt_but_headers() {
        for mut whole in [udp(b""), opening()] {
            let packet = Packet::parse(&whole).unwrap();
            let before = whole.clone();
            assert!(!packet.corrupt(&mut whole, 7, true));
            assert_eq!(whole, before);
            assert!(packet.corrupt(&mut whole, 7, false));
            assert_ne!(whole, before);
        }
    }

    #[test]
    fn a_reset_answers_the_opening_of_a_connection() {
        let opening = opening();
        let packet = Packet::parse(&opening).unwrap();
        assert!(packet.opens_connection(&opening));
        let reset = packet.reset(&opening).unwrap();
        let answer = Packet::parse(&reset).unwrap();
        assert!(is_right(&reset));
        assert_eq!(fold(sum(&reset[IP..IP + IP_HEADER_BYTES])), 0);
        assert_eq!(answer.ports, Some((PORTS.1, PORTS.0)));
        assert!(!answer.opens_connection(&reset));
        let tcp = &reset[answer.segment];
        assert_eq!(tcp[8..12], [0; 4], "acknowledges one more than 0xffffffff");
        assert_eq!(tcp[13], RST_ACK);
        assert_eq!(
            &reset[OFFLOAD_HEADER_BYTES..IP - 2],
            [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
        );
        assert_eq!(reset[IP + 12..IP + 20], [10, 77, 0, 2, 10, 77, 0, 1]);
        for flags in [0x12, 0x10, 0x18, 0x04] {
            let other = frame(PROTOCOL_TCP, flags, b"");
            assert!(!Packet::parse(&other).unwrap().opens_connection(&other));
        }
    }

    #[test]
    fn packets_are_told_by_their_ports() {
        let packet = Packet::parse(&udp(b"x")).unwrap();
        assert!(packet.is_of(&[PORTS.0]) && packet.is_of(&[1, PORTS.1]));
        assert!(!packet.is_of(&[80]) && !packet.is_of(&[]));
        let mut fragment = udp(b"a later part of a datagram");
        fragment[IP + 7] = 1;
        let packet = Packet::parse(&fragment).unwrap();
        assert_eq!((packet.ports, packet.is_fragment), (None, true));
        assert!(!packet.clone().corrupt(&mut fragment, 0, true));
    }

    #[test]
    fn anything_may_arrive() {
        let whole = frame(PROTOCOL_TCP, SYN, b"payload");
        for length in 0..whole.len() {
            assert_eq!(Packet::parse(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                if let Some(packet) = Packet::parse(&damaged) {
                    packet.opens_connection(&damaged);
                    let _ = packet.reset(&damaged);
                    packet.corrupt(&mut damaged.clone(), u64::MAX, true);
                    packet.corrupt(&mut damaged, u64::MAX, false);
                }
            }
        }
    }
}
