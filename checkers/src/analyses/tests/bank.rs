use super::*;

#[test]
fn banks() {
    let fork = "0 transfer {from 0, to 1, amount 1} -> true @0 9; 1 transfer {from 1, to 0, amount 2} -> true @1 9; \
                2 read nil -> {0 1, 1 3} @2 8; 3 read nil -> {0 4, 1 0} @3 8";
    rows(
        Analysis::Bank,
        &[
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 1, 1 3}",
                Valid,
                &[("acknowledged", 1)],
            ),
            ("read nil -> {0 2, 1 2}", Unknown, &[]),
            ("transfer {from 0, to 1, amount 1} -> true", Unknown, &[]),
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 1, 1 2}",
                Invalid,
                &[("wrong totals", 1)],
            ),
            (
                "transfer {from 0, to 1, amount 3} -> true; read nil -> {0 -1, 1 5}",
                Invalid,
                &[("overdrawn", 1)],
            ),
            // Late, which one order explains.
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 2, 1 2}",
                Valid,
                &[("forks", 0)],
            ),
            (fork, Invalid, &[("forks", 1)]),
            (
                "transfer {from 0, to 1, amount 1} -> true; read nil -> {0 0, 1 4}",
                Invalid,
                &[("forks", 1)],
            ),
            (
                "transfer {from 0, to 1, amount 1} -> ?; transfer {from 0, to 1, amount 5} -> false; \
          transfer {from 1, to 0, amount 1} -> true; read nil -> {0 3, 1 1}",
                Valid,
                &[("refused", 1)],
            ),
        ],
    );
    let check = judge(Analysis::Bank, samples(fork));
    let anomaly = &check.findings.unwrap().anomalies[0];
    assert_eq!(anomaly.operations.len(), 4, "{anomaly:#?}");
}
