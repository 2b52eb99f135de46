//! The run as data: what is started, what it is driven with, what goes wrong and when.
//!
//! A plan has nothing optional left in it, the fault schedule included: whoever reads it draws
//! nothing. It is written to the run folder before anything starts, and `replay` reads it there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster::remote::Host;
use faults::{Kind, Name, Profile, Rhythm, Schedule};
use maelstrom::MaelstromOptions;
use serde::{Deserialize, Serialize};
use systems::{Definition, parse};
use workloads::clients::ClientOptions;

pub(crate) use make::{draw, of_options};
pub use make::{make, reseed, set_schedule};

mod make;
pub mod of_maelstrom;

/// The version of the plan's format, raised when its meaning changes.
pub const PLAN_VERSION: u32 = 1;

/// The run as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The format's version.
    pub version: u32,
    /// Everything random was drawn from this number.
    pub seed: u64,
    /// How long the clients drive the cluster, in milliseconds.
    pub duration_ms: u64,
    /// Where the nodes run.
    pub sandbox: SandboxMode,
    /// Whether every node has a disk of its own that can fail. Faults of disks need it, so a plan
    /// with one of those has it without saying so.
    pub disk_faults: bool,
    /// How the history is recorded.
    pub history_format: HistoryFormat,
    /// What the nodes are joined by.
    pub network: NetworkPlan,
    /// What is under test.
    pub system: SystemPlan,
    /// What the clients do.
    pub workload: WorkloadPlan,
    /// What goes wrong, in general.
    pub faults: FaultPlan,
    /// How the history is judged.
    pub check: CheckPlan,
    /// What is particular to a run of Maelstrom's protocol; none for other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maelstrom: Option<MaelstromOptions>,
    /// What goes wrong, in particular: when, what, to whom, for how long.
    pub schedule: Schedule,
}

/// Where the nodes run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// In namespaces where this machine allows them, else plain.
    #[default]
    Auto,
    /// As ordinary processes on loopback addresses: process faults only.
    Plain,
}

/// How the history is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryFormat {
    /// As JSON lines, for people.
    #[default]
    Jsonl,
    /// In chunks, for machines: a tenth of the size.
    Binary,
}

impl From<HistoryFormat> for histories::Encoding {
    fn from(format: HistoryFormat) -> Self {
        match format {
            HistoryFormat::Jsonl => histories::Encoding::Jsonl,
            HistoryFormat::Binary => histories::Encoding::Binary,
        }
    }
}

/// What the nodes are joined by, in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkPlan {
    /// Who forwards packets.
    pub backend: NetworkBackend,
    /// Whether every frame is captured, into the run folder.
    pub pcap: bool,
    /// How many bytes of each frame a capture keeps.
    pub pcap_frame_bytes_max: u32,
}

impl Default for NetworkPlan {
    fn default() -> Self {
        NetworkPlan {
            backend: NetworkBackend::Switch,
            pcap: false,
            pcap_frame_bytes_max: 65_535,
        }
    }
}

impl NetworkPlan {
    fn validate(&self, sandbox: SandboxMode) -> Result<(), PlanError> {
        if !(64..=65_535).contains(&self.pcap_frame_bytes_max) {
            let found = self.pcap_frame_bytes_max;
            return Err(PlanError::new(format!(
                "`network.pcap_frame_bytes_max` is {found}, expected 64 to 65535"
            )));
        }
        if self.pcap && self.backend == NetworkBackend::Bridge {
            let error = PlanError::new("the kernel's bridge captures no packets");
            return Err(error.with_hint("leave out `--network bridge` or `--pcap`"));
        }
        if sandbox == SandboxMode::Plain && *self != NetworkPlan::default() {
            let error = PlanError::new(
                "in plain mode there is no network of our own to capture or to choose",
            );
            return Err(error.with_hint("leave out `--plain`, or `--pcap` and `--network`"));
        }
        Ok(())
    }
}

/// Who forwards packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkBackend {
    /// Our own switch: every fault of packets, on every machine that has sandboxes.
    #[default]
    Switch,
    /// The kernel's bridge with nf_tables, where there is the program nft: partitions and resets
    /// only, nearest to bare speed.
    Bridge,
}

