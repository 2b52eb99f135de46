//! `whitewater convert`: write a history in another format.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use histories::{Format, History};

use super::args::ConvertArgs;
use super::exit::Exit;
use super::fail;
use super::input::{Source, format_named};
use crate::reports::progress::say;

/// The endings by which a format is told.
const ENDINGS: [(&str, Format); 5] = [
    ("jsonl", Format::Jsonl),
    ("bin", Format::Binary),
    ("log", Format::JepsenLog),
    ("edn", Format::Edn),
    ("json", Format::ElleJson),
];

/// Reads IN and writes OUT.
pub fn convert(args: &ConvertArgs) -> Exit {
    match try_convert(args) {
        Ok(()) => Exit::Valid,
        Err(problem) => fail(Exit::Usage, problem),
    }
}

fn try_convert(args: &ConvertArgs) -> Result<(), String> {
    let output = &args.output;
    let format = match args.to.as_str() {
        "auto" => format_of_ending(output)?,
        name => format_named(name)?,
    };
    if output.exists() && !args.force {
        return Err(exists(output));
    }
    let source = Source {
        file: &args.input,
        format: &args.from,
        keys: args.keys,
        failed_cas: args.failed_cas,
    };
    let (history, _) = source.read()?;
    write(&history, format, output, args.force)?;
    let left_out = histories::left_out(&history, format);
    if !left_out.is_empty() {
        say(format_args!(
            "whitewater: {format} has no place for {}: left out",
            left_out.join(", ")
        ));
    }
    say(format_args!(
        "whitewater: {} holds {} events, as {format}",
        output.display(),
        history.events.len()
    ));
    Ok(())
}

/// The format that a file's ending tells.
fn format_of_ending(file: &Path) -> Result<Format, String> {
    let ending = file.extension().and_then(|ending| ending.to_str());
    let known = ENDINGS.iter().find(|(known, _)| Some(*known) == ending);
    known.map(|(_, format)| *format).ok_or_else(|| {
        let names = Format::ALL.map(Format::name).join(", ");
        format!(
            "the ending of {} does not tell its format (hint: --to with one of {names})",
            file.display()
        )
    })
}

/// Writes the history beside its place, reads it again, and only if that is the same history moves
/// it there: whatever happens, OUT is the old file or the whole new one.
fn write(history: &History, format: Format, output: &Path, force: bool) -> Result<(), String> {
    let beside = beside(output);
    let written = write_new(history, format, &beside)
        .map_err(|why| format!("{}: {why}", output.display()))
        .and_then(|()| read_again(history, format, &beside, output))
        .and_then(|()| put_in_place(&beside, output, force));
    // Best effort: it is gone already where all went well.
    let _ = fs::remove_file(&beside);
    written
}

/// A name beside a file that nothing else has.
fn beside(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn write_new(history: &History, format: Format, path: &Path) -> Result<(), String> {
    let file = File::create_new(path).map_err(|error| format!("cannot be written: {error}"))?;
    let mut out = BufWriter::new(file);
    histories::write(history, format, &mut out).map_err(|error| error.to_string())?;
    out.flush()
        .and_then(|()| out.get_ref().sync_all())
        .map_err(|error| format!("cannot be written: {error}"))
}

/// What cannot be expressed is found out by reading what was written.
fn read_again(history: &History, format: Format, path: &Path, output: &Path) -> Result<(), String> {
    let name = output.display();
    let again = histories::read_file(path, Some(format)).map_err(|error| {
        let kind = error.kind;
        format!("{name}: cannot be expressed in {format}: it would not be read back: {kind}")
    })?;
    histories::compare(history, &again, format).map_err(|error| format!("{name}: {error}"))
}

/// Gives the new file its name.
fn put_in_place(beside: &Path, output: &Path, force: bool) -> Result<(), String> {
    let cannot = |error: io::Error| format!("{}: cannot be written: {error}", output.display());
    if force {
        return fs::rename(beside, output).map_err(cannot);
    }
    // Unlike a renaming, a link never takes the place of a file that appeared meanwhile.
    match fs::hard_link(beside, output) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(output)),
        Err(_) if !output.exists() => fs::rename(beside, output).map_err(cannot),
        Err(_) => Err(exists(output)),
    }
}

fn exists(output: &Path) -> String {
    format!(
        "{} exists already (hint: --force writes over it)",
        output.display()
    )
}
