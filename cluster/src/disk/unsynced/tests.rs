//! Against a file in memory that remembers byte by byte what is durable.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    Truncate(u64),
    Sync,
    FailedSync,
}

fn steps(with_syncs: bool) -> impl Strategy<Value = Vec<Step>> {
    let write = (0..24_u64, vec(1..=255_u8, 1..12)).prop_map(|(at, bytes)| Step::Write(at, bytes));
    let truncate = (0..30_u64).prop_map(Step::Truncate);
    let sync = if with_syncs { 2 } else { 0 };
    let step = prop_oneof![
        6 => write,
        2 => truncate,
        sync => Just(Step::Sync),
        sync => Just(Step::FailedSync),
    ];
    vec(step, 0..24)
}

/// What is in a file, and of each byte whether it is not durable yet, or never will be.
#[derive(Debug, Default)]
struct Reference {
    live: Vec<u8>,
    fresh: Vec<bool>,
    hopeless: Vec<bool>,
    durable: Vec<u8>,
}

impl Reference {
    fn set(&mut self, at: usize, byte: u8) {
        self.live[at] = byte;
        self.fresh[at] = true;
        self.hopeless[at] = false;
    }

    fn resize(&mut self, size: usize) {
        let old = self.live.len();
        self.live.resize(size, 0);
        self.fresh.resize(size, true);
        self.hopeless.resize(size, false);
        // What comes again after a cut is as written: zeros.
        for at in old.min(size)..size {
            self.set(at, 0);
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if at + bytes.len() > self.live.len() {
            self.resize(at + bytes.len());
        }
        for (offset, byte) in bytes.iter().enumerate() {
            self.set(at + offset, *byte);
        }
    }

    fn sync(&mut self) {
        let old = std::mem::take(&mut self.durable);
        for (at, byte) in self.live.iter().enumerate() {
            let lost = self.hopeless[at];
            let before = old.get(at).copied().unwrap_or(0);
            self.durable.push(if lost { before } else { *byte });
            self.fresh[at] = false;
        }
    }

    fn failed_sync(&mut self) {
        for (fresh, hopeless) in self.fresh.iter_mut().zip(&mut self.hopeless) {
            *hopeless |= std::mem::take(fresh);
        }
    }
}

/// Does a step to a file, as `Files` does it.
fn act(live: &mut Vec<u8>, unsynced: &mut Unsynced, step: &Step) {
    let size = live.len() as u64;
    match step {
        Step::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            let old = live.get(*at as usize..end.min(live.len())).unwrap_or(&[]);
            unsynced.wrote(size, *at, bytes.len() as u64, old.to_vec());
            live.resize(live.len().max(end), 0);
            live[*at as usize..end].copy_from_slice(bytes);
        }
        Step::Truncate(to) if *to == size => {}
        Step::Truncate(to) => {
            let old = live.get(*to as usize..).unwrap_or(&[]).to_vec();
            unsynced.truncated(size, *to, old);
            live.resize(*to as usize, 0);
        }
        Step::Sync => unsynced.commit(size),
        Step::FailedSync => unsynced.abandon(),
    }
}

fn reversed(mut live: Vec<u8>, reversal: Reversal) -> Vec<u8> {
    for old in reversal.writes {
        let bytes = match old.content {
            Content::Bytes(bytes) => bytes,
            Content::Zeros(count) => vec![0; count as usize],
        };
        let end = old.offset as usize + bytes.len();
        live.resize(live.len().max(end), 0);
        live[old.offset as usize..end].copy_from_slice(&bytes);
    }
    live.resize(reversal.size as usize, 0);
    live
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_power_failure_leaves_what_was_synced(steps in steps(true)) {
        let mut reference = Reference::default();
        let (mut live, mut unsynced) = (Vec::new(), Unsynced::new(0));
        for step in &steps {
            act(&mut live, &mut unsynced, step);
            match step {
                Step::Write(at, bytes) => reference.write(*at as usize, bytes),
                Step::Truncate(to) => reference.resize(*to as usize),
                Step::Sync => reference.sync(),
                Step::FailedSync => reference.failed_sync(),
            }
            prop_assert_eq!(&live, &reference.live);
            let reversal = unsynced.clone().revert(None);
            prop_assert_eq!(&reversed(live.clone(), reversal), &reference.durable);
        }
        let empty = unsynced.is_empty(live.len() as u64);
        prop_assert!(!empty || live == reference.durable);
    }

    #[test]
    fn a_torn_write_leaves_a_first_part_of_what_was_written(
        steps in steps(false),
        keep_permille in 0..=1000_u64,
        boundary_bytes in 1..9_u64,
    ) {
        let begin = b"durable content".to_vec();
        let (mut live, mut unsynced) = (begin.clone(), Unsynced::new(begin.len() as u64));
        for step in &steps {
            act(&mut live, &mut unsynced, step);
        }
        let length = |step: &Step| match step {
            Step::Write(_, bytes) => bytes.len() as u64,
            _ => 0,
        };
        let mut budget = steps.iter().map(length).sum::<u64>() * keep_permille / 1000;
        let (mut expected, mut torn_bytes) = (begin, 0);
        for step in &steps {
            let mut part = step.clone();
            let whole = length(step) <= budget;
            if let (Step::Write(at, bytes), false) = (&mut part, whole) {
                let cut = ((*at + budget) / boundary_bytes * boundary_bytes).saturating_sub(*at);
                bytes.truncate(cut as usize);
                torn_bytes = cut;
            }
            if whole || torn_bytes > 0 {
                act(&mut expected, &mut Unsynced::new(0), &part);
            }
            if !whole {
                break;
            }
            budget -= length(step);
        }
        let torn = Torn { keep_permille, boundary_bytes };
        let reversal = unsynced.revert(Some(torn));
        prop_assert_eq!(reversal.kept_bytes, torn_bytes);
        prop_assert_eq!(reversed(live, reversal), expected);
    }
}

#[test]
fn an_append_costs_next_to_nothing() {
    let mut unsynced = Unsynced::new(0);
    let cost = unsynced.noted(|unsynced| unsynced.wrote(0, 0, 1 << 20, Vec::new()));
    assert!(cost < 200, "{cost}");
    assert_eq!(unsynced.held_bytes(), cost);
    let cost = unsynced.noted(|unsynced| unsynced.wrote(1 << 20, 0, 1000, vec![0; 1000]));
    assert!((1000..1200).contains(&cost), "{cost}");
}
