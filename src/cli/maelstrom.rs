//! `whitewater maelstrom`: node programs written for Maelstrom, with its options and ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use faults::{Kind, Name};
use maelstrom::workloads::{self, Workload};
use maelstrom::{
    Availability, Latency, LatencyDist, MaelstromOptions, Partitions, Topology, fraction_ppm,
};

use super::args::{LimitArgs, OutputArgs, StoreArgs, time_ms};
use super::exit::Exit;
use super::{fail, run};
use crate::plan::of_maelstrom::{KINDS, SYSTEM};
use crate::plan::{self, Plan, PlanError};
use systems::parse::nearest;

/// How long an answer is waited for unless something else is asked for, in milliseconds.
const TIMEOUT_MS: u64 = 5_000;
/// The same with `lin-kv`, at least.
const LIN_KV_TIMEOUT_MS: u64 = 1_000;

/// `maelstrom`.
#[derive(Debug, Clone, Args)]
pub struct MaelstromArgs {
    /// As in Maelstrom's own command line; may be left out
    #[arg(value_name = "test", value_parser = ["test"])]
    pub command: Option<String>,
    /// What the clients do: echo, broadcast, g-set, g-counter, pn-counter, unique-ids, lin-kv,
    /// txn-list-append, txn-rw-register or kafka
    #[arg(short, long, value_name = "NAME")]
    pub workload: String,
    /// The program that runs as each node
    #[arg(long, value_name = "FILE")]
    pub bin: PathBuf,
    /// The program's arguments
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// How many nodes: n0, n1, … [default: n1 to n5]
    #[arg(long, value_name = "N", conflicts_with = "nodes")]
    pub node_count: Option<u64>,
    /// The nodes' names, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// How long to drive the nodes, in seconds or with a unit
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "60")]
    pub time_limit: u64,
    /// How many runs to make, with one seed after another; the first that is not valid is the last
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub test_count: u64,
    /// How many operations begin each second, over all clients; 0 for as many as the clients get
    /// answers to
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rate: u64,
    /// How many clients at once; 4n is four for each node
    #[arg(long, value_name = "N", default_value = "1n")]
    pub concurrency: String,
    /// How long messages between nodes and services take on average, in milliseconds or with a
    /// unit; those of clients take no time
    #[arg(long, value_name = "TIME", value_parser = milliseconds, default_value = "0")]
    pub latency: u64,
    /// How latencies are spread: constant, uniform (from 0 to twice the mean) or exponential
    #[arg(long, value_name = "DIST", default_value = "constant",
        value_parser = ["constant", "uniform", "exponential"])]
    pub latency_dist: String,
    /// What share of the messages between nodes and services is lost, e.g. 0.05
    #[arg(long, value_name = "P", default_value = "0")]
    pub p_loss: String,
    /// Faults, separated by commas: partition, one-way, kill, pause, loss, duplicate, reorder, delay,
    /// restart, crash-loop, kill-at-start (docs/faults.md)
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    pub nemesis: Vec<String>,
    /// How long a fault lasts on average, and how long it is until the next, in seconds or with a
    /// unit
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "10")]
    pub nemesis_interval: u64,
    /// Which nodes `broadcast` makes neighbours: line, grid, tree, tree2, tree3, tree4 or total
    /// [default: grid]
    #[arg(long, value_name = "NAME")]
    pub topology: Option<String>,
    /// What transactions must be: read-uncommitted, read-committed, snapshot-isolation,
    /// serializable, strict-serializable, separated by commas [default: strict-serializable]
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    pub consistency_models: Vec<String>,
    /// How many operations must be acknowledged: `total`, or a share such as 0.9
    #[arg(long, value_name = "SHARE")]
    pub availability: Option<String>,
    /// How many keys are in use at once [default: the workload's own]
    #[arg(long, value_name = "N")]
    pub key_count: Option<u64>,
    /// How many operations a transaction has at most [default: 4]
    #[arg(long, value_name = "N")]
    pub max_txn_length: Option<u64>,
    /// After how many writes a key of transactions is retired for a fresh one [default: 16]
    #[arg(long, value_name = "N")]
    pub max_writes_per_key: Option<u64>,
    /// Also show what nodes write on standard error
    #[arg(long)]
    pub log_stderr: bool,
    /// Also show messages as they are sent
    #[arg(long)]
    pub log_net_send: bool,
    /// Also show messages as they are received
    #[arg(long)]
    pub log_net_recv: bool,
    /// The number that everything random is drawn from, the fates of messages too [default: a fresh
    /// one, printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long an answer is waited for [default: 5s; with lin-kv ten times the latency, and at
    /// least 1s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub timeout: Option<u64>,
    /// How long nodes are left alone after everything is healed, before the last reads, where what
    /// one knows is to become known to all
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "10")]
    pub settle: u64,
    /// Within how long a node must answer `init`
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "10")]
    pub init_timeout: u64,
    /// Within how long the healed nodes must serve again [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub recovery_limit: Option<u64>,
    /// Go on after the first violation that is found while the run goes on
    #[arg(long)]
    pub keep_going: bool,
    /// Limits of the check.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Where the run is kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the verdict is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Makes the runs that were asked for, up to the first that is not valid.
