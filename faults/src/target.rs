//! What a fault may do to a cluster. The cluster implements these traits; faults only use them.

use std::sync::Arc;

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::Network;

use crate::Disks;
use crate::names::named;

/// The name of a node, or of another port of the network such as [`CLIENTS`].
pub type Name = Arc<str>;

/// The name of the port through which every client reaches the nodes.
pub const CLIENTS: &str = "clients";

/// A running cluster, as faults see it. Every call blocks until it is done, within a limit.
pub trait Target: Send + Sync {
    /// The nodes, in order.
    fn nodes(&self) -> Vec<Name>;

    /// Ends every process of the node by SIGKILL and waits until they are gone. Killing a node
    /// that is not running is no error.
    ///
    /// Returns evidence, in which every whole number is the pid of a process that was there and is
    /// no more: `{"gone" [412 413]}`. None stands there when nothing was running.
    fn kill(&self, node: &str) -> Result<Value, TargetError>;

    /// Asks the node's program to end (SIGTERM), waits at most `grace_ms` until every process of the
    /// node is gone, and ends what is left by SIGKILL. No error for a node that is not running.
    ///
    /// Returns evidence: the pids that are no more, what ended them, and how long it took, `{"gone"
    /// [412], "by" "SIGTERM", "took_ms" 3}`; `SIGKILL` for a node that did not end when asked.
    fn terminate(&self, node: &str, grace_ms: u64) -> Result<Value, TargetError>;

    /// Starts a node that is not running, on the data it left behind, without waiting until it
    /// serves. Starting a running node is no error. Returns what is known of the new process, such
    /// as its pid.
    fn start(&self, node: &str) -> Result<Value, TargetError>;

    /// Stops every process of the node by SIGSTOP.
    ///
    /// Returns evidence, in which every text is the state of a process as the kernel reports it
    /// afterwards: `[{"pid" 412, "state" "T"}]`. A node that is not running gives none, or an
    /// error.
    fn pause(&self, node: &str) -> Result<Value, TargetError>;

    /// Lets every process of the node go on (SIGCONT). Resuming a node that runs, or is dead, is
    /// no error.
    fn resume(&self, node: &str) -> Result<Value, TargetError>;

    /// The network between the nodes, or why it cannot be touched here.
    fn network(&self) -> Result<&dyn Network, Unavailable>;

    /// The clocks of the nodes' processes, or why they cannot be changed here.
    fn clocks(&self) -> Result<&dyn Clocks, Unavailable>;

    /// The disks of the nodes, or why they cannot be touched here.
    fn disks(&self) -> Result<&dyn Disks, Unavailable>;

    /// The members of the cluster, as the system under test counts them, or why they cannot be
    /// changed here.
    fn membership(&self) -> Result<&dyn Membership, Unavailable>;

    /// The machines that the nodes seem to run on, or why they cannot be rebooted here.
    fn boots(&self) -> Result<&dyn Boots, Unavailable>;

    /// What the system under test does when it is told to, or why nothing is known of that.
    fn commands(&self) -> Result<&dyn Commands, Unavailable> {
        Err(no_commands())
    }

    /// What the processes of a node may use, or why that cannot be limited here.
    fn limits(&self) -> Result<&dyn Limits, Unavailable>;
}

/// The part that a node plays in the system's own count of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It has a vote.
    Voter,
    /// It is sent everything, and has no vote.
    Learner,
    /// It is no member.
    Outside,
}

/// The members of the cluster, changed through the system's own interface.
pub trait Membership {
    /// Asks the leader to give a node this part, and waits at most so long until the cluster has
    /// agreed. `leader` is who is taken for it and is asked first.
    ///
    /// Returns the members as the leader that was asked reports them afterwards: `{"leader" "n1"
    /// "agreed" true "members" ["n1" "n2"] "learners" []}`. When the time is over and the cluster
    /// has not agreed, `agreed` is false, and the change may still come about.
    fn change(
        &self,
        node: &str,
        part: Part,
        leader: Option<&str>,
        wait_ms: u64,
    ) -> Result<Value, TargetError>;
}

/// Why a system whose commands are not known cannot be told anything.
pub fn no_commands() -> Unavailable {
    Unavailable {
        cause: "the system's definition has no commands, or its nodes run on hosts".into(),
        remedy: "add a table [commands.NAME] to it (docs/systems.md)".into(),
    }
}

