//! The table with frames and times made up, and every frame it sends written down.

use std::sync::Arc;

use faults::{Checksums, Delays, Distribution, Rule, Treatment};

use super::*;
use crate::switch::frame::tests::{opening, udp};

const PORTS: usize = 3;
const MS: u64 = 1_000_000;

/// What came out: where to, and the number that the frame's payload says.
#[derive(Debug, Default)]
struct Sent {
    frames: Vec<(usize, Vec<u8>)>,
    dropped: Vec<Dropped>,
    is_full: bool,
}

impl Output for Sent {
    fn send(&mut self, _: usize, to: usize, frame: &[u8]) -> bool {
        if !self.is_full {
            self.frames.push((to, frame.to_vec()));
        }
        !self.is_full
    }

    fn dropped(&mut self, _: usize, _: usize, _: &[u8], why: Dropped) {
        self.dropped.push(why);
    }
}

/// A table, what it sent, and the time.
struct Lab {
    table: Table,
    out: Sent,
    now_ns: u64,
}

impl Lab {
    fn new() -> Self {
        Lab {
            table: Table::new(PORTS),
            out: Sent::default(),
            now_ns: 5 * MS,
        }
    }

    /// A table with these treatments of the link from port 0 to port 1, as faults 1, 2…
    fn with(treatments: &[Treatment]) -> Self {
        let mut lab = Lab::new();
        lab.set(&numbered(treatments));
        lab
    }

    fn set(&mut self, treatments: &[(u64, Treatment)]) {
        let rule = |&(fault, treatment): &(u64, Treatment)| {
            let (links, ports) = (Vec::new(), Vec::new());
            let rule = Rule {
                fault,
                links,
                ports,
                treatment,
            };
            LinkRule::new(Arc::new(rule), 42, 1, 2, self.now_ns)
        };
        let rules = |from, to| match (from, to) {
            (0, 1) => treatments.iter().map(rule).collect(),
            _ => Vec::new(),
        };
        self.table.replace(rules, self.now_ns, &mut self.out);
    }

    /// Sends numbered datagrams from port 0 to port 1, one each millisecond.
    fn send(&mut self, numbers: std::ops::Range<u8>) {
        for number in numbers {
            self.offer(&udp(&[number]));
            self.now_ns += MS;
        }
    }

    fn offer(&mut self, frame: &[u8]) {
        self.table.offer((0, 1), frame, self.now_ns, &mut self.out);
    }

    fn wait(&mut self, ms: u64) {
        self.now_ns += ms * MS;
        self.table.release_due(self.now_ns, &mut self.out);
    }

    /// The numbers that arrived at port 1 since this was last asked.
    fn arrived(&mut self) -> Vec<u8> {
        let frames = std::mem::take(&mut self.out.frames);
        let numbers = frames.iter().filter(|(to, _)| *to == 1);
        numbers.map(|(_, frame)| frame[frame.len() - 1]).collect()
    }

    fn link(&self) -> LinkCounts {
        self.table.counts(0, 1)
    }

    fn rule(&self, fault: u64) -> RuleCounts {
        self.table.rule_counts(fault)
    }
}

fn numbered(treatments: &[Treatment]) -> Vec<(u64, Treatment)> {
    (1..).zip(treatments.iter().copied()).collect()
}

fn lose(permille: u32) -> Treatment {
    Treatment::Lose {
        permille,
        correlation_permille: 0,
    }
}

fn delay(mean_ms: u64, jitter_ms: u64, keep_order: bool) -> Treatment {
    Treatment::Delay(Delays {
        mean_us: mean_ms * 1_000,
        jitter_us: jitter_ms * 1_000,
        distribution: Distribution::Uniform,
        correlation_permille: 0,
        keep_order,
    })
}

const CUT: Treatment = Treatment::Cut { flap_period_ms: 0 };

