//! A command about a node, run where the node is.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};

use crate::init::pid_of;
use crate::programs;

/// How much of what it prints is read.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What a command prints that ends within the limit, with status 0, with this besides in its
/// environment. In words why there is none.
pub(super) fn output(
    words: &[String],
    limit: Duration,
    (name, value): (&str, &str),
) -> Result<String, String> {
    let (program, args) = words.split_first().ok_or("there is no command")?;
    let path = programs::find(program);
    let path = path.ok_or_else(|| format!("there is no program {program}"))?;
    let mut child = Command::new(path)
        .args(args)
        .env(name, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
            outcome => {
                // What it has started goes with it.
                let _ = killpg(pid_of(&child), Signal::SIGKILL);
                let _ = child.wait();
                return Err(match outcome {
                    Err(error) => format!("cannot wait for {program}: {error}"),
                    Ok(_) => format!("{program} did not end within {} ms", limit.as_millis()),
                });
            }
        }
    };
    let text = |thread: JoinHandle<String>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status.success() {
        true => Ok(stdout),
        false => Err(format!("{program} ended with {status}: {}", stderr.trim())),
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is what there is.
            let _ = stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_answered_by_what_it_prints_or_says_why_not() {
        let rows = [
            ("echo $A", Ok("b\n")),
            ("echo why >&2; exit 3", Err("exit status: 3: why")),
            ("sleep 1000 | cat", Err("did not end within 300 ms")),
        ];
        for (script, expected) in rows {
            let words = ["sh", "-c", script].map(str::to_owned);
            let said = output(&words, Duration::from_millis(300), ("A", "b"));
            match (said, expected) {
                (Ok(said), Ok(expected)) => assert_eq!(said, expected),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{said}"),
                (said, expected) => panic!("{script}: {said:?}, not {expected:?}"),
            }
        }
        let said = output(&["no-such-program".to_owned()], Duration::ZERO, ("A", "b"));
        assert_eq!(said.unwrap_err(), "there is no program no-such-program");
    }
}
