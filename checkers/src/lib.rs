//! What a history means: could a correct system have produced it?
//!
//! Checkers are pure functions of a history. The way of the main one, [`linearizability`]:
//! operations are parsed by a [`Model`] and divided into independent parts (normalise), each part
//! is decided by the engines (dispatch, search), the decisions become one [`Verdict`], and a
//! violation is explained by a small [`Counterexample`]. [`assumptions`] says whether the history
//! could have shown a violation at all, [`recovery`] whether the system came back after the
//! faults, an [`Analysis`] asks for something else than an order: is everything that was acknowledged
//! still there? [`Report::new`] combines them: the worst verdict wins.
//!
//! Models come with the crate ([`ModelKind`]) or are written by its users ([`Model`] has one in
//! full); [`laws`] tests what a model says of itself.
//!
//! Nothing here panics on any input, touches the system, or runs without a limit. The clock is
//! read only to keep the time limit.
//!
//! ```
//! use checkers::{Cancel, Limits, ModelKind, ModelOptions, Verdict, linearizability};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorded = br#"{"process":0,"type":"invoke","f":"write","key":"x","value":1}
//! {"process":0,"type":"ok","f":"write","key":"x"}
//! {"process":1,"type":"invoke","f":"read","key":"x"}
//! {"process":1,"type":"ok","f":"read","key":"x","value":2}
//! "#;
//! let history = histories::read("recorded", recorded, None)?; // or histories::read_file
//! let (operations, options) = (history.operations(), ModelOptions::new(ModelKind::Register));
//! let judged = linearizability(&operations, &options, &Limits::default(), &Cancel::new())?;
//! assert_eq!(judged.check.verdict, Verdict::Invalid);
//! let shown = judged.counterexample.ok_or("a violation has one")?;
//! for (core, lane) in shown.core.iter().zip(checkers::lanes(&shown, 40)) {
//!     println!("{:>8} {lane}", core.operation.f);
//! }
//! assert_eq!(
//!     shown.explanation,
//!     ["the read of 2 by process 1 is of a value that nothing wrote"]
//! );
//! # Ok(())
//! # }
//! ```

mod analyses;
mod assumptions;
pub mod certificate;
mod columns;
mod counterexample;
mod dispatch;
pub mod engines;
mod explain;
mod findings;
pub mod laws;
mod limits;
mod linearizability;
mod mend;
mod model;
mod models;
mod monitors;
mod moves;
mod normalise;
mod online;
pub mod oracle;
mod recovery;
mod registers;
mod search;
mod subject;
#[cfg(test)]
mod testing;
mod verdict;
mod weaker;
mod words;

pub use analyses::{Analysis, AnalysisContext, Consistency, UnknownAnalysis, UnknownConsistency};
pub use assumptions::{Contention, assumptions};
pub use counterexample::{CoreOperation, Counterexample};
pub use explain::lanes;
pub use findings::{Anomaly, Findings, Latency, Witness};
pub use limits::{Cancel, Limits};
pub use linearizability::{JudgeError, Judgement, linearizability, linearizability_of};
pub use model::{Marks, Model, ModelError, Monitored, Moves, NilReads, Touches};
pub use models::{
    AppendList, AppendListOp, Bank, BankOp, Counter, CounterOp, Element, Fence, FencedLock,
    FencedLockOp, FifoQueue, FifoQueueOp, Hold, InitialError, Kv, KvOp, ModelKind, ModelOptions,
    MultiRegister, Mutex, MutexOp, Owner, Pile, PriorityQueue, PriorityQueueOp, ReentrantMutex,
    ReentrantMutexOp, Register, RegisterOp, Set, SetOp, Stack, StackOp, Transaction, Transfer,
    UnknownModel, Versioned, VersionedOp, VersionedRegister,
};
pub use online::{Online, OnlineLimit, OnlineLimits, OnlineUndecided, OnlineViolation};
pub use recovery::recovery;
pub use registers::{Access, RegisterView};
pub use verdict::{Check, Report, Verdict};
pub use weaker::{Finding, Guarantee, Guarantees, StaleRead, Staleness, Standing};
