//! The definition of a system: what its TOML file says.

use std::collections::BTreeMap;
use std::path::Path;

use faults::Kind;
use serde::{Deserialize, Serialize};
use workloads::clients::ClientOptions;

use crate::parse::{self, Problem, line_of_field};
use crate::probe::{Probe, client};
use crate::roles::Roles;
use workloads::Pattern;

/// A system under test.
///
/// Where a field is called a template, placeholders in it are filled in for each node: see
/// [`Scope`](crate::Scope).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name: letters, digits and dashes.
    pub name: String,
    /// What it is, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The workloads that its client can do; the first is the usual one.
    pub workloads: Vec<String>,
    /// How many nodes it usually has.
    #[serde(default = "usual_nodes")]
    pub nodes: u64,
    /// Its program.
    pub program: Program,
    /// The ports of a node by name. Clients are served on `client`.
    pub ports: BTreeMap<String, u16>,
    /// What a user may set with `--system-option NAME=VALUE`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, SystemOption>,
    /// Lists of nodes, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, List>,
    /// Files that are written into every node's folder before its first start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// What is run on a node before its first start, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<Step>,
    /// What runs as a node.
    pub node: Node,
    /// What runs beside it on the same node: killed, paused and cut off together with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Step>,
    /// How the cluster is started.
    #[serde(default)]
    pub start: Start,
    /// How to know that a node serves.
    #[serde(default)]
    pub ready: Ready,
    /// What in the nodes' logs is a failure.
    #[serde(default, skip_serializing_if = "Logs::is_empty")]
    pub logs: Logs,
    /// Who leads; none for a system without leaders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
    /// How members are added and removed; none where they cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// What it does when it is told to, by name: the fault `command` runs one of them about a node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, FaultCommand>,
    /// The faults that it cannot stand.
    #[serde(default, skip_serializing_if = "Faults::is_empty")]
    pub faults: Faults,
    /// The client that speaks to it.
    pub client: ClientOptions,
}

/// What a system does when it is told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultCommand {
    /// The program and its arguments, templates about the node; run on a host that reaches every node
    /// whatever is cut, to its end with status 0.
    pub command: Vec<String>,
    /// How long it may take, in milliseconds.
    #[serde(default = "command_limit_ms")]
    pub limit_ms: u64,
}

fn command_limit_ms() -> u64 {
    10_000
}

/// What is known of a system and faults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Kinds that it cannot stand, or that mean nothing to it, each with the reason: they are never
    /// drawn, and refused where they are asked for by name.
    pub exclude: BTreeMap<Kind, String>,
}

impl Faults {
    fn is_empty(&self) -> bool {
        self.exclude.is_empty()
    }
}

/// The program of a system, and what to do where it is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Program {
    /// A subcommand of this very executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<String>,
    /// Names to be looked for in PATH (and in the folders of administrators' programs), or paths; the
    /// first that is there is taken. A `*` in a path stands for any name; the last in order is taken.
    /// `{here}` is the folder of the definition's file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// How to ask for its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What to do where it is missing, such as `apt-get install etcd-server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
}

/// How to ask a program for its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The arguments with which it prints its version.
    #[serde(default = "version_args")]
    pub args: Vec<String>,
    /// What of that is the version: numbers with dots.
    pub pattern: Pattern,
    /// The oldest that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
}

/// What a user may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemOption {
    /// What it is where the user does not say.
    pub default: String,
    /// What it means, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A list of nodes as a text: `n1=10.77.0.1,n2=10.77.0.2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// What stands for each node, a template about that node.
    pub each: String,
    /// What stands between two.
    #[serde(default = "comma")]
    pub separator: String,
    /// Whether the node for which the list is made is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
}

/// What runs as a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// The program's arguments, templates.
    pub args: Vec<String>,
    /// Arguments that only the first node gets besides, templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args_of_first: Vec<String>,
    /// Arguments that every node but the first gets besides, templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args_of_others: Vec<String>,
    /// What is added to the environment, templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The user, by name or number, that the node's programs take themselves for: for those that refuse
    /// to run as root. Files stay whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The arguments that stand for an option of the user's that `[options]` does not declare:
    /// templates with `{option.name}` and `{option.value}`. Empty where there can be none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_option: Vec<String>,
}

/// A file of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where, a template: `{folder}/redis.conf`, `{data}/myid`.
    pub path: String,
    /// What is in it, a template.
    pub text: String,
    /// On which nodes.
    #[serde(default)]
    pub on: On,
}

/// A command on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The program and its arguments, templates. The program is looked for as those of `[program]` are,
    /// a `*` included.
    pub command: Vec<String>,
    /// On which nodes.
    #[serde(default)]
    pub on: On,
}

/// Some of the nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Every node.
    #[default]
    All,
    /// The first.
    First,
    /// All but the first.
    Others,
}

impl On {
    /// Whether the node at this place, from 0, is meant.
    pub fn has(self, at: usize) -> bool {
        match self {
            On::All => true,
            On::First => at == 0,
            On::Others => at > 0,
        }
    }
}

/// How the cluster is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// Whether each node must serve before the next is prepared and started.
    pub one_by_one: bool,
    /// What is run once, from a host that reaches every node, when all of them serve; templates about
    /// the first node. Each must end with status 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Vec<String>>,
}

