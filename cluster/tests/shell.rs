//! A node that does to its files what a test tells it, one command at a time.
//!
//! Commands and answers are files beside the node's data folder, on the real disk: `cmd.3` is asked,
//! `out.3` is what came of it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, Flock, FlockArg, RenameFlags, fallocate, renameat2};
use nix::sys::statvfs::statvfs;

use crate::support::{LIMIT, eventually};

/// Between two looks for a command.
const POLL: Duration = Duration::from_micros(500);

/// The test's side: the folder that has the data folder in it.
pub struct Shell {
    folder: PathBuf,
    next: std::cell::Cell<u64>,
}

impl Shell {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            next: std::cell::Cell::new(0),
        }
    }

    /// Asks without waiting for the answer.
    pub fn begin(&self, command: &str) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        write_whole(&self.folder.join(format!("cmd.{number}")), command);
        number
    }

    /// The answer, if there is one yet.
    pub fn answer(&self, number: u64) -> Option<String> {
        fs::read_to_string(self.folder.join(format!("out.{number}"))).ok()
    }

    /// Asks and gives the answer.
    pub fn ask(&self, command: &str) -> String {
        let number = self.begin(command);
        let mut answer = None;
        eventually(command, || {
            answer = self.answer(number);
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Does each and fails unless all are done.
    pub fn all(&self, commands: &[&str]) {
        for command in commands {
            assert_eq!(self.ask(command), "", "{command}");
        }
    }

    /// The node died of this command: it is not to be done again.
    pub fn forget(&self, number: u64) {
        assert_eq!(self.answer(number), None);
        write_whole(&self.folder.join(format!("out.{number}")), "died");
    }
}

fn write_whole(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

/// The node's side. What is open stays open under its name.
pub fn serve() -> ExitCode {
    let mut number = (0..)
        .find(|number| !Path::new(&format!("../out.{number}")).exists())
        .unwrap();
    let mut open: Vec<(String, File)> = Vec::new();
    loop {
        let command = loop {
            match fs::read_to_string(format!("../cmd.{number}")) {
                Ok(command) => break command,
                Err(_) => thread::sleep(POLL),
            }
        };
        let words: Vec<&str> = command.split(' ').collect();
        let answer = obey(&words, &mut open).unwrap_or_else(|error| {
            let code = error.raw_os_error().map(Errno::from_raw);
            code.map_or(error.to_string(), |code| format!("{code:?}"))
        });
        write_whole(Path::new(&format!("../out.{number}")), &answer);
        number += 1;
    }
}

fn obey(words: &[&str], open: &mut Vec<(String, File)>) -> io::Result<String> {
    match words {
        ["make", path] => drop(File::create_new(path)?),
        ["append", path, text] => {
            let mut options = OpenOptions::new();
            let mut file = options.append(true).create(true).open(path)?;
            file.write_all(text.as_bytes())?;
        }
        ["append", path, text, "dsync"] => {
            let mut options = OpenOptions::new();
            options.custom_flags(libc::O_DSYNC);
            let mut file = options.append(true).create(true).open(path)?;
            file.write_all(text.as_bytes())?;
        }
        ["write", path, offset, text] => {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            file.seek(SeekFrom::Start(offset.parse().unwrap()))?;
            file.write_all(text.as_bytes())?;
        }
        ["fill", path, count] => {
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(&vec![b'x'; count.parse().unwrap()])?;
        }
        ["cut", path, size] => {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(size.parse().unwrap())?;
        }
        ["allocate", path, size] => {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            fallocate(file, FallocateFlags::empty(), 0, size.parse().unwrap())?;
        }
        ["sync", path] => File::open(path)?.sync_all()?,
        ["datasync", path] => File::open(path)?.sync_data()?,
        ["rename", from, to] => fs::rename(from, to)?,
        ["rename-new", from, to] => {
            let here = nix::fcntl::AT_FDCWD;
            renameat2(here, *from, here, *to, RenameFlags::RENAME_NOREPLACE)?;
        }
        ["exchange", from, to] => {
            let here = nix::fcntl::AT_FDCWD;
            renameat2(here, *from, here, *to, RenameFlags::RENAME_EXCHANGE)?;
        }
        ["remove", path] => fs::remove_file(path)?,
        ["mkdir", path] => fs::create_dir(path)?,
        ["rmdir", path] => fs::remove_dir(path)?,
        ["link", from, to] => fs::hard_link(from, to)?,
        ["symlink", target, path] => symlink(target, path)?,
        ["target", path] => return Ok(fs::read_link(path)?.display().to_string()),
        ["chmod", path, mode] => {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        ["chown", path, user] => {
            let user = Some(user.parse().unwrap());
            std::os::unix::fs::chown(path, user, user)?;
        }
        ["stat", path] => {
            let facts = fs::symlink_metadata(path)?;
            let (mode, links) = (facts.mode(), facts.nlink());
            let (user, size) = (facts.uid(), facts.len());
            return Ok(format!("{mode:o} links {links} user {user} size {size}"));
        }
        ["list", path] => return list(path),
        ["free", path] => return Ok(statvfs(*path)?.blocks_available().to_string()),
        ["read", path] => {
            let mut text = String::new();
            File::open(path)?.read_to_string(&mut text)?;
            return Ok(text);
        }
        ["open", path] => {
            let file = OpenOptions::new().read(true).append(true).open(path)?;
            open.push(((*path).to_owned(), file));
        }
        ["close", path] => open.retain(|(name, _)| name != path),
        ["say", path, text] => held(open, path)?.write_all(text.as_bytes())?,
        ["sync-open", path] => held(open, path)?.sync_all()?,
        ["links-open", path] => return Ok(held(open, path)?.metadata()?.nlink().to_string()),
        ["read-open", path] => {
            let file = held(open, path)?;
            file.seek(SeekFrom::Start(0))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            return Ok(text);
        }
        ["lock", path] => {
            let lock = |file| Flock::lock(file, FlockArg::LockExclusiveNonblock);
            let _first = lock(File::open(path)?).map_err(|(_, error)| error)?;
            let second = lock(File::open(path)?);
            return Ok(second.map_or_else(|(_, error)| format!("{error:?}"), |_| "twice".into()));
        }
        ["map", path, text, how] => map(path, text, how)?,
        ["attribute", path] => {
            let (name, value) = (c"user.x", b"y");
            let path = std::ffi::CString::new(*path).unwrap();
            // SAFETY: texts that end in zero and a buffer of one byte, all alive.
            let done = unsafe {
                libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), 1, 0)
            };
            Errno::result(done)?;
        }
        ["spin", count] => spin(count.parse().unwrap())?,
        _ => {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{words:?}"),
            ));
        }
    }
    Ok(String::new())
}

