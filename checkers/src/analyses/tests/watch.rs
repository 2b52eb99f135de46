use super::*;

#[test]
fn watches() {
    rows(
        Analysis::Watch,
        &[
            ("", Unknown, &[]),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"a\"]]",
                Valid,
                &[("events", 1)],
            ),
            (
                "put \"a\" -> {revision 3}; watch 1 -> [{revision 3, value \"a\"}]",
                Valid,
                &[("events", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> []",
                Unknown,
                &[("never watched", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 1 -> [[4 \"b\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 4 -> [[4 \"b\"]]",
                Unknown,
                &[("gaps", 0), ("never watched", 1)],
            ),
            // Where it goes on, nothing may be left out either.
            (
                "put \"a\" -> 3; put \"b\" -> 4; put \"c\" -> 5; watch nil -> [[3 \"a\"]]; watch nil -> [[5 \"c\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch nil -> [[3 \"a\"] [4 \"b\"]]; watch nil -> [[3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 3 -> [[3 \"a\"] [4 \"b\"]]; watch 3 -> [[3 \"a\"]]",
                Valid,
                &[],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 4; watch 1 -> [[4 \"b\"] [3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"a\"] [3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 4 -> [[3 \"a\"]]",
                Invalid,
                &[("replayed", 1)],
            ),
            (
                "put \"a\" -> 3; watch 1 -> [[3 \"b\"]]",
                Invalid,
                &[("contradictions", 1), ("unexpected", 1)],
            ),
            (
                "put \"a\" -> ?; put \"b\" -> 4; watch 1 -> [[3 \"a\"] [4 \"b\"]]; 1 watch 1 -> [[4 \"b\"]]",
                Invalid,
                &[("gaps", 1)],
            ),
            (
                "put \"a\" -> 3; put \"b\" -> 2; watch 1 -> [[2 \"b\"] [3 \"a\"]]",
                Invalid,
                &[("revisions went back", 1)],
            ),
            (
                "put \"a\" -> 3; delete nil -> 4; watch 1 -> [[3 \"a\"] [4 nil]]",
                Valid,
                &[],
            ),
            (
                "watch 1 -> [[3 \"a\"]] @0 1; put \"a\" -> 3 @2 3",
                Invalid,
                &[("unexpected", 1)],
            ),
        ],
    );
}