#[test]
fn every_one_of_the_512_tables_of_three_ports_is_obeyed() {
    let mut table = Table::new(PORTS);
    let mut expected = [LinkCounts::default(); PORTS * PORTS];
    let rule = Arc::new(Rule {
        fault: 1,
        links: Vec::new(),
        ports: Vec::new(),
        treatment: CUT,
    });
    let mut cuts = 0;
    for bits in 0_u32..1 << (PORTS * PORTS) {
        let is_cut = |link: usize| bits >> link & 1 == 1;
        let rules = |from: usize, to: usize| {
            let rule = LinkRule::new(Arc::clone(&rule), 1, from as u8, to as u8, 0);
            is_cut(from * PORTS + to)
                .then_some(rule)
                .into_iter()
                .collect()
        };
        table.replace(rules, 0, &mut Sent::default());
        for (link, expected) in expected.iter_mut().enumerate() {
            let mut out = Sent {
                is_full: bits % 3 == 0,
                ..Sent::default()
            };
            let (from, to) = (link / PORTS, link % PORTS);
            table.offer((from, to), &udp(b"x"), 0, &mut out);
            match (is_cut(link), out.is_full) {
                (true, _) => expected.cut += 1,
                (false, true) => expected.overflowed += 1,
                (false, false) => expected.forwarded += 1,
            }
            cuts += u64::from(is_cut(link));
            assert_eq!(out.frames.is_empty(), is_cut(link) || out.is_full);
            assert_eq!(
                table.counts(from, to),
                *expected,
                "table {bits:b}, link {link}"
            );
        }
    }
    assert_eq!(table.rule_counts(1).affected, cuts);
}

#[test]
fn every_cut_counts_what_it_drops() {
    let mut lab = Lab::with(&[CUT, lose(1000), CUT]);
    lab.send(0..5);
    assert_eq!((lab.link().cut, lab.link().lost), (5, 0));
    assert_eq!([1, 2, 3].map(|fault| lab.rule(fault).affected), [5, 0, 5]);
    assert_eq!(lab.out.dropped, [Dropped::Cut; 5]);
}

#[test]
fn losses_combine() {
    for (first, second, expected) in [(0, 0, 0), (1000, 0, 200), (0, 1000, 200)] {
        let mut lab = Lab::with(&[lose(first), lose(second)]);
        lab.send(0..200);
        assert_eq!(lab.link().lost, expected);
        assert_eq!(lab.arrived().len() as u64, 200 - expected);
    }
    let mut lab = Lab::with(&[lose(500), lose(500)]);
    lab.send(0..200);
    let (first, second) = (lab.rule(1), lab.rule(2));
    assert_eq!(first.packets, 200);
    assert_eq!(
        second.packets,
        200 - first.affected,
        "only what the first let through"
    );
    assert!((60..140).contains(&first.affected) && (20..80).contains(&second.affected));
    assert_eq!(lab.link().lost, first.affected + second.affected);
}

#[test]
fn delays_add_up_and_keep_nobody_waiting() {
    let mut lab = Lab::with(&[delay(3, 0, true), delay(4, 0, true)]);
    lab.send(0..3);
    lab.table
        .offer((1, 0), &udp(b"x"), lab.now_ns, &mut lab.out);
    assert_eq!(lab.out.frames.len(), 1, "the other direction is as ever");
    assert_eq!(lab.table.next_release_ns(), Some(12 * MS));
    assert_eq!(lab.arrived(), [0_u8; 0]);
    lab.wait(4);
    assert_eq!(lab.arrived(), [0]);
    lab.wait(2);
    assert_eq!(lab.arrived(), [1, 2]);
    assert_eq!([1, 2].map(|fault| lab.rule(fault).held_us), [9_000, 12_000]);
    assert_eq!((lab.link().held, lab.link().reordered), (3, 0));
}

