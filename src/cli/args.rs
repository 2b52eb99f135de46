//! What was typed: every option optional, nothing computed. `crate::plan` says what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plan::{HistoryFormat, NetworkBackend};
use crate::store::DEFAULT_STORE;

/// Starts a real cluster of real node processes, breaks it on purpose, and decides whether what
/// its clients saw could have come from a correct system.
#[derive(Debug, Parser)]
#[command(name = "whitewater", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 valid, 1 violation found, 2 usage or unreadable input, 3 undecided, 4 the run could \
not be made.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster, drive it under faults, judge what its clients saw
    Run(RunArgs),
    /// Judge a recorded history: ours or another tool's
    Check(CheckArgs),
    /// Write a history in another format: ours, or another tool's
    Convert(ConvertArgs),
    /// Run the stored plan of an earlier run again
    Replay(ReplayArgs),
    /// List the stored runs with their verdicts
    Runs(RunsArgs),
    /// Run one seed after another within a time: what a nightly job calls
    Campaign(CampaignArgs),
    /// Run node programs written for Maelstrom, which speak JSON messages on standard input and output
    Maelstrom(Box<super::maelstrom::MaelstromArgs>),
    /// Look for every bug of raft-kv, and say which were found and how soon
    Zoo(ZooArgs),
    /// List what is known of real systems; run what must show it (docs/known.md)
    Known(KnownArgs),
    /// List the systems there are definitions of, and say which can run here
    Systems(SystemsArgs),
    /// Write a definition of a new system, with comments
    Init(InitArgs),
    /// Say what this machine allows, what not, why, and how to change it
    Doctor(DoctorArgs),
    /// Undo on other hosts, or in a Docker engine, what runs that are over have left there
    Heal(HealArgs),
    /// Serve as one node of the embedded system under test, a small Raft key-value store
    RaftKv(raft_kv::cli::Args),
}

