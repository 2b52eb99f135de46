use super::*;

#[test]
fn ids() {
    rows(
        Analysis::UniqueIds,
        &[
            ("", Unknown, &[]),
            (
                "generate nil -> ?",
                Unknown,
                &[("attempts", 1), ("acknowledged", 0)],
            ),
            (
                "generate nil -> 1; generate nil -> \"1\"",
                Valid,
                &[("acknowledged", 2)],
            ),
            (
                "generate nil -> 1; generate nil -> 2; generate nil -> 1",
                Invalid,
                &[("duplicated", 1)],
            ),
            (
                "generate nil -> 1; generate nil -> nil",
                Unknown,
                &[("without an id", 1)],
            ),
            (
                "generate nil -> 1; read nil -> 1",
                Unknown,
                &[("strange", 1)],
            ),
        ],
    );
}
