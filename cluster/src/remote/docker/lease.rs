//! What a run makes on a Docker engine, from the first of it to its removal.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, setsid};

use super::super::error::RemoteError;
use super::super::ledger::began;
use super::super::opening::Opening;
use super::super::session::{OnExit, Place, Session};
use super::super::wire::Healed;
use super::bundle::{Bundle, PROGRAM};
use super::client::{docker, docker_given, no_docker};
use super::{BUNDLE, CONTROLLER, RUN};
use crate::error::For;
use crate::hidden::{SUBCOMMAND, StageError, stage_command};

/// How long an agent may take to begin in its container.
const BEGIN_LIMIT: Duration = Duration::from_secs(120);

/// How long what a run made may take to be gone: a network goes after the last of its containers.
const REMOVE_LIMIT: Duration = Duration::from_secs(60);

/// Between two attempts to remove it.
const REMOVE_POLL: Duration = Duration::from_millis(200);

/// What a container may do beyond any other's: change its own network, and the clocks of its processes.
const CAPABILITIES: [&str; 2] = ["NET_ADMIN", "SYS_PTRACE"];

/// What a run has on an engine. Dropping it removes all of it.
#[derive(Debug)]
pub(in super::super) struct Lease {
    token: String,
    /// The end of its input tells it that the controller is gone; a byte before that, that all is done.
    guardian: Child,
    is_over: bool,
    /// Whom the image says its program runs as, if not root.
    pub user: Option<String>,
}

impl Lease {
    /// Makes a network and a container of this image for each of these nodes, with an agent in each that
    /// is not begun yet.
    pub fn take(image: &str, nodes: &[&str]) -> Result<Self, RemoteError> {
        let user = check_image(image)?;
        let bundle = Bundle::find()?;
        let mut lease = Lease::begin()?;
        lease.user = user;
        lease.create_network()?;
        for (at, node) in nodes.iter().enumerate() {
            lease.create_container(image, node)?;
            // All have the volume.
            if at == 0 {
                let to = format!("{}:{BUNDLE}", lease.name(node));
                let mut write = |out: &mut dyn Write| bundle.write("", out);
                docker_given(
                    "put this program into a volume",
                    &["cp", "-", &to],
                    &mut write,
                )?;
            }
        }
        Ok(lease)
    }

    /// The same with one container of an image of this program's own.
    pub fn take_own(node: &str) -> Result<Self, RemoteError> {
        let bundle = Bundle::find()?;
        let mut lease = Lease::begin()?;
        let label = format!("LABEL {RUN}={} {CONTROLLER}={}", lease.token, controller());
        let image = lease.all();
        let mut write = |out: &mut dyn Write| bundle.write(&format!("{}/", &BUNDLE[1..]), out);
        docker_given(
            "make an image",
            &["import", "--change", &label, "-", &image],
            &mut write,
        )?;
        lease.create_network()?;
        lease.create_container(&image, node)?;
        Ok(lease)
    }

    fn begin() -> Result<Self, RemoteError> {
        let here = |error: std::io::Error| {
            RemoteError::Here(format!("failed to begin a run in containers: {error}"))
        };
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(here)?;
        let token: String = uuid
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(12)
            .collect();
        let guardian = stage_command("container-guardian")
            .map_err(here)?
            .arg(&token)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(here)?;
        Ok(Lease {
            token,
            guardian,
            is_over: false,
            user: None,
        })
    }

    /// The name of everything that is there once.
    fn all(&self) -> String {
        format!("whitewater-{}", self.token)
    }

    /// The name of a node's container.
    fn name(&self, node: &str) -> String {
        format!("whitewater-{}-{node}", self.token)
    }

    fn labels(&self) -> [String; 2] {
        [
            format!("{RUN}={}", self.token),
            format!("{CONTROLLER}={}", controller()),
        ]
    }

    fn create_network(&mut self) -> Result<(), RemoteError> {
        let ([run, by], all) = (self.labels(), self.all());
        let create = ["create", "--label", &run, "--label", &by];
        docker(
            "make a network",
            &[&["network"], &create[..], &[&all]].concat(),
        )?;
        docker(
            "make a volume",
            &[&["volume"], &create[..], &[&all]].concat(),
        )
        .map(drop)
    }

