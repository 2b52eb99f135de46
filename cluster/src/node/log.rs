//! What a node wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How many lines are quoted when a node ends unexpectedly.
const TAIL_LINES: usize = 20;

/// How much of a log is read for that.
const TAIL_BYTES: u64 = 16 << 10;

/// The two log files of a node, and where in them the current process began to write.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    stdout: Log,
    stderr: Log,
}

#[derive(Debug, Clone)]
struct Log {
    path: PathBuf,
    begin: u64,
}

impl Logs {
    /// Opens both files for a new process, which appends to them.
    pub fn open(folder: &Path) -> io::Result<(Self, File, File)> {
        let (stdout, stdout_file) = Log::open(folder.join("stdout.log"))?;
        let (stderr, stderr_file) = Log::open(folder.join("stderr.log"))?;
        Ok((Self { stdout, stderr }, stdout_file, stderr_file))
    }

    /// The last lines the process wrote on standard error, or else on standard output. A file that
    /// cannot be read has none.
    pub fn last_lines(&self) -> Vec<String> {
        let lines = self.stderr.last_lines().unwrap_or_default();
        if lines.is_empty() {
            return self.stdout.last_lines().unwrap_or_default();
        }
        lines
    }
}

impl Log {
    fn open(path: PathBuf) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let begin = file.metadata()?.len();
        Ok((Self { path, begin }, file))
    }

    fn last_lines(&self) -> io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        let begin = self.begin.max(end.saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<&str> = text.lines().collect();
        if begin > self.begin && lines.len() > 1 {
            // Probably the end of a longer line.
            lines.remove(0);
        }
        let skipped = lines.len().saturating_sub(TAIL_LINES);
        Ok(lines[skipped..]
            .iter()
            .map(|line| line.to_string())
            .collect())
    }
}

/// Log lines as the end of a message.
pub(crate) fn tail_text(lines: &[String]) -> String {
    if lines.is_empty() {
        return "; it wrote nothing".into();
    }
    let mut text = String::from("; its last lines:");
    for line in lines {
        text.push_str("\n  | ");
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_of_the_current_process_only() {
        let folder = tempfile::tempdir().unwrap();
        let (_, _, mut stderr) = Logs::open(folder.path()).unwrap();
        writeln!(stderr, "from an earlier life").unwrap();

        let (logs, mut stdout, mut stderr) = Logs::open(folder.path()).unwrap();
        assert_eq!(logs.last_lines(), Vec::<String>::new());
        writeln!(stdout, "hello").unwrap();
        assert_eq!(logs.last_lines(), ["hello"]);
        write!(stderr, "{}", "line\n".repeat(30)).unwrap();
        stderr.write_all(b"torn \xff end").unwrap();
        let lines = logs.last_lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().unwrap(), "torn \u{fffd} end");
    }

    #[test]
    fn of_a_long_log_only_whole_lines_at_its_end_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, _, mut stderr) = Logs::open(folder.path()).unwrap();
        for number in 0..10 {
            writeln!(stderr, "{number} {}", "x".repeat(4000)).unwrap();
        }
        let lines = logs.last_lines();
        let firsts: String = lines.iter().map(|line| &line[..1]).collect();
        assert_eq!(firsts, "6789");
    }
}
