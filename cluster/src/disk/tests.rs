//! Files on a real folder, against the machine's own file system, and against a model of what is
//! durable in which every folder has versions.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};
use proptest::collection::vec;
use proptest::prelude::*;

use super::files::{Files, Owner};
use super::journal::Ino;
use super::tree::{FileKind, ROOT};

/// What is done. Folders and files are chosen among those that there are, names among a few.
#[derive(Debug, Clone)]
enum Step {
    Make(usize, usize),
    MakeFolder(usize, usize),
    Write(usize, u64, Vec<u8>),
    Truncate(usize, u64),
    Link(usize, usize, usize),
    Remove(usize, usize),
    RemoveFolder(usize, usize),
    Rename(usize, usize, usize, usize),
    Sync(usize),
    SyncFolder(usize),
    PowerLoss,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (at, name) = (0..8_usize, 0..NAMES.len());
    let place = (at.clone(), name.clone());
    let step = prop_oneof![
        4 => place.clone().prop_map(|(dir, name)| Step::Make(dir, name)),
        3 => place.clone().prop_map(|(dir, name)| Step::MakeFolder(dir, name)),
        5 => (at.clone(), 0..9_u64, vec(1..=255_u8, 1..6))
            .prop_map(|(file, offset, bytes)| Step::Write(file, offset, bytes)),
        1 => (at.clone(), 0..12_u64).prop_map(|(file, size)| Step::Truncate(file, size)),
        2 => (at.clone(), place.clone()).prop_map(|(file, (dir, name))| Step::Link(file, dir, name)),
        3 => place.clone().prop_map(|(dir, name)| Step::Remove(dir, name)),
        2 => place.clone().prop_map(|(dir, name)| Step::RemoveFolder(dir, name)),
        5 => (place.clone(), place)
            .prop_map(|((dir, name), (to, new))| Step::Rename(dir, name, to, new)),
        3 => at.clone().prop_map(Step::Sync),
        4 => at.prop_map(Step::SyncFolder),
        2 => Just(Step::PowerLoss),
    ];
    vec(step, 1..60)
}

/// A folder's entries, and which version of it that is.
#[derive(Debug, Clone, Default)]
struct Folder {
    version: u64,
    entries: BTreeMap<String, Ino>,
}

/// Folders by number, and the content of files.
#[derive(Debug, Clone, Default)]
struct Image {
    folders: BTreeMap<Ino, Folder>,
    files: BTreeMap<Ino, Vec<u8>>,
}

/// What is durable, by another account than the journal's: of each folder its last version that is.
/// Where one must not be durable without others, those were noted when it was made.
#[derive(Debug, Default)]
struct Model {
    live: Image,
    durable: Image,
    /// The folders right after each such change, with those that it touched.
    moves: Vec<(Vec<Ino>, BTreeMap<Ino, Folder>)>,
    clock: u64,
}

impl Model {
    fn new() -> Self {
        let mut model = Model::default();
        model.live.folders.insert(ROOT, Folder::default());
        model.durable.folders.insert(ROOT, Folder::default());
        model
    }

    fn change(&mut self, dirs: &[Ino], act: impl FnOnce(&mut BTreeMap<Ino, Folder>)) {
        self.clock += 1;
        act(&mut self.live.folders);
        for dir in dirs {
            self.live.folders.entry(*dir).or_default().version = self.clock;
        }
    }

    /// The last change must not be durable without all before it.
    fn takes_all_before(&mut self, dirs: &[Ino]) {
        self.moves.push((dirs.to_vec(), self.live.folders.clone()));
    }

    fn sync_folder(&mut self, dir: Ino) {
        let last = self.moves.iter().rposition(|(dirs, _)| dirs.contains(&dir));
        if let Some(last) = last {
            let all = self.moves.drain(..=last).next_back();
            for (dir, folder) in all.into_iter().flat_map(|(_, folders)| folders) {
                self.advance(dir, folder);
            }
        }
        let now = self.live.folders[&dir].clone();
        self.advance(dir, now);
    }

    fn advance(&mut self, dir: Ino, folder: Folder) {
        let durable = self.durable.folders.entry(dir).or_default();
        if durable.version <= folder.version {
            *durable = folder;
        }
    }