pub fn maelstrom(args: &MaelstromArgs) -> Exit {
    let interrupt = match run::listen() {
        Ok(interrupt) => interrupt,
        Err(exit) => return exit,
    };
    let fresh_seed = run::fresh_seed();
    let mut exit = Exit::Valid;
    for number in 0..args.test_count {
        exit = match plan_of(args, fresh_seed, number) {
            Ok(plan) => run::make_until(&plan, &args.store.store, &args.output, &interrupt),
            Err(error) => fail(Exit::Usage, error),
        };
        if exit != Exit::Valid || interrupt.asked() {
            break;
        }
    }
    exit
}

/// The plan that the options describe for the run of this number, from 0, with the schedule drawn.
fn plan_of(args: &MaelstromArgs, fresh_seed: u64, number: u64) -> Result<Plan, PlanError> {
    let workload = workload(&args.workload)?;
    refuse_idle(args, workload)?;
    let mut plan = Plan {
        seed: args.seed.unwrap_or(fresh_seed).wrapping_add(number),
        duration_ms: args.time_limit,
        ..Plan::default()
    };
    plan.system.name = SYSTEM.to_owned();
    plan.system.nodes = nodes(args)?;
    plan.system.binary = Some(program(&args.bin)?);
    plan.workload.name = workload.name().to_owned();
    plan.workload.clients = concurrency(&args.concurrency, plan.system.nodes.len() as u64)?;
    plan.workload.rate_per_s = args.rate;
    plan.workload.keys = args.key_count.unwrap_or(0);
    plan.workload.timeout_ms = args.timeout.unwrap_or_else(|| match workload.name() {
        "lin-kv" => LIN_KV_TIMEOUT_MS.max(args.latency.saturating_mul(10)),
        _ => TIMEOUT_MS,
    });
    plan.check.model = workload.model().unwrap_or("").to_owned();
    plan.check.keep_going = args.keep_going;
    if let Some(time_ms) = args.limits.check_time {
        plan.check.time_limit_ms = time_ms;
    }
    if let Some(mib) = args.limits.check_memory {
        plan.check.memory_limit_mib = mib;
    }
    let partitions = faults(args, &mut plan)?;
    plan.maelstrom = Some(options(args, partitions)?);
    plan.validate()?;
    plan::draw(&mut plan)?;
    plan.validate()?;
    Ok(plan)
}

