use super::*;

#[test]
fn logs() {
    rows(
        Analysis::Log,
        &[
            (
                "append 1 -> nil; append 2 -> nil; read nil -> [1 2]; read nil -> [1 2]",
                Valid,
                &[],
            ),
            (
                "append 1 -> nil @0 9; 1 append 2 -> nil @1 9; 2 read nil -> [1] @2 8; 3 read nil -> [1 2] @10 11",
                Valid,
                &[("lost", 0)],
            ),
            (
                "append 1 -> nil; append 2 -> nil; read nil -> [1 2]; read nil -> [2 1]",
                Invalid,
                &[("reordered", 1)],
            ),
            (
                "append 1 -> nil @0 3; 1 append 2 -> nil @1 3; 2 append 3 -> nil @2 9; read nil -> [2 3] @4 5; \
          read nil -> [1 2 3] @6 7",
                Invalid,
                &[("gaps", 1), ("stale", 1), ("lost", 0)],
            ),
            (
                "append 1 -> nil; append 1 -> nil; read nil -> [1 1]",
                Valid,
                &[("duplicated", 0)],
            ),
            (
                "append 1 -> nil; read nil -> [1 1]",
                Invalid,
                &[("duplicated", 1)],
            ),
            ("append 1 -> nil; read nil -> []", Invalid, &[("lost", 1)]),
        ],
    );
}