#[test]
fn jitter_reorders_packets_unless_order_is_kept() {
    let mut free = Lab::with(&[delay(20, 20, false)]);
    free.send(0..100);
    free.wait(100);
    let arrived = free.arrived();
    assert_eq!(arrived.len(), 100);
    assert!(!arrived.is_sorted());
    let overtaken =
        (1..100).filter(|at| arrived[..*at].iter().any(|before| *before > arrived[*at]));
    assert_eq!(free.link().reordered, overtaken.count() as u64);

    let mut kept = Lab::with(&[delay(20, 20, true)]);
    kept.send(0..100);
    kept.wait(100);
    assert!(kept.arrived().is_sorted());
    assert_eq!((kept.link().reordered, kept.link().forwarded), (0, 100));
}

#[test]
fn a_reordering_holds_some_and_lets_the_others_go_ahead() {
    let reorder = Treatment::Reorder {
        permille: 300,
        hold_us: 2_500,
    };
    let mut lab = Lab::with(&[reorder]);
    lab.send(0..100);
    lab.wait(100);
    let counts = lab.rule(1);
    assert_eq!(lab.arrived().len(), 100);
    assert!((15..50).contains(&counts.affected), "{counts:?}");
    // One that is held among others that are held too is not always overtaken.
    assert!(counts.overtaken * 2 > counts.affected && counts.overtaken <= counts.affected);
    assert_eq!(counts.overtaken, lab.link().reordered);

    // Beside a delay that keeps order, those that are held alone lose their place.
    let mut lab = Lab::with(&[delay(10, 5, true), reorder]);
    lab.send(0..100);
    lab.wait(100);
    let counts = lab.rule(2);
    assert!(
        counts.overtaken > 0 && counts.overtaken == lab.link().reordered,
        "{counts:?}"
    );
}

#[test]
fn duplicates_come_at_once_or_later() {
    let duplicate = |apart_us| Treatment::Duplicate {
        permille: 1000,
        apart_us,
    };
    let mut lab = Lab::with(&[duplicate(0)]);
    lab.send(0..3);
    assert_eq!(lab.arrived(), [0, 0, 1, 1, 2, 2]);
    assert_eq!((lab.link().duplicated, lab.link().forwarded), (3, 6));

    let mut lab = Lab::with(&[duplicate(50_000)]);
    lab.send(0..10);
    let soon = lab.arrived();
    lab.wait(50);
    let late = lab.arrived();
    assert_eq!(soon.len() + late.len(), 20);
    assert!(late.len() > 5, "{late:?}");
    assert_eq!(lab.link().reordered, 0, "a late duplicate is no reordering");

    let mut lab = Lab::with(&[duplicate(0); 20]);
    lab.send(0..1);
    assert_eq!(lab.arrived().len(), 8, "copies have a limit");
}

#[test]
fn a_speed_limit_lets_packets_wait_and_drops_those_that_would_wait_too_long() {
    // A datagram of one byte is a frame of 43: 43 ms.
    let mut lab = Lab::with(&[Treatment::Limit {
        kbit_per_s: 8,
        queue_ms: 100,
    }]);
    for number in 0..6 {
        lab.offer(&udp(&[number]));
    }
    assert_eq!(lab.out.dropped, [Dropped::QueueFull; 3]);
    assert_eq!((lab.rule(1).overflowed, lab.rule(1).affected), (3, 6));
    lab.wait(43);
    assert_eq!(lab.arrived(), [0]);
    lab.wait(43);
    assert_eq!(lab.arrived(), [1]);
    lab.wait(42);
    assert_eq!(lab.arrived(), [0_u8; 0]);
    lab.wait(1);
    assert_eq!(lab.arrived(), [2]);
}

