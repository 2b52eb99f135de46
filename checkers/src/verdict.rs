//! Verdicts, and how those of several checks become one.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Counterexample, Findings};

/// What a check says of a history. Ordered: of several verdicts the worst (the greatest) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// A correct system could have produced it.
    Valid,
    /// It could not be decided, or there was nothing to decide: the reason is stated beside it.
    Unknown,
    /// No correct system could have produced it.
    Invalid,
}

impl Verdict {
    /// `valid`, `unknown` or `invalid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Unknown => "unknown",
            Verdict::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which check: `assumptions`, `recovery`, `linearizability`, or an [analysis](crate::Analysis).
    pub name: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in one line. Always there unless the verdict is `Valid`.
    pub reason: Option<String>,
    /// What the reader could do about it.
    pub hint: Option<String>,
    /// More, one line each.
    pub details: Vec<String>,
    /// What an analysis counted and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
}

impl Check {
    /// A check with nothing to complain of.
    pub fn valid(name: &'static str) -> Self {
        Check {
            name,
            verdict: Verdict::Valid,
            reason: None,
            hint: None,
            details: Vec::new(),
            findings: None,
        }
    }

    /// A check that could not be decided, or had nothing to decide.
    pub fn unknown(name: &'static str, reason: impl Into<String>) -> Self {
        Check {
            verdict: Verdict::Unknown,
            reason: Some(reason.into()),
            ..Check::valid(name)
        }
    }

    /// A check that found a violation.
    pub fn invalid(name: &'static str, reason: impl Into<String>) -> Self {
        Check {
            verdict: Verdict::Invalid,
            reason: Some(reason.into()),
            ..Check::valid(name)
        }
    }

    /// The same check with advice.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Check {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same check with more lines.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Check { details, ..self }
    }
}

/// What all checks together say of a history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The worst verdict of all checks; `Unknown` when there were none.
    pub verdict: Verdict,
    /// The reason of the first check with that verdict.
    pub reason: Option<String>,
    /// How many operations the history has, failed ones included.
    pub operations: u64,
    /// How many parts (keys) were judged on their own.
    pub keys: u64,
    /// Each check, in the order made.
    pub checks: Vec<Check>,
    /// The operations that contradict each other, when the history is not linearizable.
    pub counterexample: Option<Counterexample>,
}

impl Report {
    /// Combines checks: the worst verdict wins, and no check at all is not `Valid`.
    pub fn new(
        operations: u64,
        keys: u64,
        checks: Vec<Check>,
        counterexample: Option<Counterexample>,
    ) -> Self {
        let worst = checks.iter().map(|check| check.verdict).max();
        let reason = match worst {
            None => Some("nothing was checked".to_owned()),
            Some(worst) => checks
                .iter()
                .find(|check| check.verdict == worst)
                .and_then(|c| c.reason.clone()),
        };
        let verdict = worst.unwrap_or(Verdict::Unknown);
        Report {
            verdict,
            reason,
            operations,
            keys,
            checks,
            counterexample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins_with_its_reason() {
        let checks = vec![
            Check::valid("assumptions"),
            Check::unknown("recovery", "no recovery was recorded"),
            Check::invalid("linearizability", "a stale read"),
        ];
        let report = Report::new(3, 1, checks.clone(), None);
        assert_eq!(report.verdict, Verdict::Invalid);
        assert_eq!(report.reason.as_deref(), Some("a stale read"));
        let report = Report::new(3, 1, checks[..2].to_vec(), None);
        assert_eq!(report.verdict, Verdict::Unknown);
        assert_eq!(
            Report::new(3, 1, checks[..1].to_vec(), None).verdict,
            Verdict::Valid
        );
    }

    #[test]
    fn no_check_is_not_valid() {
        let report = Report::new(0, 0, Vec::new(), None);
        assert_eq!(report.verdict, Verdict::Unknown);
        assert!(report.reason.is_some());
    }

    #[test]
    fn the_json_has_the_documented_fields() {
        let report = Report::new(2, 1, vec![Check::unknown("assumptions", "why")], None);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "verdict": "unknown", "reason": "why", "operations": 2, "keys": 1,
                "checks": [{
                    "name": "assumptions", "verdict": "unknown", "reason": "why",
                    "hint": null, "details": []
                }],
                "counterexample": null
            })
        );
    }
}
