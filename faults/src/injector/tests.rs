//! Lives of faults against a cluster in memory: rows for the overlaps that matter, and random
//! sequences against the promise that everything is whole at the end.

use histories::FaultPhase::{Begin, Error, Heal, Inject};
use proptest::prelude::*;

use super::*;
use crate::fake::{Fake, NodeState};
use crate::{
    Corrupt, CrashPoint, Delay, Duplicate, Kill, Loss, Partition, Pause, PowerLoss, RateLimit,
    RefuseConnections, Reorder, ResetConnections, Resource, Role, Shape, Undo, open_undos,
};

mod processes;

const KILL_ONE: Action = Action::Kill(Kill { target: Role::One });
const RESOURCES: [Resource; 3] = [
    Resource::CpuPercent,
    Resource::SpareMemoryKib,
    Resource::SpareFiles,
];
const PAUSE_ONE: Action = Action::Pause(Pause { target: Role::One });

/// An injector that writes its ledger into the cluster's log.
fn injector(cluster: &Fake) -> Injector {
    Injector::new(Ledger::new(cluster.log.clone()))
}

/// A fault with n1 first in the order.
fn planned(id: u64, action: Action, cluster: &Fake) -> Planned {
    Planned {
        id,
        at_ms: 0,
        after: Vec::new(),
        delay_ms: 0,
        until: Vec::new(),
        for_ms: 1,
        action,
        order: cluster.nodes(),
    }
}

/// Begins and injects; the inject event.
fn strike(injector: &mut Injector, id: u64, action: Action, cluster: &Fake) -> Fault {
    let begun = injector.begin(&planned(id, action, cluster), None);
    assert_eq!(begun.phase, Begin, "{begun:?}");
    assert_eq!((begun.id, begun.effective), (id, None));
    injector.inject(id, cluster).expect("the fault has begun")
}

fn heal(injector: &mut Injector, id: u64, cluster: &Fake) -> Fault {
    injector.heal(id, cluster).expect("the fault is under way")
}

#[test]
fn the_undo_is_written_before_anything_is_done() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    injector.begin(&planned(7, KILL_ONE, &cluster), None);
    assert_eq!(
        cluster.log.lines(),
        [r#"{"note":"undo","id":7,"undo":{"start":["n1"]}}"#]
    );
    injector.inject(7, &cluster);
    injector.heal(7, &cluster);
    let rest = ["kill n1", "start n1", r#"{"note":"done","id":7}"#];
    assert_eq!(cluster.log.lines()[1..], rest);
    assert!(injector.ledger().open().is_empty());
}

#[test]
fn a_fault_whose_undo_cannot_be_written_is_never_injected() {
    struct FullDisk;
    impl std::io::Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no space left"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let cluster = Fake::new(3);
    let mut injector = Injector::new(Ledger::new(FullDisk));
    for id in [1, 2] {
        let begun = injector.begin(&planned(id, KILL_ONE, &cluster), None);
        assert_eq!(begun.phase, Error);
        assert!(
            begun.evidence.to_string().contains("no space left"),
            "{}",
            begun.evidence
        );
        assert!(injector.inject(id, &cluster).is_none());
    }
    assert!(injector.heal_all(&cluster).is_empty() && cluster.log.lines().is_empty());
}

#[test]
fn a_kill_shows_the_pids_that_are_gone() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let killed = strike(&mut injector, 1, KILL_ONE, &cluster);
    assert_eq!((killed.phase, killed.effective), (Inject, Some(true)));
    assert_eq!(killed.evidence.to_string(), r#"{"n1" {"gone" [0]}}"#);
    assert_eq!(&*killed.kind, "kill");
    // Nothing was left to kill the second time, and it says so to the end.
    assert_eq!(
        strike(&mut injector, 2, KILL_ONE, &cluster).effective,
        Some(false)
    );
    assert_eq!(heal(&mut injector, 1, &cluster).phase, Heal);
    assert_eq!(
        cluster.state_of("n1"),
        NodeState::Dead,
        "the other kill is still in force"
    );
    let healed = heal(&mut injector, 2, &cluster);
    assert_eq!((healed.phase, healed.effective), (Heal, Some(false)));
    assert!(cluster.is_whole());
}

#[test]
fn a_pause_shows_stopped_processes_and_waits_for_the_other_pause() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let paused = strike(&mut injector, 1, PAUSE_ONE, &cluster);
    assert_eq!((paused.phase, paused.effective), (Inject, Some(true)));
    assert_eq!(
        paused.evidence.to_string(),
        r#"{"n1" [{"pid" 0, "state" "T"}]}"#
    );
    strike(&mut injector, 2, PAUSE_ONE, &cluster);
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    assert_eq!(cluster.state_of("n1"), NodeState::Stopped);
    heal(&mut injector, 2, &cluster);
    assert!(cluster.is_whole());
}

