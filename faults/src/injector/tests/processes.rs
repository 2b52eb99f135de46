//! Faults of processes and of what they may use.

use proptest::prelude::*;

use super::*;
use crate::{
    CpuQuota, CrashLoop, FdLimit, KillAtStart, MemoryLimit, Reboot, Resource, Restart, SlowStart,
};

const N1: Role = Role::One;
const RESTART: Action = Action::Restart(Restart {
    target: N1,
    grace_ms: 700,
});
const CRASH_LOOP: Action = Action::CrashLoop(CrashLoop {
    target: N1,
    up_ms: 20,
    down_ms: 10,
});
const KILL_AT_START: Action = Action::KillAtStart(KillAtStart {
    target: N1,
    after_ms: 5,
});
const SLOW_START: Action = Action::SlowStart(SlowStart {
    target: N1,
    percent: 3,
});
const MEMORY_LIMIT: Action = Action::MemoryLimit(MemoryLimit {
    target: N1,
    headroom_kib: 64,
});

const fn quota(percent: u64) -> Action {
    Action::CpuQuota(CpuQuota {
        target: N1,
        percent,
    })
}

const fn fd_limit(spare: u64) -> Action {
    Action::FdLimit(FdLimit { target: N1, spare })
}

/// One of each, on nodes of this role.
pub(super) fn any_action(target: Role) -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Restart(Restart {
            target,
            ..Restart::default()
        })),
        Just(Action::CrashLoop(CrashLoop {
            target,
            ..CrashLoop::default()
        })),
        Just(Action::KillAtStart(KillAtStart {
            target,
            ..KillAtStart::default()
        })),
        (1..5_u64).prop_map(move |uptime_ms| Action::Reboot(Reboot { target, uptime_ms })),
        (1..5_u64).prop_map(move |percent| Action::CpuQuota(CpuQuota { target, percent })),
        (1..5_u64).prop_map(move |percent| Action::SlowStart(SlowStart { target, percent })),
        (0..3_u64).prop_map(move |headroom_kib| Action::MemoryLimit(MemoryLimit {
            target,
            headroom_kib
        })),
        (0..3_u64).prop_map(move |spare| Action::FdLimit(FdLimit { target, spare })),
    ]
}

fn beat(injector: &mut Injector, id: u64, cluster: &Fake) {
    let failed = injector.beat(id, cluster);
    assert_eq!(failed, None, "nothing fails here");
}

#[test]
fn a_restart_asks_first_and_shows_what_ended_the_node() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let ended = strike(&mut injector, 1, RESTART, &cluster);
    assert_eq!((ended.phase, ended.effective), (Inject, Some(true)));
    assert_eq!(
        ended.evidence.to_string(),
        r#"{"n1" {"gone" [0], "by" "SIGTERM"}}"#
    );
    assert!(
        cluster
            .log
            .lines()
            .contains(&"terminate n1 within 700".to_owned())
    );
    assert_eq!(cluster.state_of("n1"), NodeState::Dead);
    heal(&mut injector, 1, &cluster);
    assert!(cluster.is_whole());

    // A node that a pause holds cannot answer, so it is not waited for.
    strike(&mut injector, 2, PAUSE_ONE, &cluster);
    let ended = strike(&mut injector, 3, RESTART, &cluster);
    assert!(
        ended.evidence.to_string().contains("SIGKILL"),
        "{}",
        ended.evidence
    );
    assert!(
        cluster
            .log
            .lines()
            .contains(&"terminate n1 within 0".to_owned())
    );
    heal(&mut injector, 3, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Running);
    heal(&mut injector, 2, &cluster);
    assert!(cluster.is_whole());
}

#[test]
fn a_reboot_shows_in_the_uptime_of_the_node_that_starts_again() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let reboot = |uptime_ms| {
        Action::Reboot(Reboot {
            target: N1,
            uptime_ms,
        })
    };
    let ended = strike(&mut injector, 1, reboot(7), &cluster);
    assert_eq!((ended.phase, ended.effective), (Inject, None));
    let back = heal(&mut injector, 1, &cluster);
    assert_eq!(back.effective, Some(true));
    let shown = r#"{"n1" {"init" 2, "uptime_ms" 8, "passed_ms" 2}}"#;
    assert_eq!(back.evidence.to_string(), shown);
    assert!(cluster.is_whole());

    // A node that another fault holds down does not start, so nothing is seen of its reboot.
    strike(&mut injector, 2, reboot(7), &cluster);
    strike(&mut injector, 3, KILL_ONE, &cluster);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));
    heal(&mut injector, 3, &cluster);
    assert!(cluster.is_whole());
}

#[test]
fn a_crash_loop_counts_its_crashes_and_one_is_no_loop() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let first = strike(&mut injector, 1, CRASH_LOOP, &cluster);
    assert_eq!(first.effective, None);
    for (beats, state) in [
        (1, NodeState::Running),
        (2, NodeState::Dead),
        (3, NodeState::Running),
        (4, NodeState::Dead),
    ] {
        beat(&mut injector, 1, &cluster);
        assert_eq!(cluster.state_of("n1"), state, "after {beats} beats");
    }
    let healed = heal(&mut injector, 1, &cluster);
    assert_eq!(healed.effective, Some(true));
    let crashes = healed
        .evidence
        .get("n1")
        .and_then(|node| node.get("crashes"));
    assert_eq!(crashes, Some(&Value::Int(3)), "{}", healed.evidence);
    assert!(cluster.is_whole());

    strike(&mut injector, 2, CRASH_LOOP, &cluster);
    beat(&mut injector, 2, &cluster);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));

    // While a kill holds the node down the loop cannot start it.
    strike(&mut injector, 3, KILL_ONE, &cluster);
    strike(&mut injector, 4, CRASH_LOOP, &cluster);
    beat(&mut injector, 4, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Dead);
    heal(&mut injector, 4, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Dead);
    heal(&mut injector, 3, &cluster);
    assert!(cluster.is_whole());
}

