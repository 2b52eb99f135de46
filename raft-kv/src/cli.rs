//! The command line of a node, made to be a program of its own or a subcommand of another.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::bugs::Bug;
use crate::raft::{Name, Reads};
use crate::server::{self, Settings};
use crate::transport;

/// A node of a small Raft key-value store whose protocol can be broken on purpose.
#[derive(Debug, Clone, Parser)]
#[command(name = "raft-kv", version)]
pub struct Args {
    /// The name of this node.
    #[arg(long, value_name = "NAME", required_unless_present = "list_bugs")]
    node: Option<String>,

    /// All nodes of the cluster with their addresses, this one included.
    #[arg(
        long,
        value_name = "NAME=IP,…",
        value_delimiter = ',',
        value_parser = read_member,
        required_unless_present = "list_bugs"
    )]
    cluster: Vec<(String, IpAddr)>,

    /// Begin outside the cluster, until added by a request to /members.
    #[arg(long)]
    join: bool,

    /// The port for clients.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    client_port: u16,

    /// The port for the other nodes.
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    peer_port: u16,

    /// The folder for the log and the snapshot.
    #[arg(long, value_name = "FOLDER", required_unless_present = "list_bugs")]
    data: Option<PathBuf>,

    /// Switch on a bug; may be repeated.
    #[arg(long, value_name = "NAME")]
    bug: Vec<Bug>,

    /// List the bugs and exit.
    #[arg(long)]
    list_bugs: bool,

    /// How often a leader shows itself, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..=60_000))]
    heartbeat_ms: u64,

    /// The shortest election timeout, in milliseconds; the longest is twice that.
    #[arg(long, value_name = "MS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(2..=600_000))]
    election_ms: u64,

    /// Take a snapshot after so many log entries.
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_entries: u64,

    /// What there is between the nodes: tcp, or udp for one datagram per message.
    #[arg(long, value_name = "NAME", default_value = "tcp")]
    transport: transport::Kind,

    /// What a leader does before it answers a read: read-index, to ask a majority, or lease, to
    /// trust its clock.
    #[arg(long, value_name = "HOW", default_value = "read-index")]
    reads: Reads,
}

/// Runs a node until it fails, or lists the bugs.
///
/// The exit code is 0 after a list, 2 when the arguments contradict each other, and 1 when the node
/// cannot run or go on; the reason is on standard error. Unknown bugs are refused when the
/// arguments are parsed, which ends with 2 as well.
pub fn run(args: Args) -> ExitCode {
    if args.list_bugs {
        print!("{}", list_bugs());
        return ExitCode::SUCCESS;
    }
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(error) => {
            say(&format!("raft-kv: {error}"));
            return ExitCode::from(2);
        }
    };
    let Err(error) = server::serve(settings, say);
    say(&format!("raft-kv: {error}"));
    ExitCode::FAILURE
}

/// Options that are a node's own, and not what makes it one of a cluster.
const OPTIONS: [&str; 5] = [
    "heartbeat-ms",
    "election-ms",
    "snapshot-entries",
    "transport",
    "reads",
];

/// Whether a node would start with these options, given by their names without dashes.
///
/// # Errors
/// What is wrong with them.
pub fn check_options(options: &BTreeMap<String, String>) -> Result<(), String> {
    let known = OPTIONS.join(", ");
    if let Some(name) = options.keys().find(|name| !OPTIONS.contains(&&***name)) {
        return Err(format!(
            "raft-kv has no option `{name}` (hint: known: {known})"
        ));
    }
    let node = [
        "raft-kv",
        "--node",
        "n1",
        "--cluster",
        "n1=127.0.0.1",
        "--data",
        ".",
    ];
    let more = options
        .iter()
        .map(|(name, value)| format!("--{name}={value}"));
    let args = node.into_iter().map(str::to_owned).chain(more);
    let args = Args::try_parse_from(args).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })?;
    settings(args).map(drop)
}

/// A line of the log. Where it cannot be written, as on a full disk, the node goes on without.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The bugs, for people.
pub fn list_bugs() -> String {
    let mut text = String::new();
    for bug in Bug::ALL {
        text += &format!(
            "{bug}\n    {}\n    needs: {}\n    shows as: {}\n    breaks: {}\n    looked for by: {}\n    \
             source: {}\n",
            bug.summary(),
            bug.needs(),
            bug.symptom(),
            bug.breaks().name(),
            bug.recipe().options,
            bug.source()
        );
    }
    text
}

fn settings(args: Args) -> Result<Settings, String> {
    let (Some(node), Some(data)) = (args.node, args.data) else {
        return Err("--node and --data are needed".into());
    };
    if args.heartbeat_ms * 2 > args.election_ms {
        return Err(format!(
            "an election timeout of {} ms leaves no room for heartbeats every {} ms (hint: at \
             least twice as long)",
            args.election_ms, args.heartbeat_ms
        ));
    }
    let mut cluster = crate::raft::Members::new();
    for (name, ip) in args.cluster {
        if cluster.insert(Name::from(&*name), ip.into()).is_some() {
            return Err(format!("node {name} is in --cluster twice"));
        }
    }
    Ok(Settings {
        node: node.into(),
        cluster,
        join: args.join,
        client_port: args.client_port,
        peer_port: args.peer_port,
        data,
        bugs: args.bug.into_iter().collect(),
        heartbeat_ms: args.heartbeat_ms,
        election_ms: args.election_ms,
        snapshot_entries: args.snapshot_entries,
        transport: args.transport,
        reads: args.reads,
    })
}

fn read_member(text: &str) -> Result<(String, IpAddr), String> {
    let (name, ip) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("`{text}` is not NAME=IP (hint: such as n1=10.0.0.1)"))?;
    let ip = ip
        .parse()
        .map_err(|_| format!("`{ip}` is not an IP address"))?;
    Ok((name.to_owned(), ip))
}