impl From<NetworkBackend> for cluster::Backend {
    fn from(backend: NetworkBackend) -> Self {
        match backend {
            NetworkBackend::Switch => cluster::Backend::Switch,
            NetworkBackend::Bridge => cluster::Backend::Bridge,
        }
    }
}

/// What is under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemPlan {
    /// The system's name.
    pub name: String,
    /// The nodes' names.
    pub nodes: Vec<Name>,
    /// The hosts on which the nodes run, one for each, in order: `HOST` as ssh knows it, or
    /// `HOST=ADDRESS`; none for this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// The image of the containers in which the nodes run, one for each; none for no containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
    /// The bugs switched on.
    pub bugs: Vec<String>,
    /// The program that serves as a node; none for the one that the definition finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// Options of the system's own, for every node: `transport = "udp"` for `--transport udp`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Options of the client that speaks to it: what `[client.NAME]` of the definition says, changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub client_options: BTreeMap<String, String>,
    /// The folder of the definition's file, which `{here}` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<PathBuf>,
    /// The definition of a system that does not come with Whitewater.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<Definition>>,
}

/// What the clients do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadPlan {
    /// The workload's name.
    pub name: String,
    /// How many clients at once.
    pub clients: u64,
    /// Operations per second over all clients, arriving on schedule; 0 for as fast as the clients
    /// get answers.
    pub rate_per_s: u64,
    /// How many keys are in use at once; 0 for the workload's own default.
    pub keys: u64,
    /// After how many operations a key is retired; 0 for the workload's own default.
    pub ops_per_key: u64,
    /// `unique` or `few:N`.
    pub values: String,
    /// After how long an operation's outcome counts as unknown, in milliseconds.
    pub timeout_ms: u64,
}

/// What goes wrong, in general: what the schedule was drawn for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultPlan {
    /// The profile that the rest was filled in from.
    pub profile: Profile,
    /// Whether the kinds were asked for by name: then a kind that this machine cannot inject ends
    /// the run before it begins, instead of being reported as unavailable.
    pub required: bool,
    /// Whether the schedule was written by hand: then it is kept, whatever else changes. A schedule
    /// in a plan file is, unless the file says otherwise.
    pub explicit: bool,
    /// The mean time between the beginnings of two faults, in milliseconds.
    pub interval_ms: u64,
    /// The mean time that a fault lasts, in milliseconds.
    pub duration_ms: u64,
    /// How many drawn faults may be in force at once.
    pub overlap_max: u32,
    /// Time without drawn faults at the start, in milliseconds.
    pub quiet_start_ms: u64,
    /// Time without drawn faults at the end, in milliseconds.
    pub quiet_end_ms: u64,
    /// Within how long the healed cluster must serve again, in milliseconds.
    pub recovery_limit_ms: u64,
    /// The kinds, with their weights: how often each comes in a round.
    pub kinds: BTreeMap<Kind, u32>,
}

impl FaultPlan {
    /// What a profile asks for.
    fn of(profile: Profile) -> Self {
        let rhythm = profile.rhythm();
        FaultPlan {
            profile,
            required: false,
            explicit: true,
            interval_ms: rhythm.mean_interval_ms,
            duration_ms: rhythm.mean_duration_ms,
            overlap_max: rhythm.overlap_max,
            quiet_start_ms: rhythm.quiet_start_ms,
            quiet_end_ms: rhythm.quiet_end_ms,
            recovery_limit_ms: 10_000,
            kinds: profile.kinds(),
        }
    }

    /// Whether somebody asked for these kinds, by their names or by a profile's: then one that
    /// cannot be had is refused, and not left out.
    pub fn are_asked_for(&self) -> bool {
        self.required || self.profile != Profile::default()
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm {
            mean_interval_ms: self.interval_ms,
            mean_duration_ms: self.duration_ms,
            overlap_max: self.overlap_max,
            quiet_start_ms: self.quiet_start_ms,
            quiet_end_ms: self.quiet_end_ms,
        }
    }
}

