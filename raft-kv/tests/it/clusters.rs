//! What several real nodes do together.

use serde_json::json;

use crate::support::{Client, Cluster};

#[test]
fn followers_redirect_and_the_data_outlives_kills_and_restarts() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.put("k", "v");
    let leader = cluster.leader();
    let follower = cluster
        .nodes
        .iter()
        .find(|node| **node != leader)
        .unwrap()
        .clone();
    let mut client = Client::connect(cluster.address(&follower)).unwrap();
    let answer = client.send("GET", "/kv/k", None, &[]).unwrap();
    let location = format!("http://{}/kv/k", cluster.address(&leader));
    assert_eq!((answer.status, answer.location), (307, Some(location)));
    assert_eq!(answer.body["leader"], json!(leader));
    assert_eq!(answer.body["definite"], json!(true));

    cluster.kill(&leader);
    assert_ne!(cluster.leader(), leader);
    assert_eq!(cluster.get("k"), json!("v"));
    for node in cluster.nodes.clone() {
        cluster.kill(&node);
    }
    for node in cluster.nodes.clone() {
        cluster.start_node(&node, &[]);
    }
    assert_eq!(cluster.get("k"), json!("v"));
    cluster.eventually("agreement", || {
        let statuses = cluster.nodes.iter().map(|node| cluster.status(node));
        let applied: Vec<_> = statuses
            .map(|status| status.map(|status| status["applied"].clone()))
            .collect();
        applied
            .windows(2)
            .all(|pair| pair[0].is_some() && pair[0] == pair[1])
            .then_some(())
    });
}

#[test]
fn a_request_repeated_under_its_number_is_applied_once_by_whoever_leads() {
    let mut cluster = Cluster::start(3, &["--snapshot-entries", "5"]);
    let session = |number: u64| {
        [
            ("session-id", "7".to_owned()),
            ("request-number", number.to_string()),
        ]
    };
    let append = |cluster: &Cluster, number| {
        let body = Some(json!({ "value": "x" }));
        cluster.request_in_session("POST", "/kv/k/append", body, &session(number))
    };
    append(&cluster, 1);
    append(&cluster, 1);
    // Entries enough for a snapshot that has the session in it.
    (0..12).for_each(|number| cluster.put("other", &number.to_string()));
    for node in cluster.nodes.clone() {
        cluster.kill(&node);
    }
    for node in cluster.nodes.clone() {
        cluster.start_node(&node, &[]);
    }
    append(&cluster, 1);
    assert_eq!(cluster.get("k"), json!("x"));
    append(&cluster, 2);
    assert_eq!(cluster.get("k"), json!("xx"));
    let mut client = Client::connect(cluster.address(&cluster.leader())).unwrap();
    let body = json!({ "value": "x" });
    let late = client
        .send("POST", "/kv/k/append", Some(&body), &session(1))
        .unwrap();
    assert_eq!((late.status, &late.body["definite"]), (409, &json!(false)));
    assert_eq!(cluster.get("k"), json!("xx"));
}

#[test]
fn a_node_whose_disk_was_emptied_is_sent_the_snapshot() {
    let mut cluster = Cluster::start(3, &["--snapshot-entries", "10"]);
    (0..40).for_each(|number| cluster.put(&format!("k{number}"), "v"));
    let leader = cluster.leader();
    let victim = cluster
        .nodes
        .iter()
        .find(|node| **node != leader)
        .unwrap()
        .clone();
    cluster.kill(&victim);
    std::fs::remove_dir_all(cluster.data(&victim)).unwrap();
    cluster.start_node(&victim, &[]);
    cluster.put("last", "v");
    let applied = |cluster: &Cluster, node: &str| {
        cluster
            .status(node)
            .and_then(|status| status["applied"].as_u64())
    };
    cluster.eventually("the victim to catch up", || {
        let (one, other) = (applied(&cluster, &victim), applied(&cluster, &leader));
        (one.is_some() && one == other).then_some(())
    });
    assert!(
        cluster.log(&victim).contains("installs the snapshot"),
        "{}",
        cluster.log(&victim)
    );
}

#[test]
fn members_come_and_go_one_at_a_time_even_the_leader() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.put("k", "v");
    cluster.start_node("n4", &["--join"]);
    let add = json!({ "add": format!("n4={}", cluster.ip("n4")) });
    assert_eq!(
        cluster.request("POST", "/members", Some(add.clone())),
        json!({})
    );
    assert_eq!(cluster.request("POST", "/members", Some(add)), json!({}));
    let members = cluster.request("GET", "/members", None)["members"].clone();
    assert_eq!(members["n4"], json!(cluster.ip("n4").to_string()));
    assert_eq!(members.as_object().unwrap().len(), 4);

    let leader = cluster.leader();
    cluster.request(
        "POST",
        "/members",
        Some(json!({ "remove": leader.clone() })),
    );
    let next = cluster.eventually("another leader", || {
        Some(cluster.leader()).filter(|next| *next != leader)
    });
    cluster.kill(&leader);
    let others = cluster
        .nodes
        .iter()
        .filter(|node| **node != leader && **node != next);
    let third = others.into_iter().next().unwrap().clone();
    // Three members are left, n4 among them: it makes the majority.
    cluster.kill(if third == "n4" { "n3" } else { &third });
    cluster.put("k", "w");
    assert_eq!(cluster.get("k"), json!("w"));
}

#[test]
fn over_udp_and_by_leases_a_cluster_serves_as_well() {
    let options = ["--transport", "udp", "--reads", "lease"];
    let mut cluster = Cluster::start(3, &[&options[..], &["--snapshot-entries", "10"]].concat());
    // Too large for a datagram, and more entries than fit into one.
    let large = "x".repeat(5_000);
    cluster.put("large", &large);
    let victim = cluster.leader();
    cluster.kill(&victim);
    (0..60).for_each(|number| cluster.put("k", &number.to_string()));
    assert_eq!(cluster.get("large"), json!(large));
    std::fs::remove_dir_all(cluster.data(&victim)).unwrap();
    cluster.start_node(&victim, &[]);
    let applied = |cluster: &Cluster, node: &str| {
        cluster
            .status(node)
            .and_then(|status| status["applied"].as_u64())
    };
    let leader = cluster.leader();
    cluster.eventually("the victim to catch up by the snapshot", || {
        let (one, other) = (applied(&cluster, &victim), applied(&cluster, &leader));
        (one.is_some() && one == other).then_some(())
    });
    assert_eq!(cluster.get("k"), json!("59"));
}

#[test]
fn a_learner_is_sent_everything_and_counts_in_no_majority() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.put("k", "v");
    cluster.start_node("n4", &["--join"]);
    let learner = json!({ "learner": format!("n4={}", cluster.ip("n4")) });
    cluster.request("POST", "/members", Some(learner));
    let members = cluster.request("GET", "/members", None);
    assert_eq!(members["learners"], json!(["n4"]));
    cluster.eventually("the learner to catch up", || {
        let applied = |node: &str| cluster.status(node).map(|status| status["applied"].clone());
        let (one, other) = (applied("n4"), applied(&cluster.leader()));
        (one.is_some() && one == other).then_some(())
    });
    // Of three with a vote one is left: the learner makes no majority with it.
    let leader = cluster.leader();
    for node in cluster.nodes.clone() {
        if node != leader {
            cluster.kill(&node);
        }
    }
    cluster.eventually("the leader to give up", || {
        let role = cluster.status(&leader).map(|status| status["role"].clone());
        (role.is_some() && role != Some(json!("leader"))).then_some(())
    });
}
