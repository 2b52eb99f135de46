//! The files and directories that the node sees, by number and by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::journal::{Ino, Name};

/// The data folder itself; FUSE has it so.
pub(super) const ROOT: Ino = 1;

/// The folder, out of the node's sight, of what has no name any more but would have again after a
/// power failure.
pub(super) const KEPT: Ino = 0;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Regular,
    Directory,
    Symlink,
    Pipe,
    Socket,
    Device,
}

impl FileKind {
    pub fn of(kind: fs::FileType) -> Self {
        match kind {
            _ if kind.is_file() => FileKind::Regular,
            _ if kind.is_dir() => FileKind::Directory,
            _ if kind.is_symlink() => FileKind::Symlink,
            _ if kind.is_fifo() => FileKind::Pipe,
            _ if kind.is_socket() => FileKind::Socket,
            _ => FileKind::Device,
        }
    }
}

#[derive(Debug)]
struct Node {
    kind: FileKind,
    /// Of a directory.
    entries: BTreeMap<OsString, Ino>,
    names: BTreeSet<Name>,
    /// How often the kernel was told of it and has not forgotten.
    lookups: u64,
}

/// Names and numbers. Numbers are never used twice.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: HashMap<Ino, Node>,
    last: Ino,
}

impl Tree {
    /// What a folder on disk holds. A file with two names in it is one file.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let mut tree = Self {
            nodes: HashMap::new(),
            last: ROOT,
        };
        for dir in [ROOT, KEPT] {
            tree.nodes.insert(dir, Node::new(FileKind::Directory));
        }
        let mut known: HashMap<(u64, u64), Ino> = HashMap::new();
        let mut folders = vec![(ROOT, folder.to_owned())];
        while let Some((dir, path)) = folders.pop() {
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let facts = entry.metadata()?;
                let kind = FileKind::of(facts.file_type());
                let fresh = known.get(&(facts.dev(), facts.ino())).copied();
                let ino = fresh.unwrap_or_else(|| tree.insert(kind));
                known.insert((facts.dev(), facts.ino()), ino);
                tree.add((dir, entry.file_name()), ino);
                if kind == FileKind::Directory {
                    folders.push((ino, entry.path()));
                }
            }
        }
        Ok(tree)
    }

    /// A new file without a name.
    pub fn insert(&mut self, kind: FileKind) -> Ino {
        self.last += 1;
        self.nodes.insert(self.last, Node::new(kind));
        self.last
    }

    /// Gives a file a name, which must be free.
    pub fn add(&mut self, name: Name, ino: Ino) {
        if let Some(dir) = self.nodes.get_mut(&name.0) {
            dir.entries.insert(name.1.clone(), ino);
        }
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.names.insert(name);
        }
    }

    /// Takes a name away and returns what it named.
    pub fn remove(&mut self, name: &Name) -> Option<Ino> {
        let ino = self.nodes.get_mut(&name.0)?.entries.remove(&name.1)?;
        self.nodes.get_mut(&ino)?.names.remove(name);
        Some(ino)
    }

    /// Forgets a directory that has lost its name, with all below it. Returns what has no name left
    /// now.
    pub fn remove_below(&mut self, ino: Ino) -> Vec<Ino> {
        let mut nameless = Vec::new();
        let mut folders = vec![ino];
        while let Some(dir) = folders.pop() {
            let entries = self.nodes.get_mut(&dir);
            let entries =
                entries.map_or_else(BTreeMap::new, |dir| std::mem::take(&mut dir.entries));
            for (name, ino) in entries {
                if let Some(node) = self.nodes.get_mut(&ino) {
                    node.names.remove(&(dir, name));
                    if node.names.is_empty() {
                        nameless.push(ino);
                    }
                    if node.kind == FileKind::Directory {
                        folders.push(ino);
                    }
                }
            }
        }
        nameless
    }

    pub fn child(&self, dir: Ino, name: &OsStr) -> Result<Ino, Errno> {
        let dir = self.node(dir)?;
        if dir.kind != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        dir.entries.get(name).copied().ok_or(Errno::ENOENT)
    }

    pub fn kind(&self, ino: Ino) -> Result<FileKind, Errno> {
        Ok(self.node(ino)?.kind)
    }

    pub fn entries(&self, dir: Ino) -> Result<&BTreeMap<OsString, Ino>, Errno> {
        Ok(&self.node(dir)?.entries)
    }

    /// The directory that a directory is in; the data folder is in itself.
    pub fn parent(&self, dir: Ino) -> Ino {
        let names = self.nodes.get(&dir).map(|node| &node.names);
        let name = names.and_then(|names| names.first());
        name.map_or(ROOT, |(parent, _)| *parent)
    }

    /// How many names the node sees it under.
    pub fn seen_names(&self, ino: Ino) -> usize {
        let names = self.nodes.get(&ino).map(|node| &node.names);
        names.map_or(0, |names| {
            names.iter().filter(|(dir, _)| *dir != KEPT).count()
        })
    }

    pub fn has_name(&self, ino: Ino) -> bool {
        ino == ROOT
            || self
                .nodes
                .get(&ino)
                .is_some_and(|node| !node.names.is_empty())
    }

    /// A path to it below the data folder, or `None` below the kept ones. The names that the node
    /// sees come first.
    pub fn path(&self, ino: Ino) -> Result<(Ino, PathBuf), Errno> {
        let mut parts: Vec<&OsStr> = Vec::new();
        let mut at = ino;
        while at != ROOT && at != KEPT {
            // `KEPT` is the least number, so the last name is one that the node sees if any is.
            let (dir, name) = self.node(at)?.names.last().ok_or(Errno::ESTALE)?;
            parts.push(name);
            at = *dir;
        }
        Ok((at, parts.iter().rev().collect()))
    }

    /// Whether a directory is this one or below it.
    pub fn is_within(&self, mut dir: Ino, ancestor: Ino) -> bool {
        while dir != ROOT && dir != KEPT && dir != ancestor {
            dir = self.parent(dir);
        }
        dir == ancestor
    }

    /// Everything that the node sees, with its path, in the order of the paths.
    pub fn files(&self) -> Vec<(PathBuf, Ino)> {
        let regular = self
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == FileKind::Regular);
        let seen = regular.filter_map(|(ino, _)| match self.path(*ino) {
            Ok((ROOT, path)) => Some((path, *ino)),
            _ => None,
        });
        let mut files: Vec<(PathBuf, Ino)> = seen.collect();
        files.sort();
        files
    }

    pub fn looked_up(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups += 1;
        }
    }

    /// The kernel forgets so many lookups.
    pub fn forgotten(&mut self, ino: Ino, lookups: u64) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups = node.lookups.saturating_sub(lookups);
        }
    }

    /// The kernel forgets everything. Returns what nobody can reach any more.
    pub fn forget_all(&mut self) -> Vec<Ino> {
        let mut unreachable = Vec::new();
        for (ino, node) in &mut self.nodes {
            node.lookups = 0;
            if node.names.is_empty() && *ino != ROOT && *ino != KEPT {
                unreachable.push(*ino);
            }
        }
        unreachable
    }

    /// Drops a file that has no name and that the kernel does not know of. Whether it did.
    pub fn drop_nameless(&mut self, ino: Ino) -> bool {
        let can = self
            .nodes
            .get(&ino)
            .is_some_and(|node| node.names.is_empty() && node.lookups == 0);
        if can && ino != ROOT && ino != KEPT {
            self.nodes.remove(&ino);
            return true;
        }
        false
    }

    fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::ESTALE)
    }
}

impl Node {
    fn new(kind: FileKind) -> Self {
        Self {
            kind,
            entries: BTreeMap::new(),
            names: BTreeSet::new(),
            lookups: 0,
        }
    }
}
