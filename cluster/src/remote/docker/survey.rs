//! Questions to a Docker engine outside a run: what it allows, and what runs that are over have left.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::error::RemoteError;
use super::super::survey::{HostFacts, facts};
use super::super::wire::{Ask, Examined, Healed};
use super::client::docker;
use super::lease::{Lease, is_there, remove};
use super::{CONTROLLER, RUN};

/// An engine and what it allows.
#[derive(Debug)]
pub struct EngineFacts {
    /// Its version, and where it runs, in words.
    pub engine: String,
    /// What containers are needed for, and whether they can do it.
    pub facts: HostFacts,
}

/// Tries the engine: a container with an agent, what it may do, and whether it is reached from here.
///
/// # Errors
/// There is no engine, or no container to be had of it.
pub fn examine() -> Result<EngineFacts, RemoteError> {
    let format =
        "Docker {{.ServerVersion}} on {{.OperatingSystem}} ({{.OSType}} {{.Architecture}})";
    let engine = docker(
        "ask the engine for its version",
        &["info", "--format", format],
    )?;
    let node = "doctor";
    let lease = Lease::take_own(node)?;
    let (session, address) = lease.open(node, Box::new(|_| {}))?;
    let examined: Examined = session.ask(Ask::Examine, Duration::ZERO)?;
    let met = super::meet(&session, address);
    session.leave()?;
    lease.end()?;
    let mut facts = facts(examined);
    facts.insert(
        0,
        (
            "clients here reach nodes in containers by their addresses",
            met,
        ),
    );
    Ok(EngineFacts { engine, facts })
}

/// Removes what runs that are over have left on the engine. Harmless twice.
///
/// # Errors
/// There is no engine.
pub fn heal() -> Result<Vec<Healed>, RemoteError> {
    Ok(runs()?
        .into_iter()
        .map(|(token, run)| match run.owner() {
            Some(whose) => Healed {
                folder: format!("run {token}"),
                problems: vec![format!("left alone: a run is under way{whose}")],
                ..Healed::default()
            },
            None => remove(&token),
        })
        .collect())
}

/// What is known of a run by what it has on the engine.
#[derive(Debug, Default)]
struct Run {
    controller: String,
    has_running: bool,
}

impl Run {
    /// Who owns it, in words, if it may be under way.
    fn owner(&self) -> Option<String> {
        match is_there(&self.controller) {
            Some(false) => None,
            Some(true) => {
                let pid = self.controller.split('.').nth(1).unwrap_or_default();
                Some(format!(" (controlled by process {pid})"))
            }
            // Agents do not outlive their controller for long.
            None => self.has_running.then(|| {
                ", controlled from another machine (hint: a container that loses its controller \
                 ends by itself within a minute)"
                    .to_owned()
            }),
        }
    }
}

/// The runs that have anything on the engine, by their tokens.
fn runs() -> Result<BTreeMap<String, Run>, RemoteError> {
    let label = |name: &str| format!("{{{{.Label \"{name}\"}}}}");
    let (run, by) = (label(RUN), label(CONTROLLER));
    let filter = format!("label={RUN}");
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for (what, list, state) in [
        ("containers", &["ps", "--all"][..], "{{.State}}"),
        ("networks", &["network", "ls"], "-"),
        ("volumes", &["volume", "ls"], "-"),
    ] {
        let format = format!("{run} {state} {by}");
        let args = [list, &["--filter", &filter, "--format", &format]].concat();
        for line in docker(&format!("list {what}"), &args)?.lines() {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let (token, state) = (words.next().unwrap_or_default(), words.next());
            let found = runs.entry(token).or_default();
            found.has_running |= state.is_some_and(|state| state == "running");
            found.controller = words.next().unwrap_or_default();
        }
    }
    // Images cannot be asked for labels that way.
    let args = ["image", "ls", "--quiet", "--filter", &filter];
    for image in docker("list images", &args)?.lines() {
        let format = format!(
            "{{{{index .Config.Labels \"{RUN}\"}}}} {{{{index .Config.Labels \"{CONTROLLER}\"}}}}"
        );
        let found = docker(
            "look at an image",
            &["image", "inspect", "--format", &format, image],
        );
        // It may be gone by now.
        if let Some((token, controller)) = found.unwrap_or_default().split_once(' ') {
            runs.entry(token.to_owned()).or_default().controller = controller.to_owned();
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::super::lease::controller;
    use super::*;

    #[test]
    fn a_run_is_left_alone_while_its_controller_may_be_there() {
        let ours = controller();
        let gone = ours.rsplit_once('.').unwrap().0.to_owned() + ".1";
        let rows = [
            (ours.as_str(), false, Some("process")),
            (&gone, true, None),
            ("elsewhere.1.2", true, Some("another machine")),
            ("elsewhere.1.2", false, None),
        ];
        for (controller, has_running, expected) in rows {
            let controller = controller.to_owned();
            let run = Run {
                controller,
                has_running,
            };
            let owner = run.owner();
            assert_eq!(owner.is_some(), expected.is_some(), "{run:?}");
            assert!(
                owner
                    .unwrap_or_default()
                    .contains(expected.unwrap_or_default())
            );
        }
    }
}
