//! What the kernel asks, answered from a node's files by way of the faults in force.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use faults::DiskOperation;
use fuser::{
    BsdFileFlags, FileAttr, FileHandle, Filesystem, FopenFlags, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::files::Files;
use super::journal::Ino;
use super::rules::Ruling;
use super::served::{Shared, State};
use super::terms::{
    GENERATION, TTL, answer, attributes, enter_in, failure, file_type, moment, owner,
};
use super::tree::{FileKind, ROOT};

/// The disk of a node during one of its lives.
#[derive(Debug)]
pub(super) struct Adapter {
    shared: Arc<Shared>,
    life: u64,
    /// What folders that are being read held when that began.
    listings: Mutex<HashMap<u64, Vec<Listed>>>,
    listing_last: AtomicU64,
}

#[derive(Debug)]
struct Listed {
    name: OsString,
    ino: Ino,
    kind: FileKind,
}

type Entered<'a> = MutexGuard<'a, State>;

impl Adapter {
    pub fn new(shared: Arc<Shared>, life: u64) -> Self {
        Self {
            shared,
            life,
            listings: Mutex::default(),
            listing_last: AtomicU64::new(0),
        }
    }

    fn enter(&self) -> Result<Entered<'_>, Errno> {
        self.shared.enter(self.life)
    }

    /// Does something that no fault is about.
    fn plainly<T>(&self, act: impl FnOnce(&mut Files) -> Result<T, Errno>) -> Result<T, Errno> {
        act(&mut self.enter()?.files)
    }

    /// Does something that takes space.
    fn growing<T>(
        &self,
        dir: Ino,
        name: &OsStr,
        act: impl FnOnce(&mut Files) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut state = self.enter()?;
        if state.rules.is_full() {
            let path = state.files.seen_name(dir, name);
            state.rules.refuse_growth(&path);
            return Err(Errno::ENOSPC);
        }
        act(&mut state.files)
    }

    /// Does something that faults are about, unless one prevents it or the node crashes.
    fn faultily<T>(
        &self,
        operation: DiskOperation,
        ino: Ino,
        paths: impl FnOnce(&Files) -> Vec<String>,
        act: impl FnOnce(&mut State) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut state = self.enter()?;
        if state.rules.is_empty() {
            return act(&mut state);
        }
        let ruling = rule(&mut state, operation, paths);
        if let Some((fault, false, crash)) = ruling.crash {
            return Err(self.shared.crash(state, self.life, (fault, crash), ino));
        }
        if ruling.fails {
            return Err(Errno::EIO);
        }
        let done = act(&mut state)?;
        match ruling.crash {
            Some((fault, _, crash)) => {
                Err(self.shared.crash(state, self.life, (fault, crash), ino))
            }
            None => Ok(done),
        }
    }

    /// A change of a file's content or size.
    fn write_to(
        &self,
        ino: Ino,
        grows: impl FnOnce(&Files) -> Result<bool, Errno>,
        act: impl FnOnce(&mut Files) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let paths = |files: &Files| vec![files.seen_path(ino)];
        self.faultily(DiskOperation::Write, ino, paths, |state| {
            if state.rules.is_full() && grows(&state.files)? {
                let path = state.files.seen_path(ino);
                state.rules.refuse_growth(&path);
                return Err(Errno::ENOSPC);
            }
            act(&mut state.files)
        })
    }

    fn sync(&self, ino: Ino, reply: ReplyEmpty) {
        let mut state = match self.enter() {
            Ok(state) => state,
            Err(error) => return reply.error(failure(error)),
        };
        let ruling = if state.rules.is_empty() {
            Ruling::default()
        } else {
            rule(&mut state, DiskOperation::Fsync, |files| {
                vec![files.seen_path(ino)]
            })
        };
        if let Some((fault, false, crash)) = ruling.crash {
            let error = self.shared.crash(state, self.life, (fault, crash), ino);
            return reply.error(failure(error));
        }
        if ruling.fails {
            state.files.fail_sync(ino);
            return reply.error(failure(Errno::EIO));
        }
        if let Some(delay) = ruling.delay.filter(|_| ruling.crash.is_none()) {
            return self.shared.hold(state, delay, (ino, ruling.lies), reply);
        }
        let done = state.sync(ino, ruling.lies);
        if let Some((fault, _, crash)) = ruling.crash {
            let error = self.shared.crash(state, self.life, (fault, crash), ino);
            return reply.error(failure(error));
        }
        drop(state);
        answer(done, reply);
    }

    fn set_attributes(
        &self,
        ino: Ino,
        (mode, uid, gid): (Option<u32>, Option<u32>, Option<u32>),
        size: Option<u64>,
        times: [Option<TimeOrNow>; 2],
    ) -> Result<FileAttr, Errno> {
        if let Some(size) = size {
            let grows = |files: &Files| Ok(size > files.size(ino)?);
            self.write_to(ino, grows, |files| files.truncate(ino, size))?;
        }
        self.plainly(|files| {
            if uid.is_some() || gid.is_some() {
                files.set_owner(ino, uid, gid)?;
            }
            if let Some(mode) = mode {
                files.set_mode(ino, mode)?;
            }
            if times.iter().any(Option::is_some) {
                files.set_times(ino, times.map(|time| time.map(moment)))?;
            }
            files.attributes(ino).map(attributes)
        })
    }

    fn listings(&self) -> MutexGuard<'_, HashMap<u64, Vec<Listed>>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, dir: Ino) -> Result<Vec<Listed>, Errno> {
        self.plainly(|files| {
            let listed = |name: &OsStr, ino| {
                Ok(Listed {
                    name: name.to_owned(),
                    ino,
                    kind: files.tree.kind(ino)?,
                })
            };
            let own = [(".", dir), ("..", files.tree.parent(dir))];
            let own = own.iter().map(|(name, ino)| listed(OsStr::new(name), *ino));
            let entries = files.tree.entries(dir)?.iter();
            own.chain(entries.map(|(name, ino)| listed(name, *ino)))
                .collect()
        })
    }
}

