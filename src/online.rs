//! The check while a run goes on.
//!
//! The command outside the sandbox reads what the recorder appends to the history, on a thread of
//! its own, and judges it event by event ([`checkers::Online`]). At the first violation it asks the
//! run to end early, by the file that Ctrl-C makes too, unless the plan says to keep going. The
//! verdict is not made here: the whole history is judged after the run in any case, and a violation
//! that it does not confirm is reported as a defect ([`confirm`]).

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use checkers::{Check, Online, OnlineLimits, OnlineViolation, Report, Verdict};
use histories::{Point, Tail};

use crate::controller::notice::{Notice, OnlineProgress};
use crate::criteria::Criteria;
use crate::interrupt::STOP_FILE;
use crate::judge::Judged;
use crate::plan::Plan;
use crate::reports::context::describe_operation;
use crate::store::RunFolder;
use crate::units::ms;

/// How often the history is looked at when it does not grow.
const LOOK: Duration = Duration::from_millis(50);
/// How many bytes are read at once.
const READ_BYTES: usize = 256 * 1024;
/// How long after the run what is left of the history may take. The whole check follows.
const DRAIN_LIMIT: Duration = Duration::from_millis(1_000);
/// What is checked lags behind by an operation's timeout; by this much more it counts as late.
const BEHIND_MS: u64 = 2_000;

/// What was found while a run went on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Everything up to here is decided, but for the keys in violation and those given up.
    pub checked_through: Option<Point>,
    /// The first violation, in one line.
    pub violation: Option<String>,
    /// How many keys are in violation.
    pub violations: u64,
    /// How many keys were given up, and why the first of them was.
    pub undecided_keys: u64,
    /// Why the first of them was.
    pub undecided_why: Option<String>,
    /// Whether the run was asked to end because of the violation.
    pub stopped: bool,
    /// Why nothing more is checked, if so.
    pub ended: Option<String>,
}

/// A check under way beside a run.
#[derive(Debug)]
pub struct Beside {
    findings: Arc<Mutex<Findings>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    timeout_ms: u64,
    /// Whether the violation was told of.
    told: bool,
}

impl Beside {
    /// Starts to check what is going to be recorded into this folder. What keeps it from that is in
    /// the findings: a run does not depend on it.
    pub fn start(plan: &Plan, folder: &RunFolder) -> Self {
        let findings = Arc::new(Mutex::new(Findings::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let watching = online(plan).and_then(|online| {
            let follower = Follower {
                online,
                tail: Tail::new(),
                path: folder.history_path(plan.history_format.into()),
                stop: (!plan.check.keep_going).then(|| folder.path().join(STOP_FILE)),
                findings: findings.clone(),
                is_over: is_over.clone(),
            };
            thread::Builder::new()
                .name("online".to_owned())
                .spawn(move || follower.follow())
                .map_err(|error| format!("failed to start a thread: {error}"))
        });
        let thread = watching
            .map_err(|why| locked(&findings).ended = Some(why))
            .ok();
        Beside {
            findings,
            is_over,
            thread,
            timeout_ms: plan.workload.timeout_ms,
            told: false,
        }
    }

    /// Passes on a notice of the run, with what the check found until now.
    pub fn pass_on(&mut self, notice: &Notice, watch: &mut dyn FnMut(&Notice)) {
        if matches!(notice, Notice::Finished { .. }) {
            self.join();
            self.tell_violation(watch);
            watch(&Notice::Online(self.progress(None)));
        } else {
            self.tell_violation(watch);
        }
        match notice {
            Notice::Progress(progress) => {
                let mut progress = progress.clone();
                progress.online = Some(self.progress(Some(progress.at_ms)));
                watch(&Notice::Progress(progress));
            }
            other => watch(other),
        }
    }

    /// The run is over: what was found.
    pub fn finish(mut self) -> Findings {
        self.join();
        locked(&self.findings).clone()
    }

    fn join(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            locked(&self.findings).ended = Some("it failed; this is a bug in Whitewater".into());
        }
    }

    fn tell_violation(&mut self, watch: &mut dyn FnMut(&Notice)) {
        let violation = locked(&self.findings).violation.clone();
        if let (Some(text), false) = (violation, self.told) {
            self.told = true;
            watch(&Notice::Violation { text });
        }
    }

    /// How far the check came, at this time of the run.
    fn progress(&self, at_ms: Option<u64>) -> OnlineProgress {
        let findings = locked(&self.findings);
        let through_ms = findings
            .checked_through
            .map(|through| through.time_ns / 1_000_000);
        let late_ms = self.timeout_ms + BEHIND_MS;
        OnlineProgress {
            through_ms,
            is_behind: at_ms.is_some_and(|at_ms| at_ms > through_ms.unwrap_or(0) + late_ms),
            violations: findings.violations,
            undecided_keys: findings.undecided_keys,
            undecided_why: findings.undecided_why.clone(),
            ended: findings.ended.clone(),
        }
    }
}

/// The check by the model of a plan.
fn online(plan: &Plan) -> Result<Online, String> {
    let options = Criteria::of_plan(plan)?.model.ok_or_else(|| {
        format!(
            "the workload {} has no model: it is judged after the run",
            plan.workload.name
        )
    })?;
    let limits = OnlineLimits::default();
    let memory_bytes = plan.check.memory_limit_mib.saturating_mul(1 << 20);
    let limits = OnlineLimits {
        memory_bytes: limits.memory_bytes.min(memory_bytes),
        ..limits
    };
    Online::new(&options, limits).map_err(|error| error.to_string())
}

/// Follows a history as it grows.
struct Follower {
    online: Online,
    tail: Tail,
    path: PathBuf,
    /// What to make when there is a violation.
    stop: Option<PathBuf>,
    findings: Arc<Mutex<Findings>>,
    is_over: Arc<AtomicBool>,
}

impl Follower {
    fn follow(mut self) {
        if let Err(why) = self.follow_to_the_end() {
            locked(&self.findings).ended = Some(why);
        }
    }

