//! What happened: operations, events, the recorder and the history formats.
//!
//! A history is read ([`read`], [`read_file`]) or recorded ([`Recorder`]), is proved consistent
//! ([`History::validate`]), and is then looked at in two ways: as operations
//! ([`History::operations`]) and as faults ([`History::faults`]).

pub mod edn;
mod event;
mod events;
mod fault;
mod formats;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod history;
mod json;
mod operations;
mod pairing;
mod recorder;
mod scanner;
mod spans;
mod tuples;
mod validate;
mod value;

pub use event::{Event, EventType, Process};
pub use events::{EVENTS_MAX, Events, Iter, Packed, Symbol};
pub use fault::{Fault, FaultPhase, NotAFault};
pub use formats::{
    CHUNK_EVENTS_MAX, CannotExpress, Encoding, Format, HISTORY_BYTES_MAX, ReadError, ReadErrorKind,
    Tail, UnknownFormat, VERSION, WriteError, compare, detect, left_out, read, read_file, write,
    write_binary, write_jsonl,
};
pub use history::{Header, History, Operation, Outcome, Point, RunInfo};
pub use operations::{FailedCas, OperationIter, Operations, PackedOperation, Place, Turn, Turns};
pub use recorder::{
    CHUNK_LINGER_MS_MAX, Completion, Invocation, Observer, QUEUE_EVENTS_MAX,
    RECORDED_CHUNK_EVENTS_MAX, RecordError, Recorded, Recorder,
};
pub use spans::FaultSpan;
pub use tuples::{NotTuples, Tuples};
pub use validate::{At, Contradiction, Inconsistency};
pub use value::Value;
