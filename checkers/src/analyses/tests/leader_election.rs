use super::*;

#[test]
fn elections() {
    rows(
        Analysis::LeaderElection,
        &[
            ("leader nil -> nil", Unknown, &[("answers", 0)]),
            (
                "campaign \"a\" -> {leader \"a\", term 1}; leader nil -> {leader \"a\", term 1}",
                Valid,
                &[("won", 1), ("answers", 2), ("terms", 1)],
            ),
            (
                "campaign \"a\" -> {leader \"a\", term 1}; leader nil -> {leader \"b\", term 1}",
                Invalid,
                &[("two leaders", 1)],
            ),
            (
                "leader@x nil -> {leader \"a\", term 1}; leader@y nil -> {leader \"b\", term 1}",
                Valid,
                &[],
            ),
            (
                "leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Valid,
                &[("stale", 1)],
            ),
            (
                "leader nil -> {leader \"a\", term 2}; campaign \"b\" -> {leader \"b\", term 1}",
                Invalid,
                &[("old terms won", 1)],
            ),
            (
                "campaign \"b\" -> {leader \"b\", term 1}; campaign \"a\" -> {leader \"a\", term 2}; \
          leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Invalid,
                &[("no agreement", 1)],
            ),
            (
                "campaign \"b\" -> {leader \"b\", term 1}; campaign \"a\" -> ?; \
          leader nil -> {leader \"a\", term 2}; leader nil -> {leader \"b\", term 1}",
                Valid,
                &[("no agreement", 0), ("stale", 1)],
            ),
            (
                "leader nil -> {term 4}; leader nil -> {leader \"a\", term 1}",
                Valid,
                &[("answers", 1)],
            ),
            (
                "leader nil -> 7; leader nil -> {leader \"a\", term 1}",
                Unknown,
                &[("strange", 1)],
            ),
        ],
    );
}
