//! Nodes that end by themselves.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Instant;

use cluster::NodeExit;
use histories::{Recorder, Value};

use super::notice::Notice;
use crate::judge::NODE_EXIT;
use crate::units::ms;

/// What nodes ended by themselves: told to the history once there is one.
#[derive(Clone, Default)]
pub(super) struct Exits(Arc<OnceLock<ExitTarget>>);

/// Where exits are recorded and told.
struct ExitTarget {
    recorder: Arc<Recorder>,
    start: Instant,
    tell: Mutex<mpsc::Sender<Notice>>,
}

impl Exits {
    /// From now on there is a history, and somebody who listens.
    pub(super) fn record_from_now(
        &self,
        recorder: Arc<Recorder>,
        start: Instant,
        tell: mpsc::Sender<Notice>,
    ) {
        // Set once, by the one conductor.
        let _ = self.0.set(ExitTarget {
            recorder,
            start,
            tell: Mutex::new(tell),
        });
    }

    /// Records and tells that a node ended.
    pub(super) fn tell(&self, exit: &NodeExit) {
        // Before the run has started, the start itself fails and says so.
        let Some(ExitTarget {
            recorder,
            start,
            tell,
        }) = self.0.get()
        else {
            return;
        };
        let text = exit.to_string();
        let value = Value::Map(vec![
            ("node".into(), Value::Text(exit.node.clone())),
            ("text".into(), text.clone().into()),
        ]);
        let _ = recorder.note(NODE_EXIT, value);
        let at_ms = ms(start.elapsed());
        let notice = Notice::NodeExit {
            at_ms,
            node: exit.node.to_string(),
            text,
        };
        let _ = tell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(notice);
    }
}
