//! What an analysis counts while it goes through a history, and the check that becomes of it.

use histories::{Operation, Value};

use crate::findings::{Anomaly, Findings, Latency, Witness};
use crate::{Check, Verdict};

/// How many anomalies of each kind are kept; all are counted.
const KEPT_MAX: u64 = 20;
/// How many of them are told in words.
const TOLD_MAX: usize = 5;

pub(super) struct Tally {
    name: &'static str,
    counts: Vec<(&'static str, u64)>,
    /// Kinds that no correct system shows, among the counts.
    violations: Vec<&'static str>,
    times_ns: Vec<(&'static str, Vec<u64>)>,
    anomalies: Vec<Anomaly>,
    unknown: Vec<String>,
}

impl Tally {
    /// Counts what has these names.
    pub fn new(name: &'static str, counts: &[&'static str]) -> Self {
        Tally {
            name,
            counts: counts.iter().map(|name| (*name, 0)).collect(),
            violations: Vec::new(),
            times_ns: Vec::new(),
            anomalies: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub fn add(&mut self, name: &'static str, by: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += by as u64,
            None => self.counts.push((name, by as u64)),
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        let found = self.counts.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, count)| *count)
    }

    /// Something that took so long.
    pub fn time(&mut self, name: &'static str, time_ns: u64) {
        match self.times_ns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => times.push(time_ns),
            None => self.times_ns.push((name, vec![time_ns])),
        }
    }

    /// Something that no correct system does.
    pub fn violation(
        &mut self,
        kind: &'static str,
        key: &Value,
        text: impl FnOnce() -> String,
        shown_by: &[&Operation],
    ) {
        if !self.violations.contains(&kind) {
            self.violations.push(kind);
        }
        self.note(kind, true, key, text, shown_by);
    }

    /// Something worth knowing that alone proves nothing.
    pub fn oddity(
        &mut self,
        kind: &'static str,
        key: &Value,
        text: impl FnOnce() -> String,
        shown_by: &[&Operation],
    ) {
        self.note(kind, false, key, text, shown_by);
    }

    fn note(
        &mut self,
        kind: &'static str,
        is_violation: bool,
        key: &Value,
        text: impl FnOnce() -> String,
        shown_by: &[&Operation],
    ) {
        self.add(kind, 1);
        if self.count(kind) > KEPT_MAX {
            return;
        }
        let text = match key {
            Value::Nil => text(),
            key => format!("key {key}: {}", text()),
        };
        self.anomalies.push(Anomaly {
            kind,
            is_violation,
            key: Some(key.clone()).filter(|key| !key.is_nil()),
            text,
            operations: shown_by.iter().copied().map(Witness::from).collect(),
        });
    }

    /// Something that could not be looked at.
    pub fn unknown(&mut self, reason: impl Into<String>) {
        self.unknown.push(reason.into());
    }

    /// Operations that are not about what is judged are left out, and then nothing is valid.
    pub fn unknown_if_strange(&mut self, about: &str) {
        match self.count("strange") {
            0 => {}
            1 => self.unknown(format!(
                "1 operation is not about {about}, or not in its form"
            )),
            strange => self.unknown(format!(
                "{strange} operations are not about {about}, or not in their form"
            )),
        }
    }

    /// The verdict: what is certain before what is not known.
    pub fn finish(mut self) -> Check {
        // Violations first.
        self.anomalies.sort_by_key(|anomaly| !anomaly.is_violation);
        let latencies: Vec<Latency> = std::mem::take(&mut self.times_ns)
            .into_iter()
            .filter_map(|(name, times)| Latency::of(name, times))
            .collect();
        let check = match (self.anomalies.first(), self.unknown.is_empty()) {
            (Some(first), _) if first.is_violation => {
                let kinds = self
                    .counts
                    .iter()
                    .filter(|(kind, _)| self.violations.contains(kind));
                let kinds: Vec<String> = kinds
                    .map(|(kind, count)| format!("{kind} ({count})"))
                    .collect();
                Check::invalid(self.name, format!("{}: {}", kinds.join(", "), first.text))
            }
            (_, true) => Check::valid(self.name),
            (_, false) => Check::unknown(self.name, self.unknown.join("; ")),
        };
        let details = self.details(&latencies, check.verdict);
        Check {
            details,
            findings: Some(Findings {
                counts: self.counts,
                latencies,
                anomalies: self.anomalies,
            }),
            ..check
        }
    }

    fn details(&self, latencies: &[Latency], verdict: Verdict) -> Vec<String> {
        let counts = self.counts.iter();
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let mut lines = vec![counts.join(", ")];
        lines.extend(latencies.iter().map(|latency| {
            let ms = |time_ns: u64| time_ns as f64 / 1e6;
            format!(
                "{}: {:.1} ms p50, {:.1} ms p95, {:.1} ms p99, {:.1} ms at most",
                latency.name,
                ms(latency.p50_ns),
                ms(latency.p95_ns),
                ms(latency.p99_ns),
                ms(latency.max_ns)
            )
        }));
        // The first is the reason already.
        let told = usize::from(verdict == Verdict::Invalid);
        let others = self.anomalies.iter().skip(told);
        lines.extend(
            others
                .take(TOLD_MAX)
                .map(|anomaly| format!("{}: {}", anomaly.kind, anomaly.text)),
        );
        if verdict == Verdict::Invalid {
            lines.extend(self.unknown.iter().cloned());
        }
        lines
    }
}
