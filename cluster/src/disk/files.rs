//! The data folder as the node sees it, on the real folder, with what is not durable beside it.
//!
//! Every call does to the real folder what the node asked for, and notes what a power failure would
//! take back. What the node removed stays under another name in a folder beside, until its removal
//! is durable. No call waits for anything but the real folder.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink,
};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode as NixMode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::journal::{Change, Ino, Journal};
use super::tree::{FileKind, KEPT, Tree};
use super::unsynced::Unsynced;

/// How many changes of directories may be not durable. With more, all become durable, as they do by
/// the kernel's own account after some seconds.
const CHANGES_MAX: usize = 100_000;

/// How many bytes of removed files are kept for a power failure, likewise.
const KEPT_BYTES_MAX: u64 = 1 << 30;

/// What the node sees of a file besides its content.
#[derive(Debug)]
pub(super) struct Attributes {
    pub ino: Ino,
    pub facts: Metadata,
    pub links: u32,
}

/// For whom something is made, and with which mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// The files of one node.
#[derive(Debug)]
pub(super) struct Files {
    data: PathBuf,
    kept: PathBuf,
    pub(super) tree: Tree,
    pub(super) journal: Journal,
    pub(super) unsynced: HashMap<Ino, Unsynced>,
    /// About how much memory `unsynced` takes.
    pub(super) held_bytes: u64,
    open: HashMap<Ino, Opened>,
    kept_last: u64,
    kept_bytes: u64,
    /// How often everything became durable without being asked for, for want of memory.
    pub(super) written_back: u64,
}

#[derive(Debug)]
struct Opened {
    file: File,
    count: u64,
}

impl Files {
    /// What the folder holds is durable. `kept` is a folder beside it, on the same file system.
    pub fn load(data: &Path, kept: &Path) -> io::Result<Self> {
        fs::create_dir_all(data)?;
        // What an earlier life of this program kept is of no use to anybody.
        match fs::remove_dir_all(kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(kept)?,
        }
        Ok(Self {
            data: data.to_owned(),
            kept: kept.to_owned(),
            tree: Tree::load(data)?,
            journal: Journal::default(),
            unsynced: HashMap::new(),
            held_bytes: 0,
            open: HashMap::new(),
            kept_last: 0,
            kept_bytes: 0,
            written_back: 0,
        })
    }

    /// Where a file is on the real disk.
    pub fn real_path(&self, ino: Ino) -> Result<PathBuf, Errno> {
        let (top, path) = self.tree.path(ino)?;
        let top = if top == KEPT { &self.kept } else { &self.data };
        // Joined with nothing, a path would end in a slash.
        Ok(if path.as_os_str().is_empty() {
            top.clone()
        } else {
            top.join(path)
        })
    }

    pub(super) fn real_name(&self, dir: Ino, name: &OsStr) -> Result<PathBuf, Errno> {
        Ok(self.real_path(dir)?.join(name))
    }

    /// The path of a file as the node knows it, for patterns and evidence: `.` for the data folder.
    pub fn seen_path(&self, ino: Ino) -> String {
        match self.tree.path(ino) {
            Ok((_, path)) if path.as_os_str().is_empty() => ".".into(),
            Ok((KEPT, _)) | Err(_) => "(removed)".into(),
            Ok((_, path)) => path.to_string_lossy().into_owned(),
        }
    }

    /// Likewise of a name that may not exist yet.
    pub fn seen_name(&self, dir: Ino, name: &OsStr) -> String {
        match (&*self.seen_path(dir), name.to_string_lossy()) {
            (".", name) => name.into_owned(),
            (dir, name) => format!("{dir}/{name}"),
        }
    }

    pub fn attributes(&self, ino: Ino) -> Result<Attributes, Errno> {
        let facts = match self.open.get(&ino) {
            Some(opened) => opened.file.metadata(),
            None => fs::symlink_metadata(self.real_path(ino)?),
        };
        let facts = facts.map_err(errno)?;
        let links = if facts.is_dir() {
            facts.nlink().try_into().unwrap_or(u32::MAX)
        } else {
            self.tree.seen_names(ino).try_into().unwrap_or(u32::MAX)
        };
        Ok(Attributes { ino, facts, links })
    }

