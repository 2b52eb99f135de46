//! Generators of both workloads against a perfect store: reproducible, unique, contended, mixed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::{
    Context, Generator, Invocation, KeyRing, Kv, Options, Outcome, Register, Values, Workload,
};
use histories::Value;

/// The workloads that draw by a recipe.
const ALL: [&dyn Workload; 2] = [&Register, &Kv];

/// A store that answers at once and is always right.
#[derive(Default)]
struct Store(BTreeMap<Value, Value>);

impl Store {
    fn answer(&mut self, invocation: &Invocation) -> Outcome {
        let key = invocation.key.clone().expect("every operation has a key");
        let held = self.0.entry(key).or_default();
        Outcome::Ok(match (&*invocation.f, &invocation.value) {
            ("read" | "get", Value::Nil) => held.clone(),
            ("write" | "put", new) if !new.is_nil() => {
                *held = new.clone();
                Value::Nil
            }
            ("append", Value::Text(added)) => {
                *held = format!("{}{added}", held.as_text().unwrap_or_default()).into();
                Value::Nil
            }
            ("delete", Value::Nil) => Value::Bool(!std::mem::take(held).is_nil()),
            ("cas", Value::List(values)) => match &values[..] {
                [old, new] if !new.is_nil() => {
                    let swapped = held == old;
                    if swapped {
                        *held = new.clone();
                    }
                    Value::Bool(swapped)
                }
                _ => panic!("malformed {invocation:?}"),
            },
            _ => panic!("malformed {invocation:?}"),
        })
    }
}

/// So many operations of every client in turn, each answered before the next is drawn.
fn run(
    workload: &dyn Workload,
    options: &Options,
    (seed, clients, rounds): (u64, u32, u32),
) -> (Vec<(u32, Invocation, Outcome)>, std::sync::Arc<KeyRing>) {
    let keys = std::sync::Arc::new(KeyRing::new(options.keys, options.ops_per_key));
    let context = |client| Context {
        client,
        clients,
        keys: keys.clone(),
    };
    let mut generators: Vec<Box<dyn Generator>> = (0..clients)
        .map(|client| workload.generator(seed, &context(client), options))
        .collect();
    let mut store = Store::default();
    let mut done = Vec::new();
    for _ in 0..rounds {
        // All invocations of a round are drawn before any is answered: they overlap.
        let drawn: Vec<Invocation> = (0..)
            .zip(&mut generators)
            .map(|(client, g)| g.next(&context(client)))
            .collect();
        for ((client, generator), invocation) in (0..).zip(&mut generators).zip(drawn) {
            let outcome = store.answer(&invocation);
            generator.observe(&invocation, &outcome);
            done.push((client, invocation, outcome));
        }
    }
    (done, keys)
}

/// The values an operation writes.
fn written(invocation: &Invocation) -> Option<Value> {
    match &*invocation.f {
        "write" | "put" | "append" => Some(invocation.value.clone()),
        "cas" => invocation.value.as_list()?.last().cloned(),
        _ => None,
    }
}

/// The first operations of two clients, `client: f key value`.
fn first_operations(workload: &dyn Workload) -> String {
    let (done, _) = run(workload, &workload.defaults(), (1, 2, 6));
    let line = |(client, invocation, _): &(u32, Invocation, Outcome)| {
        let Invocation { f, key, value } = invocation;
        format!(
            "{client}: {f} {} {value}\n",
            key.clone().unwrap_or_default()
        )
    };
    done.iter().map(line).collect()
}

#[test]
fn the_operations_of_a_seed_never_change() {
    for (workload, golden) in ALL.into_iter().zip(GOLDEN) {
        assert_eq!(first_operations(workload), golden, "{}", workload.name());
    }
}

const GOLDEN: [&str; 2] = [REGISTER_GOLDEN, KV_GOLDEN];

