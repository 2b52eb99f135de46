use super::*;

#[test]
fn locks() {
    rows(
        Analysis::Lock,
        &[
            ("", Unknown, &[]),
            (
                "acquire nil -> false; release nil -> true",
                Unknown,
                &[("refused", 1), ("granted", 0)],
            ),
            (
                "0 acquire nil -> true @0 1; 0 release nil -> true @2 3; 1 acquire nil -> true @4 5",
                Valid,
                &[("granted", 2), ("released", 1)],
            ),
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @2 3; 0 release nil -> true @4 5",
                Invalid,
                &[("two holders", 1)],
            ),
            // The release may have taken effect as soon as it began.
            (
                "0 acquire nil -> true @0 1; 0 release nil -> true @2 9; 1 acquire nil -> true @3 4",
                Valid,
                &[],
            ),
            (
                "0 acquire nil -> true @0 1; 0 release nil -> ? @2 ?; 1 acquire nil -> true @3 4",
                Valid,
                &[],
            ),
            // Never given back, and its process did nothing any more: a lease may have expired.
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @3 4",
                Valid,
                &[("two holders", 0)],
            ),
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @3 4; 0 acquire nil -> false @5 6",
                Invalid,
                &[("two holders", 1)],
            ),
            (
                "0 acquire nil -> ? @0 ?; 1 acquire nil -> true @3 4; 0 release nil -> true @5 6",
                Valid,
                &[("unknown", 1)],
            ),
            // The name in the argument counts, not the process.
            (
                "0 acquire \"a\" -> true @0 1; 1 release \"a\" -> true @2 3; 0 acquire \"b\" -> true @4 5",
                Valid,
                &[],
            ),
            // A third holder, while the first one still has it.
            (
                "0 acquire nil -> true @0 1; 1 acquire nil -> true @2 3; 1 release nil -> true @4 5; \
          2 acquire nil -> true @6 7; 0 release nil -> true @8 9",
                Invalid,
                &[("two holders", 2)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> 2 @4 5",
                Valid,
                &[],
            ),
            (
                "0 acquire nil -> 2 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> 1 @4 5",
                Invalid,
                &[("tokens not larger", 1)],
            ),
            (
                "0 acquire nil -> 2 @0 1; 0 release nil -> true @2 3; 1 acquire nil -> {token 2} @4 5",
                Invalid,
                &[("tokens given twice", 1)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 0 write 1 -> true @2 3; 1 write 2 -> true @4 5; 0 write 1 -> false @6 7",
                Valid,
                &[("writes refused", 1)],
            ),
            (
                "0 acquire nil -> 1 @0 1; 1 write 2 -> true @4 5; 0 write {token 1} -> true @6 7",
                Invalid,
                &[("stale writes accepted", 1)],
            ),
            ("0 acquire [1] -> true", Unknown, &[("strange", 1)]),
        ],
    );
}
