//! Campaigns: what a nightly job gets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Output, cluster_lock, read_json, runs, store, text, whitewater};

/// A campaign of 3 nodes with seed 5 in a store. Kills only: the first always has an effect.
#[track_caller]
fn campaign(store: &Path, args: &[&str]) -> Output {
    let all = [
        "campaign",
        "--store",
        text(store),
        "--seed",
        "5",
        "--nodes",
        "3",
        "--faults",
        "kill",
    ];
    whitewater(&[&all, args].concat())
}

fn folder(store: &Path) -> PathBuf {
    store.join("campaign-5")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn valid_runs_leave_summary_and_junit_alone() {
    let (_lock, store) = (cluster_lock(), store());
    let args = ["--runs", "2", "--time", "60s", "--run-time", "3s", "--json"];
    let output = campaign(store.path(), &args).expect(0);
    let summary = output.json();
    let folder = folder(store.path());
    assert_eq!(
        names(&folder),
        ["campaign.json", "junit.xml", "summary.txt"]
    );
    assert_eq!(read_json(&folder.join("campaign.json")), summary);
    assert_eq!(summary["verdict"], "valid");
    assert_eq!(
        (&summary["exit"], &summary["runs_asked"]),
        (&"valid".into(), &2.into())
    );
    assert!(summary["reason"].is_null() && summary["elapsed_ms"].is_u64());
    let made = summary["runs"].as_array().unwrap();
    assert_eq!(made.len(), 2);
    assert_ne!(made[0]["seed"], made[1]["seed"]);
    let operations = made.iter().map(|run| run["operations"].as_u64().unwrap());
    assert_eq!(summary["operations"], operations.sum::<u64>());
    for run in made {
        assert_eq!(
            (&run["verdict"], &run["workload"]),
            (&"valid".into(), &"register".into())
        );
        assert!(run["folder"].is_null() && run["reason"].is_null() && run["failure"].is_null());
    }
    let junit = fs::read_to_string(folder.join("junit.xml")).unwrap();
    for text in ["tests=\"2\"", "failures=\"0\"", "errors=\"0\""] {
        assert!(junit.contains(text), "{junit}");
    }
}

#[test]
fn the_evidence_of_a_violation_is_kept() {
    let (_lock, store) = (cluster_lock(), store());
    let junit = store.path().join("elsewhere.xml");
    let args = [
        "--runs",
        "2",
        "--time",
        "120s",
        "--run-time",
        "4s",
        "--bug",
        "ack-before-commit",
        "--bug",
        "follower-read",
        "--junit",
        text(&junit),
    ];
    let output = campaign(store.path(), &args)
        .expect(1)
        .says(&["invalid", "again: "]);
    let summary = read_json(&folder(store.path()).join("campaign.json"));
    assert_eq!(
        (&summary["verdict"], &summary["exit"]),
        (&"invalid".into(), &"violation".into())
    );
    let kept = runs(&folder(store.path()));
    let made = summary["runs"].as_array().unwrap();
    let invalid: Vec<_> = made
        .iter()
        .filter(|run| run["verdict"] == "invalid")
        .collect();
    assert!(!invalid.is_empty());
    for run in &invalid {
        let folder = PathBuf::from(run["folder"].as_str().unwrap());
        assert!(kept.contains(&folder), "{folder:?} in {kept:?}");
        whitewater(&["check", text(&folder)]).expect(1);
        assert!(
            output
                .stdout
                .contains(&format!("whitewater replay {}", text(&folder)))
        );
    }
    let xml = fs::read_to_string(&junit).unwrap();
    assert_eq!(xml.matches("<failure").count(), invalid.len(), "{xml}");
    assert!(!folder(store.path()).join("junit.xml").exists());
}

#[test]
fn too_little_time_is_no_campaign() {
    let (_lock, store) = (cluster_lock(), store());
    campaign(store.path(), &["--time", "3s", "--run-time", "3s"])
        .expect(4)
        .says(&[
            "no run was made",
            "--run-time",
            "--time",
            "0 of 20 runs made",
        ]);
    let summary = read_json(&folder(store.path()).join("campaign.json"));
    assert_eq!(
        (&summary["verdict"], &summary["exit"]),
        (&"unknown".into(), &"not-run".into())
    );
}

#[test]
fn no_run_begins_that_does_not_fit_into_the_time() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--runs",
        "9",
        "--time",
        "15s",
        "--run-time",
        "3s",
        "--keep-all",
        "--json",
    ];
    let summary = campaign(store.path(), &args).expect(0).json();
    let made = summary["runs"].as_array().unwrap().len();
    assert!((1..9).contains(&made), "{summary}");
    assert_eq!(runs(&folder(store.path())).len(), made, "all are kept");
}

#[test]
fn runs_that_cannot_be_made_are_errors_and_no_success() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--runs",
        "2",
        "--time",
        "120s",
        "--run-time",
        "3s",
        "--binary",
        "/nonexistent/node",
    ];
    campaign(store.path(), &args)
        .expect(4)
        .says(&["/nonexistent/node", "unknown"]);
    let junit = fs::read_to_string(folder(store.path()).join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"0\" errors=\"2\""), "{junit}");
}
