//! What a node keeps on disk: the log with term and vote, and the latest snapshot.
//!
//! The log is a file of records. Each is a header (length of the payload, CRC-32 of all that
//! follows in the record, sequence number; little-endian) and a payload. The first record of a
//! file holds a whole log; each later one holds everything that one batch added, so that a batch
//! is on disk wholly or not at all. Only the last record can be torn by a crash, as each is synced
//! before the next is written: a damaged record with a sound one behind it is corruption, and
//! stops the node. When a snapshot is taken, the log is begun anew in a new file, which replaces
//! the old one by rename. Snapshots are files of one record, also replaced by rename. The folder
//! is synced after every rename.
//!
//! What a node reads when it starts need not be on disk: after a sync that failed the system goes on
//! to show what it could not write, and takes it for written, so that no later sync would help
//! (Rebello and others, "Can Applications Recover from fsync Failures?", 2020). So snapshot and log
//! are written anew before anything read from them is relied upon.

mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::bugs::{Bug, Bugs};
use crate::raft::{Entry, HardState, LogImage, Members, Recovered, Snapshot, Write};

pub use files::{Files, Folder};

const LOG: &str = "log";
const SNAPSHOT: &str = "snapshot";
/// Length (u32), CRC (u32), sequence number (u64).
const HEADER_BYTES: usize = 16;
/// The largest payload of a record.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Something is wrong with the data folder.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The system refused.
    #[error("cannot {what} {}: {cause}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// What is on disk is not what was written.
    #[error(
        "{} is damaged at byte {offset}: {cause} (hint: this node must be given an empty data \
         folder and join anew; its vote cannot be trusted)", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: usize,
        /// What is wrong there.
        cause: String,
    },
    /// A record is larger than a record may be.
    #[error("cannot write {} bytes as one record of {}", .bytes, .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it would be.
        bytes: usize,
    },
}

/// One change of the log on disk.
#[derive(Debug, Serialize, Deserialize)]
enum Change {
    Image(LogImage),
    HardState(HardState),
    Truncate(u64),
    Append(Vec<Arc<Entry>>),
}

/// The data of a node.
#[derive(Debug)]
pub struct Storage<F = Folder> {
    files: F,
    /// The sequence number of the next record.
    sequence: u64,
    bugs: Bugs,
}

impl Storage {
    /// Opens the folder, or begins it with these members, and returns what it holds.
    ///
    /// # Errors
    /// As [`Storage::on`]; and when the folder cannot be made.
    pub fn open(
        folder: &Path,
        members: &Members,
        bugs: Bugs,
    ) -> Result<(Storage, Recovered), StorageError> {
        let files = Folder::new(folder).map_err(failed("create", folder))?;
        Storage::on(files, members, bugs)
    }
}

impl<F: Files> Storage<F> {
    /// Opens what these files hold, or begins them with these members, and returns it.
    ///
    /// # Errors
    /// When they cannot be read or written, or what they hold is damaged anywhere but at the very
    /// end of the log.
    pub fn on(
        mut files: F,
        members: &Members,
        bugs: Bugs,
    ) -> Result<(Storage<F>, Recovered), StorageError> {
        let snapshot = recover_snapshot(&mut files, bugs)?;
        let path = files.path(LOG);
        let mut log = match files.read(LOG).map_err(failed("read", &path))? {
            Some(log) => log,
            None => {
                let image = LogImage {
                    members: members.clone(),
                    ..LogImage::default()
                };
                encode(&path, 0, &vec![Change::Image(image)])?
            }
        };
        let Scan {
            changes,
            sequence,
            sound_bytes,
            padding,
        } = read_log(&path, &log, bugs)?;
        log.truncate(sound_bytes);
        log.extend(padding.unwrap_or_default());
        replace(&mut files, LOG, &log, bugs)?;
        let log = changes.into_iter().fold(LogImage::default(), redo);
        Ok((
            Storage {
                files,
                sequence,
                bugs,
            },
            Recovered { log, snapshot },
        ))
    }

    /// The files themselves.
    pub fn into_files(self) -> F {
        self.files
    }

    /// The files themselves.
    pub fn files(&mut self) -> &mut F {
        &mut self.files
    }