fn workload(name: &str) -> Result<&'static dyn Workload, PlanError> {
    workloads::by_name(name).ok_or_else(|| {
        let known = workloads::ALL.map(|workload| workload.name());
        let error = PlanError::new(format!(
            "unknown workload {name:?} (known: {})",
            known.join(", ")
        ));
        match nearest(name, known) {
            Some(meant) => error.with_hint(format!("did you mean {meant}?")),
            None => error,
        }
    })
}

/// Refuses options that would do nothing with this workload.
fn refuse_idle(args: &MaelstromArgs, workload: &dyn Workload) -> Result<(), PlanError> {
    let name = workload.name();
    let of_txns = ["txn-list-append", "txn-rw-register"];
    let rows = [
        ("--topology", args.topology.is_some(), &["broadcast"][..]),
        (
            "--consistency-models",
            !args.consistency_models.is_empty(),
            &of_txns,
        ),
        (
            "--key-count",
            args.key_count.is_some(),
            &["lin-kv", "txn-list-append", "txn-rw-register", "kafka"],
        ),
        ("--max-txn-length", args.max_txn_length.is_some(), &of_txns),
        (
            "--max-writes-per-key",
            args.max_writes_per_key.is_some(),
            &["txn-list-append", "txn-rw-register", "kafka"],
        ),
    ];
    match rows
        .iter()
        .find(|(_, typed, workloads)| *typed && !workloads.contains(&name))
    {
        None => Ok(()),
        Some((option, _, workloads)) => Err(PlanError::new(format!(
            "{option} does nothing with the workload {name} (it is for {})",
            workloads.join(", ")
        ))),
    }
}

fn nodes(args: &MaelstromArgs) -> Result<Vec<Name>, PlanError> {
    match (args.node_count, &args.nodes[..]) {
        (Some(0), _) => Err(PlanError::new("--node-count is 0, expected at least 1")),
        // More than a plan allows is refused by its own check, after at most this many names.
        (Some(count), _) => Ok((0..count.min(1_000))
            .map(|n| format!("n{n}").into())
            .collect()),
        (None, []) => Ok((1..=5).map(|n| format!("n{n}").into()).collect()),
        (None, names) => Ok(names.iter().map(|name| name.trim().into()).collect()),
    }
}

/// The program: a file, or a name to be searched for in PATH.
fn program(bin: &std::path::Path) -> Result<PathBuf, PlanError> {
    use std::os::unix::fs::PermissionsExt;
    if bin.components().count() == 1 && !bin.exists() {
        return Ok(bin.to_owned());
    }
    let problem = |why: String, hint: &str| {
        PlanError::new(format!("--bin {}: {why}", bin.display())).with_hint(hint.to_owned())
    };
    let file = std::fs::metadata(bin)
        .map_err(|error| problem(error.to_string(), "the path of a program that can be run"))?;
    if !file.is_file() {
        return Err(problem("it is no file".to_owned(), "the path of a program"));
    }
    if file.permissions().mode() & 0o111 == 0 {
        let hint = format!("chmod +x {}", bin.display());
        return Err(problem("it may not be run".to_owned(), &hint));
    }
    std::path::absolute(bin).map_err(|error| problem(error.to_string(), "another path"))
}

/// `7`, or `4n` for four for each node.
fn concurrency(text: &str, nodes: u64) -> Result<u64, PlanError> {
    let each = text.strip_suffix('n');
    let number: Option<u64> = each.unwrap_or(text).parse().ok();
    let clients = number.map(|number| match each {
        Some(_) => number.saturating_mul(nodes),
        None => number,
    });
    clients.filter(|clients| *clients > 0).ok_or_else(|| {
        PlanError::new(format!(
            "--concurrency is {text:?}, expected a number of clients, or of clients for each node \
             such as 4n"
        ))
    })
}

