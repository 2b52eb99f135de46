//! The packets that are held for later, of all links together.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// How many bytes of packets are held at most; what comes on top is dropped and counted.
const HELD_BYTES_MAX: usize = 64 << 20;

/// What a packet costs besides its bytes.
const HELD_OVERHEAD_BYTES: usize = 128;

/// A packet that is held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When it is to be sent.
    pub release_ns: u64,
    /// The index of its link.
    pub link: usize,
    /// Its number on the link.
    pub number: u64,
    /// 0 for the packet itself, and so on for duplicates.
    pub copy: u32,
    /// The fault that wants others to overtake it.
    pub overtakable: Option<u64>,
    /// The whole frame.
    pub frame: Box<[u8]>,
}

/// A priority queue, first out what is to be sent first; what is to be sent at the same time leaves
/// in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    pushed: u64,
    held: Held,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |entry: &Self| (entry.held.release_ns, entry.pushed);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Queue {
    /// Holds a packet; `false` where there is no room.
    pub fn push(&mut self, held: Held) -> bool {
        let bytes = cost(&held);
        if self.bytes + bytes > HELD_BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        self.pushed += 1;
        self.heap.push(Reverse(Entry {
            pushed: self.pushed,
            held,
        }));
        true
    }

    /// The first packet that is to be sent by now.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<Held> {
        if self.next_release_ns()? > now_ns {
            return None;
        }
        let Reverse(Entry { held, .. }) = self.heap.pop()?;
        self.bytes -= cost(&held);
        Some(held)
    }

    /// When the next one is to be sent.
    pub fn next_release_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.held.release_ns)
    }

    /// Takes out all these, in the order in which they would have been sent.
    pub fn take(&mut self, is_wanted: impl Fn(&Held) -> bool) -> Vec<Held> {
        let all = std::mem::take(&mut self.heap).into_vec();
        let (mut taken, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|Reverse(entry)| is_wanted(&entry.held));
        self.heap = kept.into();
        taken.sort_unstable_by(|Reverse(a), Reverse(b)| a.cmp(b));
        let taken: Vec<Held> = taken.into_iter().map(|Reverse(entry)| entry.held).collect();
        self.bytes -= taken.iter().map(cost).sum::<usize>();
        taken
    }
}

fn cost(held: &Held) -> usize {
    held.frame.len() + HELD_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(release_ns: u64, number: u64, bytes: usize) -> Held {
        Held {
            release_ns,
            link: (number % 2) as usize,
            number,
            copy: 0,
            overtakable: None,
            frame: vec![0; bytes].into(),
        }
    }

    #[test]
    fn packets_leave_by_time_and_then_as_they_came() {
        let mut queue = Queue::default();
        for (number, release_ns) in (0..).zip([30, 10, 20, 10, 30, 10]) {
            assert!(queue.push(held(release_ns, number, 1)));
        }
        assert_eq!(queue.next_release_ns(), Some(10));
        let mut due = |now_ns| {
            std::iter::from_fn(|| queue.pop_due(now_ns))
                .map(|held| held.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(due(9), [0; 0]);
        assert_eq!(due(20), [1, 3, 5, 2]);
        assert_eq!(due(u64::MAX), [0, 4]);
        assert_eq!((queue.next_release_ns(), queue.bytes), (None, 0));
    }

    #[test]
    fn some_can_be_taken_out() {
        let mut queue = Queue::default();
        for number in 0..10 {
            queue.push(held(100 - number / 3, number, 5));
        }
        let taken = queue.take(|held| held.link == 1);
        let numbers: Vec<u64> = taken.iter().map(|held| held.number).collect();
        assert_eq!(numbers, [9, 7, 3, 5, 1]);
        let rest = std::iter::from_fn(|| queue.pop_due(u64::MAX)).map(|held| held.number);
        assert_eq!(rest.collect::<Vec<_>>(), [6, 8, 4, 0, 2]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn there_is_room_for_so_much_and_no_more() {
        let mut queue = Queue::default();
        let bytes = (1 << 20) - HELD_OVERHEAD_BYTES;
        for number in 0..64 {
            assert!(queue.push(held(number, number, bytes)));
        }
        assert!(!queue.push(held(0, 64, 0)));
        assert!(queue.pop_due(0).is_some());
        assert!(queue.push(held(0, 64, bytes)));
    }
}
