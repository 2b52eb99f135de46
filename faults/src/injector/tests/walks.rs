//! Random sequences of faults, against the promise that everything is whole at the end.

use proptest::prelude::*;

use super::network::packet_faults;
use super::*;
use crate::{CrashPoint, PowerLoss, Undo, open_undos};

/// What a random walk does next.
#[derive(Debug, Clone)]
enum Move {
    Strike(Action, Vec<usize>, Option<usize>),
    BeginOnly(Action),
    Heal(usize),
    HealTwice(usize),
    Beat(usize),
    UseUp(usize),
    Break(usize),
    Mend,
}

fn any_action() -> impl Strategy<Value = Action> {
    let role = proptest::sample::select(Role::ALL);
    let shape = proptest::sample::select(Shape::ALL);
    prop_oneof![
        1 => role.clone()
            .prop_map(|target| Action::Kill(Kill { target })),
        1 => role.clone()
            .prop_map(|target| Action::Pause(Pause { target })),
        1 => role.clone().prop_map(|target| {
            Action::PowerLoss(PowerLoss {
                target,
                ..PowerLoss::default()
            })
        }),
        1 => role.clone().prop_map(|target| {
            Action::CrashPoint(CrashPoint {
                target,
                ..CrashPoint::default()
            })
        }),
        3 => role.prop_flat_map(processes::any_action),
        1 => shape.prop_map(|shape| Action::Partition(Partition {
            shape,
            ..Partition::default()
        })),
        1 => proptest::sample::select(packet_faults().to_vec()),
    ]
}

fn any_move(nodes: usize) -> impl Strategy<Value = Move> {
    let order = Just((0..nodes).collect::<Vec<_>>()).prop_shuffle();
    let leader = proptest::option::of(0..nodes);
    prop_oneof![
        6 => (any_action(), order, leader).prop_map(|(action, order, leader)| {
            Move::Strike(action, order, leader)
        }),
        1 => any_action().prop_map(Move::BeginOnly),
        4 => (0..40_usize).prop_map(Move::Heal),
        1 => (0..40_usize).prop_map(Move::HealTwice),
        2 => (0..40_usize).prop_map(Move::Beat),
        1 => (0..nodes).prop_map(Move::UseUp),
        1 => (0..6_usize).prop_map(Move::Break),
        2 => Just(Move::Mend),
    ]
}

fn any_walk() -> impl Strategy<Value = (usize, Vec<Move>)> {
    (1..6_usize).prop_flat_map(|nodes| {
        (
            Just(nodes),
            proptest::collection::vec(any_move(nodes), 0..40),
        )
    })
}

/// What is in force according to the events alone.
fn links_of_open(injector: &Injector) -> Vec<crate::Link> {
    let mut links: Vec<_> = injector
        .ledger()
        .open()
        .iter()
        .filter_map(|(_, undo)| match undo {
            Undo::Rejoin(links) | Undo::Clear(links) => Some(links.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    links.sort();
    links.dedup();
    links
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever overlaps and whatever fails in between: the ledger's text always tells what is
    /// open, and once calls succeed again one `heal_all` leaves everything whole.
    #[test]
    fn everything_is_whole_after_heal_all((nodes, walk) in any_walk()) {
        let cluster = Fake::new(nodes);
        let names = cluster.nodes();
        let mut injector = injector(&cluster);
        for (id, step) in (0..).zip(walk) {
            match step {
                Move::Strike(action, order, leader) => {
                    let order = order.iter().map(|&i| names[i].clone()).collect();
                    let planned = Planned { action, order, ..planned(id, KILL_ONE, &cluster) };
                    injector.begin(&planned, leader.map(|leader| &*names[leader]));
                    prop_assert!(injector.inject(id, &cluster).is_some());
                }
                Move::BeginOnly(action) => {
                    injector.begin(&planned(id, action, &cluster), None);
                }
                Move::Heal(id) => drop(injector.heal(id as u64, &cluster)),
                Move::HealTwice(id) => {
                    injector.heal(id as u64, &cluster);
                    injector.heal(id as u64, &cluster);
                }
                Move::Beat(id) => drop(injector.beat(id as u64, &cluster)),
                Move::UseUp(node) => {
                    for resource in RESOURCES {
                        cluster.use_up(&names[node], resource);
                    }
                }
                Move::Break(calls) => cluster.fail_after(Some(calls)),
                Move::Mend => cluster.fail_after(None),
            }
            let written = open_undos(&cluster.log.ledger_text()).expect("the ledger is readable");
            prop_assert_eq!(&written, injector.ledger().open());
        }
        cluster.fail_after(None);
        for fault in injector.heal_all(&cluster) {
            prop_assert_eq!(fault.phase, Heal);
        }
        prop_assert!(cluster.is_whole(), "{:?}", cluster);
        prop_assert!(injector.ledger().open().is_empty());
        prop_assert!(open_undos(&cluster.log.ledger_text()).expect("readable").is_empty());
    }

    /// While no call fails, the links cut are those of the partitions in force, and a node is
    /// stopped or dead only while a fault that names it is open.
    #[test]
    fn only_what_is_open_is_in_force((nodes, walk) in any_walk()) {
        let cluster = Fake::new(nodes);
        let mut injector = injector(&cluster);
        for (id, step) in (0..).zip(walk) {
            match step {
                Move::Strike(action, ..) => drop(strike(&mut injector, id, action, &cluster)),
                Move::Heal(id) | Move::HealTwice(id) => drop(injector.heal(id as u64, &cluster)),
                Move::Beat(id) => drop(injector.beat(id as u64, &cluster)),
                _ => {}
            }
            prop_assert_eq!(cluster.cuts(), links_of_open(&injector));
            for node in cluster.nodes() {
                let named = |wanted: &[Kind]| injector
                    .active()
                    .any(|(_, kind, targets)| wanted.contains(&kind) && targets.contains(&node));
                let state = cluster.state_of(&node);
                let is_down = named(&[Kind::Kill, Kind::Restart, Kind::Reboot, Kind::PowerLoss]);
                prop_assert!(state == NodeState::Dead || !is_down);
                let may_be_down = is_down || named(&[Kind::CrashLoop, Kind::KillAtStart]);
                prop_assert!(state != NodeState::Dead || may_be_down);
                prop_assert!(state != NodeState::Stopped || named(&[Kind::Pause]));
                let is_slow = cluster.limit_of(&node, Resource::CpuPercent).is_some();
                prop_assert_eq!(is_slow, named(&[Kind::CpuQuota, Kind::SlowStart]));
                for (resource, kind) in [
                    (Resource::SpareFiles, Kind::FdLimit),
                    (Resource::SpareMemoryKib, Kind::MemoryLimit),
                ] {
                    prop_assert!(cluster.limit_of(&node, resource).is_none() || named(&[kind]));
                }
            }
        }
    }
}