/// Fills in which faults there are and how often; returns which directions partitions cut.
fn faults(args: &MaelstromArgs, plan: &mut Plan) -> Result<Partitions, PlanError> {
    let (mut kinds, mut one_way, mut both_ways) = (BTreeMap::new(), false, false);
    for name in args.nemesis.iter().map(|name| name.trim()) {
        let kind = match name {
            "" | "none" => continue,
            "one-way" => {
                one_way = true;
                Kind::Partition
            }
            _ => fault(name)?,
        };
        both_ways |= name == "partition";
        kinds.insert(kind, 1);
    }
    let interval_ms = args.nemesis_interval;
    plan.faults.required = true;
    plan.faults.explicit = false;
    plan.faults.overlap_max = u32::try_from(kinds.len()).unwrap_or(1).clamp(1, 2);
    plan.faults.kinds = kinds;
    // A fault, then as long without one.
    plan.faults.interval_ms = interval_ms.saturating_mul(2);
    plan.faults.duration_ms = interval_ms;
    plan.faults.quiet_start_ms = 500;
    plan.faults.quiet_end_ms = 0;
    if let Some(limit_ms) = args.recovery_limit {
        plan.faults.recovery_limit_ms = limit_ms;
    }
    Ok(match (both_ways, one_way) {
        (_, false) => Partitions::BothWays,
        (false, true) => Partitions::OneWay,
        (true, true) => Partitions::Mixed,
    })
}

fn fault(name: &str) -> Result<Kind, PlanError> {
    let known = KINDS.iter().find(|kind| kind.name() == name);
    known.copied().ok_or_else(|| {
        let known = KINDS.iter().map(|kind| kind.name()).chain(["one-way"]);
        let list: Vec<&str> = known.clone().collect();
        let error = PlanError::new(format!(
            "--nemesis has {name:?}, expected some of {}",
            list.join(", ")
        ));
        match nearest(name, known) {
            Some(meant) => error.with_hint(format!("did you mean {meant}?")),
            None => error,
        }
    })
}

fn options(args: &MaelstromArgs, partitions: Partitions) -> Result<MaelstromOptions, PlanError> {
    let defaults = MaelstromOptions::default();
    let wrong = |error: &dyn std::fmt::Display| PlanError::new(error.to_string());
    let topology: Option<Topology> = args
        .topology
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| wrong(&error))?;
    let availability: Option<Availability> = args
        .availability
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| wrong(&error))?;
    let loss_ppm = fraction_ppm(&args.p_loss).ok_or_else(|| {
        let found = &args.p_loss;
        PlanError::new(format!("--p-loss is {found:?}, expected 0 to 1"))
    })?;
    Ok(MaelstromOptions {
        args: args.args.clone(),
        loss_ppm,
        topology: topology.unwrap_or_default(),
        consistency_models: args
            .consistency_models
            .iter()
            .map(|model| model.trim().to_owned())
            .collect(),
        availability,
        max_txn_length: args.max_txn_length.unwrap_or(defaults.max_txn_length),
        max_writes_per_key: args
            .max_writes_per_key
            .unwrap_or(defaults.max_writes_per_key),
        settle_ms: args.settle,
        init_limit_ms: args.init_timeout,
        partitions,
        log_stderr: args.log_stderr,
        log_net_send: args.log_net_send,
        log_net_recv: args.log_net_recv,
        latency: Latency {
            mean_ms: args.latency,
            dist: match args.latency_dist.as_str() {
                "uniform" => LatencyDist::Uniform,
                "exponential" => LatencyDist::Exponential,
                _ => LatencyDist::Constant,
            },
        },
    })
}

/// A time in seconds, as Maelstrom takes it, or with a unit; in milliseconds.
fn seconds(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=604_800.0).contains(&seconds) => Ok((seconds * 1e3).round() as u64),
        Ok(_) => Err("expected 0 to 604800 seconds".to_owned()),
        Err(_) => time_ms(text),
    }
}

