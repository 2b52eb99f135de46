//! The bug zoo: `whitewater zoo` finds the bugs, and the correct server is never blamed.
//!
//! Every test run looks for some of each sort ([`ALWAYS`]); all are looked for with `ZOO=all` in the
//! environment, which takes some minutes. That each bug breaks what it says is shown for all of
//! them, every time, by the simulator (`raft-kv/tests/sim`).
//!
//! What a run meets depends on how processes interleave, so a bug is found with a probability, not
//! for certain. The recipes bring about what their bugs need by what they see of the run, not by
//! the clock: those of [`ALWAYS`] find theirs in nearly every run, so that [`RUNS_MAX`] runs without
//! it mean that something is wrong.

use std::fs;
use std::io::Write;
use std::time::Instant;

use raft_kv::Bug;
use serde_json::Value;

use crate::support::{cluster_lock, has_namespaces, only_run, run_in, store, text, whitewater};

/// How often a bug is looked for.
const RUNS_MAX: &str = "10";

/// The bugs that every test run looks for: of each sort, those that show soon and surely.
const ALWAYS: [Bug; 29] = [
    Bug::ForgetVote,
    Bug::VoteWithoutLogCheck,
    Bug::QuorumMinusOne,
    Bug::CountVoteTwice,
    Bug::AckBeforeCommit,
    Bug::ApplyBeforeCommit,
    Bug::CommitPastMatch,
    Bug::DuplicateAppend,
    Bug::MatchFromReplyOrder,
    Bug::SkipFsync,
    Bug::FsyncAfterReply,
    Bug::IgnoreFsyncError,
    Bug::RenameWithoutDirSync,
    Bug::TruncateOnBadCrc,
    Bug::SnapshotWithoutTerm,
    Bug::InstallRollsBack,
    Bug::SkipAfterSnapshot,
    Bug::StaleRead,
    Bug::FollowerRead,
    Bug::ReadBeforeApply,
    Bug::LeaseTooLong,
    Bug::LeaseByWallClock,
    Bug::LeaseSurvivesPause,
    Bug::SessionExpiryByLocalClock,
    Bug::CasAtPropose,
    Bug::LastWriteWinsClock,
    Bug::NonVoterCounted,
    Bug::OverlappingChanges,
    Bug::RemovedLeaderCountsItself,
];

/// Options and seed of runs in which nothing is wrong.
const CORRECT: [(&str, u64); 6] = [
    ("--workload register", 1),
    ("--workload kv", 2),
    ("--workload register --system-option reads=lease", 3),
    ("--workload kv --system-option transport=udp", 4),
    (
        "--workload register --system-option snapshot-entries=20 --faults kill",
        5,
    ),
    (
        "--workload register --faults member-change,partition --fault-interval 1s",
        6,
    ),
];
const CORRECT_TIME: &str = "5s";

/// Exit codes.
const VALID: i32 = 0;
const MISSED: i32 = 1;
const UNDECIDED: i32 = 3;