/// How a verdict is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Print the verdict as one JSON document on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// The folder that holds the run folders
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    pub store: PathBuf,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// How long to drive the cluster, e.g. 30s or 5m [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub time: Option<u64>,
    /// The run.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Where it is kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the verdict is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What a run is made of; all optional.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanArgs {
    /// The run as a file (TOML, as in a run folder); other options change what it says
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// The system under test: one of those that `whitewater systems` lists, or the file of a
    /// definition (docs/systems.md), such as ./mine.toml [default: raft-kv]
    #[arg(long, value_name = "NAME|FILE")]
    pub system: Option<String>,
    /// How many nodes [default: the system's usual number, 5 for raft-kv]
    #[arg(long, value_name = "N")]
    pub nodes: Option<u64>,
    /// Run a node on each of these hosts, by ssh, instead of all on this machine: HOST as ssh knows it,
    /// or HOST=ADDRESS, separated by commas (docs/hosts.md)
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub hosts: Vec<cluster::remote::Host>,
    /// Run each node in a container of this image, by the program `docker` (docs/docker.md)
    #[arg(long, value_name = "IMAGE", conflicts_with = "hosts")]
    pub docker: Option<String>,
    /// What the clients do, e.g. register, kv, set, queue, lock, bank (docs/workloads.md lists them)
    /// [default: the first that the system's definition names, register for raft-kv]
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
    /// How many clients at once [default: 10]
    #[arg(long, value_name = "N")]
    pub clients: Option<u64>,
    /// Operations per second that arrive on schedule, over all clients [default: as fast as the
    /// clients get answers]
    #[arg(long, value_name = "N")]
    pub rate: Option<u64>,
    /// The number that everything random is drawn from [default: a fresh one, printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// What drawn faults are for: gentle, default, hostile, disk or clock [default: default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Kinds of faults (docs/faults.md says what there is), separated by commas, with a weight where
    /// one is to come more often (kill,partition:3), or none [default: the profile's]
    #[arg(long, value_name = "KINDS")]
    pub faults: Option<String>,
    /// Faults written by hand, in a TOML file of `schedule` tables (docs/faults.md), instead of
    /// drawn ones
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,
    /// Mean time between the beginnings of faults [default: the profile's]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub fault_interval: Option<u64>,
    /// Mean time that a fault lasts [default: the profile's]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub fault_duration: Option<u64>,
    /// How many faults may be in force at once [default: the profile's]
    #[arg(long, value_name = "N")]
    pub fault_overlap: Option<u32>,
    /// Switch on a bug of raft-kv (repeatable; `whitewater raft-kv --list-bugs` names them)
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// The program to run as a node instead of the one that the system's definition finds
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// An option of the system's own, for every node (repeatable), e.g. transport=udp, reads=lease
    /// or snapshot-entries=100; `whitewater raft-kv --help` lists them
    #[arg(long = "system-option", value_name = "NAME=VALUE")]
    pub system_options: Vec<String>,
    /// An option of the client that speaks to the system (repeatable): a field of `[client.NAME]` of
    /// its definition
    #[arg(long = "client-option", value_name = "NAME=VALUE")]
    pub client_options: Vec<String>,
    /// How many keys are in use at once [default: the workload's own]
    #[arg(long, value_name = "N")]
    pub keys: Option<u64>,
    /// After how many operations a key is retired for a fresh one [default: the workload's own]
    #[arg(long, value_name = "N")]
    pub ops_per_key: Option<u64>,
    /// Values written: `unique`, so that a read names its write, or `few:N` [default: unique]
    #[arg(long, value_name = "MODE")]
    pub values: Option<String>,
    /// After how long an operation's outcome counts as unknown [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub timeout: Option<u64>,
    /// Within how long the healed cluster must serve again [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub recovery_limit: Option<u64>,
    /// Go on after the first violation that is found while the run goes on [default: heal the
    /// cluster, judge what there is, and end]
    #[arg(long)]
    pub keep_going: bool,
    /// Give every node a disk of its own that can fail, and draw its faults too: power-loss,
    /// crash-point, torn-write, io-error, disk-full, slow-fsync (docs/faults.md). --faults with one of
    /// these, or bit-flip or lying-fsync, needs no --disk-faults
    #[arg(long)]
    pub disk_faults: bool,
    /// Without namespaces, on loopback addresses: process faults only
    #[arg(long)]
    pub plain: bool,
    /// How the history is recorded: for people, or in a tenth of the bytes [default: jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub history_format: Option<HistoryFormat>,
    /// Who forwards packets between nodes: `switch`, ours, for every fault; `bridge`, the kernel's
    /// with nf_tables, for partitions and resets at nearly bare speed [default: switch]
    #[arg(long, value_name = "WHO")]
    pub network: Option<NetworkBackend>,
    /// Capture every frame between nodes and clients into packets.pcapng of the run folder, those
    /// that faults drop apart
    #[arg(long)]
    pub pcap: bool,
    /// Limits of the check.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Limits of a check.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArgs {
    /// How long the check may take [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub check_time: Option<u64>,
    /// How much memory the check may take, in MiB [default: 2048]
    #[arg(long, value_name = "MIB")]
    pub check_memory: Option<u64>,
}

