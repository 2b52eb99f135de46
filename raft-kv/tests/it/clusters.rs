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
