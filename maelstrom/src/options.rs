//! What is particular to a run of Maelstrom's protocol, as data of its plan.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Latency, Topology};

/// What is particular to a run of Maelstrom's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaelstromOptions {
    /// The arguments of the nodes' program.
    pub args: Vec<String>,
    /// How many of a million messages between nodes and services are lost.
    pub loss_ppm: u32,
    /// Which nodes `broadcast` is to make neighbours.
    pub topology: Topology,
    /// What transactions must be: names of consistency models.
    pub consistency_models: Vec<String>,
    /// How many operations must be acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// How many operations a transaction has at most.
    pub max_txn_length: u64,
    /// After how many writes a key of transactions is retired for a fresh one.
    pub max_writes_per_key: u64,
    /// How long nodes are left alone after everything is healed, before the last reads, in
    /// milliseconds: what is to become known to all has this long.
    pub settle_ms: u64,
    /// Within how long a node must have answered `init`, in milliseconds.
    pub init_limit_ms: u64,
    /// Which directions drawn partitions cut.
    pub partitions: Partitions,
    /// Whether what nodes write on standard error is also shown.
    pub log_stderr: bool,
    /// Whether messages that are sent are also shown.
    pub log_net_send: bool,
    /// Whether messages that are received are also shown.
    pub log_net_recv: bool,
    /// How long messages between nodes and services take.
    pub latency: Latency,
}

impl Default for MaelstromOptions {
    fn default() -> Self {
        MaelstromOptions {
            args: Vec::new(),
            loss_ppm: 0,
            topology: Topology::default(),
            consistency_models: Vec::new(),
            availability: None,
            max_txn_length: 4,
            max_writes_per_key: 16,
            settle_ms: 10_000,
            init_limit_ms: 10_000,
            partitions: Partitions::default(),
            log_stderr: false,
            log_net_send: false,
            log_net_recv: false,
            latency: Latency::default(),
        }
    }
}

/// Which directions drawn partitions cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partitions {
    /// Both, all the time, between nodes only.
    #[default]
    BothWays,
    /// One, in turn that to the nodes set apart and that from them.
    OneWay,
    /// Both and one in turn.
    Mixed,
}

/// How many operations must be acknowledged, of a million. As text: `total`, or a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Availability {
    /// Of a million.
    pub ppm: u32,
}

/// A text that is no availability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no availability, expected `total` or a fraction such as 0.9")]
pub struct NoAvailability(pub String);

impl FromStr for Availability {
    type Err = NoAvailability;

    fn from_str(text: &str) -> Result<Self, NoAvailability> {
        if text == "total" {
            return Ok(Availability { ppm: 1_000_000 });
        }
        let ppm = fraction_ppm(text).ok_or_else(|| NoAvailability(text.to_owned()))?;
        Ok(Availability { ppm })
    }
}

impl TryFrom<String> for Availability {
    type Error = NoAvailability;

    fn try_from(text: String) -> Result<Self, NoAvailability> {
        text.parse()
    }
}

impl From<Availability> for String {
    fn from(availability: Availability) -> String {
        availability.to_string()
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ppm {
            1_000_000 => f.write_str("total"),
            ppm => f.write_str(format!("0.{ppm:06}").trim_end_matches('0')),
        }
    }
}

/// A fraction from 0 to 1, in parts of a million; `None` for anything else.
pub fn fraction_ppm(text: &str) -> Option<u32> {
    let fraction: f64 = text.parse().ok()?;
    (0.0..=1.0)
        .contains(&fraction)
        .then_some((fraction * 1e6).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_read_as_it_is_written() {
        for text in ["total", "0.9", "0.000001", "0.5"] {
            let availability: Availability = text.parse().expect(text);
            assert_eq!(availability.to_string(), text);
        }
        for wrong in ["", "all", "1.5", "-0.1", "NaN", "90%"] {
            assert!(wrong.parse::<Availability>().is_err(), "{wrong}");
        }
    }
}