    fn create_container(&mut self, image: &str, node: &str) -> Result<(), RemoteError> {
        let ([run, by], all, name) = (self.labels(), self.all(), self.name(node));
        let volume = format!("{all}:{BUNDLE}");
        let program = format!("{BUNDLE}/{PROGRAM}");
        let mut args = vec![
            "create",
            "--pull",
            "never",
            "--interactive",
            "--rm",
            "--name",
            &name,
            "--hostname",
            node,
            "--label",
            &run,
            "--label",
            &by,
            "--network",
            &all,
            "--user",
            "0",
            "--workdir",
            "/",
            "--entrypoint",
            &program,
            "--no-healthcheck",
            "--log-driver",
            "none",
        ];
        for capability in CAPABILITIES {
            args.extend(["--cap-add", capability]);
        }
        // An image of our own has it.
        if image != all {
            args.extend(["--volume", &volume]);
        }
        let folder = self.folder(node);
        args.extend([image, SUBCOMMAND, "agent", &folder]);
        docker(&format!("make a container of {image} for {node}"), &args).map(drop)
    }

    /// The agent's folder in a node's container.
    fn folder(&self, node: &str) -> String {
        format!("/{}", self.name(node))
    }

    /// Begins the agent in a node's container. Also returns the container's address.
    pub fn open(&self, node: &str, on_exit: OnExit) -> Result<(Session, Ipv4Addr), RemoteError> {
        let name = self.name(node);
        let mut command = Command::new("docker");
        command.args(["start", "--attach", "--interactive", &name]);
        let mut opening =
            Opening::start(&mut command, on_exit).map_err(|error| no_docker(&error))?;
        let hello = match opening.hello(Instant::now() + BEGIN_LIMIT) {
            Ok(hello) => hello,
            Err(why) => {
                let said = match why {
                    RecvTimeoutError::Timeout => format!("nothing within {BEGIN_LIMIT:?}"),
                    RecvTimeoutError::Disconnected => opening.ended().1,
                };
                return Err(RemoteError::NoAgent {
                    place: Place::container(node).name,
                    why: said,
                    hint: "`whitewater doctor --docker` tries what containers may do",
                });
            }
        };
        let address = address(&name, node)?;
        let served = opening.serve(Place::container(node), self.folder(node), hello);
        let session = served.map_err(|error| RemoteError::Here(format!("docker is gone: {error}")));
        Ok((session?, address))
    }

    /// Removes all of it, after the agents have left.
    ///
    /// # Errors
    /// Something is still there.
    pub fn end(mut self) -> Result<(), RemoteError> {
        self.remove()
    }

    fn remove(&mut self) -> Result<(), RemoteError> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let healed = remove(&self.token);
        match healed.problems.first() {
            None => {
                // It may be gone itself; there is nothing left for it to do.
                let _ = self
                    .guardian
                    .stdin
                    .take()
                    .map(|mut line| line.write_all(b"."));
                let _ = self.guardian.wait();
                Ok(())
            }
            Some(problem) => Err(RemoteError::Here(format!(
                "{problem} (hint: `whitewater heal --docker`)"
            ))),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Where this fails, the guardian tries it again.
        let _ = self.remove();
    }
}

/// Waits until the controller is gone, and removes what is left of its run.
pub(super) fn guard(token: &str) -> Result<u8, StageError> {
    setsid().call("begin a session")?;
    let mut said = Vec::new();
    // Whatever ends the reading ends the controller.
    let _ = std::io::stdin().lock().read_to_end(&mut said);
    if said.is_empty() {
        remove(token);
        // What the engine was being asked for when the controller died may have come after all.
        thread::sleep(Duration::from_secs(2));
        remove(token);
    }
    Ok(0)
}

/// Removes whatever has this token, and waits until it is gone.
pub(super) fn remove(token: &str) -> Healed {
    let label = format!("label={RUN}={token}");
    let kinds: [(&str, &[&str], &[&str]); 4] = [
        (
            "container",
            &["ps", "--all"],
            &["rm", "--force", "--volumes"],
        ),
        ("network", &["network", "ls"], &["network", "rm"]),
        ("volume", &["volume", "ls"], &["volume", "rm", "--force"]),
        ("image", &["image", "ls"], &["image", "rm", "--force"]),
    ];
    let mut healed = Healed {
        folder: format!("run {token}"),
        ..Healed::default()
    };
    for (kind, list, remove) in kinds {
        if let Err(problem) = remove_kind(kind, list, remove, &label, &mut healed.done) {
            healed.problems.push(problem);
        }
    }
    healed
}

