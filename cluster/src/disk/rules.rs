//! The faults in force on one node's disk, and what they do to an operation.

use faults::{Crash, DiskOperation, DiskRule};
use histories::Value;

use super::pattern::matches;

/// The faults in force, in the order in which they were imposed.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Imposed>);

#[derive(Debug)]
struct Imposed {
    fault: u64,
    rule: DiskRule,
    /// How many operations were of its kind and on its paths.
    seen: u64,
    /// How many of those it changed.
    hits: u64,
    /// The path of the first of those.
    first: Option<String>,
    /// What became of the crash that it began.
    crash: Option<Value>,
}

/// What the faults in force do to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ruling {
    /// It fails with EIO.
    pub fails: bool,
    /// It takes this much longer, and was made so by this fault.
    pub delay: Option<(u64, u64)>,
    /// It does nothing and succeeds.
    pub lies: bool,
    /// The node crashes, by this fault; `true` for after the operation.
    pub crash: Option<(u64, bool, Crash)>,
}

impl Rules {
    /// Whether no fault is in force, so that nobody needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts a fault in force, in the place of what it had in force before.
    pub fn impose(&mut self, fault: u64, rule: DiskRule) {
        self.lift(fault);
        self.0.push(Imposed {
            fault,
            rule,
            seen: 0,
            hits: 0,
            first: None,
            crash: None,
        });
    }

    /// Ends a fault and says what it did.
    pub fn lift(&mut self, fault: u64) -> Value {
        let at = self.0.iter().position(|imposed| imposed.fault == fault);
        let imposed = at.map(|at| self.0.remove(at));
        let hits = imposed.as_ref().map_or(0, |imposed| imposed.hits);
        let mut evidence = vec![("hits".into(), Value::Int(hits.cast_signed()))];
        if let Some(imposed) = imposed {
            let first = imposed
                .first
                .map(|path| ("first".into(), Value::from(&*path)));
            evidence.extend(first);
            let crash = imposed.crash.map(|crash| ("crash".into(), crash));
            evidence.extend(crash);
        }
        Value::Map(evidence)
    }

    /// What became of the crash that a fault began.
    pub fn crashed(&mut self, fault: u64, what: Value) {
        if let Some(imposed) = self.0.iter_mut().find(|imposed| imposed.fault == fault) {
            imposed.crash = Some(what);
        }
    }

    /// What is to be done with an operation on these paths.
    pub fn rule(&mut self, operation: DiskOperation, paths: &[&str]) -> Ruling {
        let mut ruling = Ruling::default();
        for imposed in &mut self.0 {
            let Some((of, pattern)) = scope(&imposed.rule) else {
                continue;
            };
            let Some(path) = paths.iter().find(|path| matches(pattern, path)) else {
                continue;
            };
            if of != operation {
                continue;
            }
            imposed.seen += 1;
            let hits = match &imposed.rule {
                DiskRule::Crash {
                    nth, after, crash, ..
                } => {
                    let now = imposed.seen == *nth && ruling.crash.is_none();
                    if now {
                        ruling.crash = Some((imposed.fault, *after, *crash));
                    }
                    now
                }
                DiskRule::Fail { once, .. } => {
                    let fails = !once || imposed.hits == 0;
                    ruling.fails |= fails;
                    fails
                }
                DiskRule::SlowFsync { delay_ms, .. } => {
                    if ruling.delay.is_none_or(|(longest, _)| longest < *delay_ms) {
                        ruling.delay = Some((*delay_ms, imposed.fault));
                    }
                    true
                }
                DiskRule::LyingFsync { .. } => {
                    ruling.lies = true;
                    true
                }
                DiskRule::Full => false,
            };
            imposed.hit(hits, path);
        }
        ruling
    }

    /// Whether the disk is full, for an operation that would take space.
    pub fn refuse_growth(&mut self, path: &str) -> bool {
        let full = self.0.iter_mut().find(|it| it.rule == DiskRule::Full);
        full.map(|imposed| imposed.hit(true, path)).is_some()
    }

