//! Every model that comes with the crate keeps every law, and every law catches a wrong model.

use rayon::prelude::*;

use super::*;
use crate::models::{ModelKind, ModelOptions, Visitor};
use crate::testing::samples;

mod wrong;

/// Operations of each model, one set of them or several (`|`), and the value it starts from: few
/// values, so that operations have to do with each other.
fn vocabulary(kind: ModelKind) -> (&'static str, &'static str) {
    match kind {
        ModelKind::Register => (
            "read nil -> nil; read nil -> 1; read nil -> 2; write 1 -> nil; write 2 -> nil; \
             write@k 1 -> nil; read@k nil -> 1",
            "nil",
        ),
        ModelKind::CasRegister => (
            "read nil -> 0; read nil -> 1; read nil -> 2; write 1 -> nil; write 2 -> nil; \
             cas [0 1] -> true; cas [1 2] -> true; cas [2 0] -> true; cas [1 1] -> true; \
             cas [0 1] -> false; cas [1 2] -> false",
            "0",
        ),
        ModelKind::MultiRegister => (
            "txn [[:w x 1]] -> nil; txn [[:w x 2]] -> nil; txn [[:w y 1] [:w x 1]] -> nil; \
             txn [[:r x nil]] -> [[:r x 1]]; txn [[:r x nil]] -> [[:r x 0]]; \
             txn [[:r y nil]] -> [[:r y 1]]; txn [[:r y nil]] -> [[:r y 0]]; \
             txn [[:r x nil] [:w y 1]] -> [[:r x 1] [:w y 1]]; \
             txn [[:w y 2] [:r x nil]] -> [[:w y 2] [:r x 0]]; \
             txn [[:r x nil] [:r y nil]] -> [[:r x 1] [:r y 0]]; \
             txn [[:w z 1] [:r z nil]] -> [[:w z 1] [:r z 1]]; txn [[:r z nil]] -> [[:r z nil]]; \
             txn@k [[:w x 1] [:w z 1]] -> nil; txn@k [[:r x nil]] -> [[:r x 1]]; \
             read {x nil} -> {x 1}; write {y 2, z 2} -> nil",
            "{x 0, y 0}",
        ),
        ModelKind::Kv => (
            "get nil -> nil; get nil -> \"\"; get nil -> a; get nil -> b; get nil -> ab; \
             get nil -> aa; get nil -> aba; put \"\" -> nil; put a -> nil; put ab -> nil; \
             append a -> nil; append b -> nil; append ba -> nil; append \"\" -> nil; \
             cas [nil a] -> true; cas [a b] -> true; cas [ab \"\"] -> true; cas [a a] -> true; \
             cas [nil a] -> false; cas [a b] -> false; delete nil -> nil; delete nil -> true; \
             delete nil -> false | \
             get nil -> nil; get nil -> a; get nil -> b; put a -> nil; put b -> nil; \
             cas [nil a] -> true; cas [a b] -> true; cas [a b] -> false; delete nil -> nil; \
             delete nil -> true; delete nil -> false",
            "nil",
        ),
        ModelKind::Stack => (
            "push 1 -> nil; push 2 -> true; push 3 -> 3; pop nil -> 1; pop nil -> 2; \
             pop nil -> 3; pop nil -> nil",
            "[1]",
        ),
        ModelKind::PriorityQueue => (
            "push 1 -> nil; insert 2 -> true; push 3 -> 3; pop nil -> 1; remove-min nil -> 2; \
             pop nil -> 3; pop nil -> nil",
            "[2]",
        ),
        ModelKind::ReentrantMutex => (
            "acquire a -> true; release a -> true; acquire a -> false; release a -> false; \
             1 acquire nil -> nil; 1 release nil -> nil; 1 acquire nil -> false; \
             2 acquire {:client a} -> {:client a}; 2 release {:client b} -> nil",
            "nil",
        ),
        ModelKind::FencedLock => (
            "acquire a -> 1; acquire a -> 2; acquire a -> 3; release a -> true; \
             acquire a -> false; release a -> false; 1 acquire nil -> 1; 1 acquire nil -> 2; \
             1 release nil -> nil; 1 acquire nil -> false; 1 acquire nil -> {:token 4}; \
             release {:client a, :token 2} -> nil; release {:client a, :token 3} -> nil",
            "0",
        ),
        ModelKind::FifoQueue => (
            "enqueue 1 -> nil; enqueue 2 -> true; enqueue 3 -> 3; dequeue nil -> 1; \
             dequeue nil -> 2; dequeue nil -> 3; dequeue nil -> nil",
            "[2]",
        ),
        ModelKind::AppendList => (
            "append 1 -> nil; append 2 -> true; append 3 -> 3; read nil -> nil; read nil -> []; \
             read nil -> [1]; read nil -> [2]; read nil -> [1 2]; read nil -> [2 1]; \
             read nil -> [1 2 3]; read nil -> [2 1 3]; read nil -> [1 3]",
            "nil",
        ),
        ModelKind::Counter => (
            "add 1 -> nil; increment nil -> true; decrement 1 -> nil; add 2 -> 2; \
             add-and-get 1 -> 1; add-and-get 1 -> 2; add-and-get 2 -> 2; read nil -> 0; \
             read nil -> 1; read nil -> 2; get nil -> 3; read nil -> -1",
            "nil",
        ),
        ModelKind::Mutex => (
            "acquire a -> true; release a -> true; acquire a -> false; release a -> false; \
             1 acquire nil -> nil; 1 release nil -> nil; 1 acquire nil -> false; \
             2 acquire {:client a} -> {:client a}; 2 release {:client b} -> nil",
            "nil",
        ),
        ModelKind::VersionedRegister => (
            "write a -> 1; write b -> 2; write a -> 3; read nil -> nil; read nil -> [1 a]; \
             read nil -> [2 b]; read nil -> [3 a]; cas [0 a] -> 1; cas [1 b] -> 2; \
             cas [1 b] -> false; cas [2 a] -> true; cas [1 a] -> [3 a]",
            "nil",
        ),
        // Apart, and with reads of all elements.
        ModelKind::Set => (
            "add 1 -> nil; add 1 -> true; add 1 -> false; remove 1 -> nil; remove 1 -> true; \
             remove 1 -> false; contains 1 -> true; contains 1 -> false; add 2 -> nil; \
             remove@k 1 -> nil | \
             add 1 -> nil; add 2 -> true; add 3 -> nil; remove 1 -> nil; remove 3 -> true; \
             contains 2 -> false; read nil -> []; read nil -> [1]; read nil -> [3]; \
             read nil -> [1 3]; read nil -> [1 2]; read nil -> [1 2 3]; add@k 1 -> nil | \
             add 1 -> nil; add 3 -> 3; add 1 -> true; add 3 -> false; remove 1 -> nil; \
             remove 3 -> true; remove 1 -> false; contains 1 -> true; read 3 -> false; \
             read nil -> []; read nil -> [3]; read nil -> [1 3]; add@k 1 -> nil; \
             contains@k 1 -> true; read@k nil -> [1 3] | \
             add 1 -> nil; add 2 -> nil; read nil -> [1 3]; read nil -> [3]; read nil -> [2 3]; \
             read nil -> [1 2 3]",
            "[3]",
        ),
        ModelKind::Bank => (
            "transfer {:from a, :to b, :amount 1} -> nil; \
             transfer {:from b, :to a, :amount 2} -> nil; \
             transfer {:from b, :to c, :amount 1} -> true; \
             transfer {:from a, :to b, :amount 2} -> false; \
             transfer {:from c, :to a, :amount 1} -> false; \
             transfer {:from a, :to a, :amount 1} -> nil; read nil -> {a 2}; \
             read nil -> {a 1, b 1}; read nil -> {a 1, c 1}; read nil -> {b 2}",
            "{a 2}",
        ),
    }
}

