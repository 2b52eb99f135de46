//! Runs on hosts by ssh, on a lab of network namespaces with an sshd in each.

use std::fs;
use std::path::Path;

use crate::lab::Lab;
use crate::support::{ONE_OF_EACH, cluster_lock, only_run, store, text, whitewater};

#[test]
fn hosts_are_tried_and_healed_and_nothing_is_left() {
    let Some(lab) = Lab::new(2) else {
        return;
    };
    lab.whitewater(&["doctor", "--hosts", "h1,h2"])
        .expect(0)
        .says(&["h1\n", "h2\n", "yes  partitions", "yes  clock faults"]);
    lab.assert_nothing_left();
    for _ in 0..2 {
        let healed = lab.whitewater(&["heal", "--hosts", "h1,h2"]);
        healed
            .expect(0)
            .says(&["h1: nothing was left", "h2: nothing was left"]);
    }
    lab.assert_nothing_left();
}

#[test]
fn a_host_that_cannot_be_used_says_why() {
    let Some(lab) = Lab::new(1) else {
        return;
    };
    let rows: [(&str, &[&str]); 3] = [
        (
            "nobody",
            &[
                "failed to connect to host nobody by ssh",
                "Connection refused",
                "hint",
            ],
        ),
        (
            "no-such.invalid",
            &["failed to find the address of host no-such.invalid"],
        ),
        ("h1,nobody", &["failed to connect to host nobody"]),
    ];
    for (hosts, says) in rows {
        lab.whitewater(&["doctor", "--hosts", hosts])
            .expect(4)
            .says(says);
        lab.whitewater(&["heal", "--hosts", hosts])
            .expect(4)
            .says(says);
    }
    lab.assert_nothing_left();
    whitewater(&["heal", "--hosts", "-oProxyCommand=x"]).expect(2);
}

/// `run` on the lab's three hosts, with a store, and whatever else.
fn run_on_three(store: &Path, args: &[&str]) -> Vec<String> {
    let common = ["run", "--hosts", "h1,h2,h3", "--store", text(store)];
    [&common, args]
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_run_on_hosts_is_valid_with_a_kill_a_pause_and_a_partition_in_force() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let args = run_on_three(store.path(), &ONE_OF_EACH[2..]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = lab.whitewater(&args).expect(0);
    let says = [
        "3 hosts by ssh",
        "heal kill",
        "heal pause",
        "heal partition",
        "VALID",
    ];
    let output = output.says(&says);
    assert!(!output.stderr.contains("had no effect"), "{output}");
    lab.assert_nothing_left();
    let run = only_run(store.path());
    let log = fs::metadata(run.join("n1/stderr.log")).unwrap();
    assert!(log.len() > 0, "the node's log was fetched");
    whitewater(&["check", text(&run)]).expect(0);
}