    pub fn lookup(&mut self, dir: Ino, name: &OsStr) -> Result<Attributes, Errno> {
        let ino = self.tree.child(dir, name)?;
        self.known(ino)
    }

    /// The kernel is told of a file.
    fn known(&mut self, ino: Ino) -> Result<Attributes, Errno> {
        let attributes = self.attributes(ino)?;
        self.tree.looked_up(ino);
        Ok(attributes)
    }

    pub fn forget(&mut self, ino: Ino, lookups: u64) {
        self.tree.forgotten(ino, lookups);
        self.tidy(ino);
    }

    /// Makes a regular file.
    pub fn create(&mut self, dir: Ino, name: &OsStr, owner: Owner) -> Result<Attributes, Errno> {
        self.make(dir, name, FileKind::Regular, owner, |path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(path).map(drop)
        })
    }

    pub fn make_folder(
        &mut self,
        dir: Ino,
        name: &OsStr,
        owner: Owner,
    ) -> Result<Attributes, Errno> {
        self.make(dir, name, FileKind::Directory, owner, |path| {
            fs::DirBuilder::new().mode(0o700).create(path)
        })
    }

    /// Makes a pipe or a socket.
    pub fn make_node(&mut self, dir: Ino, name: &OsStr, owner: Owner) -> Result<Attributes, Errno> {
        let kind = SFlag::from_bits_truncate(owner.mode & SFlag::S_IFMT.bits());
        let file_kind = match kind {
            SFlag::S_IFREG => return self.create(dir, name, owner),
            SFlag::S_IFIFO => FileKind::Pipe,
            SFlag::S_IFSOCK => FileKind::Socket,
            _ => return Err(Errno::EPERM),
        };
        self.make(dir, name, file_kind, owner, |path| {
            mknod(path, kind, NixMode::from_bits_truncate(0o600), 0).map_err(io::Error::from)
        })
    }

    pub fn make_symlink(
        &mut self,
        dir: Ino,
        name: &OsStr,
        target: &Path,
        owner: Owner,
    ) -> Result<Attributes, Errno> {
        self.make(dir, name, FileKind::Symlink, owner, |path| {
            symlink(target, path)
        })
    }

    fn make(
        &mut self,
        dir: Ino,
        name: &OsStr,
        kind: FileKind,
        owner: Owner,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Attributes, Errno> {
        let folder = self.real_path(dir)?;
        let path = folder.join(name);
        make(&path).map_err(errno)?;
        give_to(&path, &folder, kind, owner).map_err(errno)?;
        let ino = self.tree.insert(kind);
        self.tree.add((dir, name.into()), ino);
        let at = (dir, name.into());
        self.changed(Change::Added { at, ino }, false);
        self.known(ino)
    }

    /// Gives a file one more name.
    pub fn link(&mut self, ino: Ino, dir: Ino, name: &OsStr) -> Result<Attributes, Errno> {
        let to = self.real_name(dir, name)?;
        fs::hard_link(self.real_path(ino)?, to).map_err(errno)?;
        self.tree.add((dir, name.into()), ino);
        let at = (dir, name.into());
        self.changed(Change::Added { at, ino }, false);
        self.known(ino)
    }

    /// Removes a name of a file that is no directory.
    pub fn unlink(&mut self, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        let ino = self.tree.child(dir, name)?;
        if self.tree.kind(ino)? == FileKind::Directory {
            return Err(Errno::EISDIR);
        }
        let has_others = self.tree.seen_names(ino) > 1;
        self.remove(dir, name, ino, has_others)
    }

    /// Removes an empty directory.
    pub fn remove_folder(&mut self, dir: Ino, name: &OsStr) -> Result<(), Errno> {
        let ino = self.tree.child(dir, name)?;
        if self.tree.kind(ino)? != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        if !self.tree.entries(ino)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.remove(dir, name, ino, true)
    }

    fn remove(
        &mut self,
        dir: Ino,
        name: &OsStr,
        ino: Ino,
        takes_all_before: bool,
    ) -> Result<(), Errno> {
        let kept = self.kept_name();
        let path = self.real_name(dir, name)?;
        fs::rename(path, self.kept.join(&kept)).map_err(errno)?;
        let at = (dir, name.to_owned());
        self.tree.remove(&at);
        self.keep(ino, &kept);
        self.changed(Change::Removed { at, ino, kept }, takes_all_before);
        Ok(())
    }

    /// Gives a file another name, in the place of what had it before.
    pub fn rename(
        &mut self,
        (dir, name): (Ino, &OsStr),
        (new_dir, new_name): (Ino, &OsStr),
        may_replace: bool,
    ) -> Result<(), Errno> {
        let ino = self.tree.child(dir, name)?;
        let is_folder = self.tree.kind(ino)? == FileKind::Directory;
        if is_folder && self.tree.is_within(new_dir, ino) {
            return Err(Errno::EINVAL);
        }
        let old = match self.tree.child(new_dir, new_name) {
            Ok(old) if old == ino => return Ok(()),
            Ok(_) if !may_replace => return Err(Errno::EEXIST),
            // It holds at least what is to replace it.
            Ok(old) if self.tree.is_within(dir, old) => return Err(Errno::ENOTEMPTY),
            Ok(old) => Some(old),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        let (from, to) = (
            self.real_name(dir, name)?,
            self.real_name(new_dir, new_name)?,
        );
        let replaced = match old {
            Some(old) => Some((old, self.set_aside(old, &to, is_folder)?)),
            None => None,
        };
        fs::rename(from, to).map_err(errno)?;
        let (from, to) = ((dir, name.to_owned()), (new_dir, new_name.to_owned()));
        if let Some((old, kept)) = &replaced {
            self.tree.remove(&to);
            self.keep(*old, kept);
        }
        self.tree.remove(&from);
        self.tree.add(to.clone(), ino);
        let takes_all_before = from.0 != to.0 || is_folder && replaced.is_some();
        let change = Change::Renamed {
            from,
            to,
            ino,
            replaced,
        };
        self.changed(change, takes_all_before);
        Ok(())
    }

    /// Keeps what a rename will replace. A file never lacks its name meanwhile, should we be killed.
    fn set_aside(&mut self, old: Ino, path: &Path, by_folder: bool) -> Result<OsString, Errno> {
        let is_folder = self.tree.kind(old)? == FileKind::Directory;
        match (by_folder, is_folder) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            (true, true) if !self.tree.entries(old)?.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let kept = self.kept_name();
        let aside = self.kept.join(&kept);
        let done = if is_folder {
            fs::rename(path, aside)
        } else {
            fs::hard_link(path, aside)
        };
        done.map_err(errno)?;
        Ok(kept)
    }

    fn keep(&mut self, ino: Ino, kept: &OsString) {
        self.tree.add((KEPT, kept.clone()), ino);
        self.kept_bytes += self.kept_size(kept);
    }

    fn kept_size(&self, kept: &OsString) -> u64 {
        fs::symlink_metadata(self.kept.join(kept)).map_or(0, |facts| facts.len())
    }

    fn kept_name(&mut self) -> OsString {
        self.kept_last += 1;
        self.kept_last.to_string().into()
    }

    pub(super) fn kept_path(&self, kept: &OsStr) -> PathBuf {
        self.kept.join(kept)
    }

    fn changed(&mut self, change: Change, takes_all_before: bool) {
        self.journal.push(change, takes_all_before);
        if self.journal.len() > CHANGES_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            self.written_back += 1;
            let all = self.journal.take();
            self.made_durable(all);
        }
    }

    /// These changes are durable: what was kept for their undoing is not needed any more.
    pub(super) fn made_durable(&mut self, changes: Vec<Change>) {
        for kept in changes.iter().filter_map(Change::kept) {
            self.kept_bytes = self.kept_bytes.saturating_sub(self.kept_size(kept));
            let path = self.kept.join(kept);
            // What cannot be removed stays until the folder is used again.
            let _ = match fs::symlink_metadata(&path) {
                Ok(facts) if facts.is_dir() => fs::remove_dir(&path),
                _ => fs::remove_file(&path),
            };
            if let Some(ino) = self.tree.remove(&(KEPT, kept.clone())) {
                self.tidy(ino);
            }
        }
    }

    /// Forgets a file that nobody can reach any more.
    pub(super) fn tidy(&mut self, ino: Ino) {
        if !self.open.contains_key(&ino)
            && self.tree.drop_nameless(ino)
            && let Some(unsynced) = self.unsynced.remove(&ino)
        {
            self.held_bytes = self.held_bytes.saturating_sub(unsynced.held_bytes());
        }
    }

    pub fn open(&mut self, ino: Ino) -> Result<(), Errno> {
        if let Some(opened) = self.open.get_mut(&ino) {
            opened.count += 1;
            return Ok(());
        }
        let file = open_real(&self.real_path(ino)?).map_err(errno)?;
        self.open.insert(ino, Opened { file, count: 1 });
        Ok(())
    }

    pub fn release(&mut self, ino: Ino) {
        if let Some(opened) = self.open.get_mut(&ino) {
            opened.count -= 1;
            if opened.count == 0 {
                self.open.remove(&ino);
                self.tidy(ino);
            }
        }
    }

    /// Nobody has anything open any more, and the kernel has forgotten everything.
    pub fn abandoned(&mut self) {
        self.open.clear();
        for ino in self.tree.forget_all() {
            self.tidy(ino);
        }
    }

    /// Does something with the file, open already or not.
    pub(super) fn with_file<T>(
        &self,
        ino: Ino,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, Errno> {
        match self.open.get(&ino) {
            Some(opened) => act(&opened.file),
            None => open_real(&self.real_path(ino)?).and_then(|file| act(&file)),
        }
        .map_err(errno)
    }

    pub fn set_mode(&self, ino: Ino, mode: u32) -> Result<(), Errno> {
        let path = self.real_path(ino)?;
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777)).map_err(errno)
    }

    pub fn set_owner(&self, ino: Ino, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        lchown(self.real_path(ino)?, uid, gid).map_err(errno)
    }

    /// Sets when it was read and when it was written.
    pub fn set_times(&self, ino: Ino, times: [Option<SystemTime>; 2]) -> Result<(), Errno> {
        let [read, written] = times.map(|time| match time {
            None => TimeSpec::UTIME_OMIT,
            Some(time) => match time.duration_since(UNIX_EPOCH) {
                Ok(since) => TimeSpec::from_duration(since),
                Err(before) => {
                    TimeSpec::nanoseconds(-i64::try_from(before.duration().as_nanos()).unwrap_or(0))
                }
            },
        });
        let (path, link) = (self.real_path(ino)?, UtimensatFlags::NoFollowSymlink);
        utimensat(AT_FDCWD, &path, &read, &written, link)
    }

    pub fn target_of(&self, ino: Ino) -> Result<PathBuf, Errno> {
        fs::read_link(self.real_path(ino)?).map_err(errno)
    }

    /// The folder beside goes when nothing is in it.
    pub fn close(&mut self) {
        let all = self.journal.take();
        self.made_durable(all);
        let _ = fs::remove_dir(&self.kept);
    }
}

/// Opens a file of the node's for everything, whatever the node may do to it: the kernel has
/// checked that.
fn open_real(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

fn give_to(path: &Path, folder: &Path, kind: FileKind, owner: Owner) -> io::Result<()> {
    let facts = fs::symlink_metadata(path)?;
    let parent = fs::symlink_metadata(folder)?;
    // A folder with this bit passes its group on, and the bit to folders (inode(7)).
    let inherits = parent.mode() & libc::S_ISGID != 0;
    let gid = if inherits { parent.gid() } else { owner.gid };
    if (facts.uid(), facts.gid()) != (owner.uid, gid) {
        let change = if kind == FileKind::Symlink {
            lchown
        } else {
            chown
        };
        change(path, Some(owner.uid), Some(gid))?;
    }
    if kind == FileKind::Symlink {
        return Ok(());
    }
    let mut mode = owner.mode & 0o7777;
    if inherits && kind == FileKind::Directory {
        mode |= libc::S_ISGID;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

pub(super) fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
