//! Faults of the network.

use super::*;
use crate::{
    Corrupt, Delay, Duplicate, Loss, RateLimit, RefuseConnections, Reorder, ResetConnections,
};

#[test]
fn partitions_add_up_and_healing_one_leaves_the_other() {
    let cluster = Fake::new(5);
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    let halves = Action::Partition(Partition {
        shape: Shape::Halves,
        ..Partition::default()
    });
    let injected = strike(&mut injector, 1, alone.clone(), &cluster);
    assert_eq!((injected.phase, injected.effective), (Inject, None));
    assert_eq!(injected.parameters.get("shape"), Some(&"one".into()));
    let cut = injected
        .parameters
        .get("cut")
        .and_then(Value::as_list)
        .map(<[Value]>::len);
    assert_eq!(cut, Some(8));
    strike(&mut injector, 2, halves, &cluster);
    // n1 to and from all others, n2 to and from n3, n4, n5.
    assert_eq!(cluster.cuts().len(), 8 + 6);
    cluster.traffic();
    let healed = heal(&mut injector, 1, &cluster);
    assert_eq!(healed.effective, Some(true));
    assert_eq!(healed.evidence.get("dropped_packets"), Some(&Value::Int(8)));
    let mut left = Shape::Halves.cuts(crate::Direction::Both, &cluster.nodes(), None);
    left.sort();
    assert_eq!(cluster.cuts(), left);
    assert_eq!(heal(&mut injector, 2, &cluster).effective, Some(true));
    assert!(cluster.is_whole());
}

#[test]
fn a_cut_that_dropped_nothing_had_no_effect() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    strike(&mut injector, 1, alone.clone(), &cluster);
    cluster.traffic();
    heal(&mut injector, 1, &cluster);
    // What an earlier partition dropped on the same links is not this one's.
    strike(&mut injector, 2, alone, &cluster);
    let healed = heal(&mut injector, 2, &cluster);
    assert_eq!(healed.effective, Some(false));
    assert_eq!(healed.evidence.get("dropped_packets"), Some(&Value::Int(0)));
}

/// One of each kind that is a rule of the network.
pub(super) fn packet_faults() -> [Action; 7] {
    [
        Action::Delay(Delay::default()),
        Action::Loss(Loss::default()),
        Action::Duplicate(Duplicate::default()),
        Action::Reorder(Reorder::default()),
        Action::Corrupt(Corrupt::default()),
        Action::RateLimit(RateLimit::default()),
        Action::RefuseConnections(RefuseConnections::default()),
    ]
}

#[test]
fn faults_of_packets_stand_beside_each_other_and_tell_what_they_did() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let faults = packet_faults();
    // To and from the two other nodes, and where it is so by default the clients.
    let links_of = |action: &Action| match action {
        Action::RefuseConnections(_) => 6,
        _ => 4,
    };
    for (id, action) in (1..).zip(&faults) {
        let injected = strike(&mut injector, id, action.clone(), &cluster);
        let links = links_of(action);
        assert_eq!((injected.phase, injected.effective), (Inject, None));
        assert_eq!(injected.evidence.get("links"), Some(&Value::Int(links)));
        let on = injected.parameters.get("on").and_then(Value::as_list);
        assert_eq!(on.map(<[Value]>::len), Some(links as usize), "{injected:?}");
    }
    cluster.traffic();
    for (id, action) in (1..).zip(&faults) {
        let healed = heal(&mut injector, id, &cluster);
        assert_eq!(
            (healed.phase, healed.effective),
            (Heal, Some(true)),
            "{action:?}"
        );
        let evidence = healed.evidence.to_string();
        let links = links_of(action).to_string();
        assert!(evidence.contains(&links), "{action:?}: {evidence}");
    }
    assert!(cluster.is_whole());
    for (id, action) in (11..).zip(&faults) {
        strike(&mut injector, id, action.clone(), &cluster);
        let healed = heal(&mut injector, id, &cluster);
        assert_eq!(healed.effective, Some(false), "nothing came: {action:?}");
    }
}

#[test]
fn a_reset_is_over_at_once() {
    let cluster = Fake::new(3);
    let mut injector = injector(&cluster);
    let reset = Action::ResetConnections(ResetConnections {
        target: Role::All,
        ..ResetConnections::default()
    });
    let injected = strike(&mut injector, 1, reset, &cluster);
    assert_eq!((injected.phase, injected.effective), (Inject, Some(true)));
    assert_eq!(
        injected.evidence.to_string().matches("\"reset\" 1").count(),
        3
    );
    assert_eq!(heal(&mut injector, 1, &cluster).effective, Some(true));
    assert!(cluster.is_whole());
}

#[test]
fn without_a_network_a_partition_is_an_error_that_says_why() {
    let cluster = Fake::without_network(3);
    assert!(crate::Kind::Partition.available(&cluster).is_err());
    assert!(crate::Kind::Kill.available(&cluster).is_ok());
    let mut injector = injector(&cluster);
    let alone = Action::Partition(Partition {
        shape: Shape::One,
        ..Partition::default()
    });
    let injected = strike(&mut injector, 1, alone.clone(), &cluster);
    assert_eq!((injected.phase, injected.effective), (Error, Some(false)));
    assert!(
        injected
            .evidence
            .to_string()
            .contains("namespaces (hint: allow them)")
    );
}