    fn follow_to_the_end(&mut self) -> Result<(), String> {
        let mut buffer = vec![0; READ_BYTES];
        let mut file = None;
        let mut drain_until = None;
        loop {
            // Looked at before the file: what is there when the run is over is all there is.
            let is_over = self.is_over.load(Ordering::Acquire);
            let count = self
                .read(&mut file, &mut buffer)
                .map_err(|error| format!("failed to read the history: {error}"))?;
            self.take(&buffer[..count])?;
            if is_over && count == 0 {
                self.online.finish().map_err(|error| error.to_string())?;
                self.note();
                return Ok(());
            }
            if is_over && Instant::now() > *drain_until.get_or_insert(Instant::now() + DRAIN_LIMIT)
            {
                return Err(format!(
                    "what was left of the history took longer than {} ms",
                    ms(DRAIN_LIMIT)
                ));
            }
            if count == 0 {
                thread::sleep(LOOK);
            }
        }
    }

    /// Reads what is new; nothing while there is no file yet.
    fn read(&self, file: &mut Option<File>, buffer: &mut [u8]) -> io::Result<usize> {
        if file.is_none() {
            match File::open(&self.path) {
                Ok(opened) => *file = Some(opened),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        match file {
            Some(file) => file.read(buffer),
            None => Ok(0),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let events = self.tail.push(bytes).map_err(|error| error.to_string())?;
        for event in &events {
            self.online.push(event).map_err(|error| error.to_string())?;
        }
        if !events.is_empty() {
            self.note();
        }
        Ok(())
    }

    /// Writes down what is known, and ends the run at the first violation.
    fn note(&mut self) {
        let mut findings = locked(&self.findings);
        findings.checked_through = self.online.checked_through();
        findings.violations = self.online.violations();
        findings.undecided_keys = self.online.undecided_parts();
        if findings.undecided_why.is_none() {
            let first = self.online.undecided().first();
            findings.undecided_why = first.map(|first| first.limit.to_string());
        }
        if findings.violation.is_none()
            && let Some(violation) = self.online.violation()
        {
            findings.violation = Some(describe(violation));
            if let Some(stop) = &self.stop {
                // Where not even an empty file fits, the run goes on to its end.
                findings.stopped = std::fs::write(stop, "").is_ok();
            }
        }
    }
}

/// `key k7: read → 5 by client 3, which ended at t = 12.345 s, fits no order`.
fn describe(violation: &OnlineViolation) -> String {
    let operation = &violation.operation;
    let key = match &violation.part {
        Some(key) if !key.is_nil() => format!("key {key}: "),
        _ => String::new(),
    };
    let ended = operation.ended.unwrap_or(operation.invoked);
    format!(
        "{key}{} by process {}, which ended at t = {:.3} s, fits into no order of the operations \
         before it",
        describe_operation(operation),
        operation.process,
        ended.time_ns as f64 / 1e9,
    )
}

/// Holds the verdict on the whole history against what was found while it was made: a violation
/// that it does not confirm is never passed over.
pub fn confirm(judged: Judged, findings: &Findings) -> Judged {
    let Some(violation) = &findings.violation else {
        return judged;
    };
    let whole = judged
        .report
        .checks
        .iter()
        .find(|check| check.name == "linearizability")
        .map_or(Verdict::Unknown, |check| check.verdict);
    let found = format!("while the run went on a violation was found ({violation})");
    let check = match whole {
        Verdict::Invalid => return judged,
        Verdict::Valid => Check::unknown(
            "online",
            format!("{found}, but the check of the whole history found an order"),
        )
        .with_hint("this is a defect of Whitewater: please report it, with the run folder"),
        Verdict::Unknown => Check::unknown(
            "online",
            format!("{found}, which the check of the whole history could not confirm"),
        )
        .with_hint("check the run folder again with higher limits (--check-time, --check-memory)"),
    };
    let report = judged.report;
    let mut checks = report.checks;
    checks.push(check);
    Judged {
        report: Report::new(
            report.operations,
            report.keys,
            checks,
            report.counterexample,
        ),
        ..judged
    }
}

fn locked(findings: &Mutex<Findings>) -> MutexGuard<'_, Findings> {
    findings.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
