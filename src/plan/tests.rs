//! Plans made, read, refused.

use super::*;
use crate::cli::args::PlanArgs;

#[test]
fn a_plan_written_and_read_is_the_same_and_draws_nothing() {
    let plan = make(&PlanArgs::default(), None, 42).expect("the defaults are a plan");
    assert!(!plan.schedule.faults.is_empty());
    assert_eq!(Plan::parse(&plan.to_toml()).expect("own output"), plan);
}

#[test]
fn the_same_seed_makes_the_same_plan() {
    let args = PlanArgs {
        seed: Some(7),
        ..PlanArgs::default()
    };
    let plan = make(&args, Some(60_000), 1).expect("a plan");
    assert_eq!(plan, make(&args, Some(60_000), 2).expect("a plan"));
    assert_ne!(plan.schedule, reseed(&plan, 8).expect("a plan").schedule);
    assert_eq!(plan, reseed(&plan, 7).expect("a plan"));
}

/// One row: a plan's text, and what the message must name.
#[test]
fn mistakes_in_a_plan_are_named_with_their_line() {
    for (text, line, message, hint) in [
        ("seed = 1\nsede = 2\n", 2, "sede", "did you mean `seed`?"),
        (
            "[workload]\n\nclient = 3\n",
            3,
            "client",
            "did you mean `clients`?",
        ),
        ("seed = \"one\"\n", 1, "expected u64", ""),
        ("seed = 1\nduration_ms = \n", 2, "", ""),
        ("sandbox = \"plane\"\n", 1, "plane", "did you mean `plain`?"),
    ] {
        let error = Plan::parse(text).expect_err(text);
        assert_eq!(error.line, Some(line), "{error}");
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.hint.as_deref().unwrap_or(""), hint, "{error}");
    }
}

#[test]
fn options_that_make_no_run_are_refused_by_name() {
    let default = PlanArgs::default;
    for (args, expected) in [
        (
            PlanArgs {
                nodes: Some(0),
                ..default()
            },
            "system.nodes",
        ),
        (
            PlanArgs {
                nodes: Some(5_000),
                ..default()
            },
            "system.nodes",
        ),
        (
            PlanArgs {
                clients: Some(0),
                ..default()
            },
            "workload.clients",
        ),
        (
            PlanArgs {
                rate: Some(0),
                ..default()
            },
            "--rate is 0",
        ),
        (
            PlanArgs {
                faults: Some("kil".into()),
                ..default()
            },
            "did you mean kill?",
        ),
        (
            PlanArgs {
                bugs: vec!["stale-reed".into()],
                ..default()
            },
            "did you mean `stale-read`?",
        ),
        (
            PlanArgs {
                bugs: vec!["xyzzyplugh".into()],
                ..default()
            },
            "--list-bugs",
        ),
        (
            PlanArgs {
                workload: Some("registre".into()),
                ..default()
            },
            "register",
        ),
        (
            PlanArgs {
                system: Some("etdc".into()),
                ..default()
            },
            "raft-kv",
        ),
        (
            PlanArgs {
                values: Some("some".into()),
                ..default()
            },
            "unique",
        ),
    ] {
        let error = make(&args, None, 1).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn no_faults_is_a_plan_with_an_empty_schedule() {
    let args = PlanArgs {
        faults: Some("none".into()),
        ..PlanArgs::default()
    };
    let plan = make(&args, None, 1).expect("a plan");
    assert_eq!(
        (plan.schedule.faults.len(), plan.faults.kinds.len()),
        (0, 0)
    );
}
