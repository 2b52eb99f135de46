//! What the system under test does when it is told to, by the commands of its definition.

use std::collections::BTreeMap;

use cluster::Entrance;
use faults::{Commands, TargetError};
use histories::Value;
use systems::Probe;

use super::probe::Asker;
use super::system::System;

/// How much of what a command says is kept, in characters.
const SAID_CHARS_MAX: usize = 200;

/// The commands, filled in for every node.
pub(super) struct SystemCommands {
    /// By the command's name, for each node by name.
    commands: BTreeMap<String, Vec<(String, Asker)>>,
    /// The way to a host from which every node can be reached.
    entrance: Entrance,
}

impl SystemCommands {
    /// Those of this system; none where it has none.
    pub fn of(system: &System, entrance: Entrance) -> Result<Option<Self>, String> {
        let mut commands = BTreeMap::new();
        for (name, command) in &system.definition.commands {
            let probe = Probe::Command(command.command.clone());
            let nodes = (0..system.nodes_count()).map(|at| {
                let asker = Asker::new(&probe, system, at)?.within(command.limit_ms);
                Ok((system.place(at).name.clone(), asker))
            });
            commands.insert(name.clone(), nodes.collect::<Result<_, String>>()?);
        }
        Ok((!commands.is_empty()).then_some(SystemCommands { commands, entrance }))
    }
}

impl Commands for SystemCommands {
    fn names(&self) -> Vec<String> {
        self.commands.keys().cloned().collect()
    }

    fn run(&self, node: &str, command: &str) -> Result<Value, TargetError> {
        let problem = |why: String| TargetError(format!("cannot run {command} on {node}: {why}"));
        let nodes = self.commands.get(command).ok_or_else(|| {
            problem(format!(
                "there is no such command, only {}",
                self.names().join(", ")
            ))
        })?;
        let asker = nodes.iter().find(|(name, _)| name == node);
        let (_, asker) = asker.ok_or_else(|| problem("there is no such node".to_owned()))?;
        let said = self.entrance.run(|| asker.ask_blocking());
        let said = said
            .map_err(|error| problem(error.to_string()))?
            .map_err(problem)?;
        let said: String = said.trim().chars().take(SAID_CHARS_MAX).collect();
        Ok(said.as_str().into())
    }
}