/// `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// A history's file, a run folder, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The consistency model, e.g. register, cas-register, kv, append-list, fifo-queue, mutex
    /// (docs/histories.md lists them) [default: the one that a history of ours names]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// A workload whose model and checks judge the history, e.g. set, queue, lock, bank
    /// (docs/workloads.md lists them)
    #[arg(long, value_name = "WORKLOAD", conflicts_with_all = ["model", "checks"])]
    pub workload: Option<String>,
    /// A check of its own, with or without a model: set, log, queue, unordered-queue, lock,
    /// leader-election, counter, final-counter, unique-ids, watch, bank, echo,
    /// eventual-set, kafka, list-append or rw-register; may be given again
    #[arg(long = "check", value_name = "CHECK")]
    pub checks: Vec<String>,
    /// What the checks list-append and rw-register hold transactions to (may be given again):
    /// read-uncommitted, read-committed, snapshot-isolation, repeatable-read, serializable or
    /// strict-serializable [default: what the run was made for, else strict-serializable]
    #[arg(long = "consistency-model", value_name = "MODEL")]
    pub consistency_models: Vec<String>,
    /// Go on after the first key that is not linearizable, and name every one
    #[arg(long, conflicts_with = "verify")]
    pub all: bool,
    /// The file's format: auto, jsonl, binary, jepsen-log, edn, elle-json or porcupine-kv
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: String,
    /// Where keys are: `tuple`, in the values, as Jepsen's independent tests write them: [key
    /// value]; `field`, only where there is a key; `auto`, in the values where they can be taken
    /// for nothing else
    #[arg(long, value_name = "PLACE", default_value = "auto")]
    pub keys: KeysArg,
    /// The value before the first operation, as EDN, e.g. 0, nil or {:x 0, :y 0}
    #[arg(long, value_name = "VALUE")]
    pub initial: Option<String>,
    /// What a read of nil means: `observe`, nothing was there; `any`, the value is unknown
    #[arg(long, value_name = "MEANING", default_value = "observe")]
    pub nil_reads: NilReadsArg,
    /// What a failed compare-and-set means: `observed`, another value was there; `no-effect`,
    /// nothing is known but that it did not happen [default: observed for jepsen-log, else
    /// no-effect]
    #[arg(long, value_name = "MEANING")]
    pub failed_cas: Option<FailedCasArg>,
    /// Where the verdict is valid, write the proof: an order of the operations of each key
    #[arg(long, value_name = "CERT", conflicts_with = "verify")]
    pub certificate: Option<PathBuf>,
    /// Instead of judging the history, check a proof written by --certificate (give the same other
    /// options as then)
    #[arg(long, value_name = "CERT", conflicts_with_all = ["check_time", "check_memory"])]
    pub verify: Option<PathBuf>,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How the verdict is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `convert`.
#[derive(Debug, Clone, Args)]
pub struct ConvertArgs {
    /// A history's file, a run folder, or - for standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The file to write; never written over without --force
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// The format of IN, as `check --format` takes it
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub from: String,
    /// The format of OUT: jsonl, binary, jepsen-log, edn, elle-json or porcupine-kv; auto tells by
    /// its ending: .jsonl, .bin, .log, .edn or .json
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub to: String,
    /// Where keys are in IN, as `check --keys` takes it
    #[arg(long, value_name = "PLACE", default_value = "auto")]
    pub keys: KeysArg,
    /// What a failed compare-and-set means in IN, as `check --failed-cas` takes it
    #[arg(long, value_name = "MEANING")]
    pub failed_cas: Option<FailedCasArg>,
    /// Write over OUT if it exists
    #[arg(long)]
    pub force: bool,
}

/// Where the keys of operations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeysArg {
    /// In the values where these can be taken for nothing else, and else in a field.
    Auto,
    /// In the values: [key value].
    Tuple,
    /// In a field of their own.
    Field,
}

/// What a read of nil means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NilReadsArg {
    /// Nothing was there.
    Observe,
    /// The value is unknown, so the read is always legal.
    Any,
}

/// What a failed compare-and-set means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailedCasArg {
    /// It found another value.
    Observed,
    /// It did not happen, for whatever reason.
    NoEffect,
}

/// `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The folder of the run to do again
    #[arg(value_name = "RUN-FOLDER")]
    pub run: PathBuf,
    /// Where the new run is kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the verdict is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// Where the runs are.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `campaign`.
