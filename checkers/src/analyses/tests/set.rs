use super::*;

#[test]
fn sets() {
    rows(
        Analysis::Set,
        &[
            ("", Unknown, &[("acknowledged", 0)]),
            ("add 1 -> nil", Unknown, &[("never read", 1)]),
            (
                "add 1 -> ?; read nil -> []",
                Unknown,
                &[("attempts", 1), ("acknowledged", 0)],
            ),
            (
                "add 1 -> nil; read nil -> [1]",
                Valid,
                &[("acknowledged", 1), ("read", 1), ("lost", 0)],
            ),
            ("add 1 -> nil; read nil -> nil", Invalid, &[("lost", 1)]),
            // Under way together: it need not be there yet.
            (
                "add 1 -> nil @0 5; 1 read nil -> [] @4 6",
                Unknown,
                &[("lost", 0), ("never read", 1)],
            ),
            (
                "add 1 -> nil @0 5; 1 read nil -> [1] @1 2",
                Valid,
                &[("read", 1)],
            ),
            // Found once, it is known, whatever became of the add.
            (
                "add 1 -> ?; read nil -> [1]; read nil -> []; add 2 -> nil; read nil -> [2]",
                Invalid,
                &[("recovered", 1), ("lost", 0), ("vanished", 1)],
            ),
            // Acknowledged only when it was gone, and looked for by nobody since; and looked for.
            (
                "add 1 -> nil @0 9; 1 read nil -> [1] @1 2; 2 read nil -> [] @3 4",
                Invalid,
                &[("lost", 0), ("vanished", 1)],
            ),
            (
                "add 1 -> nil @0 5; 1 read nil -> [1] @1 2; 2 read nil -> [] @6 7",
                Invalid,
                &[("lost", 1), ("vanished", 0)],
            ),
            (
                "add 1 -> nil; read nil -> []; read nil -> [1]",
                Valid,
                &[("stale", 1), ("lost", 0)],
            ),
            // A read that was under way with the one that missed it may be older.
            (
                "add 1 -> nil @0 1; 1 read nil -> [1] @2 9; 2 read nil -> [] @3 4",
                Valid,
                &[("stale", 1)],
            ),
            (
                "add 1 -> nil; read nil -> [1 1]",
                Invalid,
                &[("duplicated", 1)],
            ),
            (
                "add 1 -> nil; read nil -> [1 2]",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "add 1 -> x; add 2 -> nil; read nil -> [1 2]",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "read nil -> [1] @0 1; add 1 -> nil @2 3; read nil -> [1] @4 5",
                Invalid,
                &[("unexpected", 1)],
            ),
            (
                "add 1 -> nil; remove 1 -> nil; read nil -> []",
                Valid,
                &[("lost", 0)],
            ),
            (
                "add 1 -> nil; pop 1 -> nil; read nil -> [1]",
                Unknown,
                &[("strange", 1)],
            ),
            ("broadcast 1 -> nil; read nil -> [1]", Valid, &[]),
            (
                "add@a 1 -> nil; read@a nil -> [1]; read@b nil -> []",
                Valid,
                &[("lost", 0)],
            ),
            (
                "add@a 1 -> nil; read@a nil -> [1]; add@b 1 -> nil; read@b nil -> []",
                Invalid,
                &[("lost", 1)],
            ),
        ],
    );
}

#[test]
fn the_time_that_an_element_was_missing_is_measured() {
    let row =
        "add 1 -> nil @0 10; read nil -> [] @20 21; read nil -> [] @40 41; read nil -> [1] @50 51";
    let found = judge(Analysis::Set, samples(row)).findings.unwrap();
    let [latency] = &found.latencies[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (latency.name, latency.count, latency.max_ns),
        ("stale for", 1, 30_000_000)
    );
    let row =
        "add 1 -> nil @0 10; read nil -> [1] @20 21; read nil -> [] @40 41; read nil -> [] @50 51";
    let found = judge(Analysis::Set, samples(row)).findings.unwrap();
    let [latency] = &found.latencies[..] else {
        panic!("{found:#?}")
    };
    assert_eq!((latency.name, latency.max_ns), ("lost after", 30_000_000));
}
