//! The whole command, as a user types it, on a million operations.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::simulate::{Load, Object, simulate};

pub const NAME: &str = "whole command 1M";
const ROUNDS: usize = 7;

/// Prints how long `whitewater check` takes on a file of JSON lines and on the same history in
/// binary form, and how long `grep` takes to read the first.
pub fn measure() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let lines = folder.path().join("history.jsonl");
    let binary = folder.path().join("history.bin");
    let history = simulate(&Load {
        object: Object::Register {
            values: 0,
            cas_percent: 0,
        },
        operations: 1_000_000,
        clients: 10,
        unknown_per_10_000: 0,
        stale_percent: None,
    });
    histories::write_jsonl(&history, &mut io::BufWriter::new(File::create(&lines)?))?;
    drop(history);
    let converted = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["convert"])
        .args([&lines, &binary])
        .stdout(Stdio::null())
        .status()?;
    if !converted.success() {
        return Err(io::Error::other("convert failed"));
    }
    let (mut by_lines, mut by_binary, mut by_grep) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_lines.push(check(&lines)?);
        by_binary.push(check(&binary)?);
        by_grep.push(grep(&lines)?);
    }
    let (jsonl, bin, grep) = (median(by_lines), median(by_binary), median(by_grep));
    let mb = |path: &Path| File::open(path).and_then(|file| Ok(file.metadata()?.len() / 1_000_000));
    println!(
        "{NAME}: {:.0} ms for {} MB of JSON lines (target 350; {:.1} times grep -c foo, {:.0} ms; \
         target 4.0), {:.0} ms for {} MB of binary (target 150)",
        ms(jsonl),
        mb(&lines)?,
        jsonl.as_secs_f64() / grep.as_secs_f64(),
        ms(grep),
        ms(bin),
        mb(&binary)?,
    );
    Ok(())
}

fn check(file: &Path) -> io::Result<Duration> {
    let began = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["check", "--model", "cas-register"])
        .arg(file)
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(began.elapsed()),
        false => Err(io::Error::other("the history must be valid")),
    }
}

/// It finds nothing, and says so with exit code 1.
fn grep(file: &Path) -> io::Result<Duration> {
    let began = Instant::now();
    Command::new("grep")
        .args(["-c", "foo"])
        .arg(file)
        .stdout(Stdio::null())
        .status()?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