    fn lose_power(&mut self) {
        self.live = Image::default();
        self.moves.clear();
        let mut dirs = vec![ROOT];
        while let Some(dir) = dirs.pop() {
            let folder = self.durable.folders.get(&dir).cloned().unwrap_or_default();
            for ino in folder.entries.values() {
                match self.durable.files.get(ino) {
                    Some(bytes) => drop(self.live.files.insert(*ino, bytes.clone())),
                    None => dirs.push(*ino),
                }
            }
            self.live.folders.insert(dir, folder);
        }
    }

    fn paths(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut paths = BTreeMap::new();
        let mut dirs = vec![(ROOT, PathBuf::new())];
        while let Some((dir, path)) = dirs.pop() {
            for (name, ino) in &self.live.folders[&dir].entries {
                let path = path.join(name);
                let content = self.live.files.get(ino).cloned();
                if content.is_none() {
                    dirs.push((*ino, path.clone()));
                }
                paths.insert(path, content);
            }
        }
        paths
    }
}

/// Everything below a folder, with the content of files.
fn on_disk(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut paths = BTreeMap::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(folder.join(&dir)).unwrap() {
            let path = dir.join(entry.unwrap().file_name());
            let is_dir = folder.join(&path).is_dir();
            let content = (!is_dir).then(|| fs::read(folder.join(&path)).unwrap());
            if is_dir {
                dirs.push(path.clone());
            }
            paths.insert(path, content);
        }
    }
    paths
}

struct Trial {
    files: Files,
    model: Model,
    plain: PathBuf,
}

impl Trial {
    /// The folders and files that there are, in the order of their paths.
    fn all(&self, kind: FileKind) -> Vec<(PathBuf, Ino)> {
        let mut all = Vec::new();
        let mut dirs = vec![(PathBuf::new(), ROOT)];
        if kind == FileKind::Directory {
            all.push((PathBuf::new(), ROOT));
        }
        while let Some((path, dir)) = dirs.pop() {
            for (name, ino) in self.files.tree.entries(dir).unwrap() {
                let (path, found) = (path.join(name), self.files.tree.kind(*ino).unwrap());
                if found == FileKind::Directory {
                    dirs.push((path.clone(), *ino));
                }
                if found == kind {
                    all.push((path, *ino));
                }
            }
        }
        all.sort();
        all
    }

    fn folder(&self, number: usize) -> (PathBuf, Ino) {
        let all = self.all(FileKind::Directory);
        all[number % all.len()].clone()
    }

    fn file(&self, number: usize) -> Option<(PathBuf, Ino)> {
        let all = self.all(FileKind::Regular);
        (!all.is_empty()).then(|| all[number % all.len()].clone())
    }