#[test]
fn a_pause_of_a_dead_node_had_no_effect_and_does_not_outlive_its_restart() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    strike(&mut injector, 1, KILL_ONE, &cluster);
    assert_eq!(
        strike(&mut injector, 2, PAUSE_ONE, &cluster).effective,
        Some(false)
    );
    heal(&mut injector, 1, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Running);
    // The pause in between holds nothing, so this one's end is not put off.
    strike(&mut injector, 3, PAUSE_ONE, &cluster);
    heal(&mut injector, 3, &cluster);
    assert!(cluster.is_whole());
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));
}

/// Bug found: a pause that chose a node just killed did nothing, and a short run showed no pause.
#[test]
fn nodes_that_are_down_or_stopped_are_chosen_last() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    for (id, action, node) in [
        (1, KILL_ONE, "n1"),
        (2, PAUSE_ONE, "n2"),
        (3, KILL_ONE, "n3"),
    ] {
        let fault = strike(&mut injector, id, action, &cluster);
        assert_eq!((&*fault.targets[0], fault.effective), (node, Some(true)));
    }
    injector.heal_all(&cluster);
    assert!(cluster.is_whole());
}

#[test]
fn a_pause_that_fails_is_an_error_and_is_still_taken_back() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    // Dead by its own hand, not by a fault.
    cluster.kill("n1").expect("no call fails");
    let minority = Action::Pause(Pause {
        target: Role::Majority,
    });
    let paused = strike(&mut injector, 1, minority, &cluster);
    assert_eq!(
        (paused.phase, paused.effective),
        (Error, Some(true)),
        "n2 was paused"
    );
    assert!(
        paused.evidence.to_string().contains("n1: it does not run"),
        "{}",
        paused.evidence
    );
    assert_eq!(cluster.state_of("n2"), NodeState::Stopped);
    assert_eq!(heal(&mut injector, 1, &cluster).phase, Heal);
    assert_eq!(cluster.state_of("n2"), NodeState::Running);
}

#[test]
fn a_paused_node_that_is_killed_is_gone_and_restarts_running() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    strike(&mut injector, 1, PAUSE_ONE, &cluster);
    assert_eq!(
        strike(&mut injector, 2, KILL_ONE, &cluster).effective,
        Some(true)
    );
    heal(&mut injector, 2, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Running);
    // A pause after the restart ends when it should, though the first is still open.
    strike(&mut injector, 3, PAUSE_ONE, &cluster);
    heal(&mut injector, 3, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Running);
    assert_eq!(heal(&mut injector, 1, &cluster).phase, Heal);
    assert!(cluster.is_whole());
}

