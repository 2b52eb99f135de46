//! Exit codes, help and listings: what needs no cluster.

use crate::support::{store, text, whitewater};

#[test]
fn help_and_version_are_no_mistakes() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["check", "--help"],
        &["replay", "--help"],
        &["runs", "--help"],
        &["campaign", "--help"],
        &["doctor", "--help"],
        &["raft-kv", "--help"],
        &["raft-kv", "--list-bugs"],
    ] {
        let output = whitewater(args).expect(0);
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{output}"
        );
    }
    whitewater(&["--version"]).says(&[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn a_store_without_runs_is_no_mistake() {
    let store = store();
    let nowhere = store.path().join("nowhere");
    for folder in [store.path(), &nowhere] {
        whitewater(&["runs", "--store", text(folder)])
            .expect(0)
            .says(&["no runs in", text(folder)]);
    }
}
