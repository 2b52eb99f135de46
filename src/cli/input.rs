//! Histories as commands read them: a file or a run folder, in a format that is named or found
//! out, with keys where they are.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use histories::{FailedCas, Format, HISTORY_BYTES_MAX, History, Tuples};

use super::args::{FailedCasArg, KeysArg};
use crate::reports::progress::say;
use crate::store::history_in;
use systems::parse::nearest;

/// As much of a file as is looked at to recognise its format.
const BEGINNING_BYTES: u64 = 1 << 20;

/// What was said of the history to be read.
pub struct Source<'a> {
    /// A history's file, or a run folder.
    pub file: &'a Path,
    /// A format's name, or `auto`.
    pub format: &'a str,
    /// Where keys are.
    pub keys: KeysArg,
    /// What a failed compare-and-set means.
    pub failed_cas: Option<FailedCasArg>,
}

impl Source<'_> {
    /// Reads the history, and says which format it is in.
    ///
    /// # Errors
    ///
    /// In words, with file and line.
    pub fn read(&self) -> Result<(History, Option<Format>), String> {
        let file = history_file(self.file)?;
        let named = match self.format {
            "auto" => None,
            name => Some(format_named(name)?),
        };
        let (mut history, format) = read(&file, named)?;
        if !history.passed_over.is_empty() {
            say(format_args!(
                "whitewater: fields in {} that mean nothing here are passed over: {}",
                self.file.display(),
                history.passed_over.join(", ")
            ));
        }
        match self.failed_cas {
            Some(FailedCasArg::Observed) => history.failed_cas = FailedCas::Observed,
            Some(FailedCasArg::NoEffect) => history.failed_cas = FailedCas::NoEffect,
            None => {}
        }
        self.place_keys(&mut history)?;
        Ok((history, format))
    }

    /// Takes keys out of the values where they are there.
    fn place_keys(&self, history: &mut History) -> Result<(), String> {
        let name = self.file.display();
        match self.keys {
            KeysArg::Field => return Ok(()),
            KeysArg::Tuple => {}
            // Ours never has tuples: its keys are in a field.
            KeysArg::Auto if history.header.run.is_some() => return Ok(()),
            KeysArg::Auto => match history.tuples() {
                Tuples::No => return Ok(()),
                Tuples::Perhaps => {
                    say(format_args!(
                        "whitewater: every value in {name} is a list of two: if these are tuples \
                         [key value] of independent keys, say --keys tuple; if not, --keys field"
                    ));
                    return Ok(());
                }
                Tuples::Surely => say(format_args!(
                    "whitewater: the values in {name} are tuples [key value]: the keys are taken \
                     from them (--keys field leaves them as they are)"
                )),
            },
        }
        history
            .split_tuples()
            .map_err(|error| format!("{name}: {error} (because of --keys tuple)"))?;
        history
            .validate()
            .map_err(|error| format!("{name}: the history contradicts itself: {error}"))
    }
}

/// Reads a file in a format, or in the one it is recognised to be, and says which.
fn read(file: &Path, named: Option<Format>) -> Result<(History, Option<Format>), String> {
    let is_file = fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
    if is_file || named.is_some() {
        let format = named.or_else(|| recognised(file));
        let history = histories::read_file(file, format).map_err(|error| error.to_string())?;
        return Ok((history, format));
    }
    // What is read from a pipe to recognise it is gone: so all of it is kept.
    let name = file.display().to_string();
    let unreadable = |error: io::Error| format!("{name}: cannot be read: {error}");
    let mut bytes = Vec::new();
    let source = File::open(file).map_err(unreadable)?;
    let mut source = source.take(HISTORY_BYTES_MAX);
    source.read_to_end(&mut bytes).map_err(unreadable)?;
    if source.limit() == 0 {
        return Err(format!("{name}: is longer than {HISTORY_BYTES_MAX} bytes"));
    }
    let format = histories::detect(&bytes).ok();
    let history = histories::read(&name, &bytes, format).map_err(|error| error.to_string())?;
    Ok((history, format))
}

/// The format of this name.
///
/// # Errors
///
/// In words, with the nearest name there is.
pub fn format_named(name: &str) -> Result<Format, String> {
    Format::from_str(name).map_err(|error| suggest(&error, name, Format::ALL.map(Format::name)))
}

/// An error about a name, with the nearest one there is.
pub fn suggest<'a>(
    error: &impl std::fmt::Display,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(name, known) {
        Some(candidate) => format!("{error} (hint: did you mean {candidate}?)"),
        None => error.to_string(),
    }
}

/// A run folder stands for the history in it, `-` for standard input.
fn history_file(file: &Path) -> Result<PathBuf, String> {
    if file == Path::new("-") {
        return Ok(PathBuf::from("/dev/stdin"));
    }
    if !file.is_dir() {
        return Ok(file.to_owned());
    }
    let history = history_in(file);
    match history.exists() {
        true => Ok(history),
        false => Err(format!(
            "{}: is a folder with no history in it (hint: a run folder has history.jsonl or history.bin; \
             else name the file)",
            file.display()
        )),
    }
}

/// The format that the beginning of a file shows. When it shows none, or cannot be read, the reader
/// says so, and better.
fn recognised(file: &Path) -> Option<Format> {
    let mut beginning = Vec::new();
    File::open(file)
        .ok()?
        .take(BEGINNING_BYTES)
        .read_to_end(&mut beginning)
        .ok()?;
    histories::detect(&beginning).ok()
}