    /// Writes all of this and returns when it is on disk.
    ///
    /// # Errors
    /// When it is not known to be on disk. The node must then stop: what a failed sync leaves
    /// behind cannot be known.
    pub fn write(&mut self, writes: Vec<Write>) -> Result<(), StorageError> {
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                Write::HardState(hard_state) => changes.push(Change::HardState(hard_state)),
                Write::Truncate(from) => changes.push(Change::Truncate(from)),
                Write::Append(entries) => changes.push(Change::Append(entries)),
                Write::Snapshot(snapshot, image) => {
                    changes.clear();
                    self.begin_anew(&snapshot, image)?;
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let path = self.files.path(LOG);
        let record = encode(&path, self.sequence, &changes)?;
        self.files
            .append(LOG, &record)
            .map_err(failed("write to", &path))?;
        self.sequence += 1;
        // Bug: what the kernel has not yet written is lost with the power, though acknowledged.
        if self.bugs.has(Bug::SkipFsync) {
            return Ok(());
        }
        let synced = self.files.sync(LOG).map_err(failed("sync", &path));
        // Bug: an error is not the disk's last word, it is hoped.
        match self.bugs.has(Bug::IgnoreFsyncError) {
            true => Ok(()),
            false => synced,
        }
    }

    fn begin_anew(&mut self, snapshot: &Snapshot, image: LogImage) -> Result<(), StorageError> {
        let record = encode(&self.files.path(SNAPSHOT), 0, snapshot)?;
        replace(&mut self.files, SNAPSHOT, &record, self.bugs)?;
        let record = encode(&self.files.path(LOG), 0, &vec![Change::Image(image)])?;
        replace(&mut self.files, LOG, &record, self.bugs)?;
        self.sequence = 1;
        Ok(())
    }
}

/// Puts a file in the place of another: there is always the old one or the new one, whole.
fn replace(
    files: &mut impl Files,
    name: &str,
    bytes: &[u8],
    bugs: Bugs,
) -> Result<(), StorageError> {
    let fresh = format!("{name}.new");
    let path = files.path(&fresh);
    files
        .create(&fresh, bytes)
        .map_err(failed("create", &path))?;
    let synced = files.sync(&fresh).map_err(failed("sync", &path));
    if !bugs.has(Bug::IgnoreFsyncError) {
        synced?;
    }
    files
        .rename(&fresh, name)
        .map_err(failed("rename", &path))?;
    // Bug: when the power is lost the old file may be back, and what was written behind the new
    // one is gone with it.
    if bugs.has(Bug::RenameWithoutDirSync) {
        return Ok(());
    }
    let synced = files
        .sync_folder()
        .map_err(failed("sync the folder of", &path));
    match bugs.has(Bug::IgnoreFsyncError) {
        true => Ok(()),
        false => synced,
    }
}

fn encode<T: Serialize>(path: &Path, sequence: u64, what: &T) -> Result<Vec<u8>, StorageError> {
    let mut record = vec![0; HEADER_BYTES];
    record = postcard::to_extend(what, record).map_err(|error| StorageError::Io {
        what: "encode a record of",
        path: path.to_owned(),
        cause: io::Error::other(error),
    })?;
    let bytes = record.len() - HEADER_BYTES;
    let length = u32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= PAYLOAD_BYTES_MAX);
    let Some(length) = length else {
        return Err(StorageError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    };
    record[0..4].copy_from_slice(&length.to_le_bytes());
    record[8..16].copy_from_slice(&sequence.to_le_bytes());
    let crc = checksum(length, &record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(record)
}

/// Of the length, the sequence number and the payload.
fn checksum(length: u32, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

struct Record<'a> {
    sequence: u64,
    payload: &'a [u8],
}

/// The record at the start of these bytes, if it is whole and sound.
fn decode(bytes: &[u8]) -> Option<Record<'_>> {
    decode_unless(bytes, false)
}

/// As [`decode`]; or, with `unchecked`, if it is whole.
fn decode_unless(bytes: &[u8], unchecked: bool) -> Option<Record<'_>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, payload) = rest.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*length);
    let payload = payload.get(..length as usize)?;
    let covered = rest.get(..size_of::<u64>() + length as usize)?;
    let sound = unchecked || checksum(length, covered) == u32::from_le_bytes(*crc);
    sound.then_some(Record {
        sequence: u64::from_le_bytes(*sequence),
        payload,
    })
}

struct Scan {
    changes: Vec<Change>,
    /// The sequence number of the next record.
    sequence: u64,
    /// How much of the file is sound.
    sound_bytes: usize,
    /// What a bug takes the rest for.
    padding: Option<Vec<u8>>,
}

