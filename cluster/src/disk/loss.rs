//! Power failure: everything that is not durable is taken back.

use std::fs;
use std::os::unix::fs::FileExt;

use histories::Value;
use nix::errno::Errno;

use super::files::{Files, errno};
use super::journal::{Change, Ino, Name};
use super::tree::{FileKind, KEPT};
use super::unsynced::{Content, Reversal, Torn};

/// How many files and names evidence lists.
const LISTED_MAX: usize = 16;

/// How many zeros are written at once.
const ZEROS: [u8; 4096] = [0; 4096];

/// What a power failure took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Of each file whose content changed, written bytes that are gone.
    pub files: Vec<(String, u64)>,
    /// How many truncations are undone.
    pub truncations: u64,
    /// What was done to names and is undone, in the order in which it was done.
    pub names: Vec<String>,
    /// How many bytes of a write that was torn are there.
    pub torn_bytes: u64,
    /// How often, before, everything had become durable for want of memory.
    pub written_back: u64,
}

impl Loss {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What `faults::Disks::lose_power` says of it.
    pub fn evidence(&self) -> Vec<(Value, Value)> {
        let number = |number: u64| Value::Int(number.cast_signed());
        let files = self.files.iter().take(LISTED_MAX);
        let files = files.map(|(path, bytes)| (Value::from(&**path), number(*bytes)));
        let names = self.names.iter().take(LISTED_MAX);
        let mut evidence = vec![
            ("lost_bytes".into(), number(self.bytes())),
            ("lost_names".into(), number(self.names.len() as u64)),
            ("lost_truncations".into(), number(self.truncations)),
            ("files".into(), Value::Map(files.collect())),
            (
                "names".into(),
                Value::List(names.map(|name| Value::from(&**name)).collect()),
            ),
        ];
        for (name, count) in [
            ("torn_bytes", self.torn_bytes),
            ("written_back", self.written_back),
        ] {
            if count > 0 {
                evidence.push((name.into(), number(count)));
            }
        }
        evidence
    }
}

impl Files {
    /// Makes the folder what it is after a power failure. Of the file named in `torn`, some of what
    /// was not durable is there all the same.
    pub fn lose_unsynced(&mut self, torn: Option<(Ino, Torn)>) -> Result<Loss, Errno> {
        let mut loss = Loss {
            written_back: self.written_back,
            ..Loss::default()
        };
        let mut unsynced: Vec<_> = std::mem::take(&mut self.unsynced).into_iter().collect();
        unsynced.sort_by_key(|(ino, _)| *ino);
        self.held_bytes = 0;
        for (ino, unsynced) in unsynced {
            let torn = torn.filter(|(of, _)| *of == ino).map(|(_, torn)| torn);
            let reversal = unsynced.revert(torn);
            loss.truncations += reversal.lost_truncations;
            loss.torn_bytes += reversal.kept_bytes;
            if reversal.lost_bytes > 0 {
                loss.files.push((self.seen_path(ino), reversal.lost_bytes));
            }
            // One without a name is gone with the power.
            if self.tree.has_name(ino) {
                self.reverse(ino, reversal)?;
            }
        }
        let changes = self.journal.take();
        loss.names = changes.iter().map(|change| self.describe(change)).collect();
        for change in changes.into_iter().rev() {
            self.take_back(change)?;
        }
        self.abandoned();
        Ok(loss)
    }

    fn reverse(&self, ino: Ino, reversal: Reversal) -> Result<(), Errno> {
        self.with_file(ino, |file| {
            for old in reversal.writes {
                match old.content {
                    Content::Bytes(bytes) => file.write_all_at(&bytes, old.offset)?,
                    Content::Zeros(count) => {
                        for from in (0..count).step_by(ZEROS.len()) {
                            let some = ZEROS.len().min((count - from) as usize);
                            file.write_all_at(&ZEROS[..some], old.offset + from)?;
                        }
                    }
                }
            }
            file.set_len(reversal.size)
        })
    }

    fn take_back(&mut self, change: Change) -> Result<(), Errno> {
        match change {
            Change::Added { at, ino } => {
                let path = self.real_name(at.0, &at.1)?;
                self.tree.remove(&at);
                if self.tree.kind(ino)? == FileKind::Directory {
                    fs::remove_dir_all(path).map_err(errno)?;
                    self.tree.remove_below(ino);
                } else {
                    fs::remove_file(path).map_err(errno)?;
                }
            }
            Change::Removed { at, ino, kept } => self.bring_back(at, ino, kept)?,
            Change::Renamed {
                from,
                to,
                ino,
                replaced,
            } => {
                let now = self.real_name(to.0, &to.1)?;
                let then = self.real_name(from.0, &from.1)?;
                fs::rename(now, then).map_err(errno)?;
                self.tree.remove(&to);
                self.tree.add(from, ino);
                if let Some((old, kept)) = replaced {
                    self.bring_back(to, old, kept)?;
                }
            }
        }
        Ok(())
    }

    fn bring_back(&mut self, at: Name, ino: Ino, kept: std::ffi::OsString) -> Result<(), Errno> {
        let path = self.real_name(at.0, &at.1)?;
        fs::rename(self.kept_path(&kept), path).map_err(errno)?;
        self.tree.remove(&(KEPT, kept));
        self.tree.add(at, ino);
        Ok(())
    }

    fn describe(&self, change: &Change) -> String {
        let name = |(dir, name): &Name| self.seen_name(*dir, name);
        match change {
            Change::Added { at, .. } => format!("create {}", name(at)),
            Change::Removed { at, .. } => format!("remove {}", name(at)),
            Change::Renamed { from, to, .. } => format!("rename {} to {}", name(from), name(to)),
        }
    }
}