#[test]
fn partitions_add_up_and_healing_one_leaves_the_other() {
    let cluster = Fake::new(5);
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    let halves = Action::Partition(Partition {
        shape: Shape::Halves,
        ..Partition::default()
    });
    let injected = strike(&mut injector, 1, alone.clone(), &cluster);
    assert_eq!((injected.phase, injected.effective), (Inject, None));
    assert_eq!(injected.parameters.get("shape"), Some(&"one".into()));
    let cut = injected
        .parameters
        .get("cut")
        .and_then(Value::as_list)
        .map(<[Value]>::len);
    assert_eq!(cut, Some(8));
    strike(&mut injector, 2, halves, &cluster);
    // n1 to and from all others, n2 to and from n3, n4, n5.
    assert_eq!(cluster.cuts().len(), 8 + 6);
    cluster.traffic();
    let healed = heal(&mut injector, 1, &cluster);
    assert_eq!(healed.effective, Some(true));
    assert_eq!(healed.evidence.get("dropped_packets"), Some(&Value::Int(8)));
    let mut left = Shape::Halves.cuts(crate::Direction::Both, &cluster.nodes(), None);
    left.sort();
    assert_eq!(cluster.cuts(), left);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(true));
    assert!(cluster.is_whole());
}

#[test]
fn a_cut_that_dropped_nothing_had_no_effect() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    strike(&mut injector, 1, alone.clone(), &cluster);
    cluster.traffic();
    heal(&mut injector, 1, &cluster);
    // What an earlier partition dropped on the same links is not this one's.
    strike(&mut injector, 2, alone, &cluster);
    let healed = heal(&mut injector, 2, &cluster);
    assert_eq!(healed.effective, Some(false));
    assert_eq!(healed.evidence.get("dropped_packets"), Some(&Value::Int(0)));
}

/// One of each kind that is a rule of the network.
fn packet_faults() -> [Action; 7] {
    [
        Action::Delay(Delay::default()),
        Action::Loss(Loss::default()),
        Action::Duplicate(Duplicate::default()),
        Action::Reorder(Reorder::default()),
        Action::Corrupt(Corrupt::default()),
        Action::RateLimit(RateLimit::default()),
        Action::RefuseConnections(RefuseConnections::default()),
    ]
}

#[test]
fn faults_of_packets_stand_beside_each_other_and_tell_what_they_did() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let faults = packet_faults();
    // To and from the two other nodes, and where it is so by default the clients.
    let links_of = |action: &Action| match action {
        Action::RefuseConnections(_) => 6,
        _ => 4,
    };
    for (id, action) in (1..).zip(&faults) {
        let injected = strike(&mut injector, id, action.clone(), &cluster);
        let links = links_of(action);
        assert_eq!((injected.phase, injected.effective), (Inject, None));
        assert_eq!(injected.evidence.get("links"), Some(&Value::Int(links)));
        let on = injected.parameters.get("on").and_then(Value::as_list);
        assert_eq!(on.map(<[Value]>::len), Some(links as usize), "{injected:?}");
    }
    cluster.traffic();
    for (id, action) in (1..).zip(&faults) {
        let healed = heal(&mut injector, id, &cluster);
        assert_eq!(
            (healed.phase, healed.effective),
            (Heal, Some(true)),
            "{action:?}"
        );
        let evidence = healed.evidence.to_string();
        let links = links_of(action).to_string();
        assert!(evidence.contains(&links), "{action:?}: {evidence}");
    }
    assert!(cluster.is_whole());
    for (id, action) in (11..).zip(&faults) {
        strike(&mut injector, id, action.clone(), &cluster);
        let healed = heal(&mut injector, id, &cluster);
        assert_eq!(healed.effective, Some(false), "nothing came: {action:?}");
    }
}

#[test]
fn a_command_is_the_one_that_is_named_or_the_next_and_an_error_is_told() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let command = |name: &str| {
        Action::Command(crate::Command {
            target: Role::One,
            name: name.to_owned(),
        })
    };
    for (id, name, expected) in [
        (1, "compact", "compact"),
        (2, "", "compact"),
        (3, "", "defrag"),
    ] {
        let fault = strike(&mut injector, id, command(name), &cluster);
        assert_eq!(fault.effective, Some(true), "{fault:?}");
        let node = fault.evidence.get("n1").expect("it was about n1");
        assert_eq!(node.get("command"), Some(&expected.into()), "{fault:?}");
        heal(&mut injector, id, &cluster);
    }
}

