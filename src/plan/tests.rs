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

/// A file of this text in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.toml");
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

const SCENARIO: &str = "[[schedule]]\nat = \"3s\"\nfault = \"partition\"\n\
     shape = \"leader-alone\"\nfor = \"5s\"\n\n[[schedule]]\nwhen = \"leader elected\"\n\
     fault = \"kill\"\ntarget = \"leader\"\nfor = \"1s\"\n";

#[test]
fn a_schedule_written_by_hand_is_kept_whatever_the_seed() {
    let (_folder, path) = file(SCENARIO);
    let as_schedule = PlanArgs {
        schedule: Some(path.clone()),
        ..PlanArgs::default()
    };
    let as_plan = PlanArgs {
        plan: Some(path),
        ..PlanArgs::default()
    };
    for args in [as_schedule, as_plan] {
        let plan = make(&args, None, 1).expect("a plan");
        let kinds: Vec<&str> = plan.faults.kinds.keys().map(|kind| kind.name()).collect();
        assert_eq!(kinds, ["kill", "partition"]);
        assert!(plan.faults.explicit && plan.faults.required);
        assert_eq!(plan.schedule.faults.len(), 2);
        assert_eq!(Plan::parse(&plan.to_toml()).expect("own output"), plan);
        let other = PlanArgs {
            seed: Some(9),
            ..args.clone()
        };
        let other = make(&other, None, 1).expect("a plan");
        let times = |plan: &Plan| -> Vec<(u64, u64)> {
            let faults = plan.schedule.faults.iter();
            faults.map(|fault| (fault.at_ms, fault.for_ms)).collect()
        };
        assert_eq!(times(&other), times(&plan));
        assert_eq!(reseed(&plan, 9).expect("a plan").schedule, plan.schedule);
        let drawn = PlanArgs {
            faults: Some("kill".to_owned()),
            ..args
        };
        let error = make(&drawn, None, 1).expect_err("contradictory");
        assert!(error.to_string().contains("--faults says how"), "{error}");
    }
}

#[test]
fn a_mistyped_schedule_names_file_line_and_field() {
    for (text, expected) in [
        (
            SCENARIO.replace("shape", "shap"),
            "file.toml:1: unknown field `shap`",
        ),
        (
            SCENARIO.replace("kill", "kil"),
            "file.toml:7: unknown variant `kil`",
        ),
        (format!("{SCENARIO}\nseed = 3"), "file.toml:"),
        (
            SCENARIO.replace("5s", "50s"),
            "schedule[0].for_ms: ends at 53000 ms",
        ),
    ] {
        let (_folder, path) = file(&text);
        let args = PlanArgs {
            schedule: Some(path),
            ..PlanArgs::default()
        };
        let error = make(&args, None, 1).expect_err(&text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn profiles_and_weights_reach_the_plan() {
    let plan = |profile: &str, faults: Option<&str>| {
        let args = PlanArgs {
            profile: Some(profile.to_owned()),
            faults: faults.map(str::to_owned),
            ..PlanArgs::default()
        };
        make(&args, Some(60_000), 1)
    };
    let gentle = plan("gentle", None).expect("a profile");
    assert_eq!(gentle.faults.overlap_max, 1);
    let mut ends_ms = 0;
    for fault in &gentle.schedule.faults {
        assert!(fault.at_ms >= ends_ms, "no overlap: {:?}", gentle.schedule);
        ends_ms = fault.at_ms + fault.for_ms;
    }
    let hostile = plan("hostile", None).expect("a profile");
    assert!(hostile.schedule.faults.len() > 2 * gentle.schedule.faults.len());
    let weighted = plan("gentle", Some("kill:5,pause")).expect("kinds with weights");
    let weights: Vec<u32> = weighted.faults.kinds.values().copied().collect();
    assert_eq!(weights, [5, 1]);
    for (profile, faults, expected) in [
        ("gentel", None, "did you mean gentle?"),
        ("gentle", Some("kill:0"), "expected a weight of 1 to 100"),
        ("gentle", Some("kil"), "did you mean kill?"),
    ] {
        let error = plan(profile, faults).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_lonely_node_is_not_cut_off_unless_somebody_asks_for_it() {
    let plan = |profile: Option<&str>, faults: Option<&str>| {
        let args = PlanArgs {
            nodes: Some(1),
            profile: profile.map(str::to_owned),
            faults: faults.map(str::to_owned),
            ..PlanArgs::default()
        };
        make(&args, Some(60_000), 1)
    };
    let usual = plan(None, None).expect("a plan without partitions");
    let kinds: Vec<String> = usual.faults.kinds.keys().map(Kind::to_string).collect();
    assert_eq!(kinds, ["kill", "pause"]);
    for (profile, faults) in [(Some("gentle"), None), (None, Some("kill,partition"))] {
        let error = plan(profile, faults).expect_err("asked for").to_string();
        assert!(error.contains("so few nodes as 1"), "{error}");
    }
}