#[test]
fn a_kill_at_start_is_one_only_with_the_second_kill() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    strike(&mut injector, 1, KILL_AT_START, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Running);
    beat(&mut injector, 1, &cluster);
    assert_eq!(cluster.state_of("n1"), NodeState::Dead);
    let healed = heal(&mut injector, 1, &cluster);
    assert_eq!(healed.effective, Some(true));
    assert_eq!(healed.evidence.to_string(), r#"{"n1" {"gone" [2]}}"#);
    assert!(cluster.is_whole());

    // A beat more changes nothing: it was killed at the start already.
    strike(&mut injector, 5, KILL_AT_START, &cluster);
    beat(&mut injector, 5, &cluster);
    let calls = cluster.log.lines().len();
    beat(&mut injector, 5, &cluster);
    assert_eq!(cluster.log.lines().len(), calls);
    heal(&mut injector, 5, &cluster);

    strike(&mut injector, 2, KILL_AT_START, &cluster);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));
    // There is nothing to kill at the start while somebody else holds it down, however often tried.
    strike(&mut injector, 3, KILL_AT_START, &cluster);
    strike(&mut injector, 4, KILL_ONE, &cluster);
    for _ in 0..4 {
        beat(&mut injector, 3, &cluster);
        assert_eq!(cluster.state_of("n1"), NodeState::Dead);
    }
    assert_eq!(heal(&mut injector, 3, &cluster).effective, Some(false));
    heal(&mut injector, 4, &cluster);
    assert!(cluster.is_whole());
}

#[test]
fn the_least_of_several_quotas_stands_and_each_knows_whether_it_was_reached() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let stands = || cluster.limit_of("n1", Resource::CpuPercent);
    assert_eq!(
        strike(&mut injector, 1, quota(20), &cluster).effective,
        None
    );
    strike(&mut injector, 2, quota(5), &cluster);
    assert_eq!(stands(), Some(5));
    cluster.use_up("n1", Resource::CpuPercent);
    strike(&mut injector, 3, quota(50), &cluster);
    assert_eq!(stands(), Some(5));
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(true));
    assert_eq!(stands(), Some(20));
    // It was asked for while five percent were used up, which were less than its own.
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    assert_eq!(stands(), Some(50));
    assert_eq!(heal(&mut injector, 3, &cluster).effective, Some(false));
    assert!(cluster.is_whole());
}

#[test]
fn a_slow_start_kills_limits_and_starts() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let started = strike(&mut injector, 1, SLOW_START, &cluster);
    assert_eq!(started.effective, None);
    let calls = cluster.log.lines();
    let calls: Vec<&str> = calls[1..].iter().map(String::as_str).collect();
    assert_eq!(
        calls,
        ["kill n1", "limit n1 CpuPercent Some(3)", "start n1"],
        "limited before it starts"
    );
    cluster.use_up("n1", Resource::CpuPercent);
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    assert!(cluster.is_whole());
}

#[test]
fn a_node_that_ends_under_a_limit_is_started_again() {
    for (action, resource) in [
        (MEMORY_LIMIT, Resource::SpareMemoryKib),
        (fd_limit(2), Resource::SpareFiles),
    ] {
        let cluster = Fake::new(1);
        let mut injector = injector(&cluster);
        let limited = strike(&mut injector, 1, action.clone(), &cluster);
        assert!(action.kind().may_end_nodes());
        assert_eq!(limited.effective, None);
        cluster.use_up("n1", resource);
        assert_eq!(cluster.state_of("n1"), NodeState::Dead);
        let healed = heal(&mut injector, 1, &cluster);
        assert_eq!((healed.phase, healed.effective), (Heal, Some(true)));
        assert!(cluster.is_whole());

        // Not while a kill holds it down.
        strike(&mut injector, 2, action.clone(), &cluster);
        cluster.use_up("n1", resource);
        strike(&mut injector, 3, KILL_ONE, &cluster);
        heal(&mut injector, 2, &cluster);
        assert_eq!(cluster.state_of("n1"), NodeState::Dead);
        heal(&mut injector, 3, &cluster);
        assert!(cluster.is_whole());

        // A node that is down has nothing to limit.
        strike(&mut injector, 4, KILL_ONE, &cluster);
        assert_eq!(
            strike(&mut injector, 5, action, &cluster).effective,
            Some(false)
        );
        injector.heal_all(&cluster);
        assert!(cluster.is_whole());
    }
}

#[test]
fn descriptors_that_are_used_up_at_once_show_at_once() {
    let cluster = Fake::new(1);
    let mut injector = injector(&cluster);
    let limited = strike(&mut injector, 1, fd_limit(0), &cluster);
    assert_eq!(limited.effective, Some(true));
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    strike(&mut injector, 2, fd_limit(4), &cluster);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(false));
    assert!(cluster.is_whole());
}