const REGISTER_GOLDEN: &str = r#"0: write "k3-0" 0
1: read "k4-0" nil
0: write "k0-0" 2
1: write "k2-0" 3
0: cas "k0-0" [2 4]
1: read "k4-0" nil
0: cas "k0-0" [4 6]
1: cas "k4-0" [nil 7]
0: write "k3-0" 8
1: read "k0-0" nil
0: read "k1-0" nil
1: read "k2-0" nil
"#;

const KV_GOLDEN: &str = r#"0: append "k3-0" "0.0 "
1: get "k4-0" nil
0: append "k0-0" "0.1 "
1: append "k2-0" "1.1 "
0: get "k4-0" nil
1: get "k4-0" nil
0: append "k2-0" "0.3 "
1: cas "k4-0" [nil "1.3 "]
0: append "k3-0" "0.4 "
1: get "k0-0" nil
0: get "k1-0" nil
1: get "k2-0" nil
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_same_seed_draws_the_same_operations(
        seed: u64, clients in 1..6_u32, keys in 1..4_u64, ops_per_key in 1..50_u64
    ) {
        for workload in ALL {
            let options = Options { keys, ops_per_key, ..workload.defaults() };
            let (first, _) = run(workload, &options, (seed, clients, 40));
            let (second, _) = run(workload, &options, (seed, clients, 40));
            prop_assert_eq!(&first, &second);
            let (other, _) = run(workload, &options, (seed ^ 1, clients, 40));
            prop_assert_ne!(first, other);
        }
    }

    #[test]
    fn no_value_is_written_twice(seed: u64, clients in 1..8_u32) {
        for workload in ALL {
            let (done, _) = run(workload, &workload.defaults(), (seed, clients, 100));
            let values: Vec<Value> =
                done.iter().filter_map(|(_, invocation, _)| written(invocation)).collect();
            let distinct: BTreeSet<&Value> = values.iter().collect();
            prop_assert_eq!(distinct.len(), values.len());
        }
    }

    #[test]
    fn few_values_are_few(seed: u64, few in 1..6_u64) {
        for workload in ALL {
            let options = Options { values: Values::Few(few), ..workload.defaults() };
            let (done, _) = run(workload, &options, (seed, 4, 100));
            let distinct: BTreeSet<Value> =
                done.iter().filter_map(|(_, invocation, _)| written(invocation)).collect();
            prop_assert_eq!(distinct.len() as u64, few);
        }
    }

    #[test]
    fn clients_meet_on_every_key_that_has_lived(seed: u64, clients in 2..12_u32) {
        for workload in ALL {
            let options = workload.defaults();
            let (done, _) = run(workload, &options, (seed, clients, 2_000 / clients));
            let mut users: BTreeMap<&Value, (u64, BTreeSet<u32>)> = BTreeMap::new();
            for (client, invocation, _) in &done {
                let key = invocation.key.as_ref().expect("every operation has a key");
                let (operations, clients) = users.entry(key).or_default();
                *operations += 1;
                clients.insert(*client);
            }
            prop_assert!(users.values().all(|(used, _)| *used <= options.ops_per_key));
            let lived = users.values().filter(|(used, _)| *used == options.ops_per_key);
            for (_, clients) in lived {
                prop_assert!(clients.len() >= 2);
            }
        }
    }
}

