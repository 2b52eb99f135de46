//! Programs that notice nothing but the time, however often their clocks change.

use std::process::ExitCode;

use cluster::Mode;
use faults::{Clock, Distortion};

use super::programs::{compile, compile_clock, plain_command};
use super::{number, processes, set, start, start_one, vdso};
use crate::support::{eventually, succeed};

pub fn clocks_are_read_while_they_change() {
    let text = include_str!("stress.c");
    check_unharmed(("stress", text), &[], Clock::Realtime, 200);
    check_unharmed(("stress", text), &["rest"], Clock::Monotonic, 200);
}

pub fn calls_and_signals_are_not_disturbed() {
    let text = include_str!("calls.c");
    check_unharmed(("calls", text), &[], Clock::Monotonic, 200);
}

/// A program that complains when anything is amiss does not, through so many changes.
fn check_unharmed((name, text): (&str, &str), args: &[&str], clock: Clock, changes: usize) {
    let Some(program) = compile(name, text, &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, args));
    eventually("it runs", || started.output("n1").contains("on "));
    let pid = started.cluster().node_pids("n1").unwrap()[0];
    let was = vdso(pid);
    let mut held_us = Vec::new();
    for change in 0..changes {
        let distortion = match change % 3 {
            0 => Distortion::Freeze,
            1 => Distortion::Drift { ppm: -300_000 },
            _ => Distortion::Drift { ppm: -1_000 },
        };
        for distortions in [&[(change as u64, distortion)][..], &[]] {
            let evidence = set(&started, "n1", clock, distortions);
            held_us.extend(
                processes(&evidence)
                    .iter()
                    .map(|process| number(process, "held_us")),
            );
        }
        let said = started.output("n1");
        let complaint = said.lines().find(|line| !line.starts_with("on "));
        assert_eq!(complaint, None, "after {change} changes");
        assert!(vdso(pid) == was);
    }
    assert_eq!(held_us.len(), 2 * changes, "every change was one");
    let lines = started.output("n1").lines().count();
    eventually("it goes on", || {
        started.output("n1").lines().count() > lines + 3
    });
    let said = started.output("n1");
    let complaint = said.lines().find(|line| !line.starts_with("on "));
    assert_eq!(complaint, None);
    assert!(started.exits.try_recv().is_err());
    held_us.sort_unstable();
    println!(
        "  held for {} us, at most {}",
        held_us[changes],
        held_us[2 * changes - 1]
    );
}

/// A controller that changes clocks without end.
pub fn hold() -> ExitCode {
    succeed(|| {
        let Some(program) = compile_clock() else {
            panic!("no compiler");
        };
        let commands = [plain_command(&program, &[]), plain_command(&program, &[])];
        let (started, nodes) = start(Mode::Sandbox, &commands);
        for round in 0_u64.. {
            if round == 1 {
                println!("ready");
            }
            for node in &nodes {
                set(
                    &started,
                    node,
                    Clock::Monotonic,
                    &[(round, Distortion::Freeze)],
                );
                set(&started, node, Clock::Realtime, &[]);
            }
        }
    })
}
