//! What a check may cost, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a check may cost. Where a limit is reached the verdict is `Unknown`, never `Valid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the verdict on the whole history, in milliseconds. Explaining a violation may take
    /// as long again, at most twelve seconds.
    pub time_ms: u64,
    /// For the searches of all keys together, in bytes, by account of what their tables hold.
    pub memory_bytes: u64,
    /// How many keys are searched side by side; 0 means one for each processor.
    pub threads: usize,
    /// Whether to go on after the first key that is not linearizable, to find every one.
    pub all: bool,
}

impl Default for Limits {
    /// One minute, 2 GiB, all processors.
    fn default() -> Self {
        Limits {
            time_ms: 60_000,
            memory_bytes: 2 << 30,
            threads: 0,
            all: false,
        }
    }
}

/// A flag by which a check is told from elsewhere to stop; its verdict is then `Unknown`.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag not yet set.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Sets it, for every clone of it.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The limit that ended a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exhausted {
    Time,
    Memory,
    Nodes,
    Cancelled,
}

/// What a search still has, shared by the searches of all keys.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    deadline: Option<Instant>,
    memory_bytes: u64,
    /// Work units of one search; `u64::MAX` for no limit but time and memory.
    pub(crate) nodes: u64,
    held_bytes: Arc<AtomicU64>,
    cancel: Cancel,
    /// Set when another key was found in violation.
    stop: Cancel,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, cancel: &Cancel) -> Self {
        Budget {
            deadline: Instant::now().checked_add(Duration::from_millis(limits.time_ms)),
            memory_bytes: limits.memory_bytes,
            nodes: u64::MAX,
            held_bytes: Arc::default(),
            cancel: cancel.clone(),
            stop: Cancel::new(),
        }
    }

    /// No limit but this much memory.
    pub(crate) fn of_memory(memory_bytes: u64) -> Self {
        Budget {
            deadline: None,
            memory_bytes,
            nodes: u64::MAX,
            held_bytes: Arc::default(),
            cancel: Cancel::new(),
            stop: Cancel::new(),
        }
    }

    /// The same limits, and at most so much work.
    pub(crate) fn with_nodes(&self, nodes: u64) -> Self {
        Budget {
            nodes,
            ..self.clone()
        }
    }

    /// The same limits, and at most so much time from now on.
    pub(crate) fn within_ms(&self, time_ms: u64) -> Self {
        let mine = Instant::now().checked_add(Duration::from_millis(time_ms));
        Budget {
            deadline: [self.deadline, mine].into_iter().flatten().min(),
            ..self.clone()
        }
    }

    /// Ends every search that shares this budget.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Looks at the clock, the memory account and the flags: call every few hundred nodes.
    pub(crate) fn check(&self) -> Result<(), Exhausted> {
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            return Err(Exhausted::Cancelled);
        }
        if self.held_bytes.load(Ordering::Relaxed) > self.memory_bytes {
            return Err(Exhausted::Memory);
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(Exhausted::Time);
        }
        Ok(())
    }
}

/// The part of the shared memory account that one search holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Account {
    held_bytes: Arc<AtomicU64>,
    mine_bytes: u64,
}

impl Account {
    pub(crate) fn new(budget: &Budget) -> Self {
        Account {
            held_bytes: Arc::clone(&budget.held_bytes),
            mine_bytes: 0,
        }
    }

    /// Says what the search holds now.
    pub(crate) fn set(&mut self, bytes: u64) {
        if bytes >= self.mine_bytes {
            self.held_bytes
                .fetch_add(bytes - self.mine_bytes, Ordering::Relaxed);
        } else {
            self.held_bytes
                .fetch_sub(self.mine_bytes - bytes, Ordering::Relaxed);
        }
        self.mine_bytes = bytes;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}