fn held<'a>(open: &'a mut [(String, File)], path: &str) -> io::Result<&'a mut File> {
    let found = open.iter_mut().find(|(name, _)| name == path);
    found
        .map(|(_, file)| file)
        .ok_or(ErrorKind::NotFound.into())
}

fn list(path: &str) -> io::Result<String> {
    let entries = fs::read_dir(path)?;
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names.join(" ".as_ref()).into_string().unwrap())
}

/// Writes by a shared mapping.
fn map(path: &str, text: &str, how: &str) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (length, access) = (text.len(), libc::PROT_READ | libc::PROT_WRITE);
    let (nowhere, fd) = (std::ptr::null_mut(), file.as_raw_fd());
    // SAFETY: a fresh mapping of a file that is as long as what is written; unmapped below, or left
    // for good.
    let done = unsafe {
        let place = libc::mmap(nowhere, length, access, libc::MAP_SHARED, fd, 0);
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        std::ptr::copy_nonoverlapping(text.as_ptr(), place.cast(), length);
        match how {
            "msync" => libc::msync(place, length, libc::MS_SYNC),
            "unmap" => libc::munmap(place, length),
            _ => 0,
        }
    };
    Errno::result(done)?;
    Ok(())
}

/// Writes and syncs, again and again.
fn spin(count: u64) -> io::Result<()> {
    let begin = Instant::now();
    let mut file = OpenOptions::new().append(true).create(true).open("spin")?;
    for _ in 0..count {
        file.write_all(&[b'x'; 100])?;
        file.sync_data()?;
        assert!(begin.elapsed() < LIMIT);
    }
    Ok(())
}
