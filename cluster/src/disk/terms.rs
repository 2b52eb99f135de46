//! Between the kernel's terms and ours.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, Generation, INodeNo, ReplyEmpty, ReplyEntry, Request, TimeOrNow};
use nix::errno::Errno;

use super::files::{Attributes, Owner};
use super::tree::FileKind;

/// How long the kernel may go by what it was told: nobody else changes anything.
pub(super) const TTL: Duration = Duration::from_secs(3600);

/// Numbers are never used twice, so every file is of the first generation.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn owner(request: &Request, mode: u32, umask: u32) -> Owner {
    Owner {
        uid: request.uid(),
        gid: request.gid(),
        mode: mode & !umask,
    }
}

pub(super) fn answer(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(failure(error)),
    }
}

pub(super) fn enter_in(reply: ReplyEntry, found: Result<Attributes, Errno>) {
    match found {
        Ok(found) => reply.entry(&TTL, &attributes(found), GENERATION),
        Err(error) => reply.error(failure(error)),
    }
}

pub(super) fn failure(error: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(error as i32)
}

pub(super) fn moment(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

pub(super) fn attributes(found: Attributes) -> FileAttr {
    let facts = found.facts;
    let time = |seconds: i64, nanos: i64| {
        let nanos = Duration::from_nanos(nanos.unsigned_abs());
        match seconds {
            0.. => UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()) + nanos,
            _ => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()) + nanos,
        }
    };
    FileAttr {
        ino: INodeNo(found.ino),
        size: facts.size(),
        blocks: facts.blocks(),
        atime: time(facts.atime(), facts.atime_nsec()),
        mtime: time(facts.mtime(), facts.mtime_nsec()),
        ctime: time(facts.ctime(), facts.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: file_type(FileKind::of(facts.file_type())),
        perm: (facts.mode() & 0o7777) as u16,
        nlink: found.links,
        uid: facts.uid(),
        gid: facts.gid(),
        rdev: 0,
        blksize: facts.blksize().try_into().unwrap_or(4096),
        flags: 0,
    }
}

pub(super) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::Regular => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Pipe => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::Device => FileType::CharDevice,
    }
}
