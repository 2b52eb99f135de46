//! What a check counted and what it found wrong, as data for reports.

use histories::{Operation, Value};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::counterexample::optional_json;

/// What an [analysis](crate::Analysis) counted, measured and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many there are of what: always the same names for one check.
    #[serde(serialize_with = "as_map")]
    pub counts: Vec<(&'static str, u64)>,
    /// How long something took, where it happened at all.
    pub latencies: Vec<Latency>,
    /// What was out of the ordinary, the first of each kind.
    pub anomalies: Vec<Anomaly>,
}

/// How long something took: quantiles, by rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// What.
    pub name: &'static str,
    /// How often.
    pub count: u64,
    /// Half took no longer, in milliseconds.
    #[serde(rename = "p50_ms", serialize_with = "as_ms")]
    pub p50_ns: u64,
    /// 95 of 100 took no longer.
    #[serde(rename = "p95_ms", serialize_with = "as_ms")]
    pub p95_ns: u64,
    /// 99 of 100 took no longer.
    #[serde(rename = "p99_ms", serialize_with = "as_ms")]
    pub p99_ns: u64,
    /// None took longer.
    #[serde(rename = "max_ms", serialize_with = "as_ms")]
    pub max_ns: u64,
}

impl Latency {
    /// The quantiles of these times, in nanoseconds; `None` of none.
    pub(crate) fn of(name: &'static str, mut times_ns: Vec<u64>) -> Option<Self> {
        times_ns.sort_unstable();
        let max_ns = *times_ns.last()?;
        let count = times_ns.len();
        let rank = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            times_ns.get(rank - 1).copied().unwrap_or(max_ns)
        };
        Some(Latency {
            name,
            count: count as u64,
            p50_ns: rank(50),
            p95_ns: rank(95),
            p99_ns: rank(99),
            max_ns,
        })
    }
}

/// Something out of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// Which kind: one of the names in the counts.
    pub kind: &'static str,
    /// Whether no correct system does so.
    pub is_violation: bool,
    /// The key, where the history has keys.
    #[serde(serialize_with = "optional_json")]
    pub key: Option<Value>,
    /// What happened, in a sentence.
    pub text: String,
    /// The operations that show it.
    pub operations: Vec<Witness>,
}

/// Where an operation is in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The index of its invocation.
    pub index: u64,
    /// The index of its completion.
    pub end_index: Option<u64>,
    /// The process.
    pub process: u64,
    /// The node spoken to last.
    pub node: Option<String>,
    /// When it was invoked.
    pub invoked_ns: u64,
    /// When it was completed.
    pub ended_ns: Option<u64>,
}

impl From<&Operation> for Witness {
    fn from(operation: &Operation) -> Self {
        Witness {
            index: operation.invoked.index,
            end_index: operation.ended.map(|ended| ended.index),
            process: operation.process,
            node: operation.node.as_deref().map(str::to_owned),
            invoked_ns: operation.invoked.time_ns,
            ended_ns: operation.ended.map(|ended| ended.time_ns),
        }
    }
}

fn as_map<S: Serializer>(counts: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(counts.len()))?;
    for (name, count) in counts {
        map.serialize_entry(name, count)?;
    }
    map.end()
}

fn as_ms<S: Serializer>(time_ns: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*time_ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        assert_eq!(Latency::of("x", Vec::new()), None);
        let of = |times: std::ops::RangeInclusive<u64>| {
            let found = Latency::of("x", times.rev().collect()).unwrap();
            [found.p50_ns, found.p95_ns, found.p99_ns, found.max_ns]
        };
        assert_eq!(of(7..=7), [7, 7, 7, 7]);
        assert_eq!(of(1..=2), [1, 2, 2, 2]);
        assert_eq!(of(1..=100), [50, 95, 99, 100]);
    }
}