#[test]
fn a_reset_is_over_at_once() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let reset = Action::ResetConnections(ResetConnections {
        target: Role::All,
        ..ResetConnections::default()
    });
    let injected = strike(&mut injector, 1, reset, &cluster);
    assert_eq!((injected.phase, injected.effective), (Inject, Some(true)));
    assert_eq!(
        injected.evidence.to_string().matches("\"reset\" 1").count(),
        3
    );
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    assert!(cluster.is_whole());
}

#[test]
fn without_a_network_a_partition_is_an_error_that_says_why() {
    let cluster = Fake::without_network(3);
    assert!(crate::Kind::Partition.available(&cluster).is_err());
    assert!(crate::Kind::Kill.available(&cluster).is_ok());
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    let injected = strike(&mut injector, 1, alone.clone(), &cluster);
    assert_eq!((injected.phase, injected.effective), (Error, Some(false)));
    assert!(
        injected
            .evidence
            .to_string()
            .contains("namespaces (hint: allow them)")
    );
}

#[test]
fn the_leader_is_hit_where_it_is_known_and_recorded_where_not() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let kill = Action::Kill(Kill {
        target: Role::Leader,
    });
    let alone = Action::Partition(Partition {
        shape: Shape::LeaderAlone,
        ..Partition::default()
    });
    let cases = [
        (kill.clone(), Some("n3"), "n3", Value::from("n3")),
        (kill.clone(), None, "n1", Value::Nil),
        (kill, Some("n9"), "n1", Value::Nil),
        (alone.clone(), Some("n2"), "n2", Value::from("n2")),
        (alone.clone(), None, "n1", Value::Nil),
    ];
    for (id, (action, leader, hit, recorded)) in (0..).zip(cases) {
        let begun = injector.begin(&planned(id, action, &cluster), leader);
        assert_eq!(begun.targets, [hit.into()], "{leader:?}");
        assert_eq!(
            begun.parameters.get("leader"),
            Some(&recorded),
            "{leader:?}"
        );
    }
    // A leader that a kill holds down leads no more.
    strike(&mut injector, 8, KILL_ONE, &cluster);
    let begun = injector.begin(&planned(9, alone, &cluster), Some("n1"));
    assert_eq!(begun.parameters.get("leader"), Some(&Value::Nil));
    let one = injector.begin(&planned(10, KILL_ONE, &cluster), Some("n2"));
    assert_eq!(one.parameters.get("leader"), None);
}

#[test]
fn numbers_out_of_turn_do_nothing() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    assert!(injector.inject(1, &cluster).is_none() && injector.heal(1, &cluster).is_none());
    strike(&mut injector, 1, PAUSE_ONE, &cluster);
    assert!(injector.inject(1, &cluster).is_none());
    let again = injector.begin(&planned(1, KILL_ONE, &cluster), None);
    assert_eq!(again.phase, Error);
    assert!(
        again.evidence.to_string().contains("still under way"),
        "{}",
        again.evidence
    );
    heal(&mut injector, 1, &cluster);
    assert!(injector.heal(1, &cluster).is_none());
    assert!(cluster.is_whole());
    // Begun and never injected: healed without harm, and known to have had no effect.
    injector.begin(&planned(2, KILL_ONE, &cluster), None);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));
}

