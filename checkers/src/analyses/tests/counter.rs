use super::*;

#[test]
fn counters() {
    rows(
        Analysis::Counter,
        &[
            (
                "add 5 -> nil; read nil -> 5",
                Valid,
                &[("reads", 1), ("acknowledged", 1)],
            ),
            ("add 5 -> nil", Unknown, &[]),
            ("read nil -> 0", Unknown, &[]),
            ("add 5 -> nil; read nil -> 4", Invalid, &[("too low", 1)]),
            ("add 5 -> nil; read nil -> 6", Invalid, &[("too high", 1)]),
            (
                "add 5 -> ?; add 1 -> nil; read nil -> 6; read nil -> 1",
                Valid,
                &[],
            ),
            (
                "add -5 -> ?; add 1 -> nil; read nil -> -4; read nil -> -5",
                Invalid,
                &[("too low", 1)],
            ),
            (
                "add 5 -> x; add 1 -> nil; read nil -> 6",
                Invalid,
                &[("too high", 1)],
            ),
            (
                "add 5 -> nil @0 9; 1 read nil -> 0 @1 2; 2 read nil -> 5 @3 4",
                Valid,
                &[],
            ),
            (
                "increment nil -> nil; decrement 3 -> nil; read nil -> -2",
                Valid,
                &[],
            ),
            ("add-and-get 2 -> 2; read nil -> 2", Valid, &[]),
            ("add-and-get 2 -> 1", Invalid, &[("too low", 1)]),
            ("add-and-get -2 -> 0", Invalid, &[("too high", 1)]),
        ],
    );
    rows(
        Analysis::FinalCounter,
        &[
            (
                "add 5 -> nil @0 9; read nil -> 7 @1 2; read nil -> 5 @10 11",
                Valid,
                &[("final reads", 1)],
            ),
            (
                "add 5 -> nil @0 9; read nil -> 5 @1 2",
                Unknown,
                &[("reads", 1), ("final reads", 0)],
            ),
            // 3 or 4 or both, and nothing in between.
            (
                "add 1 -> nil; add 3 -> ?; add 4 -> ?; read nil -> 8; read nil -> 5; read nil -> 1",
                Valid,
                &[],
            ),
            (
                "add 1 -> nil; add 3 -> ?; add 4 -> ?; read nil -> 6",
                Invalid,
                &[("impossible", 1)],
            ),
            (
                "add 1 -> nil; read nil -> 4; add 3 -> ?",
                Invalid,
                &[("impossible", 1)],
            ),
        ],
    );
}
