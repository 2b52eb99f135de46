//! Lives of faults against a cluster in memory: rows for the overlaps that matter.

use histories::FaultPhase::{Begin, Error, Heal, Inject};

use super::*;
use crate::fake::{Fake, NodeState};
use crate::{Kill, Partition, Pause, Resource, Role, Shape};

mod disks;
mod network;
mod processes;
mod walks;

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
