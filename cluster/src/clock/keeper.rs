//! Looking after processes that nodes start while their clocks are distorted.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::node::Node;

/// Between two looks for new processes, and new programs in old ones.
const POLL: Duration = Duration::from_millis(20);

/// A thread that does to new processes what was done to the others. Made when it is first needed;
/// ends with this value.
#[derive(Debug, Default)]
pub(crate) struct Keeper(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    /// Never sent to: its end ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Looks after these nodes from now on.
    pub fn look_after(&self, nodes: &Arc<[Node]>) -> std::io::Result<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return Ok(());
        }
        let (stop, stopped) = channel();
        let nodes = Arc::clone(nodes);
        let keep = move || {
            while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                for node in nodes.iter().filter(|node| node.has_distortions()) {
                    // Processes that could not be listed now are listed the next time.
                    let _ = node.keep_distortions();
                }
            }
        };
        let thread = thread::Builder::new().name("clocks".into()).spawn(keep)?;
        *running = Some(Running {
            stop: Some(stop),
            thread: Some(thread),
        });
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}
