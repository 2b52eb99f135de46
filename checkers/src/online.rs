//! The check while the history is still being made.
//!
//! Events come in one by one. An operation is judged as soon as it and all that began before it
//! have ended, so what is known lags behind by the oldest operation under way: by no more than a
//! client's timeout. Parts (keys) are judged on their own, by the search of configuration sets
//! (`search/stream.rs`, and `registers/overwrite/stream.rs` where the model is a register), which
//! holds what is under way and not what came before.
//!
//! A violation found here is one: the events up to it have no order, whatever comes after. That
//! none is found up to a point means that the events up to there have an order. What cannot be
//! decided within the limits is given up and said, for the check of the whole history afterwards.

mod judge;
mod release;
mod search;
#[cfg(test)]
mod tests;

use histories::{Event, Operation, Point, Value};

use crate::models::{InitialError, ModelOptions, Visitor};
use crate::{Model, ModelError};

use judge::{Judge, Judging};

/// How many undecided parts are kept to be named; more are only counted.
const UNDECIDED_NAMED_MAX: usize = 10;

/// What a check may cost while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineLimits {
    /// Steps tried for one return.
    pub nodes_per_return_max: u64,
    /// Configurations of one part kept from one return to the next.
    pub configurations_max: usize,
    /// For all parts together, by account of what their tables hold.
    pub memory_bytes: u64,
    /// Events that wait for the oldest operation under way to end.
    pub waiting_events_max: usize,
    /// Parts kept with nothing under way. Beyond these, the ones that were not used for longest are
    /// forgotten: a part that is used again after that is given up.
    pub resting_parts_max: usize,
}

impl Default for OnlineLimits {
    /// 65,536 steps, 4,096 configurations, 256 MiB, a million events, 4,096 parts.
    fn default() -> Self {
        OnlineLimits {
            nodes_per_return_max: 1 << 16,
            configurations_max: 1 << 12,
            memory_bytes: 256 << 20,
            waiting_events_max: 1 << 20,
            resting_parts_max: 1 << 12,
        }
    }
}

/// Why a part of the history was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OnlineLimit {
    /// [`OnlineLimits::nodes_per_return_max`] was reached.
    #[error("too many ways to order what is under way")]
    Work,
    /// [`OnlineLimits::configurations_max`] was reached.
    #[error("too many configurations")]
    Configurations,
    /// [`OnlineLimits::memory_bytes`] was reached.
    #[error("too much memory")]
    Memory,
    /// [`OnlineLimits::waiting_events_max`] was reached.
    #[error("too many events since the oldest operation under way began")]
    Waiting,
    /// An operation touches several parts, and parts were judged on their own until then.
    #[error("an operation touches several keys")]
    TiedParts,
    /// [`OnlineLimits::resting_parts_max`] was reached, and the part was forgotten.
    #[error("used again after too long a rest")]
    Forgotten,
    /// The model contradicts itself, or a search does.
    #[error("a defect of the model or of the checker")]
    Defect,
}

/// An operation whose return leaves no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineViolation {
    /// The part (key) it is on; `None` when the history is judged as a whole.
    pub part: Option<Value>,
    /// The operation. Up to its end (`ended`) the events have no order, before it they have one.
    pub operation: Operation,
}

/// A part of the history that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineUndecided {
    /// Which; `None` for the whole history.
    pub part: Option<Value>,
    /// Why.
    pub limit: OnlineLimit,
    /// The events before this one are decided.
    pub at: Point,
}

/// A check that consumes events while the history is being made.
///
/// The memory it takes is bounded by what is under way together, and by what stays with the parts
/// that were used last: their keys and states, and those updates of unknown outcome that no one has
/// observed yet, counted by kind. It does not grow with the number of operations; of a part
/// forgotten long ago some twenty bytes are left.
///
/// ```
/// use checkers::{ModelKind, ModelOptions, Online, OnlineLimits};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let history = br#"
///     {"index":0,"time":10,"process":0,"type":"invoke","f":"write","value":1}
///     {"index":1,"time":20,"process":0,"type":"ok","f":"write","value":1}
///     {"index":2,"time":30,"process":1,"type":"invoke","f":"read"}
///     {"index":3,"time":40,"process":1,"type":"ok","f":"read","value":2}"#;
/// let history = histories::read("example", history, Some(histories::Format::Jsonl))?;
/// let options = ModelOptions::new(ModelKind::Register);
/// let mut online = Online::new(&options, OnlineLimits::default())?;
/// for event in history.events.iter() {
///     online.push(&event)?;
/// }
/// online.finish()?;
/// assert_eq!(online.violation().map(|violation| violation.operation.process), Some(1));
/// # Ok(())
/// # }
/// ```
pub struct Online {
    judge: Box<dyn Judge>,
}

impl std::fmt::Debug for Online {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Online").finish_non_exhaustive()
    }
}

impl Online {
    /// A check by a model that comes with the crate.
    ///
    /// # Errors
    ///
    /// When the initial value means nothing to the model.
    pub fn new(options: &ModelOptions, limits: OnlineLimits) -> Result<Self, InitialError> {
        options.visit(Boxed(limits))
    }

    /// A check by any model.
    pub fn of<M: Model + Send + 'static>(model: M, limits: OnlineLimits) -> Self {
        Online {
            judge: Box::new(Judging::new(model, limits)),
        }
    }

    /// Takes the next event. Events come in order, as they are recorded; those of the nemesis are
    /// passed over. A `fail` means that there was no effect
    /// ([`histories::FailedCas::NoEffect`]), as in every history that this project records.
    ///
    /// # Errors
    ///
    /// When an operation means nothing to the model: then nothing more is judged.
    pub fn push(&mut self, event: &Event) -> Result<(), ModelError> {
        self.judge.push(event)
    }

    /// There are no more events: what is still under way stays open for ever.
    ///
    /// # Errors
    ///
    /// As for [`Online::push`].
    pub fn finish(&mut self) -> Result<(), ModelError> {
        self.judge.finish()
    }

    /// The last event up to which everything is decided, but for the parts that were given up or
    /// are in violation.
    pub fn checked_through(&self) -> Option<Point> {
        self.judge.findings().checked_through
    }

    /// The first violation found.
    pub fn violation(&self) -> Option<&OnlineViolation> {
        self.judge.findings().violation.as_ref()
    }

    /// How many parts are in violation.
    pub fn violations(&self) -> u64 {
        self.judge.findings().violations
    }

    /// The first few parts that were given up.
    pub fn undecided(&self) -> &[OnlineUndecided] {
        &self.judge.findings().undecided
    }

    /// How many parts were given up.
    pub fn undecided_parts(&self) -> u64 {
        self.judge.findings().undecided_parts
    }

    /// How many operations have been judged.
    pub fn operations(&self) -> u64 {
        self.judge.findings().operations
    }

    /// Memory held, by account of the tables: of what waits, of the parts, of their searches.
    pub fn bytes(&self) -> usize {
        self.judge.bytes()
    }
}

/// Makes the check by whichever model it is.
struct Boxed(OnlineLimits);

impl Visitor for Boxed {
    type Output = Online;

    fn visit<M: Model + Clone + Send + 'static>(self, model: &M) -> Online {
        Online::of(model.clone(), self.0)
    }
}
