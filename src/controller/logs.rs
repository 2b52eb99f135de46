//! What in the nodes' logs is a failure of the system, by its definition.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use histories::Value;

use super::system::System;
use crate::store::RunFolder;

/// How many failures of one node are told.
const TOLD_PER_NODE_MAX: usize = 20;
/// How much of a line is told, in characters.
const LINE_CHARS_MAX: usize = 300;
/// How much of a line is looked at, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Looks for failures in every log of every node: what the history's event of them says. None where
/// the definition knows no failures.
pub(super) fn failures(system: &System, folder: &RunFolder) -> Option<Value> {
    let logs = &system.definition.logs;
    if logs.failures.is_empty() {
        return None;
    }
    let (mut lines, mut count, mut unread) = (Vec::new(), 0_u64, Vec::new());
    for at in 0..system.nodes_count() {
        let mut told = 0;
        for (path, must_be) in files(system, folder, at) {
            let found = scan(&path, |number, line| {
                if !logs.is_failure(line) {
                    return;
                }
                count += 1;
                if told < TOLD_PER_NODE_MAX {
                    told += 1;
                    let line: String = line.trim().chars().take(LINE_CHARS_MAX).collect();
                    let place = shown(folder, &path);
                    lines.push(Value::from(format!("{place}:{number}: {line}").as_str()));
                }
            });
            // A log that a program never wrote is no log.
            if let Err(error) = found
                && (must_be || error.kind() != std::io::ErrorKind::NotFound)
            {
                unread.push(Value::from(
                    format!("{}: {error}", shown(folder, &path)).as_str(),
                ));
            }
        }
    }
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Some(Value::Map(vec![
        ("count".into(), count.into()),
        ("lines".into(), Value::List(lines)),
        ("unread".into(), Value::List(unread)),
    ]))
}

/// The logs of a node, each once, and whether it must be there.
fn files(system: &System, folder: &RunFolder, at: usize) -> BTreeMap<PathBuf, bool> {
    let mut files = BTreeMap::new();
    // Those that could not be told of have been refused before the nodes were started.
    let own = system.own_logs(at).unwrap_or_default();
    files.extend(own.iter().map(|log| (system.kept(folder, at, log), false)));
    let node = folder.node_path(&system.place(at).name);
    files.extend(["stdout.log", "stderr.log"].map(|name| (node.join(name), true)));
    files
}

/// `n1/stderr.log`, below the folder of all nodes.
fn shown(folder: &RunFolder, path: &Path) -> String {
    let nodes = folder.path().join("nodes");
    path.strip_prefix(nodes)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Gives every line of a file, with its number from 1.
fn scan(path: &Path, mut each: impl FnMut(u64, &str)) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut line, mut number) = (Vec::new(), 1);
    loop {
        line.clear();
        let limited = &mut std::io::Read::take(&mut reader, LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(number, &String::from_utf8_lossy(&line));
        // A line longer than that goes on as the same line.
        number += u64::from(line.ends_with(b"\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_long_ones_cost_no_more_than_a_piece() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("log");
        let long = "x".repeat(LINE_BYTES_MAX as usize + 5);
        std::fs::write(&file, format!("one\n{long}\nthree")).expect("writable");
        let mut found = Vec::new();
        scan(&file, |number, line| {
            found.push((number, line.trim().len()))
        })
        .expect("readable");
        let whole = LINE_BYTES_MAX as usize;
        assert_eq!(found, [(1, 3), (2, whole), (2, 5), (3, 5)]);
    }
}