/// How to know that a node serves: it accepts connections, and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ready {
    /// The port, by name, that must accept connections.
    pub port: String,
    /// What must be answered besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Probe>,
    /// Within how long after its start, in milliseconds.
    pub limit_ms: u64,
}

/// The nodes' logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// Log files besides what the programs print, templates. What they print is in `stdout.log` and
    /// `stderr.log` of the node's folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Lines that are a failure of the system, such as `panic: `.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Pattern>,
    /// Lines that are none, though they look like it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Pattern>,
}

impl Logs {
    fn is_empty(&self) -> bool {
        *self == Logs::default()
    }

    /// Whether a line is a failure.
    pub fn is_failure(&self, line: &str) -> bool {
        let any = |patterns: &[Pattern]| {
            patterns
                .iter()
                .any(|pattern| pattern.regex().is_match(line))
        };
        any(&self.failures) && !any(&self.except)
    }
}

/// How members are added and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    /// By the embedded system's own interface.
    RaftKv(RaftKvMembers),
    /// By requests that the definition has.
    Requests(Box<MemberRequests>),
}

/// How members are changed, and how it is known who they are, by requests to one node.
///
/// Templates are about the node that is added or removed; `{asked.name}` and `{asked.ip}` are those of
/// the node that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRequests {
    /// Makes it a member with a vote; answered when the cluster has agreed.
    pub add: Probe,
    /// Takes it out of the cluster; answered when the cluster has agreed.
    pub remove: Probe,
    /// Makes it, member or not, a member without a vote; none where there are no such members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learner: Option<Probe>,
    /// Asks for the members.
    pub list: Probe,
    /// Found in the answer to `list` if a node is a member: a regular expression, as a template about
    /// that node, in which what is filled in stands for itself.
    pub is_member: String,
    /// The same for a member without a vote; needed where there is `learner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_learner: Option<String>,
}

/// Nothing to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaftKvMembers {}

impl Default for Ready {
    fn default() -> Self {
        Ready {
            port: client(),
            ask: None,
            limit_ms: 15_000,
        }
    }
}

impl Definition {
    /// Reads a definition's file and checks it.
    ///
    /// # Errors
    /// The file, the line, the field, what is wrong with it, and what was probably meant.
    pub fn read(file: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Problem::new(format!(
                "failed to read the definition of a system: {error}"
            ))
            .in_file(file, None)
        })?;
        Definition::parse(&text).map_err(|problem| {
            let line = problem.line;
            problem.in_file(file, line)
        })
    }

    /// Reads a definition and checks it.
    ///
    /// # Errors
    /// The line, the field, what is wrong with it, and what was probably meant.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let definition: Definition = parse::toml(text)?;
        definition.validate().map_err(|invalid| {
            let mut problem = invalid.problem;
            problem.line = line_of_field(text, &invalid.field);
            problem.message = format!("`{}`: {}", invalid.field, problem.message);
            problem
        })?;
        Ok(definition)
    }

    /// The client, with these options in the place of what the definition says. A name with dots
    /// reaches into tables; a value is taken as TOML where it is some, else as text.
    ///
    /// # Errors
    /// It has no such option, or not with such a value.
    pub fn client_with(
        &self,
        options: &BTreeMap<String, String>,
    ) -> Result<ClientOptions, Problem> {
        if options.is_empty() {
            return Ok(self.client.clone());
        }
        let failed = |why: String| Problem::new(format!("`client.{}`: {why}", self.client.name()));
        let mut table = toml::Table::try_from(&self.client).map_err(|e| failed(e.to_string()))?;
        for (name, text) in options {
            let mut place = table
                .get_mut(self.client.name())
                .and_then(toml::Value::as_table_mut)
                .ok_or_else(|| failed("it has no options".to_owned()))?;
            let mut steps: Vec<&str> = name.split('.').collect();
            let last = steps.pop().unwrap_or(name);
            for step in steps {
                let inner = place.get_mut(step).and_then(toml::Value::as_table_mut);
                place =
                    inner.ok_or_else(|| failed(format!("it has no table `{step}` ({name})")))?;
            }
            let read = toml::from_str::<toml::Table>(&format!("value = {text}"));
            let value = read.ok().and_then(|mut read| read.remove("value"));
            let value = value.unwrap_or_else(|| toml::Value::String(text.clone()));
            place.insert(last.to_owned(), value);
        }
        // By way of text, so that mistakes are told as those in a file are.
        let text = toml::to_string(&table).map_err(|error| failed(error.to_string()))?;
        parse::toml(&text).map_err(|mut problem| {
            problem.line = None;
            problem.message = format!("`client.{}`: {}", self.client.name(), problem.message);
            problem
        })
    }

    /// The port where clients are served.
    pub fn client_port(&self) -> u16 {
        self.port("client")
    }

    /// The port of this name; 0 where there is none, which a checked definition does not ask for.
    pub fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    /// The workload that is run unless another is asked for.
    pub fn usual_workload(&self) -> &str {
        self.workloads.first().map_or("register", |name| name)
    }
}

fn usual_nodes() -> u64 {
    3
}

fn version_args() -> Vec<String> {
    vec!["--version".to_owned()]
}

fn comma() -> String {
    ",".to_owned()
}
