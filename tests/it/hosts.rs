//! Runs on hosts by ssh, on a lab of network namespaces with an sshd in each.

use crate::lab::Lab;
use crate::support::whitewater;

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
