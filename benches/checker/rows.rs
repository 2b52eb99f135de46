//! The rows: histories of one key unless said, half reads, clients that never rest.

use std::time::{Duration, Instant};

use checkers::engines::{Engine, Registers};
use checkers::{Cancel, Judgement, Limits, ModelKind, ModelOptions, Verdict, linearizability};
use histories::History;

use crate::simulate::{Load, Object, simulate};

const RUNS: usize = 5;
/// Rows that take longer than this are run once.
const SLOW: Duration = Duration::from_secs(5);

/// A history, and what is wanted of it.
pub struct Row {
    pub name: &'static str,
    model: ModelKind,
    load: Load,
    /// At most so long: zones, set and whole check.
    targets_ms: [Option<u64>; 3],
}

impl Row {
    /// Whether only the engines together decide it in time.
    fn is_hard(&self) -> bool {
        let Load {
            object,
            unknown_per_10_000,
            ..
        } = self.load;
        let cas = matches!(object, Object::Register { cas_percent, .. } if cas_percent > 0);
        cas && unknown_per_10_000 > 0
    }
}

pub const TITLE: &str = "history                                              zones ms   set ms  \
check ms (target)  memory MB  verdict";

const fn register(operations: usize, clients: usize, values: u64) -> Load {
    Load {
        object: Object::Register {
            values,
            cas_percent: 0,
        },
        operations,
        clients,
        unknown_per_10_000: 0,
        stale_percent: None,
    }
}

const fn unknown(load: Load, unknown_per_10_000: u64) -> Load {
    Load {
        unknown_per_10_000,
        ..load
    }
}

const fn stale(load: Load, percent: u64) -> Load {
    Load {
        stale_percent: Some(percent),
        ..load
    }
}

/// Half reads, a quarter writes, a quarter cas, of which 2 % are of unknown outcome.
const CAS: Load = Load {
    object: Object::Register {
        values: 5,
        cas_percent: 25,
    },
    operations: 100_000,
    clients: 10,
    unknown_per_10_000: 200,
    stale_percent: None,
};

const fn of(object: Object, operations: usize, clients: usize) -> Load {
    Load {
        object,
        operations,
        clients,
        unknown_per_10_000: 0,
        stale_percent: None,
    }
}

const UNIQUE: [Option<u64>; 3] = [Some(25), Some(80), None];

const fn row(name: &'static str, load: Load, targets_ms: [Option<u64>; 3]) -> Row {
    let model = match load.object {
        Object::Register { .. } => ModelKind::CasRegister,
        Object::Kv { .. } => ModelKind::Kv,
        Object::Queue => ModelKind::FifoQueue,
        Object::Set => ModelKind::Set,
    };
    Row {
        name,
        model,
        load,
        targets_ms,
    }
}

const fn set(ms: u64) -> [Option<u64>; 3] {
    [None, Some(ms), None]
}

const fn check(ms: u64) -> [Option<u64>; 3] {
    [None, None, Some(ms)]
}

const MILLION: usize = 1_000_000;

pub const ROWS: &[Row] = &[
    row("unique 1M, 10 clients", register(MILLION, 10, 0), UNIQUE),
    row("unique 1M, 25 clients", register(MILLION, 25, 0), UNIQUE),
    row("unique 1M, 50 clients", register(MILLION, 50, 0), UNIQUE),
    row(
        "unique 1M, 10 clients, 1 % unknown",
        unknown(register(MILLION, 10, 0), 100),
        UNIQUE,
    ),
    row(
        "unique 1M, 25 clients, 1 % unknown",
        unknown(register(MILLION, 25, 0), 100),
        UNIQUE,
    ),
    row(
        "unique 1M, 50 clients, 1 % unknown",
        unknown(register(MILLION, 50, 0), 100),
        UNIQUE,
    ),
    row(
        "5 values 1M, 10 clients",
        register(MILLION, 10, 5),
        set(400),
    ),
    row(
        "5 values 1M, 50 clients",
        register(MILLION, 50, 5),
        set(1_200),
    ),
    row(
        "20 values 100k, 50 clients",
        register(100_000, 50, 20),
        set(300),
    ),
    row(
        "5 values 100k, 10 clients, 5 % unknown",
        unknown(register(100_000, 10, 5), 500),
        check(1_500),
    ),
    row(
        "5 values 100k, 10 clients, cas, 500 unknown",
        CAS,
        check(500),
    ),
    row(
        "stale read at 1 %: unique 1M, 50 clients",
        stale(register(MILLION, 50, 0), 1),
        [None; 3],
    ),
    row(
        "stale read at 50 %: unique 1M, 50 clients",
        stale(register(MILLION, 50, 0), 50),
        [None; 3],
    ),
    row(
        "stale read at 99 %: unique 1M, 50 clients",
        stale(register(MILLION, 50, 0), 99),
        [None; 3],
    ),
    row(
        "stale read at 1 %: 5 values 1M, 10 clients",
        stale(register(MILLION, 10, 5), 1),
        [None; 3],
    ),
    row(
        "stale read at 50 %: 5 values 1M, 10 clients",
        stale(register(MILLION, 10, 5), 50),
        [None; 3],
    ),
    row(
        "stale read at 99 %: 5 values 1M, 10 clients",
        stale(register(MILLION, 10, 5), 99),
        [None; 3],
    ),
    row(
        "stale read at 50 %: 5 values 1M, 50 clients",
        stale(register(MILLION, 50, 5), 50),
        [None; 3],
    ),
    row(
        "stale read at 50 %: 20 values 100k, 50 clients",
        stale(register(100_000, 50, 20), 50),
        [None; 3],
    ),
    row(
        "stale read at 50 %: 5 values 100k, 5 % unknown",
        stale(unknown(register(100_000, 10, 5), 500), 50),
        [None; 3],
    ),
    row(
        "stale read at 99 %: 5 values 100k, 5 % unknown",
        stale(unknown(register(100_000, 10, 5), 500), 99),
        [None; 3],
    ),
    row(
        "stale read at 50 %: cas, 500 unknown",
        stale(CAS, 50),
        [None; 3],
    ),
    row(
        "stale read at 99 %: cas, 500 unknown",
        stale(CAS, 99),
        [None; 3],
    ),
    row(
        "kv 1M, 100 keys, 10 clients",
        of(Object::Kv { keys: 100 }, MILLION, 10),
        check(1_000),
    ),
    row(
        "fifo-queue 100k, 20 clients",
        of(Object::Queue, 100_000, 20),
        check(300),
    ),
    row(
        "set 100k, 20 clients",
        of(Object::Set, 100_000, 20),
        check(300),
    ),
];

