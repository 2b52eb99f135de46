//! What this program needs in a container of whatever image: itself, its loader and libraries, and the
//! program `nft` with its own, all in one folder.
//!
//! An image may have no libc, or another. So the executable's copy asks for the loader in that folder,
//! and finds its libraries beside itself (the run path of this program is `$ORIGIN`, see `build.rs`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use super::super::error::RemoteError;
use super::BUNDLE;
use crate::hidden::OWN_EXECUTABLE;

/// The names of what is in the folder besides libraries.
pub(super) const PROGRAM: &str = "whitewater";
const LOADER: &str = "ld.so";
const NFT: &str = "nft";

/// How much of an executable is looked at for its headers.
const HEADER_BYTES: u64 = 64 << 10;

/// The command that runs a program of the bundle in which this process is, if it is in one.
pub(crate) fn bundled(name: &str) -> Option<(PathBuf, Vec<OsString>)> {
    let own = fs::read_link(OWN_EXECUTABLE).ok()?;
    let folder = own.parent().filter(|folder| *folder == Path::new(BUNDLE))?;
    let program = folder.join(name);
    if !program.exists() {
        return None;
    }
    let loader = folder.join(LOADER);
    if !loader.exists() {
        return Some((program, Vec::new()));
    }
    let args = ["--library-path".into(), folder.into(), program.into()];
    Some((loader, args.to_vec()))
}

/// Whether this process runs in a container, from the bundle there.
pub(crate) fn is_bundled() -> bool {
    let own = fs::read_link(OWN_EXECUTABLE);
    own.is_ok_and(|own| own.parent() == Some(Path::new(BUNDLE)))
}

/// What is to be in the folder.
pub(super) struct Bundle {
    /// This executable, with another loader.
    own: Vec<u8>,
    /// Name and file of everything else.
    files: Vec<(String, PathBuf)>,
}

impl Bundle {
    /// Finds it on this machine.
    pub fn find() -> Result<Self, RemoteError> {
        let here = |error: io::Error| {
            RemoteError::Here(format!(
                "failed to collect what this program needs in a container: {error}"
            ))
        };
        Self::try_find().map_err(here)
    }

    fn try_find() -> io::Result<Self> {
        let mut own = fs::read(OWN_EXECUTABLE)?;
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        // As another process sees it.
        let path = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        if let Some(loader) = loader_of(&path)? {
            let ours = format!("{BUNDLE}/{LOADER}");
            replace_loader(&mut own, &loader, &ours)?;
            files.extend(libraries_of(&loader, &path)?);
            files.push((LOADER.to_owned(), loader));
        }
        // Without it links cannot be cut, and the agent says so.
        if let Some(nft) = crate::programs::find(NFT) {
            if let Some(loader) = loader_of(&nft)? {
                for (name, path) in libraries_of(&loader, &nft)? {
                    if files.iter().all(|(known, _)| *known != name) {
                        files.push((name, path));
                    }
                }
                if files.iter().all(|(name, _)| name != LOADER) {
                    files.push((LOADER.to_owned(), loader));
                }
            }
            files.push((NFT.to_owned(), nft));
        }
        Ok(Bundle { own, files })
    }

    /// Writes it as a tar archive whose files have this before their names.
    pub fn write(&self, prefix: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let name = |name: &str| format!("{prefix}{name}");
        append(&mut archive, &name(PROGRAM), &self.own)?;
        for (file, path) in &self.files {
            append(&mut archive, &name(file), &fs::read(path)?)?;
        }
        archive.finish()
    }
}

fn append(archive: &mut tar::Builder<&mut dyn Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, name, bytes)
}

/// The loader that an executable asks for; none for one that needs none.
fn loader_of(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut start = Vec::new();
    File::open(path)?
        .take(HEADER_BYTES)
        .read_to_end(&mut start)?;
    Ok(interpreter(&start)?.map(|(_, loader)| PathBuf::from(loader)))
}

/// Where in an executable the name of its loader is, with its size, and the name.
fn interpreter(bytes: &[u8]) -> io::Result<Option<((usize, usize), String)>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let header =
        FileHeader64::<Endianness>::parse(bytes).map_err(|_| bad("it is no executable"))?;
    let endian = header.endian().map_err(|_| bad("it is no executable"))?;
    let segments = header.program_headers(endian, bytes);
    let segments = segments.map_err(|_| bad("its program headers are not at its beginning"))?;
    let Some(segment) = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_INTERP)
    else {
        return Ok(None);
    };
    let (offset, size) = segment.file_range(endian);
    let (offset, size) = (offset as usize, size as usize);
    let name = bytes.get(offset..offset.saturating_add(size));
    let name = name.ok_or_else(|| bad("the name of its loader is not at its beginning"))?;
    let name = String::from_utf8_lossy(name)
        .trim_end_matches('\0')
        .to_owned();
    Ok(Some(((offset, size), name)))
}

/// Has an executable ask for another loader.
fn replace_loader(bytes: &mut [u8], from: &Path, to: &str) -> io::Result<()> {
    let Some(((offset, size), _)) = interpreter(bytes)? else {
        return Ok(());
    };
    if to.len() >= size {
        return Err(io::Error::other(format!(
            "there is no room for {to} in the place of {}",
            from.display()
        )));
    }
    let place = &mut bytes[offset..offset + size];
    place.fill(0);
    place[..to.len()].copy_from_slice(to.as_bytes());
    Ok(())
}

/// The libraries of an executable, by the names by which it asks for them, as its loader finds them.
fn libraries_of(loader: &Path, path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut command = Command::new(loader);
    let output = command
        .arg("--list")
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let loader = loader.display();
        return Err(io::Error::other(format!(
            "{loader} --list {}: {}",
            path.display(),
            said.trim()
        )));
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f…)`, a line each; others are no files.
fn listed(text: &str) -> Vec<(String, PathBuf)> {
    let pair = |line: &str| {
        let (name, rest) = line.trim().split_once(" => ")?;
        let (path, _) = rest.rsplit_once(" (")?;
        (path.starts_with('/') && !name.contains('/')).then(|| (name.to_owned(), path.into()))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_lists_libraries_by_the_names_that_are_asked_for() {
        let text = "\tlinux-vdso.so.1 (0x00007f45e3573000)\n\tlibc.so.6 => \
                    /lib/x86_64-linux-gnu/libc.so.6 (0x00007f45e337f000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f45e3575000)\n";
        let libc = "/lib/x86_64-linux-gnu/libc.so.6".into();
        assert_eq!(listed(text), [("libc.so.6".to_owned(), libc)]);
    }

    #[test]
    fn an_executable_can_be_made_to_ask_for_another_loader() {
        let mut own = fs::read(OWN_EXECUTABLE).unwrap();
        let Some((_, loader)) = interpreter(&own).unwrap() else {
            return;
        };
        let rest = own.len();
        replace_loader(&mut own, Path::new(&loader), "/x/ld.so").unwrap();
        assert_eq!(own.len(), rest);
        assert_eq!(interpreter(&own).unwrap().unwrap().1, "/x/ld.so");
        let long = "/x".repeat(200);
        assert!(replace_loader(&mut own, Path::new(&loader), &long).is_err());
        assert!(interpreter(b"#!/bin/sh").is_err());
    }
}
