//! What the controller and an agent say to each other: JSON, a line each.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use faults::{Clock, Distortion, Resource, Unavailable};
use histories::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::node::NodeExit;

/// What an agent is asked to do. Each is answered once, in whatever order they are done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    /// What its host allows: [`Examined`].
    Examine,
    /// From which of the host's addresses packets go to each of these: `Vec<Ipv4Addr>`.
    Sources { peers: Vec<Ipv4Addr> },
    /// Awaits one connection, and says its token there: the port, `u16`.
    Meet,
    /// Starts the node for the first time and waits until it serves: nothing.
    Launch(Launch),
    /// Ends every process of the node: evidence.
    Kill,
    /// Asks the node to end: evidence.
    Terminate { grace_ms: u64 },
    /// Starts the node again: evidence.
    Start,
    /// Stops every process of the node: evidence.
    Pause,
    /// Lets them go on: evidence.
    Resume,
    /// Limits what the node may use: [`Limited`].
    Limit {
        resource: Resource,
        amount: Option<u64>,
    },
    /// Distorts a clock of the node: evidence.
    Distort {
        clock: Clock,
        distortions: Vec<(u64, Distortion)>,
    },
    /// Drops what these cut, and nothing else: nothing.
    Cut { cuts: Vec<Cut> },
    /// How many packets the cut of this fault has dropped on this host: `u64`.
    Counts { fault: u64 },
    /// Ends the connections to these peers: how many, `u64`.
    Reset {
        peers: Vec<Ipv4Addr>,
        ports: Vec<u16>,
    },
    /// What the node has written since each of its logs had so many bytes: [`Tail`].
    Tail { from: Vec<u64> },
    /// Runs a command about the node, to its end with status 0: what it prints, `String`.
    Run { words: Vec<String>, limit_ms: u64 },
    /// Ends the node for good: nothing.
    Stop,
    /// Undoes what runs that are over have left on this host: [`Healed`], one for each.
    Heal,
    /// Leaves: everything is undone, and the folder removed. What it could not undo, in words:
    /// `Vec<String>`. The last answer.
    Leave,
}

/// A request with its number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub id: u64,
    pub ask: Ask,
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// First of all: who it is.
    Hello(Hello),
    /// The answer to a request.
    Answer {
        id: u64,
        result: Result<Json, String>,
    },
    /// The node ended by itself.
    Exit(Exit),
}

/// Who an agent is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The address from which the controller came, and that of the host that it reached, where they
    /// are IPv4.
    pub from: Option<Ipv4Addr>,
    pub reached: Option<Ipv4Addr>,
}

/// The node that an agent is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Launch {
    pub name: String,
    pub address: Ipv4Addr,
    /// Files that it has before its first start.
    pub files: Vec<(PathBuf, String)>,
    /// What is run before its first start, one after the other.
    pub prepare: Vec<Command>,
    /// What runs, one beside the other.
    pub commands: Vec<Command>,
    /// The user, by name or number, that all of these take themselves for.
    pub user: Option<String>,
    /// The folder that is the node's own.
    pub folder: PathBuf,
    pub data_dir: PathBuf,
    pub log_dir: PathBuf,
    /// The logs that it writes besides.
    pub logs: Vec<PathBuf>,
    /// Where it accepts connections when it is ready; none if it is ready at once.
    pub port: Option<u16>,
    pub ready_limit_ms: u64,
}

/// A program of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Command {
    /// What it is looked for by ([`crate::programs::find`]); none for this very executable.
    pub programs: Vec<String>,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// A cut as one host knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    pub fault: u64,
    pub ports: Vec<u16>,
    pub flap_period_ms: u64,
    /// Sources and destinations of what is dropped.
    pub pairs: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// What is seen of a limit.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Limited {
    pub evidence: Json,
    pub was_reached: bool,
    pub is_reached: bool,
}

/// A piece of each log of a node: standard output, standard error, and those that it writes besides.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    pub pieces: Vec<Bytes>,
}

/// Bytes as a text in which each character is one: text of ASCII stays as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct Bytes(pub Vec<u8>);

/// How a node ended by itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Exit {
    /// The wait status.
    pub status: i32,
    pub last_lines: Vec<String>,
}

/// What a host allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Examined {
    /// Cuts by nf_tables.
    pub cuts: Result<(), Unavailable>,
    /// Connections ended from outside.
    pub resets: Result<(), Unavailable>,
    /// Clocks of processes changed.
    pub clocks: Result<(), Unavailable>,
    /// Limits by the kernel.
    pub groups: Result<(), Unavailable>,
}

/// What was undone of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// Its folder on the host.
    pub folder: String,
    /// What was done, in words, in order. Nothing where the run is still under way.
    pub done: Vec<String>,
    /// What could not be done, and why; or why nothing was.
    pub problems: Vec<String>,
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        // No other characters are sent.
        Bytes(
            text.chars()
                .map(|c| u8::try_from(c).unwrap_or(b'?'))
                .collect(),
        )
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.0.into_iter().map(char::from).collect()
    }
}

impl Exit {
    pub fn of(exit: &NodeExit) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Exit {
            status: exit.status.into_raw(),
            last_lines: exit.last_lines.clone(),
        }
    }
}

/// Evidence on the wire.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Text(text) => Json::from(&**text),
        Value::List(values) => values.iter().map(to_json).collect(),
        // In order, which a JSON object does not keep.
        Value::Map(entries) => {
            let pair = |(key, value)| Json::Array(vec![to_json(key), to_json(value)]);
            let pairs: Vec<Json> = entries
                .iter()
                .map(|(key, value)| pair((key, value)))
                .collect();
            serde_json::json!({ "map": pairs })
        }
    }
}

/// Evidence from the wire.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::from(number.to_string()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(values) => Value::List(values.iter().map(from_json).collect()),
        Json::Object(object) => {
            let pairs = object.get("map").and_then(Json::as_array);
            let pair = |pair: &Json| (from_json(&pair[0]), from_json(&pair[1]));
            Value::Map(pairs.into_iter().flatten().map(pair).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_comes_back_as_it_was_sent() {
        let value = Value::Map(vec![
            ("gone".into(), Value::List(vec![412.into(), (-1).into()])),
            (7.into(), Value::Nil),
            (
                "a".into(),
                Value::Map(vec![("map".into(), Value::Bool(true))]),
            ),
            ("by".into(), "SIGKILL".into()),
        ]);
        let line = serde_json::to_string(&to_json(&value)).unwrap();
        assert_eq!(from_json(&serde_json::from_str(&line).unwrap()), value);
    }

    #[test]
    fn a_log_comes_over_byte_by_byte() {
        let bytes = Bytes((0..=255).collect());
        let line = serde_json::to_string(&bytes).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Bytes>(&line).unwrap(), bytes);
        assert_eq!(String::from(Bytes(b"n1 leads".to_vec())), "n1 leads");
    }
}