/// Makes a row's history, judges it, and says what that took.
pub fn measure(row: &Row) -> String {
    let history = simulate(&row.load);
    let options = ModelOptions::new(row.model);
    let limits = Limits {
        threads: 1,
        ..Limits::default()
    };
    let registers = Registers::read(&history.operations(), &options);
    let engine = |engine| {
        let registers = registers.as_ref().filter(|_| !row.is_hard())?;
        registers.decide(engine, &limits, &Cancel::new())?;
        Some(median(|| registers.decide(engine, &limits, &Cancel::new())))
    };
    let (zones, set) = (engine(Engine::Zones), engine(Engine::Set));
    drop(registers);
    let before_kib = status_kib("VmRSS:");
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let judged = judge(&history, &options, &limits);
    let memory = match reset {
        true => format!(
            "{:.0}",
            (status_kib("VmHWM:").saturating_sub(before_kib)) as f64 / 1024.0
        ),
        false => "?".to_owned(),
    };
    let check = median(|| judge(&history, &options, &limits));
    let wanted = match row.load.stale_percent {
        None => Verdict::Valid,
        Some(_) => Verdict::Invalid,
    };
    let verdict = judged.check.verdict;
    assert!(
        verdict == wanted || verdict == Verdict::Unknown,
        "the checker is wrong: {:?}",
        judged.check
    );
    let core = judged.counterexample.map(|found| {
        let confirmed = if found.confirmed { ", confirmed" } else { "" };
        format!(", core of {}{confirmed}", found.core.len())
    });
    let [zones_ms, set_ms, check_ms] = row.targets_ms;
    format!(
        "{:<50} {:>10} {:>8} {:>9} {:>9} {memory:>10}  {verdict}{}",
        row.name,
        shown(zones),
        shown(set),
        shown(Some(check)),
        target(
            zones_ms.or(set_ms).or(check_ms),
            zones,
            set,
            check,
            row.targets_ms
        ),
        core.unwrap_or_default(),
    )
}

/// Whether what was wanted was reached.
fn target(
    any: Option<u64>,
    zones: Option<Duration>,
    set: Option<Duration>,
    check: Duration,
    targets_ms: [Option<u64>; 3],
) -> String {
    if any.is_none() {
        return String::new();
    }
    let measured = [zones, set, Some(check)];
    let reached = targets_ms.iter().zip(measured).all(|(target, measured)| {
        target.is_none_or(|target| measured.is_some_and(|it| it <= Duration::from_millis(target)))
    });
    let wanted: Vec<String> = targets_ms.iter().flatten().map(u64::to_string).collect();
    format!("({}) {}", wanted.join("/"), if reached { "✓" } else { "✗" })
}

fn judge(history: &History, options: &ModelOptions, limits: &Limits) -> Judgement {
    linearizability(&history.operations(), options, limits, &Cancel::new())
        .expect("a history of its model")
}

fn median<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let _ = std::hint::black_box(run());
        times.push(began.elapsed());
        if times[0] > SLOW {
            break;
        }
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| format!("{:.1}", time.as_secs_f64() * 1_000.0),
    )
}

/// A line of `/proc/self/status`, in KiB.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0)
}