fn remove_kind(
    kind: &str,
    list: &[&str],
    remove: &[&str],
    label: &str,
    done: &mut Vec<String>,
) -> Result<(), String> {
    let deadline = Instant::now() + REMOVE_LIMIT;
    let list = [list, &["--quiet", "--filter", label]].concat();
    loop {
        let listed = docker(&format!("list each {kind}"), &list);
        let listed = listed.map_err(|error| error.to_string())?;
        let mut last = None;
        let all: Vec<&str> = listed.lines().collect();
        if all.is_empty() {
            return Ok(());
        }
        for one in all {
            match docker(
                &format!("remove the {kind} {one}"),
                &[remove, &[one]].concat(),
            ) {
                Ok(_) => done.push(format!("removed the {kind} {one}")),
                Err(error) => last = Some(error.to_string()),
            }
        }
        match last {
            // It may be on its way out by itself.
            Some(problem) if Instant::now() >= deadline => return Err(problem),
            _ => thread::sleep(REMOVE_POLL),
        }
    }
}

/// Which process controls a run: where pids are what they are, a pid, and when it began.
pub(super) fn controller() -> String {
    let pid = std::process::id();
    let began = began(Pid::from_raw(pid.cast_signed())).unwrap_or_default();
    format!("{}.{pid}.{began}", pids_here())
}

/// Whether the process that this names is there; nothing if it cannot be known here.
pub(super) fn is_there(controller: &str) -> Option<bool> {
    let (place, process) = controller.split_once('.')?;
    if place != pids_here() {
        return None;
    }
    let (pid, then) = process.split_once('.')?;
    let (pid, then): (i32, u64) = (pid.parse().ok()?, then.parse().ok()?);
    Some(began(Pid::from_raw(pid)) == Some(then) && crate::node::is_alive(Pid::from_raw(pid)))
}

/// What tells the pids here from those of another boot, machine or namespace.
fn pids_here() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let text = format!("{}{}", boot.trim(), namespace.display());
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Requires an image that a container here can be made of. Returns whom it says that its program runs
/// as, if not root.
fn check_image(image: &str) -> Result<Option<String>, RemoteError> {
    let no = |why: String, hint: String| RemoteError::NoImage {
        image: image.to_owned(),
        why,
        hint,
    };
    let format = "{{.Os}} {{.Architecture}},{{.Config.User}}";
    let found = docker(
        "look at the image",
        &["image", "inspect", "--format", format, "--", image],
    );
    let found = found.map_err(|error| match &error {
        RemoteError::Docker { said, .. } if said.contains("No such image") => no(
            "the engine does not have it".to_owned(),
            format!("`docker pull {image}`; `docker image ls` lists those that it has"),
        ),
        _ => error,
    })?;
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (found, user) = found.split_once(',').unwrap_or((&found, ""));
    match found.split_once(' ') {
        Some(("linux", architecture)) if architecture == machine || architecture.is_empty() => {
            Ok(user_of_image(user))
        }
        _ => Err(no(
            format!("it is for {found}, and this program for linux {machine}"),
            format!("`docker pull --platform linux/{machine} {image}`"),
        )),
    }
}

/// `user`, or `user:group`: the group is that of the user.
fn user_of_image(config: &str) -> Option<String> {
    let (user, _) = config.split_once(':').unwrap_or((config, ""));
    (!["", "0", "root"].contains(&user)).then(|| user.to_owned())
}

/// The address of a container that runs.
fn address(name: &str, node: &str) -> Result<Ipv4Addr, RemoteError> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let action = format!("find the address of the container {node}");
    let found = docker(&action, &["container", "inspect", "--format", format, name])?;
    let address = found
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    address.ok_or_else(|| RemoteError::Docker {
        action,
        said: format!("{found:?}, and no IPv4 address is among that"),
    })
}