/// A time in milliseconds, as Maelstrom takes it, or with a unit.
fn milliseconds(text: &str) -> Result<u64, String> {
    text.parse().or_else(|_| time_ms(text))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn plan(words: &str) -> Result<Plan, String> {
        let words = format!("whitewater maelstrom {words}");
        let cli = Cli::try_parse_from(words.split(' ')).map_err(|error| error.to_string())?;
        let Command::Maelstrom(args) = cli.command else {
            return Err("another command".to_owned());
        };
        plan_of(&args, 1, 0).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_typed_is_what_is_meant() {
        let plan = plan(
            "test -w lin-kv --bin sh --node-count 3 --time-limit 20 --rate 100 --concurrency 4n \
             --latency 10 --latency-dist exponential --nemesis partition --nemesis-interval 2 \
             --seed 7 -- -c true",
        )
        .expect("a plan");
        let nodes: Vec<&str> = plan.system.nodes.iter().map(|node| &**node).collect();
        assert_eq!(nodes, ["n0", "n1", "n2"]);
        assert_eq!((plan.seed, plan.duration_ms), (7, 20_000));
        assert_eq!((plan.workload.clients, plan.workload.rate_per_s), (12, 100));
        assert_eq!(plan.check.model, "cas-register");
        assert!(!plan.schedule.faults.is_empty());
        let options = plan.maelstrom.as_ref().expect("its options");
        assert_eq!(options.args, ["-c", "true"]);
        assert_eq!(options.latency.mean_ms, 10);
        assert_eq!(Plan::parse(&plan.to_toml()).expect("readable"), plan);
    }

    #[test]
    fn partitions_cut_what_was_asked_for() {
        let directions = |nemesis: &str| {
            let words = format!(
                "-w lin-kv --bin sh --time-limit 60 --nemesis {nemesis} --nemesis-interval 1"
            );
            let plan = plan(&words).expect("a plan");
            let faults = plan.schedule.faults.iter();
            let mut directions: Vec<String> = faults
                .filter_map(|planned| match &planned.action {
                    faults::Action::Partition(partition) => Some(partition.direction.to_string()),
                    _ => None,
                })
                .collect();
            directions.sort();
            directions.dedup();
            directions.join(" ")
        };
        assert_eq!(directions("partition"), "both");
        assert_eq!(directions("one-way"), "in out");
        assert_eq!(directions("partition,one-way"), "both in out");
        assert_eq!(directions("kill"), "");
    }

    #[test]
    fn what_would_do_nothing_or_means_nothing_is_refused() {
        let rows = [
            (
                "-w lin-kv --bin sh --topology grid",
                "--topology does nothing",
            ),
            ("-w echo --bin sh --key-count 3", "--key-count does nothing"),
            (
                "-w lin-kv --bin sh --consistency-models serializable",
                "does nothing",
            ),
            ("-w broadcast --bin sh --topology ring", "unknown topology"),
            ("-w lin --bin sh", "did you mean lin-kv"),
            ("-w lin-kv --bin ./none-such", "--bin ./none-such"),
            ("-w lin-kv --bin sh --concurrency 0n", "--concurrency"),
            ("-w lin-kv --bin sh --concurrency many", "--concurrency"),
            ("-w lin-kv --bin sh --nemesis clock-jump", "--nemesis has"),
            ("-w lin-kv --bin sh --nemesis kil", "did you mean kill"),
            ("-w lin-kv --bin sh --p-loss 2", "--p-loss"),
            ("-w lin-kv --bin sh --availability most", "availability"),
            ("-w lin-kv --bin sh --node-count 0", "--node-count"),
            ("-w lin-kv --bin sh --nodes c1,n2", "those of clients"),
            ("-w lin-kv --bin sh --nodes lin-kv", "of services"),
            (
                "-w lin-kv --bin sh --node-count 1 --nemesis partition",
                "not possible",
            ),
            ("-w lin-kv --bin sh --rate 0.5", "0.5"),
        ];
        for (words, expected) in rows {
            let error = plan(words).expect_err(words);
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}