#[test]
fn heal_all_goes_on_after_errors_and_can_be_called_again() {
    let cluster = Fake::new(5);
    let mut injector = injector(&cluster);
    let halves = Action::Partition(Partition {
        shape: Shape::Halves,
        ..Partition::default()
    });
    strike(&mut injector, 1, KILL_ONE, &cluster);
    strike(
        &mut injector,
        2,
        Action::Pause(Pause {
            target: Role::Minority,
        }),
        &cluster,
    );
    strike(&mut injector, 3, halves, &cluster);
    let active: Vec<_> = injector
        .active()
        .map(|(id, kind, _)| (id, kind.name()))
        .collect();
    assert_eq!(active, [(1, "kill"), (2, "pause"), (3, "partition")]);
    cluster.fail_after(Some(1));
    let healed: Vec<_> = injector
        .heal_all(&cluster)
        .iter()
        .map(|fault| (fault.id, fault.phase))
        .collect();
    assert_eq!(healed, [(3, Heal), (2, Error), (1, Error)]);
    cluster.fail_after(None);
    let healed: Vec<_> = injector
        .heal_all(&cluster)
        .iter()
        .map(|fault| (fault.id, fault.phase))
        .collect();
    assert_eq!(healed, [(2, Heal), (1, Heal)]);
    assert!(cluster.is_whole() && injector.heal_all(&cluster).is_empty());
}

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

/// All that are to lose their power are armed before the first is killed, and only the first is
/// waited for.
#[test]
fn power_is_cut_everywhere_at_once() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let action = Action::PowerLoss(PowerLoss {
        target: Role::Majority,
        wait_ms: 40,
    });
    cluster.write();
    let injected = strike(&mut injector, 1, action.clone(), &cluster);
    assert_eq!(injected.effective, Some(true));
    let calls: Vec<String> = cluster.log.lines();
    let calls = calls.iter().filter(|line| !line.starts_with('{'));
    let expected = [
        "arm n1",
        "arm n2",
        "cut the power of n1 within 40 ms",
        "cut the power of n2 within 0 ms",
    ];
    assert_eq!(calls.collect::<Vec<_>>(), expected);
    injector.heal(1, &cluster);
    assert!(cluster.is_whole());
    // With nothing to lose it was a mere kill.
    let injected = strike(&mut injector, 2, action, &cluster);
    assert_eq!(injected.effective, Some(false));
}

/// A rule of a disk that changed nothing was no fault; nodes that ended of it are started.
#[test]
fn a_disk_fault_took_effect_if_it_changed_an_operation() {
    for changes in [false, true] {
        let cluster = Fake::new(3);
        let mut injector = injector(&cluster);
        let action = Action::CrashPoint(CrashPoint::default());
        strike(&mut injector, 1, action, &cluster);
        if changes {
            cluster.write();
        }
        let healed = injector.heal(1, &cluster).expect("it is there");
        assert_eq!(healed.effective, Some(changes));
        assert!(cluster.is_whole());
    }
}

/// Every parameter is in the plan and comes back, and nonsense is refused.
#[test]
fn parameters_of_disk_faults_are_data() {
    let rows = [
        (
            "fault = 'crash-point'\noperation = 'rename'\nmoment = 'before'\ncrash = 'kill'",
            None,
        ),
        (
            "fault = 'torn-write'\nkeep_permille = 1001",
            Some("keep_permille"),
        ),
        ("fault = 'bit-flip'\ncount = 0", Some("count")),
        ("fault = 'io-error'\npath = ''", Some("path")),
        ("fault = 'slow-fsync'\nadded_ms = 0", Some("added_ms")),
        ("fault = 'power-loss'\nwait_ms = 60001", Some("wait_ms")),
        ("fault = 'disk-full'\ntarget = 'all'", None),
        ("fault = 'lying-fsync'", None),
    ];
    for (text, problem) in rows {
        let action: Action = toml::from_str(text).expect(text);
        assert_eq!(
            action.fault().problem().map(|(field, _)| field),
            problem,
            "{text}"
        );
        let again = toml::to_string(&action).expect("plain data");
        assert_eq!(toml::from_str::<Action>(&again).expect(&again), action);
        assert!(action.kind().needs_disk());
    }
}
