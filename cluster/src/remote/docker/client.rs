//! The user's own program `docker`.

use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::super::error::RemoteError;

/// How long the engine may take for what it is asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// What goes into a program as its standard input.
pub(super) type Input<'a> = &'a mut (dyn FnMut(&mut dyn Write) -> std::io::Result<()> + Send);

/// What `docker` prints when it is asked for this; `action` says in words what that is.
pub(super) fn docker(action: &str, args: &[&str]) -> Result<String, RemoteError> {
    ask(action, args, None)
}

/// The same with something to read.
pub(super) fn docker_given(
    action: &str,
    args: &[&str],
    input: Input<'_>,
) -> Result<String, RemoteError> {
    ask(action, args, Some(input))
}

fn ask(action: &str, args: &[&str], input: Option<Input<'_>>) -> Result<String, RemoteError> {
    let mut child = Command::new("docker")
        .args(args)
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| no_docker(&error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let late = || RemoteError::Docker {
        action: action.to_owned(),
        said: format!("nothing within {ANSWER_LIMIT:?}"),
    };
    thread::scope(|scope| {
        if let (Some(input), Some(mut stdin)) = (input, stdin) {
            // What goes wrong shows in what docker says.
            scope.spawn(move || drop(input(&mut stdin).and_then(|()| stdin.flush())));
        }
        let stdout = scope.spawn(|| read(stdout));
        let stderr = scope.spawn(|| read(stderr));
        let deadline = Instant::now() + ANSWER_LIMIT;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
                _ => {
                    // It may end at this very moment, so much the better.
                    let _ = child.kill();
                    let _ = child.wait();
                    break Err(late());
                }
            }
        }?;
        let text = |thread: thread::ScopedJoinHandle<'_, String>| thread.join().unwrap_or_default();
        let (stdout, stderr) = (text(stdout), text(stderr));
        match status.success() {
            true => Ok(stdout),
            false => Err(refused(action, &stderr)),
        }
    })
}

fn read(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is what there is.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Why there is no program `docker`.
pub(super) fn no_docker(error: &std::io::Error) -> RemoteError {
    RemoteError::NoEngine {
        why: match error.kind() {
            ErrorKind::NotFound => "there is no program docker here".into(),
            _ => format!("cannot run docker: {error}"),
        },
        hint: "Debian, Ubuntu: `apt-get install docker.io`",
    }
}

/// What it means that docker ended with these words.
fn refused(action: &str, stderr: &str) -> RemoteError {
    let said = stderr.replace("Error response from daemon: ", "");
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.collect::<Vec<_>>().join("; ");
    if said.contains("permission denied while trying to connect")
        || said.contains("connect: permission denied")
    {
        return RemoteError::NoEngine {
            why: said,
            hint: "be root, or of the group docker",
        };
    }
    let unreachable = [
        "Cannot connect to the Docker daemon",
        "error during connect",
        "failed to connect to the docker API",
    ];
    if unreachable.iter().any(|words| said.contains(words)) {
        return RemoteError::NoEngine {
            why: said,
            hint: "start one (`systemctl start docker`), or say where it is by DOCKER_HOST or `docker context use`",
        };
    }
    RemoteError::Docker {
        action: action.to_owned(),
        said,
    }
}
