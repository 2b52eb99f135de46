use super::*;

#[test]
fn queues() {
    let table: &[Row<'_>] = &[
        (
            "enqueue 1 -> nil; dequeue nil -> 1",
            Valid,
            &[("delivered", 1)],
        ),
        ("dequeue nil -> nil", Unknown, &[]),
        ("enqueue 1 -> nil", Unknown, &[("not looked for", 1)]),
        (
            "enqueue 1 -> nil; dequeue nil -> nil",
            Invalid,
            &[("lost", 1)],
        ),
        (
            "enqueue 1 -> nil @0 5; 1 dequeue nil -> nil @4 6",
            Unknown,
            &[("lost", 0), ("not looked for", 1)],
        ),
        // Whoever got no answer may have got the value.
        (
            "enqueue 1 -> nil; dequeue nil -> ?; dequeue nil -> nil",
            Valid,
            &[("lost", 0), ("perhaps taken", 1)],
        ),
        (
            "enqueue 1 -> nil; enqueue 2 -> nil; dequeue nil -> ?; dequeue nil -> nil",
            Invalid,
            &[("lost", 1), ("perhaps taken", 1)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> nil @2 3; dequeue nil -> ? @4 ?",
            Invalid,
            &[("lost", 1)],
        ),
        (
            "enqueue 1 -> ?; enqueue 2 -> nil; dequeue nil -> 2; dequeue nil -> nil",
            Valid,
            &[("lost", 0)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> 1; dequeue nil -> 1",
            Invalid,
            &[("duplicated", 1)],
        ),
        (
            "enqueue 1 -> nil; dequeue nil -> 1; dequeue nil -> 2",
            Invalid,
            &[("unexpected", 1)],
        ),
        (
            "enqueue 2 -> x; enqueue 1 -> nil; dequeue nil -> 2; dequeue nil -> 1",
            Invalid,
            &[("unexpected", 1)],
        ),
        (
            "enqueue 1 -> nil; enqueue 2 -> nil; drain nil -> [1 2]",
            Valid,
            &[("delivered", 2)],
        ),
        ("enqueue 1 -> nil; drain nil -> []", Invalid, &[("lost", 1)]),
        (
            "enqueue 1 -> nil; drain nil -> ?; drain nil -> []",
            Valid,
            &[("perhaps taken", 1)],
        ),
    ];
    rows(Analysis::Queue, table);
    rows(Analysis::UnorderedQueue, table);
    let swapped = "enqueue 1 -> nil; enqueue 2 -> nil; dequeue nil -> 2; dequeue nil -> 1";
    rows(
        Analysis::Queue,
        &[(swapped, Invalid, &[("out of order", 1)])],
    );
    rows(
        Analysis::UnorderedQueue,
        &[(swapped, Valid, &[("out of order", 1)])],
    );
    let late = "enqueue 1 -> nil; dequeue nil -> nil; dequeue nil -> 1";
    rows(Analysis::Queue, &[(late, Invalid, &[("wrongly empty", 1)])]);
    rows(
        Analysis::UnorderedQueue,
        &[(late, Valid, &[("wrongly empty", 1)])],
    );
    rows(
        Analysis::Queue,
        &[
            (
                "enqueue 1 -> nil @0 9; 1 enqueue 2 -> nil @1 9; dequeue nil -> 2 @10 11; dequeue nil -> 1 @12 13",
                Valid,
                &[("out of order", 0)],
            ),
            (
                "enqueue 1 -> nil; enqueue 2 -> nil; 1 dequeue nil -> 2 @10 13; 2 dequeue nil -> 1 @12 15",
                Valid,
                &[("out of order", 0)],
            ),
        ],
    );
}