#[test]
fn every_operation_has_its_share_and_many_compare_and_sets_succeed() {
    let expected: [(&str, &[(&str, u64)]); 2] = [
        ("register", &[("read", 45), ("write", 30), ("cas", 25)]),
        (
            "kv",
            &[
                ("get", 45),
                ("put", 14),
                ("append", 22),
                ("cas", 14),
                ("delete", 5),
            ],
        ),
    ];
    for (workload, (name, shares)) in ALL.into_iter().zip(expected) {
        assert_eq!(workload.name(), name);
        let (done, _) = run(workload, &workload.defaults(), (7, 10, 2_000));
        let share = |f: &str| {
            let times = done
                .iter()
                .filter(|(_, invocation, _)| &*invocation.f == f)
                .count() as u64;
            times * 100 / done.len() as u64
        };
        for &(f, percent) in shares {
            // Where nothing was seen that a cas could expect, it is a read.
            let (low, high) = match f {
                "cas" => (percent / 3, percent),
                "read" | "get" => (percent - 2, percent + 15),
                _ => (percent - 2, percent + 2),
            };
            assert!(
                (low..=high).contains(&share(f)),
                "{name}: {} % {f}",
                share(f)
            );
        }
        let swapped = |truth: bool| {
            let result = Outcome::Ok(Value::Bool(truth));
            done.iter()
                .filter(|(_, i, outcome)| &*i.f == "cas" && *outcome == result)
                .count()
        };
        let (hits, misses) = (swapped(true), swapped(false));
        assert!(
            hits > misses / 4 && misses > hits / 4,
            "{name}: {hits} of {}",
            hits + misses
        );
    }
}

#[test]
fn appended_words_can_be_taken_apart_again() {
    let workload = crate::by_name("kv").expect("there is one");
    let (done, _) = run(workload, &workload.defaults(), (7, 10, 500));
    let known: BTreeSet<Value> = done.iter().filter_map(|(_, i, _)| written(i)).collect();
    let mut longest = 0;
    for (_, _, outcome) in &done {
        if let Outcome::Ok(Value::Text(text)) = outcome {
            let words: Vec<Value> = text.split_inclusive(' ').map(Value::from).collect();
            assert!(words.iter().all(|word| known.contains(word)), "{text:?}");
            longest = longest.max(words.len());
        }
    }
    assert!(longest > 2, "no read ever saw several words");
}

#[test]
fn what_a_client_draws_does_not_depend_on_what_it_saw() {
    for workload in ALL {
        let options = workload.defaults();
        let draw = |outcome: &Outcome| -> Vec<Invocation> {
            let keys = std::sync::Arc::new(KeyRing::new(options.keys, options.ops_per_key));
            let context = Context {
                client: 1,
                clients: 3,
                keys,
            };
            let mut generator = workload.generator(7, &context, &options);
            (0..200)
                .map(|_| {
                    let invocation = generator.next(&context);
                    generator.observe(&invocation, outcome);
                    invocation
                })
                .collect()
        };
        let (blind, lucky) = (draw(&Outcome::Info), draw(&Outcome::Ok(Value::Bool(true))));
        // A client that sees nothing has nothing to compare with.
        assert!(blind.iter().all(|invocation| &*invocation.f != "cas"));
        assert!(lucky.iter().any(|invocation| &*invocation.f == "cas"));
        for (blind, lucky) in blind.iter().zip(&lucky) {
            if &*lucky.f != "cas" {
                assert_eq!((&blind.f, &blind.value), (&lucky.f, &lucky.value));
            }
        }
    }
}

#[test]
fn final_reads_reach_every_key_newest_first() {
    for workload in ALL {
        let options = Options {
            ops_per_key: 10,
            ..workload.defaults()
        };
        let (done, keys) = run(workload, &options, (7, 4, 50));
        let used: BTreeSet<&Value> = done.iter().filter_map(|(_, i, _)| i.key.as_ref()).collect();
        let reads = workload.final_reads(&keys);
        assert!(
            reads
                .iter()
                .all(|read| Some(&*read.f) == workload.read() && read.value.is_nil())
        );
        let read: BTreeSet<&Value> = reads.iter().filter_map(|read| read.key.as_ref()).collect();
        assert_eq!(read, used);
        assert_eq!(reads.len(), used.len());
        // Without an end, the newest are kept.
        let keys = KeyRing::new(1, 1);
        (0..3_000).for_each(|_| drop(keys.take(0)));
        let reads = workload.final_reads(&keys);
        assert_eq!(reads.len(), crate::workload::FINAL_READS_MAX);
        assert_eq!(reads[0].key, Some("k0-2999".into()));
    }
}
