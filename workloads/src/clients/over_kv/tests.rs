//! Every structure on a store that is right, slow and sometimes silent: what its clients see is
//! valid. On one that is wrong it is not, so the checks would have seen it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use checkers::{Analysis, AnalysisContext, Cancel, Limits, ModelOptions, Verdict, linearizability};
use histories::{History, Operation, Outcome as Recorded, Point};
use seeds::{Purpose, Stream};

use super::*;
use crate::{Context, KeyRing, Options, Workload, by_name};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Now and then an acknowledged change is not made.
    Forgets,
    /// Now and then a look sees what was there before the last change.
    IsStale,
    /// Swaps whatever is there.
    SwapsBlindly,
}

type Shared = Arc<Mutex<BTreeMap<Value, [Value; 2]>>>;

/// A client of a store in memory, which takes its time.
struct Memory {
    store: Shared,
    stream: Stream,
    flaw: Flaw,
    silent: bool,
}

impl Memory {
    async fn idle(&mut self) {
        for _ in 0..self.stream.below(4) {
            tokio::task::yield_now().await;
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Outcome {
        self.idle().await;
        if self.silent && self.stream.chance(1, 40) {
            return Outcome::Fail;
        }
        let is_lost = self.silent && self.stream.chance(1, 40);
        if is_lost && self.stream.chance(1, 2) {
            return Outcome::Info;
        }
        let outcome = self.take_effect(invocation);
        self.idle().await;
        if is_lost { Outcome::Info } else { outcome }
    }

    fn take_effect(&mut self, invocation: &Invocation) -> Outcome {
        let key = invocation.key.clone().expect("a store has keys");
        let strikes = self.stream.chance(1, 8);
        let mut store = self.store.lock().expect("no test panics while it holds it");
        let entry = store.entry(key).or_default();
        let [old, held] = &entry;
        let new = match (&*invocation.f, &invocation.value) {
            ("get", _) if strikes && self.flaw == Flaw::IsStale => return Outcome::Ok(old.clone()),
            ("get", _) => return Outcome::Ok(held.clone()),
            ("append", Value::Text(text)) => {
                format!("{}{text}", held.as_text().unwrap_or_default()).into()
            }
            ("cas", Value::List(pair)) => {
                let [expected, new] = &pair[..] else {
                    panic!("{invocation:?}")
                };
                if held != expected && !(strikes && self.flaw == Flaw::SwapsBlindly) {
                    return Outcome::Ok(false.into());
                }
                new.clone()
            }
            _ => panic!("{invocation:?}"),
        };
        if !(strikes && self.flaw == Flaw::Forgets) {
            *entry = [std::mem::take(&mut entry[1]), new];
        }
        Outcome::Ok(if &*invocation.f == "cas" {
            true.into()
        } else {
            Value::Nil
        })
    }
}

impl Client for Memory {
    fn open(&mut self, _process: u64) {}

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(async move {
            Completion {
                outcome: self.operate(invocation).await,
                node: Some("n1".into()),
                path: Vec::new(),
                error: None,
            }
        })
    }
}

const CLIENTS: u32 = 8;
const OPERATIONS: usize = 24;

/// What clients of this workload see.
fn run(workload: &'static dyn Workload, seed: u64, flaw: Flaw, silent: bool) -> History {
    let options = Options {
        keys: 1,
        ..workload.defaults()
    };
    let keys = Arc::new(KeyRing::new(options.keys, options.ops_per_key));
    let store = Shared::default();
    let recorded: Rc<RefCell<(u64, Vec<Operation>)>> = Rc::default();
    let client = |number: u32| {
        let memory = Memory {
            store: store.clone(),
            stream: Stream::new(seed, Purpose::Arrivals, number),
            flaw,
            silent,
        };
        let mut client = adapt(workload.name(), Box::new(memory));
        let context = Context {
            client: number,
            clients: CLIENTS,
            keys: keys.clone(),
        };
        let mut generator = workload.generator(seed, &context, &options);
        let (recorded, keys) = (recorded.clone(), keys.clone());
        async move {
            let mut process = u64::from(number);
            client.open(process);
            let tick = || {
                let now = &mut recorded.borrow_mut().0;
                *now += 1;
                Point {
                    index: *now,
                    time_ns: *now * 1_000,
                }
            };
            let mut last: Vec<Invocation> = Vec::new();
            for round in 0.. {
                let invocation = match round < OPERATIONS {
                    true => generator.next(&context),
                    false if round == OPERATIONS => {
                        last = workload.final_reads(&keys);
                        continue;
                    }
                    false => match last.pop() {
                        Some(read) => read,
                        None => break,
                    },
                };
                let invoked = tick();
                let outcome = client.invoke(&invocation).await.outcome;
                let ended = tick();
                generator.observe(&invocation, &outcome);
                if round > OPERATIONS
                    && (!matches!(outcome, Outcome::Ok(_))
                        || workload.is_unfinished(&invocation, &outcome))
                {
                    last.push(invocation.clone());
                }
                let (recorded_as, output) = match outcome {
                    Outcome::Ok(value) => (Recorded::Ok, value),
                    Outcome::Fail => (Recorded::Fail, Value::Nil),
                    Outcome::Info => (Recorded::Info, Value::Nil),
                };
                recorded.borrow_mut().1.push(Operation {
                    process,
                    f: invocation.f,
                    key: invocation.key,
                    input: invocation.value,
                    output,
                    outcome: recorded_as,
                    invoked,
                    ended: Some(ended),
                    node: None,
                    error: None,
                    path: Vec::new(),
                    line: None,
                });
                if recorded_as == Recorded::Info {
                    process += u64::from(CLIENTS);
                    client.open(process);
                }
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        join_all(clients).await;
    });
    let mut operations = recorded.take().1;
    operations.sort_by_key(|operation| operation.invoked.index);
    History::from_operations(&operations)
}

/// All futures side by side.
async fn join_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(|one| Some(Box::pin(one))).collect();
    std::future::poll_fn(|context| {
        for slot in &mut futures {
            if slot
                .as_mut()
                .is_some_and(|one| one.as_mut().poll(context).is_ready())
            {
                *slot = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

/// What the workload's own checks and its model say, one after the other.
fn judge(
    workload: &'static dyn Workload,
    history: &History,
) -> impl Iterator<Item = (String, Verdict)> {
    let initial = workload.initial();
    let own = initial.clone();
    let checks = workload.checks().iter().map(move |name| {
        let context = AnalysisContext {
            settled_index: None,
            consistency: &[],
            initial: own.as_ref(),
            linearizable: None,
            limits: &Limits::default(),
            cancel: &Cancel::new(),
        };
        let analysis: Analysis = name.parse().expect("a check's name");
        let check = analysis.check(&history.operations(), &context);
        (format!("{name}: {:?}", check.reason), check.verdict)
    });
    let model = workload.model().into_iter().map(move |name| {
        let options = ModelOptions {
            initial: initial.clone(),
            ..ModelOptions::new(name.parse().expect("a model's name"))
        };
        let (limits, cancel) = (Limits::default(), Cancel::new());
        let judged = linearizability(&history.operations(), &options, &limits, &cancel);
        let check = judged.expect("the workload's own operations").check;
        (
            format!("the model {name}: {:?}", check.reason),
            check.verdict,
        )
    });
    checks.chain(model)
}

#[test]
fn what_clients_of_a_right_store_see_is_valid() {
    for name in WORKLOADS {
        let workload = by_name(name).expect("there is one");
        for seed in 0..6 {
            for (what, verdict) in judge(workload, &run(workload, seed, Flaw::None, false)) {
                assert_eq!(verdict, Verdict::Valid, "{name}, seed {seed}, {what}");
            }
        }
    }
}

#[test]
fn silence_and_refusals_make_nothing_invalid() {
    for name in WORKLOADS {
        let workload = by_name(name).expect("there is one");
        let mut valid = 0;
        for seed in 0..6 {
            for (what, verdict) in judge(workload, &run(workload, seed, Flaw::None, true)) {
                assert_ne!(verdict, Verdict::Invalid, "{name}, seed {seed}, {what}");
                valid += usize::from(verdict == Verdict::Valid);
            }
        }
        assert!(valid > 0, "{name}");
    }
}

#[test]
fn a_store_that_is_wrong_is_found_out() {
    for (name, flaw) in [
        ("set", Flaw::Forgets),
        ("append", Flaw::Forgets),
        ("append", Flaw::IsStale),
        ("broadcast", Flaw::Forgets),
        ("queue", Flaw::Forgets),
        ("queue", Flaw::SwapsBlindly),
        ("lock", Flaw::SwapsBlindly),
        ("fenced-lock", Flaw::SwapsBlindly),
        ("counter", Flaw::Forgets),
        ("counter", Flaw::IsStale),
        ("unique-ids", Flaw::Forgets),
        ("unique-ids", Flaw::SwapsBlindly),
        ("bank", Flaw::IsStale),
        ("bank", Flaw::SwapsBlindly),
        ("leader-election", Flaw::SwapsBlindly),
        ("leader-election", Flaw::Forgets),
    ] {
        let workload = by_name(name).expect("there is one");
        let is_found = |seed| {
            let history = run(workload, seed, flaw, false);
            judge(workload, &history).any(|(_, verdict)| verdict == Verdict::Invalid)
        };
        assert!((0..10).any(is_found), "{name} on a store that {flaw:?}");
    }
}
