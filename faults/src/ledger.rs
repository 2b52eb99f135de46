//! The ledger: the undo of every fault, written down before the fault is injected.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::Undo;

/// A line of the ledger.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case", deny_unknown_fields)]
enum Note {
    /// This is what takes back the fault that follows.
    Undo { id: u64, undo: Undo },
    /// It has been taken back.
    Done { id: u64 },
}

/// A ledger line could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Writing failed, now or earlier; from then on no fault may be injected.
    #[error("cannot write the ledger of undos: {0}")]
    Write(String),
    /// A line that is no note.
    #[error("line {line} of the ledger is no undo note: {why}")]
    Read {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// What takes back each fault that has been announced and not yet healed.
pub struct Ledger {
    lines: Box<dyn Write + Send>,
    open: Vec<(u64, Undo)>,
    /// Why writing failed: what was written last may be torn, so nothing may follow it.
    broken: Option<String>,
}

impl Ledger {
    /// A ledger that writes its lines there (the run folder's `ledger.jsonl`), each at once.
    pub fn new(lines: impl Write + Send + 'static) -> Self {
        Ledger {
            lines: Box::new(lines),
            open: Vec::new(),
            broken: None,
        }
    }

    /// Notes what will take this fault back. Only when this has returned `Ok` may the fault be
    /// injected.
    ///
    /// # Errors
    /// The note could not be written.
    pub fn note(&mut self, id: u64, undo: Undo) -> Result<(), LedgerError> {
        self.write(&Note::Undo {
            id,
            undo: undo.clone(),
        })?;
        self.open.push((id, undo));
        Ok(())
    }

    /// Marks this fault as taken back. It is no longer open even if that cannot be written.
    ///
    /// # Errors
    /// The mark could not be written.
    pub fn done(&mut self, id: u64) -> Result<(), LedgerError> {
        self.open.retain(|(open, _)| *open != id);
        self.write(&Note::Done { id })
    }

    /// The faults not yet taken back, oldest first.
    pub fn open(&self) -> &[(u64, Undo)] {
        &self.open
    }

    fn write(&mut self, note: &Note) -> Result<(), LedgerError> {
        if let Some(why) = &self.broken {
            return Err(LedgerError::Write(why.clone()));
        }
        let line = serde_json::to_string(note).map_err(|e| LedgerError::Write(e.to_string()))?;
        writeln!(self.lines, "{line}")
            .and_then(|()| self.lines.flush())
            .map_err(|error| {
                self.broken = Some(error.to_string());
                LedgerError::Write(error.to_string())
            })
    }
}

/// The faults that a ledger's text leaves open, oldest first: what a run that ended in the middle
/// had not taken back. A torn last line is no note yet, so its fault was never injected.
///
/// # Errors
/// A line that is no note.
pub fn open_undos(text: &str) -> Result<Vec<(u64, Undo)>, LedgerError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut open: Vec<(u64, Undo)> = Vec::new();
    for (number, line) in whole.lines().enumerate() {
        let note = serde_json::from_str(line).map_err(|e| LedgerError::Read {
            line: number + 1,
            why: e.to_string(),
        })?;
        match note {
            Note::Undo { id, undo } => open.push((id, undo)),
            Note::Done { id } => open.retain(|(noted, _)| *noted != id),
        }
    }
    Ok(open)
}