#[derive(Debug, Clone, Args)]
pub struct CampaignArgs {
    /// How many runs at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub runs: u64,
    /// How long all runs may take together, e.g. 15m
    #[arg(long = "time", value_name = "TIME", value_parser = time_ms, default_value = "15m")]
    pub total_time: u64,
    /// How long to drive the cluster in each run [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub run_time: Option<u64>,
    /// Keep the folders of valid runs too
    #[arg(long)]
    pub keep_all: bool,
    /// Where to write the JUnit XML [default: junit.xml in the campaign's folder]
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// What each run is made of.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Where the campaign's folder is made.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the summary is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `zoo`.
#[derive(Debug, Clone, Args)]
pub struct ZooArgs {
    /// The bugs to look for (`whitewater raft-kv --list-bugs` names them) [default: all]
    #[arg(value_name = "BUG")]
    pub bugs: Vec<String>,
    /// How many runs each bug gets at most
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub runs: u64,
    /// How long the runs for one bug may take together, e.g. 5m
    #[arg(long = "time", value_name = "TIME", value_parser = time_ms, default_value = "5m")]
    pub total_time: u64,
    /// The seed of each bug's first run; the next is one more
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Make one run of each recipe without the bug: no run may be blamed
    #[arg(long)]
    pub correct: bool,
    /// Where to write JUnit XML [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Where the runs that found something are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the table is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `known`.
#[derive(Debug, Clone, Args)]
pub struct KnownArgs {
    /// The behaviours to run [default: none, they are listed]
    #[arg(value_name = "NAME")]
    pub behaviours: Vec<String>,
    /// Run all of them
    #[arg(long, conflicts_with = "behaviours")]
    pub all: bool,
    /// How many runs: of an anomaly at most, until one shows it; of a control all of them [default:
    /// each behaviour's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub runs: Option<u64>,
    /// How long to drive the cluster in each run, e.g. 5m [default: each behaviour's own]
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    pub time: Option<u64>,
    /// The seed of each behaviour's first run; the next is one more
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to write JUnit XML [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Where the runs that showed something are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How the table is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `systems`.
#[derive(Debug, Clone, Args)]
pub struct SystemsArgs {
    /// Names, or files of definitions [default: all that come with Whitewater]
    #[arg(value_name = "NAME|FILE")]
    pub systems: Vec<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `init`. On a terminal, what is not said is asked for.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The system's name [default: mine]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How a node is started, e.g. "python3 server.py --listen {node.ip}:{port.client}"
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// The port where clients are served [default: 8080]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How many nodes it usually has [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=31))]
    pub nodes: Option<u64>,
    /// What the clients do
    #[arg(long, value_name = "NAME", default_value = "register")]
    pub workload: String,
    /// What speaks to the system: its HTTP interface as the definition says, or a program of yours in any
    /// language, of which a skeleton in Python is written [default: http]
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<InitClient>,
    /// The folder to write into
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

/// The clients that `init` knows how to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InitClient {
    /// Requests over HTTP, by what the definition says
    Http,
    /// A program in any language, by JSON lines
    Program,
}

impl std::fmt::Display for InitClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            InitClient::Http => "http",
            InitClient::Program => "program",
        })
    }
}

impl std::str::FromStr for InitClient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        clap::ValueEnum::from_str(text, false)
    }
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Try these hosts instead of this machine, by ssh: HOST or HOST=ADDRESS, separated by commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub hosts: Vec<cluster::remote::Host>,
    /// Try the Docker engine instead, with a container of this program's own
    #[arg(long, conflicts_with = "hosts")]
    pub docker: bool,
}

/// `heal`.
#[derive(Debug, Clone, Args)]
pub struct HealArgs {
    /// Where.
    #[command(flatten)]
    pub place: HealPlace,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where runs may have left something.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct HealPlace {
    /// The hosts as ssh knows them, separated by commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub hosts: Vec<cluster::remote::Host>,
    /// The Docker engine
    #[arg(long)]
    pub docker: bool,
}

/// A time such as `30s`, `1500ms` or `15m`, in milliseconds.
pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(text).map_err(|error| {
        format!("{error} (hint: a number with a unit, e.g. 30s, 1500ms or 15m)")
    })?;
    match u64::try_from(time.as_millis()) {
        Ok(time_ms) if (1..=7 * 24 * 3_600_000).contains(&time_ms) => Ok(time_ms),
        _ => Err("expected a time between 1ms and 7days".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_need_a_unit_and_a_bound() {
        assert_eq!(time_ms("30s"), Ok(30_000));
        assert_eq!(time_ms("1m 500ms"), Ok(60_500));
        for wrong in ["30", "0s", "9999days", "", "soon"] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
    }
}