    fn act(&mut self, step: &Step) {
        let owner = Owner {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            mode: 0o755,
        };
        match step {
            Step::Make(dir, name) | Step::MakeFolder(dir, name) => {
                let ((path, dir), name) = (self.folder(*dir), NAMES[*name]);
                let path = self.plain.join(path).join(name);
                let is_file = matches!(step, Step::Make(..));
                let (made, expected) = if is_file {
                    let made = self.files.create(dir, OsStr::new(name), owner);
                    (made, fs::File::create_new(path).map(drop))
                } else {
                    let made = self.files.make_folder(dir, OsStr::new(name), owner);
                    (made, fs::create_dir(path))
                };
                same(&made, &expected);
                if let Ok(made) = made {
                    let enter = |folders: &mut BTreeMap<Ino, Folder>| {
                        folders
                            .entry(dir)
                            .or_default()
                            .entries
                            .insert(name.into(), made.ino);
                    };
                    self.model.change(&[dir], enter);
                    if is_file {
                        self.model.live.files.insert(made.ino, Vec::new());
                        self.model.durable.files.insert(made.ino, Vec::new());
                    } else {
                        self.model.live.folders.insert(made.ino, Folder::default());
                    }
                }
            }
            Step::Link(file, dir, name) => {
                let Some((from, ino)) = self.file(*file) else {
                    return;
                };
                let ((path, dir), name) = (self.folder(*dir), NAMES[*name]);
                let made = self.files.link(ino, dir, OsStr::new(name));
                let to = self.plain.join(path).join(name);
                same(&made, &fs::hard_link(self.plain.join(from), to));
                if made.is_ok() {
                    self.model.change(&[dir], |folders| {
                        folders
                            .entry(dir)
                            .or_default()
                            .entries
                            .insert(name.into(), ino);
                    });
                }
            }
            Step::Write(file, offset, bytes) => {
                let Some((path, ino)) = self.file(*file) else {
                    return;
                };
                self.files.write(ino, *offset, bytes).unwrap();
                let live = self.model.live.files.get_mut(&ino).unwrap();
                let end = *offset as usize + bytes.len();
                live.resize(live.len().max(end), 0);
                live[*offset as usize..end].copy_from_slice(bytes);
                fs::write(self.plain.join(path), live).unwrap();
            }
            Step::Truncate(file, size) => {
                let Some((path, ino)) = self.file(*file) else {
                    return;
                };
                self.files.truncate(ino, *size).unwrap();
                let live = self.model.live.files.get_mut(&ino).unwrap();
                live.resize(*size as usize, 0);
                fs::write(self.plain.join(path), live).unwrap();
            }
            Step::Remove(dir, name) | Step::RemoveFolder(dir, name) => {
                let ((path, dir), name) = (self.folder(*dir), NAMES[*name]);
                let path = self.plain.join(path).join(name);
                let child = self.files.tree.child(dir, OsStr::new(name));
                let is_file = matches!(step, Step::Remove(..));
                let names = child.map_or(0, |ino| self.files.tree.seen_names(ino));
                let (done, expected) = if is_file {
                    (
                        self.files.unlink(dir, OsStr::new(name)),
                        fs::remove_file(path),
                    )
                } else {
                    let done = self.files.remove_folder(dir, OsStr::new(name));
                    (done, fs::remove_dir(path))
                };
                same(&done, &expected);
                if done.is_ok() {
                    self.model.change(&[dir], |folders| {
                        folders.entry(dir).or_default().entries.remove(name);
                    });
                    if !is_file || names > 1 {
                        self.model.takes_all_before(&[dir]);
                    }
                }
            }
            Step::Rename(dir, name, to, new) => self.rename((*dir, *name), (*to, *new)),
            Step::Sync(file) => {
                let Some((_, ino)) = self.file(*file) else {
                    return;
                };
                self.files.sync(ino).unwrap();
                let bytes = self.model.live.files[&ino].clone();
                self.model.durable.files.insert(ino, bytes);
            }
            Step::SyncFolder(dir) => {
                let (_, dir) = self.folder(*dir);
                self.files.sync(dir).unwrap();
                self.model.sync_folder(dir);
            }
            Step::PowerLoss => {
                let before = self.model.paths();
                self.model.lose_power();
                let loss = self.files.lose_unsynced(None).unwrap();
                if loss == super::Loss::default() {
                    assert_eq!(self.model.paths(), before, "nothing is said to be lost");
                }
                assert!(!self.files.has_unsynced());
                fs::remove_dir_all(&self.plain).unwrap();
                copy(&self.files.real_path(ROOT).unwrap(), &self.plain);
            }
        }
    }

    fn rename(&mut self, (dir, name): (usize, usize), (to, new): (usize, usize)) {
        let ((path, dir), name) = (self.folder(dir), NAMES[name]);
        let ((new_path, to), new) = (self.folder(to), NAMES[new]);
        let moved = self.files.tree.child(dir, OsStr::new(name));
        let replaced = self.files.tree.child(to, OsStr::new(new));
        let done = self
            .files
            .rename((dir, OsStr::new(name)), (to, OsStr::new(new)), true);
        let from = self.plain.join(path).join(name);
        same(
            &done,
            &fs::rename(from, self.plain.join(new_path).join(new)),
        );
        let Ok(ino) = moved else {
            return;
        };
        if done.is_err() || replaced == Ok(ino) {
            return;
        }
        self.model.change(&[dir, to], |folders| {
            folders.entry(dir).or_default().entries.remove(name);
            folders
                .entry(to)
                .or_default()
                .entries
                .insert(new.into(), ino);
        });
        let is_folder = self.files.tree.kind(ino) == Ok(FileKind::Directory);
        if dir != to || is_folder && replaced.is_ok() {
            self.model.takes_all_before(&[dir, to]);
        }
    }
}