/// What the system under test does when it is told to, by commands of its own.
pub trait Commands {
    /// Their names, in order.
    fn names(&self) -> Vec<String>;

    /// Runs one about this node, to its end, within a limit. Returns what it said.
    fn run(&self, node: &str, command: &str) -> Result<Value, TargetError>;
}

named! {
    /// A class of clocks of a process.
    Clock, "clock" {
        /// The time of day: `CLOCK_REALTIME` and its relatives, `gettimeofday`, `time`.
        Realtime = "realtime",
        /// Elapsed time: `CLOCK_MONOTONIC` and its relatives, `CLOCK_BOOTTIME` among them.
        Monotonic = "monotonic",
    }
}

impl Default for Clock {
    /// What time servers and administrators really change.
    fn default() -> Self {
        Clock::Realtime
    }
}

/// One way in which a clock is wrong. Several at once add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distortion {
    /// It is ahead by so many milliseconds, or behind.
    Offset {
        /// How far.
        ms: i64,
    },
    /// It gains so many microseconds in every second, or loses them.
    Drift {
        /// Parts per million.
        ppm: i64,
    },
    /// It stands still.
    Freeze,
    /// It is ahead in the first half of every period, and right in the second. Of several strobes
    /// the last counts.
    Strobe {
        /// How far ahead, in milliseconds; behind if negative.
        offset_ms: i64,
        /// The whole period, in microseconds.
        period_us: u64,
    },
}

/// The clocks of the nodes' processes.
pub trait Clocks {
    /// From now on every process of the node, those included that are started later, sees this
    /// clock distorted in these ways and in no others; none gives it back the true time. A
    /// distortion that was in force already, by its fault's number, goes on.
    ///
    /// Returns evidence of each process that was changed, read by the process itself from its
    /// clock: how far that was from the true time before and after the change, how exactly that is
    /// known, and for how long the process was held meanwhile: `{"processes" [{"pid" 412,
    /// "before_us" 0, "after_us" 5000000, "within_us" 31, "held_us" 402}]}`. Those that were
    /// started since the change before stand under `"started_since"`.
    fn set_distortions(
        &self,
        node: &str,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, TargetError>;
}

/// The machines that the nodes seem to run on.
pub trait Boots {
    /// Starts a node that is not running, on the data it left behind, as on a machine that has been
    /// up for so long: the clocks of elapsed time (`CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`) of its
    /// processes begin there, and go on from there through later starts. A node that runs is left
    /// alone.
    ///
    /// Returns evidence: what the kernel shows its program of the uptime, and how much time has
    /// passed since the start began: `{"init" 411, "uptime_ms" 5003, "passed_ms" 4}`.
    fn start_booted(&self, node: &str, uptime_ms: u64) -> Result<Value, TargetError>;
}

/// What the processes of a node may use less of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Percent of one processor for all processes of the node together; those started later get it
    /// from their first instruction on.
    CpuPercent,
    /// KiB of memory besides what it has when it is limited. Processes started later that do not
    /// descend from those there are have no limit.
    SpareMemoryKib,
    /// File descriptors besides those open when it is limited, for each process. Processes started
    /// later that do not descend from those there are have no limit.
    SpareFiles,
}

/// Limits of what the processes of a node may use.
pub trait Limits {
    /// From now on limits a node to this amount of a resource, in place of any amount before; `None`
    /// lifts the limit. The amount that stands already changes nothing.
    fn limit(
        &self,
        node: &str,
        resource: Resource,
        amount: Option<u64>,
    ) -> Result<LimitShown, TargetError>;
}

/// What is seen of a limit when it is changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitShown {
    /// How it is done, and what was used.
    pub evidence: Value,
    /// Whether the limit that stood before was seen to be reached: something was held up, refused
    /// or ended by it.
    pub was_reached: bool,
    /// Whether the limit that stands now is reached already: nothing more is to be had.
    pub is_reached: bool,
}

/// Why something could not be done to the cluster: what failed, on what, why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub String);

/// Why a kind of fault cannot be injected here, and what would make it possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{cause} (hint: {remedy})")]
pub struct Unavailable {
    /// What is missing.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}