/// Tries the laws on whichever model it is.
struct Lawful(Vec<Operation>);

impl Visitor for Lawful {
    type Output = Result<Report, LawViolation>;

    fn visit<M: Model>(self, model: &M) -> Self::Output {
        let effort = Effort {
            histories: 4_000,
            ..Effort::default()
        };
        check(model, &self.0, &effort)
    }
}

#[test]
fn every_model_that_comes_with_the_crate_keeps_every_law() {
    ModelKind::ALL.into_par_iter().for_each(|kind| {
        let (rows, initial) = vocabulary(kind);
        let initial = histories::edn::parse_value(initial).unwrap();
        let options = ModelOptions {
            initial: Some(initial),
            ..ModelOptions::new(kind)
        };
        for row in rows.split('|') {
            let report = options.visit(Lawful(samples(row))).unwrap();
            let report = report.unwrap_or_else(|violation| panic!("{violation}"));
            // Both verdicts come up, often.
            let (good, bad) = (report.linearizable, report.contradictory);
            assert!(good > 1_000 && bad > 400, "{kind}:\n{report}");
            // And what every model must do.
            let untried = report.untried();
            for law in [Law::NoPanic, Law::Equality, Law::UnknownOutcome] {
                assert!(!untried.contains(&law), "{kind}: {law} was not tried");
            }
        }
    });
}