/// How the history is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckPlan {
    /// The consistency model; empty where the workload has none.
    pub model: String,
    /// How long the check may take, in milliseconds.
    pub time_limit_ms: u64,
    /// How much memory the check may take, in MiB.
    pub memory_limit_mib: u64,
    /// Go on after the first violation that is found while the run goes on, instead of healing,
    /// judging and ending.
    pub keep_going: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            version: PLAN_VERSION,
            seed: 0,
            duration_ms: 30_000,
            sandbox: SandboxMode::Auto,
            disk_faults: false,
            history_format: HistoryFormat::Jsonl,
            network: NetworkPlan::default(),
            system: SystemPlan::default(),
            workload: WorkloadPlan::default(),
            faults: FaultPlan::default(),
            check: CheckPlan::default(),
            maelstrom: None,
            schedule: Schedule::default(),
        }
    }
}

impl Default for SystemPlan {
    fn default() -> Self {
        SystemPlan {
            name: "raft-kv".to_owned(),
            nodes: node_names(5),
            hosts: Vec::new(),
            docker: None,
            bugs: Vec::new(),
            binary: None,
            options: BTreeMap::new(),
            client_options: BTreeMap::new(),
            here: None,
            definition: None,
        }
    }
}

/// `n1`, `n2` and so on.
fn node_names(count: u64) -> Vec<Name> {
    (1..=count).map(|n| format!("n{n}").into()).collect()
}

impl Default for WorkloadPlan {
    fn default() -> Self {
        WorkloadPlan {
            name: "register".to_owned(),
            clients: 10,
            rate_per_s: 0,
            keys: 0,
            ops_per_key: 0,
            values: "unique".to_owned(),
            timeout_ms: 1_000,
        }
    }
}

impl Default for FaultPlan {
    fn default() -> Self {
        FaultPlan::of(Profile::default())
    }
}

impl Default for CheckPlan {
    fn default() -> Self {
        CheckPlan {
            model: String::new(),
            time_limit_ms: 60_000,
            memory_limit_mib: 2_048,
            keep_going: false,
        }
    }
}

/// Why a plan cannot be made or read.
pub type PlanError = systems::Problem;

impl SystemPlan {
    /// Whether the nodes run on this machine and in no containers.
    pub fn is_here(&self) -> bool {
        self.hosts.is_empty() && self.docker.is_none()
    }

    /// The definition of the system.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn definition(&self) -> Result<Arc<Definition>, PlanError> {
        match &self.definition {
            Some(definition) => Ok(definition.clone()),
            None => systems::builtin(&self.name),
        }
    }

    /// The client that speaks to the system, with its options as the plan has them.
    ///
    /// # Errors
    /// It has no such option, or not with such a value.
    pub fn client(&self) -> Result<ClientOptions, PlanError> {
        self.definition()?.client_with(&self.client_options)
    }

    /// The folder of the definition's file; empty for a system that comes with Whitewater.
    pub fn here(&self) -> &Path {
        self.here.as_deref().unwrap_or(Path::new(""))
    }

    /// From now on the system is this one: a name, or a file's (it has a slash or ends in `.toml`),
    /// relative to `base`.
    pub(crate) fn choose(&mut self, system: &str, base: &Path) -> Result<(), PlanError> {
        if !system.contains('/') && !system.ends_with(".toml") {
            (self.definition, self.here) = (None, None);
            system.clone_into(&mut self.name);
            return Ok(());
        }
        let file = base.join(system);
        let definition = Definition::read(&file)?;
        self.name.clone_from(&definition.name);
        let whole = std::path::absolute(&file).unwrap_or(file);
        self.here = whole.parent().map(Path::to_owned);
        self.definition = Some(Arc::new(definition));
        Ok(())
    }
}

