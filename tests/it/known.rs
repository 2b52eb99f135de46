//! What is known of real systems is found in short runs of them. The whole table is
//! `whitewater known --all`, which takes minutes.

use crate::support::{
    assert_nothing_left, cluster_lock, has_namespaces, only_run, skip, store, text, whitewater,
};

#[test]
fn what_is_known_is_listed_and_one_unknown_is_refused() {
    let output = whitewater(&["known"]).expect(0);
    let output = output.says(&["etcd-serializable-reads", "apt-get install etcd-server"]);
    assert!(output.stderr.is_empty(), "{output}");
    let listed = whitewater(&["known", "--json"]).expect(0).json();
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().any(|one| one["expect"] == "valid"));
    assert!(listed.iter().any(|one| one["expect"] == "invalid"));
    for one in listed {
        assert!(
            one["install"].as_str().unwrap().contains("install"),
            "{one}"
        );
        assert!(!one["source"].as_str().unwrap().is_empty(), "{one}");
    }
    whitewater(&["known", "etcd-serialisable-reads"])
        .expect(2)
        .says(&["did you mean `etcd-serializable-reads`?"]);
}

/// Runs one behaviour, and requires that it is as known.
fn is_as_known(name: &str) {
    if !has_namespaces() {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let runs = folder.path().join("runs");
    let junit = folder.path().join("junit.xml");
    let output = whitewater(&[
        "known",
        name,
        "--json",
        "--store",
        text(&runs),
        "--junit",
        text(&junit),
    ]);
    let row = output.json()[0].clone();
    if row["status"] == "unavailable" {
        output.expect(3).says(&["apt-get install"]);
        return skip(row["reason"].as_str().unwrap());
    }
    assert_eq!(row["status"], "as-known", "{output}");
    output.expect(0).says(&[": as known after"]);
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains(name) && !xml.contains("<failure"), "{xml}");
    assert_eq!(row["folder"], text(&only_run(&runs)));
    assert_nothing_left(&runs);
}

#[test]
fn serializable_reads_of_etcd_are_old() {
    is_as_known("etcd-serializable-reads");
}

#[test]
fn reads_of_zookeeper_without_sync_are_old() {
    is_as_known("zookeeper-reads-without-sync");
}

#[test]
fn reads_of_a_replica_of_postgresql_are_old() {
    is_as_known("postgresql-reads-on-the-replica");
}