fn read_log(path: &Path, bytes: &[u8], bugs: Bugs) -> Result<Scan, StorageError> {
    let damaged = |offset, cause: String| StorageError::Damaged {
        path: path.to_owned(),
        offset,
        cause,
    };
    let mut scan = Scan {
        changes: Vec::new(),
        sequence: 0,
        sound_bytes: 0,
        padding: None,
    };
    // Bug: whatever has the length of a record is taken for one.
    let unchecked = bugs.has(Bug::IgnoreCrc);
    while let Some(rest) = bytes
        .get(scan.sound_bytes..)
        .filter(|rest| !rest.is_empty())
    {
        let offset = scan.sound_bytes;
        let found =
            decode_unless(rest, unchecked).filter(|record| record.sequence == scan.sequence);
        let Some(record) = found else {
            // Bug: what comes behind a damaged record is dropped, though it was acknowledged.
            let cuts = bugs.has(Bug::TruncateOnBadCrc) && offset > 0;
            // The first record came with the file, by rename: it is never torn.
            if !cuts && (offset == 0 || is_followed_by_record(rest, scan.sequence)) {
                return Err(damaged(
                    offset,
                    "a record does not match its checksum".into(),
                ));
            }
            // Bug: half a record is completed with zeros.
            if bugs.has(Bug::TornAccepted) {
                scan.accept_torn(path, rest)?;
            }
            break;
        };
        let changes: Vec<Change> = parse(record.payload).map_err(|cause| damaged(offset, cause))?;
        scan.changes.extend(changes);
        scan.sequence += 1;
        scan.sound_bytes += HEADER_BYTES + record.payload.len();
    }
    match scan.sequence {
        0 => Err(damaged(0, "it is empty".into())),
        _ => Ok(scan),
    }
}

impl Scan {
    /// Takes up the beginning of a record as far as it can be read.
    fn accept_torn(&mut self, path: &Path, rest: &[u8]) -> Result<(), StorageError> {
        /// Longer ones are not made of thin air.
        const LENGTH_MAX: usize = 1 << 20;
        let header = |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        let length = header(0).map_or(0, |bytes| u32::from_le_bytes(bytes) as usize);
        if rest.len() <= HEADER_BYTES || length > LENGTH_MAX {
            return Ok(());
        }
        let mut payload = rest[HEADER_BYTES..].to_vec();
        payload.resize(length, 0);
        if let Ok(changes) = parse::<Vec<Change>>(&payload) {
            self.padding = Some(encode(path, self.sequence, &changes)?);
            self.sequence += 1;
            self.changes.extend(changes);
        }
        Ok(())
    }
}

/// Whether a record written after the one with number `sequence` is found anywhere behind it.
fn is_followed_by_record(rest: &[u8], sequence: u64) -> bool {
    (1..rest.len()).any(|offset| {
        let number = rest
            .get(offset + 8..offset + HEADER_BYTES)
            .and_then(|n| n.try_into().ok());
        // The checksum is taken only where the number fits, or the search would be quadratic.
        number
            .map(u64::from_le_bytes)
            .is_some_and(|number| number > sequence && number - sequence < rest.len() as u64)
            && decode(&rest[offset..]).is_some()
    })
}

/// The snapshot, if there is one, which is then known to be on disk.
fn recover_snapshot(
    files: &mut impl Files,
    bugs: Bugs,
) -> Result<Option<Arc<Snapshot>>, StorageError> {
    let path = files.path(SNAPSHOT);
    let Some(bytes) = files.read(SNAPSHOT).map_err(failed("read", &path))? else {
        return Ok(None);
    };
    let damaged = |cause: String| StorageError::Damaged {
        path: path.clone(),
        offset: 0,
        cause,
    };
    let record =
        decode(&bytes).ok_or_else(|| damaged("the snapshot does not match its checksum".into()))?;
    let snapshot: Snapshot = parse(record.payload).map_err(damaged)?;
    replace(files, SNAPSHOT, &bytes, bugs)?;
    Ok(Some(Arc::new(snapshot)))
}

/// The log after a change.
fn redo(mut log: LogImage, change: Change) -> LogImage {
    match change {
        Change::Image(image) => return image,
        Change::HardState(hard_state) => log.hard_state = hard_state,
        Change::Truncate(from) => log.entries.retain(|entry| entry.index < from),
        Change::Append(entries) => {
            for entry in entries {
                // Always so, but for bugs that read what was not written.
                let last = log.entries.last().map_or(log.start.0, |last| last.index);
                if entry.index == last + 1 {
                    log.entries.push(entry);
                }
            }
        }
    }
    log
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    postcard::from_bytes(payload).map_err(|error| format!("a record cannot be read ({error})"))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    move |cause| StorageError::Io {
        what,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests;