    /// Whether the disk is full, for who merely asks.
    pub fn is_full(&self) -> bool {
        self.0.iter().any(|imposed| imposed.rule == DiskRule::Full)
    }
}

impl Imposed {
    fn hit(&mut self, hits: bool, path: &str) {
        if hits {
            self.hits += 1;
            self.first.get_or_insert_with(|| path.to_owned());
        }
    }
}

/// Which operations on which paths a fault is about.
fn scope(rule: &DiskRule) -> Option<(DiskOperation, &str)> {
    match rule {
        DiskRule::Crash {
            operation, path, ..
        }
        | DiskRule::Fail {
            operation, path, ..
        } => Some((*operation, path)),
        DiskRule::SlowFsync { path, .. } | DiskRule::LyingFsync { path } => {
            Some((DiskOperation::Fsync, path))
        }
        DiskRule::Full => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(evidence: &Value) -> i64 {
        evidence.get("hits").unwrap().as_int().unwrap()
    }

    #[test]
    fn a_crash_comes_at_the_nth_operation_that_matches_and_never_again() {
        let mut rules = Rules::default();
        assert!(rules.is_empty());
        let rule = DiskRule::Crash {
            operation: DiskOperation::Rename,
            path: "*.new".into(),
            nth: 2,
            after: true,
            crash: Crash::PowerLoss,
        };
        rules.impose(7, rule);
        let rows: [(DiskOperation, &[&str], bool); 6] = [
            (DiskOperation::Rename, &["log.new", "log"], false),
            (DiskOperation::Fsync, &["log.new"], false),
            (DiskOperation::Rename, &["a", "b"], false),
            (DiskOperation::Rename, &["a", "b.new"], true),
            (DiskOperation::Rename, &["log.new", "log"], false),
            (DiskOperation::Rename, &["log.new", "log"], false),
        ];
        for (number, (operation, paths, crashes)) in rows.into_iter().enumerate() {
            let expected = crashes.then_some((7, true, Crash::PowerLoss));
            assert_eq!(rules.rule(operation, paths).crash, expected, "row {number}");
        }
        let evidence = rules.lift(7);
        assert_eq!(hits(&evidence), 1);
        assert_eq!(evidence.get("first").unwrap().as_text(), Some("b.new"));
        assert_eq!(hits(&rules.lift(7)), 0);
    }

    #[test]
    fn faults_that_overlap_add_up() {
        let fsync = |path: &str, delay_ms| DiskRule::SlowFsync {
            path: path.into(),
            delay_ms,
        };
        let fail = |once| DiskRule::Fail {
            operation: DiskOperation::Fsync,
            path: "log".into(),
            once,
        };
        let mut rules = Rules::default();
        rules.impose(1, fsync("*", 5));
        rules.impose(2, fsync("log", 9));
        rules.impose(3, fail(true));
        rules.impose(4, DiskRule::LyingFsync { path: "x".into() });
        let first = rules.rule(DiskOperation::Fsync, &["log"]);
        assert_eq!(
            (first.fails, first.delay, first.lies),
            (true, Some((9, 2)), false)
        );
        let second = rules.rule(DiskOperation::Fsync, &["log"]);
        assert!(!second.fails);
        let other = rules.rule(DiskOperation::Fsync, &["x"]);
        assert_eq!((other.delay, other.lies), (Some((5, 1)), true));
        assert_eq!(
            [1, 2, 3, 4].map(|fault| hits(&rules.lift(fault))),
            [3, 2, 1, 1]
        );

        rules.impose(5, fail(false));
        for _ in 0..3 {
            assert!(rules.rule(DiskOperation::Fsync, &["log"]).fails);
        }
        assert!(!rules.is_full() && !rules.refuse_growth("log"));
        rules.impose(6, DiskRule::Full);
        assert!(rules.is_full() && rules.refuse_growth("log"));
        assert_eq!([5, 6].map(|fault| hits(&rules.lift(fault))), [3, 1]);
    }
}
