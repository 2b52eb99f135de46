//! What happened: operations, events, the recorder and the history formats.

mod event;
mod fault;
mod history;
mod value;

pub use event::{Event, EventType, Process};
pub use fault::{Fault, FaultPhase};
pub use history::{Header, History, Operation, Outcome, Point, RunInfo};
pub use value::Value;