#[test]
fn bugs_are_found_and_the_correct_server_is_never_blamed() {
    if !has_namespaces() {
        return;
    }
    let _one_at_a_time = cluster_lock();
    for (options, seed) in CORRECT {
        let (store, seed) = (store(), seed.to_string());
        let mut args = vec!["--json", "--time", CORRECT_TIME, "--seed", &seed];
        args.extend(options.split(' '));
        let start = Instant::now();
        let output = run_in(store.path(), &args);
        // A member that cannot be readmitted at once leaves a verdict open.
        let code = output.status.code();
        assert!(matches!(code, Some(VALID | UNDECIDED)), "{output}");
        say(&format!(
            "no bug: {options}, seed {seed}: {}, {} operations, {:.1} s",
            output.json()["verdict"],
            output.json()["operations"],
            start.elapsed().as_secs_f64()
        ));
    }
    let all = std::env::var("ZOO").is_ok_and(|which| which == "all");
    let missed: Vec<Bug> = Bug::ALL
        .into_iter()
        .filter(|bug| all || ALWAYS.contains(bug))
        .filter(|bug| !is_found_or_unavailable(*bug))
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// Whether the bug is found, or cannot be looked for; says which, and how long it took.
fn is_found_or_unavailable(bug: Bug) -> bool {
    let store = store();
    let output = whitewater(&[
        "zoo",
        "--json",
        "--store",
        text(store.path()),
        "--runs",
        RUNS_MAX,
        "--time",
        "150s",
        "--seed",
        "1",
        bug.name(),
    ]);
    let code = output.status.code();
    assert!(matches!(code, Some(VALID | MISSED | UNDECIDED)), "{output}");
    let row: Value = output.json()[0].clone();
    say(&format!(
        "{bug}: {}, seed {}, {} runs, {} ms, {}",
        row["status"], row["seed"], row["runs"], row["elapsed_ms"], row["reason"]
    ));
    code != Some(MISSED)
}

#[test]
fn a_bug_that_is_found_is_kept_with_its_run_and_one_unknown_is_refused() {
    if !has_namespaces() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let junit = store.path().join("junit.xml");
    let output = whitewater(&[
        "zoo",
        "--json",
        "--store",
        text(store.path()),
        "--junit",
        text(&junit),
        "follower-read",
    ])
    .expect(VALID)
    .says(&["follower-read: found after"]);
    let row = output.json()[0].clone();
    assert_eq!(
        (&row["bug"], &row["status"]),
        (&"follower-read".into(), &"found".into())
    );
    assert!(row["counterexample_operations"].as_u64().unwrap() > 0);
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("name=\"follower-read\""), "{xml}");
    fs::remove_file(junit).unwrap();
    assert_eq!(row["folder"], text(&only_run(store.path())));
    whitewater(&["zoo", "follower-reed"])
        .expect(2)
        .says(&["did you mean `follower-read`?"]);
}

#[test]
fn members_come_and_go_as_the_leader_reports_it() {
    let (_lock, store) = (cluster_lock(), store());
    let schedule = store.path().join("schedule.toml");
    let faults = r#"
        [[schedule]]
        at = "500ms"
        fault = "member-change"
        target = "leader"
        for = "1s"

        [[schedule]]
        after = "fault 1 healed"
        fault = "member-change"
        learner = true
        for = "1s"
    "#;
    fs::write(&schedule, faults).unwrap();
    let args = [
        "--nodes",
        "3",
        "--time",
        "5s",
        "--schedule",
        text(&schedule),
    ];
    run_in(store.path(), &args).expect(VALID);
    fs::remove_file(schedule).unwrap();
    let history = fs::read_to_string(only_run(store.path()).join("history.jsonl")).unwrap();
    let events = history
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let of_phase = |phase: &str| {
        let found: Vec<Value> = events
            .clone()
            .filter(|event: &Value| {
                event["f"] == "member-change" && event["value"]["phase"] == phase
            })
            .map(|event| event["value"].clone())
            .collect();
        found
    };
    let (injected, healed) = (of_phase("inject"), of_phase("heal"));
    assert_eq!((injected.len(), healed.len()), (2, 2), "{history}");
    let report = |fault: &Value| {
        let node = fault["targets"][0].as_str().unwrap().to_owned();
        let evidence = fault["evidence"][&node].clone();
        let has = |list: &str| {
            let list = evidence[list].as_array().unwrap();
            list.iter().any(|name| name == node.as_str())
        };
        assert_eq!(evidence["agreed"], true, "{fault}");
        (has("members"), has("learners"))
    };
    assert_eq!(report(&injected[0]), (false, false));
    assert_eq!(report(&injected[1]), (true, true));
    for fault in &healed {
        assert_eq!(report(fault), (true, false));
    }
    assert!(injected.iter().all(|fault| fault["effective"] == true));
}

/// Says it whether or not the test harness keeps what tests print: it is wanted in any case.
fn say(line: &str) {
    // Where there is nobody to tell, the test goes on.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
