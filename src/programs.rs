//! The programs of systems: found on this machine, and asked for their versions.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use systems::{Definition, Scope, Version};

/// How long a program may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(5);
/// How much of what it says is read.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// A system's program on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Where it is; none for this very executable.
    pub path: Option<PathBuf>,
    /// What stands before the arguments of a node.
    pub subcommand: Option<String>,
    /// Its version, where its definition says how to ask.
    pub version: Option<String>,
}

/// Why a system cannot run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}", remedy.as_ref().map(|remedy| format!(" (hint: {remedy})")).unwrap_or_default())]
pub struct Missing {
    /// What is missing.
    pub cause: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The program of a system on hosts beyond this machine: what it is looked for by there.
pub fn on_hosts(
    definition: &Definition,
    given: Option<&Path>,
) -> Result<(Found, Vec<String>), Missing> {
    let program = &definition.program;
    if let Some(given) = given {
        let path = given.display().to_string();
        return Ok((Found::default(), vec![path]));
    }
    match &program.embedded {
        Some(_) => Ok((find(definition, None, Path::new(""))?, Vec::new())),
        None => Ok((Found::default(), program.candidates.clone())),
    }
}

/// Finds the program of a system: this one where it is given, else as the definition says. `here` is
/// the folder of the definition's file.
///
/// # Errors
/// It is not there, does not tell its version, or is too old.
pub fn find(definition: &Definition, given: Option<&Path>, here: &Path) -> Result<Found, Missing> {
    let program = &definition.program;
    if let (None, Some(subcommand)) = (given, &program.embedded) {
        return Ok(Found {
            path: None,
            subcommand: Some(subcommand.clone()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        });
    }
    let path = match given {
        Some(path) => path.to_owned(),
        None => first_of(&program.candidates, here).ok_or_else(|| Missing {
            cause: format!(
                "{} is not here: there is no program {}",
                definition.name,
                filled(&program.candidates, here).join(" or ")
            ),
            remedy: program.install.clone(),
        })?,
    };
    let version = match (&program.version, given) {
        (Some(version), _) => Some(ask_version(definition, &path, version)?),
        (None, _) => None,
    };
    Ok(Found {
        path: Some(path),
        subcommand: None,
        version,
    })
}

/// The first of these programs that is there.
pub fn first_of(candidates: &[String], here: &Path) -> Option<PathBuf> {
    let filled = filled(candidates, here);
    let mut found = filled.iter().map(|name| cluster::programs::find(name));
    found.find_map(|path| path)
}

/// These with the folder of the definition's file in them.
fn filled(candidates: &[String], here: &Path) -> Vec<String> {
    let scope = Scope::of_folder(here);
    // Templates were tried when the definition was read.
    let fill = |candidate: &String| scope.fill(candidate).unwrap_or_else(|_| candidate.clone());
    candidates.iter().map(fill).collect()
}

fn ask_version(definition: &Definition, path: &Path, version: &Version) -> Result<String, Missing> {
    let missing = |cause: String| Missing {
        cause: format!("{} at {} {cause}", definition.name, path.display()),
        remedy: definition.program.install.clone(),
    };
    let output = output(Command::new(path).args(&version.args))
        .map_err(|error| missing(format!("does not tell its version: {error}")))?;
    let found = version.pattern.find(&output).ok_or_else(|| {
        let first = output.lines().next().unwrap_or_default();
        missing(format!(
            "does not tell its version: nothing in its answer to {} is like {} ({first:?})",
            version.args.join(" "),
            version.pattern
        ))
    })?;
    match &version.minimum {
        Some(minimum) if numbers(found) < numbers(minimum) => Err(missing(format!(
            "has version {found}, and at least {minimum} is needed"
        ))),
        _ => Ok(found.to_owned()),
    }
}

impl Found {
    /// Whether its version is known and is this one or a later one.
    pub fn is_from(&self, version: &str) -> bool {
        let found = self.version.as_deref();
        found.is_some_and(|found| numbers(found) >= numbers(version))
    }
}

/// `3.4.23` as numbers that compare.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// What a command prints on both streams, within [`VERSION_LIMIT`].
fn output(command: &mut Command) -> std::io::Result<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                let _ = stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let readers = [reader(child.stdout.take()), reader(child.stderr.take())];
    let deadline = Instant::now() + VERSION_LIMIT;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            let why = format!("it did not end within {} s", VERSION_LIMIT.as_secs());
            return Err(std::io::Error::other(why));
        }
        thread::sleep(LOOK);
    }
    let texts = readers.map(|reader| reader.join().unwrap_or_default());
    Ok(texts.concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A definition whose program is a script that prints this.
    fn definition(folder: &Path, says: &str, minimum: &str) -> Definition {
        let path = folder.join("mine");
        std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("writable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("ours");
        let text = format!(
            "name = \"mine\"\nworkloads = [\"register\"]\nports = {{ client = 80 }}\nnode = {{}}\n\
             client = {{ raft-kv = {{}} }}\n[program]\ncandidates = [\"no-such-program\", \
             \"{{here}}/mine\"]\ninstall = \"apt-get install mine\"\n\
             version = {{ pattern = \"version ([0-9.]+)\", minimum = \"{minimum}\" }}\n"
        );
        Definition::parse(&text).expect("sound")
    }

    #[test]
    fn a_program_is_found_and_its_version_compared_by_its_numbers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let here = folder.path();
        for (says, minimum, expected) in [
            ("mine version 3.10.1", "3.9", Ok("3.10.1")),
            ("mine version 3.10.1", "3.10.1", Ok("3.10.1")),
            (
                "mine version 3.10.1",
                "3.11",
                Err("has version 3.10.1, and at least 3.11"),
            ),
            ("mine edition 3", "3", Err("does not tell its version")),
        ] {
            let found = find(&definition(here, says, minimum), None, here);
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.version.as_deref(), Some(expected));
                    let from = ["3.9.9", "3.10.1", "3.10.2", "4"].map(|one| found.is_from(one));
                    assert_eq!(from, [true, true, false, false]);
                    assert_eq!(found.path, Some(here.join("mine")));
                }
                (Err(missing), Err(expected)) => {
                    let told = missing.to_string();
                    assert!(
                        told.contains(expected) && told.contains("apt-get"),
                        "{told}"
                    );
                }
                (found, expected) => panic!("{says}: {found:?}, not {expected:?}"),
            }
        }
        let elsewhere = tempfile::tempdir().expect("a temporary folder");
        let missing = find(&definition(here, "", "1"), None, elsewhere.path());
        let told = missing.expect_err("it is not there").to_string();
        assert!(
            told.contains("there is no program no-such-program or"),
            "{told}"
        );
    }
}
