//! What this machine allows, tried for real, and what to do about the rest.
//!
//! Every ability is tried in a process of its own with a time limit, by the very code that needs
//! it later. Nothing is changed on the machine and nothing is printed.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use faults::Unavailable;
use serde::Serialize;

use crate::hidden::{SUBCOMMAND, own_name, stage_command};
use crate::sandbox::Sandbox;
use crate::watched::{Watched, with_output};
use advice::{Facts, Topic};

mod advice;
pub(crate) mod trials;

/// How long one trial may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);

/// How much a trial may say about its failure.
const CAUSE_BYTES_MAX: u64 = 4 << 10;

/// Something the machine may or may not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ability {
    /// What it is.
    pub name: &'static str,
    /// What cannot be done without it.
    pub needed_for: &'static str,
    /// Whether it was there when tried.
    pub available: bool,
    /// What went wrong, if it was not.
    pub cause: Option<String>,
    /// What to do about it, if it was not.
    pub remedy: Option<String>,
}

struct Trial {
    /// The name of the hidden trial that is run.
    id: &'static str,
    name: &'static str,
    needed_for: &'static str,
    topic: Topic,
}

const SANDBOX_TRIAL: Trial = Trial {
    id: trials::SWITCH,
    name: "sandbox",
    needed_for: "everything at once: partitions, and a cluster that cannot leak",
    topic: Topic::Namespaces,
};

const CLOCK_TRIAL: Trial = Trial {
    id: trials::CLOCK,
    name: "ptrace of a child, and another time for it",
    needed_for: "clock faults",
    topic: Topic::Ptrace,
};

const BOOT_TRIAL: Trial = Trial {
    id: trials::BOOT,
    name: "time namespace",
    needed_for: "the fault reboot",
    topic: Topic::Namespaces,
};

const GROUP_TRIAL: Trial = Trial {
    id: trials::CGROUP,
    name: "cgroups, v2 or v1",
    needed_for: "limits of CPU and memory by the kernel; else by signals and resource limits",
    topic: Topic::Cgroup,
};

const TRIALS: [Trial; 10] = [
    Trial {
        id: trials::USER,
        name: "user namespace",
        needed_for: "the sandbox without root",
        topic: Topic::Namespaces,
    },
    Trial {
        id: trials::PROC,
        name: "PID and mount namespaces with a fresh /proc",
        needed_for: "the sandbox: nothing is left behind, whatever dies",
        topic: Topic::Proc,
    },
    Trial {
        id: trials::NETWORK,
        name: "network namespace",
        needed_for: "the sandbox: a network of its own for every node",
        topic: Topic::Namespaces,
    },
    Trial {
        id: trials::SWITCH,
        name: "virtual cables and packet switch",
        needed_for: "partitions and packet faults",
        topic: Topic::Namespaces,
    },
    CLOCK_TRIAL,
    BOOT_TRIAL,
    Trial {
        id: trials::FUSE,
        name: "FUSE file system in a mount namespace",
        needed_for: "disk faults: power loss, torn writes, I/O errors, crash points",
        topic: Topic::Device("/dev/fuse"),
    },
    Trial {
        id: trials::RESET,
        name: "end of TCP connections from outside (sock_diag)",
        needed_for: "the fault reset-connections",
        topic: Topic::SockDiag,
    },
    Trial {
        id: trials::BRIDGE,
        name: "bridge with nf_tables (program nft)",
        needed_for: "the network's other back end, --network bridge",
        topic: Topic::Nft,
    },
    GROUP_TRIAL,
];

/// Tries everything and says what is there, what is not, why, and what to do about it.
pub fn examine() -> Vec<Ability> {
    let facts = Facts::of_this_machine();
    let mut abilities = vec![SANDBOX_TRIAL.ability(in_sandbox(&SANDBOX_TRIAL), &facts)];
    let others = TRIALS
        .iter()
        .map(|trial| trial.ability(directly(trial), &facts));
    abilities.extend(others);
    abilities
}

/// Tries the whole sandbox, with a network and a packet through its switch.
pub(crate) fn try_sandbox() -> Result<(), Unavailable> {
    in_sandbox(&SANDBOX_TRIAL).map_err(|cause| Unavailable {
        remedy: SANDBOX_TRIAL.topic.advice(&Facts::of_this_machine()),
        cause,
    })
}

/// Tries to change the clocks of a process.
pub(crate) fn try_clocks() -> Result<(), Unavailable> {
    directly(&CLOCK_TRIAL).map_err(|cause| Unavailable {
        remedy: CLOCK_TRIAL.topic.advice(&Facts::of_this_machine()),
        cause,
    })
}

/// Tries to give a process clocks of elapsed time of its own.
pub(crate) fn try_boots() -> Result<(), Unavailable> {
    directly(&BOOT_TRIAL).map_err(|cause| Unavailable {
        remedy: format!(
            "a kernel with CONFIG_TIME_NS=y (Linux 5.6 or later); {}",
            BOOT_TRIAL.topic.advice(&Facts::of_this_machine())
        ),
        cause,
    })
}

/// Tries to limit processes by cgroups.
pub(crate) fn try_groups() -> Result<(), Unavailable> {
    directly(&GROUP_TRIAL).map_err(|cause| Unavailable {
        remedy: GROUP_TRIAL.topic.advice(&Facts::of_this_machine()),
        cause,
    })
}

/// What to do about a device that cannot be opened.
pub(crate) fn device_advice(path: &'static str) -> String {
    Topic::Device(path).advice(&Facts::of_this_machine())
}

impl Trial {
    fn ability(&self, outcome: Result<(), String>, facts: &Facts) -> Ability {
        let cause = outcome.err();
        Ability {
            name: self.name,
            needed_for: self.needed_for,
            available: cause.is_none(),
            remedy: cause.is_some().then(|| self.topic.advice(facts)),
            cause,
        }
    }
}

/// Runs a trial as the controller of a sandbox. The failure is what it says.
fn in_sandbox(trial: &Trial) -> Result<(), String> {
    let args = [SUBCOMMAND, "trial", trial.id].map(Into::into);
    let child = Sandbox::new(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .enter()
        .map_err(|error| error.to_string())?;
    child.outcome_within(TRIAL_LIMIT)
}

/// Runs a trial in a process of its own. The failure is what it says.
fn directly(trial: &Trial) -> Result<(), String> {
    let mut command =
        stage_command("trial").map_err(|error| format!("cannot start the trial: {error}"))?;
    command
        .arg(trial.id)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let name = format!("trial {}", trial.id);
    let (process, (_, stderr)) = Watched::spawn(name, || with_output(command), |_| {})
        .map_err(|error| format!("cannot start the trial: {error}"))?;
    outcome_within(&process, stderr, TRIAL_LIMIT)
}

/// Awaits a trial's end. What it wrote on standard error is its failure.
pub(crate) fn outcome_within(
    process: &Watched,
    stderr: Option<impl Read>,
    limit: Duration,
) -> Result<(), String> {
    let Some(status) = process.wait_within(limit) else {
        // If it ended at this very moment, so much the better.
        let _ = process.signal(nix::sys::signal::Signal::SIGKILL);
        return Err(format!("no answer within {limit:?}"));
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = stderr {
        // What cannot be read was not said.
        let _ = stderr.take(CAUSE_BYTES_MAX).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    // It begins with the name of the program, as the messages of any program do.
    let name = own_name().to_string_lossy().into_owned() + ": ";
    match said.trim().trim_start_matches(&name) {
        "" => Err(format!("the trial ended with {status}")),
        said => Err(said.to_owned()),
    }
}