impl Plan {
    /// Reads a plan's file. What it does not say has its default; what it says is checked.
    pub fn read(file: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            PlanError::new(format!("failed to read the plan: {error}")).in_file(file, None)
        })?;
        let mut plan = Plan::parse(&text).map_err(|error| {
            let line = error.line;
            error.in_file(file, line)
        })?;
        make::follow_system(&mut plan, &text, file)?;
        make::complete(&mut plan);
        plan.validate().map_err(|error| error.in_file(file, None))?;
        Ok(plan)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, PlanError> {
        parse::toml(text)
    }

    /// The plan as TOML.
    pub fn to_toml(&self) -> String {
        // A plan is plain data with text keys, which TOML can always express; should that ever
        // change, an unreadable plan in the run folder says why.
        toml::to_string(self).unwrap_or_else(|error| format!("# failed to write the plan: {error}"))
    }

    /// Refuses what cannot be run, naming the field.
    pub fn validate(&self) -> Result<(), PlanError> {
        if self.version != PLAN_VERSION {
            let found = self.version;
            return Err(PlanError::new(format!(
                "`version` is {found}, this build reads version {PLAN_VERSION}"
            )));
        }
        for (field, value, range) in [
            ("duration_ms", self.duration_ms, 1..=7 * 24 * 3_600_000),
            (
                "system.nodes (how many)",
                self.system.nodes.len() as u64,
                1..=31,
            ),
            ("workload.clients", self.workload.clients, 1..=1_000),
            (
                "workload.rate_per_s",
                self.workload.rate_per_s,
                0..=1_000_000,
            ),
            ("workload.keys", self.workload.keys, 0..=100_000),
            (
                "workload.ops_per_key",
                self.workload.ops_per_key,
                0..=1_000_000_000,
            ),
            ("workload.timeout_ms", self.workload.timeout_ms, 1..=600_000),
            (
                "faults.interval_ms",
                self.faults.interval_ms,
                1..=86_400_000,
            ),
            (
                "faults.duration_ms",
                self.faults.duration_ms,
                1..=86_400_000,
            ),
            (
                "faults.overlap_max",
                u64::from(self.faults.overlap_max),
                1..=1_000,
            ),
            (
                "faults.quiet_start_ms",
                self.faults.quiet_start_ms,
                0..=86_400_000,
            ),
            (
                "faults.quiet_end_ms",
                self.faults.quiet_end_ms,
                0..=86_400_000,
            ),
            (
                "faults.recovery_limit_ms",
                self.faults.recovery_limit_ms,
                1..=3_600_000,
            ),
            (
                "check.time_limit_ms",
                self.check.time_limit_ms,
                1..=86_400_000,
            ),
            (
                "check.memory_limit_mib",
                self.check.memory_limit_mib,
                1..=1_048_576,
            ),
        ] {
            if !range.contains(&value) {
                return Err(PlanError::new(format!(
                    "`{field}` is {value}, expected {} to {}",
                    range.start(),
                    range.end()
                )));
            }
        }
        self.network.validate(self.sandbox)?;
        self.validate_hosts()?;
        make::validate_names(self)
    }

    /// What runs on hosts has a host for each node, what runs in containers no hosts, and neither has
    /// anything that only a sandbox has.
    fn validate_hosts(&self) -> Result<(), PlanError> {
        let (hosts, nodes) = (self.system.hosts.len(), self.system.nodes.len());
        if self.system.is_here() {
            return Ok(());
        }
        let (place, page) = match &self.system.docker {
            None => ("on hosts", "docs/hosts.md says what there is on hosts"),
            Some(_) => (
                "in containers",
                "docs/docker.md says what there is in containers",
            ),
        };
        if let Some(image) = &self.system.docker
            && (hosts > 0 || image.is_empty() || image.starts_with('-'))
        {
            let why = match hosts {
                0 => format!("{image:?} is no image"),
                _ => "`system.hosts` and `system.docker`: a node runs on a host or in a container"
                    .to_owned(),
            };
            return Err(PlanError::new(why));
        }
        if hosts > 0 && hosts != nodes {
            let error = PlanError::new(format!(
                "`system.hosts` has {hosts} hosts for {nodes} nodes, expected one for each"
            ));
            return Err(error.with_hint("leave out `--nodes`, or `nodes` in the plan"));
        }
        let only_here = [
            ("--pcap, --network", self.network != NetworkPlan::default()),
            (
                "--disk-faults, or a kind of fault that needs it",
                self.disk_faults,
            ),
            ("--plain", self.sandbox == SandboxMode::Plain),
        ];
        match only_here.iter().find(|(_, is_asked)| *is_asked) {
            None => Ok(()),
            Some((option, _)) => Err(PlanError::new(format!(
                "{option}: that is for nodes on this machine, and these run {place}"
            ))
            .with_hint(page)),
        }
    }
}

#[cfg(test)]
mod tests;