impl Filesystem for Adapter {
    fn lookup(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        enter_in(reply, self.plainly(|files| files.lookup(dir.0, name)));
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        // Has no answer, so it need not wait for anything either.
        let mut state = self.shared.lock();
        if state.is_life(self.life) {
            state.files.forget(ino.0, lookups);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.plainly(|files| files.attributes(ino.0)) {
            Ok(found) => reply.attr(&TTL, &attributes(found)),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        match self.set_attributes(ino.0, (mode, uid, gid), size, [atime, mtime]) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        use std::os::unix::ffi::OsStrExt;
        match self.plainly(|files| files.target_of(ino.0)) {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let owner = owner(request, mode, umask);
        let make = |files: &mut Files| files.make_node(dir.0, name, owner);
        enter_in(reply, self.growing(dir.0, name, make));
    }

    fn mkdir(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let owner = owner(request, mode, umask);
        let make = |files: &mut Files| files.make_folder(dir.0, name, owner);
        enter_in(reply, self.growing(dir.0, name, make));
    }

    fn unlink(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.plainly(|files| files.unlink(dir.0, name)), reply);
    }

    fn rmdir(&self, _: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.plainly(|files| files.remove_folder(dir.0, name));
        answer(done, reply);
    }

    fn symlink(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let owner = owner(request, 0o777, 0);
        let make = |files: &mut Files| files.make_symlink(dir.0, name, target, owner);
        enter_in(reply, self.growing(dir.0, name, make));
    }

    fn rename(
        &self,
        _: &Request,
        dir: INodeNo,
        name: &OsStr,
        new_dir: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return reply.error(fuser::Errno::EINVAL);
        }
        let may_replace = flags.is_empty();
        let (from, to) = ((dir.0, name), (new_dir.0, new_name));
        let paths =
            |files: &Files| vec![files.seen_name(from.0, from.1), files.seen_name(to.0, to.1)];
        let done = self.faultily(DiskOperation::Rename, dir.0, paths, |state| {
            state.files.rename(from, to, may_replace)
        });
        answer(done, reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let make = |files: &mut Files| files.link(ino.0, dir.0, name);
        enter_in(reply, self.growing(dir.0, name, make));
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.plainly(|files| files.open(ino.0)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn create(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let owner = owner(request, mode, umask);
        let made = self.growing(dir.0, name, |files| {
            let made = files.create(dir.0, name, owner)?;
            files.open(made.ino)?;
            Ok(made)
        });
        match made {
            Ok(made) => reply.created(
                &TTL,
                &attributes(made),
                GENERATION,
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let paths = |files: &Files| vec![files.seen_path(ino.0)];
        let bytes = self.faultily(DiskOperation::Read, ino.0, paths, |state| {
            state.files.read(ino.0, offset, size as usize)
        });
        match bytes {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let ino = ino.0;
        let grows = |files: &Files| Ok(offset + data.len() as u64 > files.size(ino)?);
        // A file that is open for synchronous writes gets an fsync from the kernel after each.
        let done = self.write_to(ino, grows, |files| files.write(ino, offset, data));
        match done {
            // The kernel never sends more than fits.
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(failure(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing is held back here that closing a file would have to bring forward.
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.shared.lock();
        if state.is_life(self.life) {
            state.files.release(ino.0);
        }
        drop(state);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino.0, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino.0, reply);
    }

    fn opendir(&self, _: &Request, dir: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.list(dir.0) {
            Ok(listing) => {
                let handle = self.listing_last.fetch_add(1, Ordering::Relaxed) + 1;
                self.listings().insert(handle, listing);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(failure(error)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        dir: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if offset == 0 {
            // From the beginning, perhaps once more: what was added since is to be seen.
            match self.list(dir.0) {
                Ok(listing) => drop(self.listings().insert(handle.0, listing)),
                Err(error) => return reply.error(failure(error)),
            }
        }
        let listings = self.listings();
        let listing = listings.get(&handle.0).into_iter().flatten();
        for (next, entry) in (1..).zip(listing).skip(offset as usize) {
            let is_full = reply.add(INodeNo(entry.ino), next, file_type(entry.kind), &entry.name);
            if is_full {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.listings().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let found = self.enter().and_then(|state| {
            let facts = statvfs(&state.files.real_path(ROOT)?)?;
            Ok((facts, state.rules.is_full()))
        });
        match found {
            Ok((facts, is_full)) => {
                let free = |blocks: u64| if is_full { 0 } else { blocks };
                reply.statfs(
                    facts.blocks(),
                    free(facts.blocks_free()),
                    free(facts.blocks_available()),
                    facts.files(),
                    free(facts.files_free()),
                    facts.block_size() as u32,
                    facts.name_max() as u32,
                    facts.fragment_size() as u32,
                );
            }
            Err(error) => reply.error(failure(error)),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // Space is taken even where the size stays.
        let grows = |_: &Files| Ok(mode & libc::FALLOC_FL_PUNCH_HOLE == 0);
        let done = self.write_to(ino.0, grows, |files| {
            files.allocate(ino.0, offset, length, mode)
        });
        answer(done, reply);
    }
}

fn rule(
    state: &mut State,
    operation: DiskOperation,
    paths: impl FnOnce(&Files) -> Vec<String>,
) -> Ruling {
    let paths = paths(&state.files);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    state.rules.rule(operation, &paths)
}