/// Both succeed or fail alike.
fn same<T>(ours: &Result<T, Errno>, theirs: &std::io::Result<()>) {
    let ours = ours.as_ref().err().map(|error| *error as i32);
    let theirs = theirs.as_ref().err().and_then(std::io::Error::raw_os_error);
    // POSIX leaves open which of the two it is, and file systems differ.
    let code = |code: Option<i32>| match code {
        Some(libc::EEXIST) => Some(libc::ENOTEMPTY),
        code => code,
    };
    assert_eq!(code(ours), code(theirs));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let mut known: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for (path, content) in on_disk(from) {
        let number = fs::metadata(from.join(&path)).unwrap().ino();
        let copy = to.join(&path);
        match (content, known.get(&number)) {
            (None, _) => fs::create_dir(copy).unwrap(),
            (Some(_), Some(other)) => fs::hard_link(other, copy).unwrap(),
            (Some(bytes), None) => {
                fs::write(&copy, bytes).unwrap();
                known.insert(number, copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn files_are_as_on_any_disk_and_durable_as_promised(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let [data, kept, plain] = ["data", "kept", "plain"].map(|name| folder.path().join(name));
        fs::create_dir(&plain).unwrap();
        let files = Files::load(&data, &kept).unwrap();
        let mut trial = Trial { files, model: Model::new(), plain };
        for step in &steps {
            trial.act(step);
            let seen = on_disk(&data);
            prop_assert_eq!(&seen, &trial.model.paths(), "the model, after {:?}", step);
            prop_assert_eq!(seen, on_disk(&trial.plain), "the other, after {:?}", step);
        }
        trial.files.close();
        prop_assert!(!kept.exists(), "something is kept for nothing");
    }
}

/// What a folder holds at the start is durable, and hard links in it are one file.
#[test]
fn what_was_there_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let [data, kept] = ["data", "kept"].map(|name| folder.path().join(name));
    fs::create_dir_all(data.join("d")).unwrap();
    fs::write(data.join("a"), "one").unwrap();
    fs::hard_link(data.join("a"), data.join("d/b")).unwrap();
    let mut files = Files::load(&data, &kept).unwrap();
    let ino = files.tree.child(ROOT, OsStr::new("a")).unwrap();
    assert_eq!(files.attributes(ino).unwrap().links, 2);
    files.write(ino, 3, b"two").unwrap();
    files.unlink(ROOT, OsStr::new("a")).unwrap();
    assert_eq!(files.attributes(ino).unwrap().links, 1);
    assert_eq!(fs::read_to_string(data.join("d/b")).unwrap(), "onetwo");
    let loss = files.lose_unsynced(None).unwrap();
    assert_eq!(loss.files, [("d/b".to_owned(), 3)]);
    assert_eq!(loss.names, ["remove a"]);
    for path in ["a", "d/b"] {
        assert_eq!(fs::read_to_string(data.join(path)).unwrap(), "one");
    }
}

/// Memory has a limit, beyond which things become durable by themselves, as a kernel does it.
#[test]
fn what_cannot_be_held_is_written_back() {
    let folder = tempfile::tempdir().unwrap();
    let [data, kept] = ["data", "kept"].map(|name| folder.path().join(name));
    fs::create_dir(&data).unwrap();
    let file = fs::File::create(data.join("large")).unwrap();
    file.set_len(300 << 20).unwrap();
    let mut files = Files::load(&data, &kept).unwrap();
    let ino = files.tree.child(ROOT, OsStr::new("large")).unwrap();
    files.write(ino, 0, b"x").unwrap();
    files.truncate(ino, 0).unwrap();
    assert_eq!(files.written_back, 1);
    assert!(!files.has_unsynced());
    assert_eq!(files.lose_unsynced(None).unwrap().written_back, 1);
    assert_eq!(files.size(ino).unwrap(), 0);
}
