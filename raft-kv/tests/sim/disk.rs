//! A disk that keeps what was synced and, when the power goes, forgets the rest.

use std::sync::Arc;

use raft_kv::raft::{LogImage, Members, Recovered, Write};

#[derive(Debug, Clone, Default)]
struct Content {
    log: LogImage,
    snapshot: Option<Arc<raft_kv::raft::Snapshot>>,
}

#[derive(Debug)]
pub struct Disk {
    synced: Content,
    written: Content,
    /// Writes to the log are not synced; replacing files is.
    skip_sync: bool,
}

impl Disk {
    pub fn new(members: &Members, skip_sync: bool) -> Disk {
        let log = LogImage {
            members: members.clone(),
            ..LogImage::default()
        };
        let content = Content {
            log,
            snapshot: None,
        };
        Disk {
            synced: content.clone(),
            written: content,
            skip_sync,
        }
    }

    pub fn write(&mut self, writes: Vec<Write>) {
        let mut sync = !self.skip_sync;
        let log = &mut self.written.log;
        for write in writes {
            match write {
                Write::HardState(hard_state) => log.hard_state = hard_state,
                Write::Truncate(from) => log.entries.retain(|entry| entry.index < from),
                Write::Append(entries) => log.entries.extend(entries),
                Write::Snapshot(snapshot, image) => {
                    *log = image;
                    self.written.snapshot = Some(snapshot);
                    sync = true;
                }
            }
        }
        if sync {
            self.synced = self.written.clone();
        }
    }

    pub fn lose_power(&mut self) {
        self.written = self.synced.clone();
    }

    pub fn read(&self) -> Recovered {
        let Content { log, snapshot } = self.written.clone();
        Recovered { log, snapshot }
    }
}
