//! Ctrl-C and SIGTERM: the first asks the run to heal and be judged, the second ends everything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use checkers::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// The file in a run folder that asks the run to end early. Anyone may make it.
pub const STOP_FILE: &str = "stop";

/// The exit status after a second signal, as shells report an end by SIGINT.
const ENDED_BY_SIGNAL: i32 = 130;

/// Whether the user wants an end, and whom to tell.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicBool,
    /// The folder of the run that is under way.
    run: Mutex<Option<PathBuf>>,
    /// Ends a check that is under way.
    check: Cancel,
}

impl Interrupt {
    /// Starts listening for SIGINT and SIGTERM, on a thread of its own, until the program ends.
    ///
    /// # Errors
    /// When the system refuses the thread or the handlers.
    pub fn listen() -> io::Result<Self> {
        let interrupt = Interrupt::default();
        let shared = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut streams = runtime.block_on(async {
            io::Result::Ok((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ))
        })?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        tokio::select! {
                            _ = streams.0.recv() => {}
                            _ = streams.1.recv() => {}
                        }
                        shared.interrupt();
                    }
                });
            })?;
        Ok(interrupt)
    }

    /// Whether the user wants an end.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// The flag by which a check under way is told to stop.
    pub fn check(&self) -> &Cancel {
        &self.0.check
    }

    /// Says which run is under way, if any: it is told of an interruption by a file in its folder.
    pub fn set_run(&self, folder: Option<&Path>) {
        *self.0.run.lock().unwrap_or_else(PoisonError::into_inner) = folder.map(Path::to_owned);
        if self.asked() {
            self.tell();
        }
    }

    fn interrupt(&self) {
        if self.0.asked.swap(true, Ordering::AcqRel) {
            std::process::exit(ENDED_BY_SIGNAL);
        }
        if !self.tell() {
            self.0.check.cancel();
        }
    }

    /// Tells the run under way; false when there is none.
    fn tell(&self) -> bool {
        let run = self.0.run.lock().unwrap_or_else(PoisonError::into_inner);
        match &*run {
            // On a disk so full that not even an empty file fits, the second signal remains.
            Some(folder) => std::fs::write(folder.join(STOP_FILE), "").is_ok(),
            None => false,
        }
    }
}
