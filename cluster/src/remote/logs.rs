//! The logs of nodes on hosts.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::RemoteError;
use super::session::Session;
use super::wire::{Ask, Tail};

/// Between two requests for what a node has written; each shows besides that its agent is there.
const TAIL_PERIOD: Duration = Duration::from_secs(1);

/// How much of a node's logs is fetched after its end.
const TAIL_PIECES_MAX: u32 = 10_000;

/// The logs of a node, fetched while it writes them. The requests show besides that host and agent are
/// there, and to the agent, that we are.
pub(super) struct Logs {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<(), RemoteError>>>,
}

impl Logs {
    /// Into these files, one for each log in the agent's order.
    pub fn fetch(session: Arc<Session>, files: Vec<PathBuf>) -> Result<Self, RemoteError> {
        let (stop, stopped) = channel();
        let fetch = move || {
            let mut from = vec![0; files.len()];
            let mut piece = || fetch_piece(&session, &files, &mut from);
            while stopped.recv_timeout(TAIL_PERIOD) == Err(RecvTimeoutError::Timeout) {
                piece()?;
            }
            // The node has ended: whatever is left comes at once.
            for _ in 0..TAIL_PIECES_MAX {
                if piece()? == 0 {
                    break;
                }
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("logs".into()).spawn(fetch);
        let failed = |error| RemoteError::Here(format!("failed to start a thread: {error}"));
        Ok(Logs {
            stop: Some(stop),
            thread: Some(thread.map_err(failed)?),
        })
    }

    /// Fetches the rest.
    pub fn finish(mut self) -> Result<(), RemoteError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), RemoteError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nobody is there to be told.
            let _ = thread.join();
        }
    }
}

/// Appends what a node has written since to its logs here; returns how much.
fn fetch_piece(session: &Session, files: &[PathBuf], from: &mut [u64]) -> Result<u64, RemoteError> {
    let ask = Ask::Tail {
        from: from.to_vec(),
    };
    let tail: Tail = session.ask(ask, Duration::ZERO)?;
    let mut fetched = 0;
    for ((piece, path), from) in tail.pieces.iter().zip(files).zip(from) {
        append(path, &piece.0).map_err(|error| {
            RemoteError::Here(format!("failed to write {}: {error}", path.display()))
        })?;
        let length = piece.0.len() as u64;
        *from += length;
        fetched += length;
    }
    Ok(fetched)
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(bytes)
}
