//! Faults of disks.

use super::*;
use crate::{CrashPoint, PowerLoss};

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