#[test]
fn corruption_inverts_a_bit() {
    for checksums in [Checksums::Wrong, Checksums::Repaired] {
        let mut lab = Lab::with(&[Treatment::Corrupt {
            permille: 1000,
            checksums,
        }]);
        let frame = udp(b"payload");
        lab.offer(&frame);
        let (_, sent) = &lab.out.frames[0];
        let bits = frame
            .iter()
            .zip(sent)
            .map(|(was, is)| (was ^ is).count_ones());
        let bits: u32 = bits.sum();
        assert!(
            bits >= 1 && (checksums == Checksums::Repaired) == (bits > 1),
            "{bits}"
        );
        assert_eq!((lab.link().corrupted, lab.rule(1).affected), (1, 1));
        // Without payload there is nothing whose checksum could be made good.
        lab.offer(&udp(b""));
        let expected = 1 + u64::from(checksums == Checksums::Wrong);
        assert_eq!(lab.link().corrupted, expected);
    }
}

#[test]
fn the_opening_of_a_connection_is_refused_and_nothing_else() {
    let mut lab = Lab::with(&[Treatment::Refuse { permille: 1000 }]);
    lab.offer(&opening());
    assert_eq!(lab.out.frames.len(), 1);
    assert_eq!(lab.out.frames[0].0, 0, "the answer goes back");
    assert_eq!(lab.out.dropped, [Dropped::Refused]);
    lab.send(0..1);
    assert_eq!(lab.out.frames.len(), 2);
    let counts = lab.rule(1);
    assert_eq!(
        (counts.packets, counts.affected, lab.link().refused),
        (1, 1, 1)
    );
}

#[test]
fn healing_a_delay_sends_what_it_holds_and_a_cut_drops_it() {
    let mut lab = Lab::with(&[delay(50, 40, false)]);
    lab.send(0..5);
    let before = lab.arrived();
    lab.set(&[]);
    let mut all = [before, lab.arrived()].concat();
    all.sort();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert_eq!(lab.table.next_release_ns(), None);
    assert_eq!(lab.rule(1).packets, 5, "what it did is still known");

    let mut lab = Lab::with(&[delay(50, 0, false)]);
    lab.send(0..5);
    lab.set(&[(1, delay(50, 0, false)), (2, CUT)]);
    lab.wait(100);
    assert_eq!(lab.arrived(), [0_u8; 0]);
    assert_eq!((lab.rule(2).affected, lab.link().cut), (5, 5));
}

#[test]
fn what_a_healed_reordering_held_counts_for_it_if_it_was_overtaken() {
    let reorder = Treatment::Reorder {
        permille: 1000,
        hold_us: 60_000,
    };
    let mut lab = Lab::with(&[reorder]);
    lab.send(0..1);
    lab.set(&[(1, delay(1, 0, false))]);
    lab.send(1..3);
    lab.wait(100);
    assert_eq!(lab.arrived(), [1, 2, 0]);
    assert_eq!(lab.rule(1).overtaken, 1);
}

#[test]
fn a_rule_that_stays_goes_on_where_it_was() {
    let mut alone = Lab::with(&[lose(400)]);
    alone.send(0..60);
    let mut beside = Lab::with(&[lose(400)]);
    for number in 0..60 {
        // Others come and go.
        let others = [(1, lose(400)), (2, delay(0, 0, true))];
        beside.set(&others[..1 + usize::from(number % 3 == 0)]);
        beside.send(number..number + 1);
    }
    assert_eq!(beside.arrived(), alone.arrived());
    assert_eq!(beside.rule(1), alone.rule(1));
}

#[test]
fn a_rule_about_a_port_leaves_others_alone() {
    let mut lab = Lab::new();
    for (ports, is_cut) in [
        (vec![8_080], true),
        (vec![1, 40_000], true),
        (vec![80], false),
    ] {
        let rule = Arc::new(Rule {
            fault: 1,
            links: Vec::new(),
            ports,
            treatment: CUT,
        });
        let rules = |_, _| vec![LinkRule::new(Arc::clone(&rule), 1, 1, 2, 0)];
        lab.table.replace(rules, 0, &mut lab.out);
        lab.send(0..1);
        assert_eq!(lab.arrived().is_empty(), is_cut, "{rule:?}");
        lab.offer(&[0; 30]);
        assert_eq!(lab.out.frames.len(), 1, "no port, no cut");
        lab.arrived();
    }
}
