//! Reading and writing files, and making them durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::files::Files;
use super::journal::Ino;
use super::tree::FileKind;
use super::unsynced::Unsynced;

/// How much memory the old content of what is not durable may take. With more, all of it becomes
/// durable, as it does by the kernel's own account when memory is short.
const HELD_BYTES_MAX: u64 = 256 << 20;

impl Files {
    pub fn read(&self, ino: Ino, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        self.with_file(ino, |file| read_at(file, offset, length))
    }

    /// Writes all of it or fails.
    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let length = bytes.len() as u64;
        let (size, old) = self.before(ino, offset, length)?;
        let written = self.with_file(ino, |file| file.write_all_at(bytes, offset));
        // Even a write that failed in its midst may have changed something.
        self.note(ino, size, |unsynced| {
            unsynced.wrote(size, offset, length, old);
        });
        written
    }

    /// Cuts a file, or makes it longer by zeros.
    pub fn truncate(&mut self, ino: Ino, new_size: u64) -> Result<(), Errno> {
        let size = self.size(ino)?;
        if size == new_size {
            return Ok(());
        }
        let cut = size.saturating_sub(new_size);
        let is_too_large = cut > HELD_BYTES_MAX;
        let old = match is_too_large {
            true => Vec::new(),
            false => self.before(ino, new_size, cut)?.1,
        };
        self.with_file(ino, |file| file.set_len(new_size))?;
        self.note(ino, size, |unsynced| {
            unsynced.truncated(size, new_size, old);
        });
        if is_too_large {
            self.write_back()?;
        }
        Ok(())
    }

    /// fallocate(2), as far as files without their own extents can have it.
    pub fn allocate(&mut self, ino: Ino, offset: u64, length: u64, mode: i32) -> Result<(), Errno> {
        let flags = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        let keeps_size = flags.contains(FallocateFlags::FALLOC_FL_KEEP_SIZE);
        let clears = flags.intersects(
            FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_ZERO_RANGE,
        );
        let known = FallocateFlags::FALLOC_FL_KEEP_SIZE
            | FallocateFlags::FALLOC_FL_PUNCH_HOLE
            | FallocateFlags::FALLOC_FL_ZERO_RANGE;
        if !known.contains(flags) {
            return Err(Errno::EOPNOTSUPP);
        }
        let size = self.size(ino)?;
        let cleared = match clears {
            true => length.min(size.saturating_sub(offset)),
            false => 0,
        };
        let old = match cleared {
            0 => Vec::new(),
            _ => self.before(ino, offset, cleared)?.1,
        };
        let signed = |number: u64| i64::try_from(number).map_err(|_| Errno::EFBIG);
        let (from, how_much) = (signed(offset)?, signed(length)?);
        self.with_file(ino, |file| {
            fallocate(file, flags, from, how_much).map_err(io::Error::from)
        })?;
        if cleared > 0 {
            self.note(ino, size, |unsynced| {
                unsynced.wrote(size, offset, cleared, old);
            });
        }
        let end = offset + length;
        if !keeps_size && end > size {
            self.note(ino, size, |unsynced| {
                unsynced.truncated(size, end, Vec::new());
            });
        }
        Ok(())
    }

    /// Everything written to the file is durable; its name need not be.
    pub fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        if self.tree.kind(ino)? == FileKind::Directory {
            let durable = self.journal.commit(ino);
            self.made_durable(durable);
            return Ok(());
        }
        let Some(mut unsynced) = self.unsynced.remove(&ino) else {
            return Ok(());
        };
        let size = self.size(ino)?;
        self.held_bytes = self.held_bytes.saturating_sub(unsynced.held_bytes());
        unsynced.commit(size);
        if !unsynced.is_empty(size) {
            self.held_bytes += unsynced.held_bytes();
            self.unsynced.insert(ino, unsynced);
        }
        Ok(())
    }

    /// Whether a power failure would take anything.
    pub fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty() || self.journal.len() > 0
    }

    /// An fsync of the file failed: what was written before it will not be durable by a later one.
    pub fn fail_sync(&mut self, ino: Ino) {
        if let Some(unsynced) = self.unsynced.get_mut(&ino) {
            unsynced.abandon();
        }
    }

    /// Changes bytes of a file, in what the node sees and on the disk alike.
    pub fn overwrite(&self, ino: Ino, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.with_file(ino, |file| file.write_all_at(bytes, offset))
    }

    pub fn size(&self, ino: Ino) -> Result<u64, Errno> {
        Ok(self.attributes(ino)?.facts.len())
    }

    /// The file's size, and what it holds in a range.
    fn before(&self, ino: Ino, offset: u64, length: u64) -> Result<(u64, Vec<u8>), Errno> {
        self.with_file(ino, |file| {
            let size = file.metadata()?.len();
            let reach = length.min(size.saturating_sub(offset));
            let old = match reach {
                0 => Vec::new(),
                _ => read_at(file, offset, usize::try_from(reach).unwrap_or(usize::MAX))?,
            };
            Ok((size, old))
        })
    }

    fn note(&mut self, ino: Ino, size: u64, change: impl FnOnce(&mut Unsynced)) {
        let unsynced = self
            .unsynced
            .entry(ino)
            .or_insert_with(|| Unsynced::new(size));
        self.held_bytes += unsynced.noted(change);
        if self.held_bytes > HELD_BYTES_MAX {
            // Fails only for files that cannot be read any more, of which nothing is lost then.
            let _ = self.write_back();
        }
    }

    /// Makes the content of every file durable.
    fn write_back(&mut self) -> Result<(), Errno> {
        self.written_back += 1;
        let files: Vec<Ino> = self.unsynced.keys().copied().collect();
        files.into_iter().try_for_each(|ino| self.sync(ino))
    }
}

fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
