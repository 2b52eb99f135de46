//! A disk that keeps what was synced and, when the power goes, forgets what was not: all of it, or
//! none, or some. What a sync failed to write is still read, and no later sync writes it: the system
//! takes it for written (Rebello and others, "Can Applications Recover from fsync Failures?", 2020).
//! On it runs the storage of the real node.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use raft_kv::raft::Chance;
use raft_kv::storage::Files;

/// A file is known by a number, as names change.
type Number = u64;

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Up to here a sync failed, and what is not on disk never will be.
    given_up: usize,
}

impl Content {
    fn sync(&mut self) {
        let Content {
            bytes,
            synced,
            given_up,
        } = self;
        // Only what is new is copied: a log is synced often.
        let from = synced.len().max(*given_up);
        if let Some(more) = bytes.get(from..).filter(|more| !more.is_empty()) {
            synced.resize(from, 0);
            synced.extend_from_slice(more);
        }
    }
}

#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<Number, Content>,
    names: BTreeMap<String, Number>,
    synced_names: BTreeMap<String, Number>,
    numbers: Number,
    /// Every sync fails, and nothing gets to the disk.
    pub sync_fails: bool,
}

impl Disk {
    /// The power goes. Of what was not synced, chance keeps as much as it likes.
    pub fn lose_power(&mut self, chance: &mut Chance) {
        if chance.below(2) == 0 {
            self.names = self.synced_names.clone();
        }
        self.synced_names = self.names.clone();
        for content in self.files.values_mut() {
            let Content {
                bytes,
                synced,
                given_up,
            } = content;
            // What was appended may have got there in part.
            let more = bytes.len() - synced.len();
            let kept = [0, more, chance.below(more as u64 + 1) as usize][chance.below(3) as usize];
            synced.extend_from_slice(&bytes[synced.len()..][..kept]);
            *bytes = synced.clone();
            *given_up = 0;
        }
    }

    /// Flips a bit of the log, behind its first record and before its last: that one cannot be told
    /// from one that was torn, and is lost with what was acknowledged of it.
    pub fn flip_bit(&mut self, chance: &mut Chance) -> bool {
        let log = self.names.get("log");
        let Some(content) = log.and_then(|number| self.files.get_mut(number)) else {
            return false;
        };
        let ends = ends_of_records(&content.bytes);
        let [first, .., before_last, _] = ends[..] else {
            return false;
        };
        let place = first + chance.below((before_last - first) as u64) as usize;
        content.bytes[place] ^= 1 << chance.below(8);
        content.synced = content.bytes.clone();
        true
    }

    fn content(&mut self, name: &str) -> io::Result<&mut Content> {
        let number = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.files
            .get_mut(number)
            .ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Files for Disk {
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }

    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.content(name).ok().map(|content| content.bytes.clone()))
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.numbers += 1;
        let content = Content {
            bytes: bytes.to_vec(),
            ..Content::default()
        };
        self.files.insert(self.numbers, content);
        self.names.insert(name.to_owned(), self.numbers);
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.content(name)?.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let fails = self.sync_fails;
        let content = self.content(name)?;
        if fails {
            content.given_up = content.bytes.len();
            return Err(io::Error::other("the disk is broken"));
        }
        content.sync();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let number = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), number);
        let (names, synced) = (&self.names, &self.synced_names);
        self.files.retain(|number, _| {
            names
                .values()
                .chain(synced.values())
                .any(|kept| kept == number)
        });
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        if self.sync_fails {
            return Err(io::Error::other("the disk is broken"));
        }
        self.synced_names = self.names.clone();
        Ok(())
    }
}

/// Where each record ends, whose length stands before a header's other 12 bytes.
fn ends_of_records(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(length) = bytes.get(at..at + 4) {
        at += 16 + length.try_into().map_or(0, u32::from_le_bytes) as usize;
        ends.push(at);
    }
    ends
}
