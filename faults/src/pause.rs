//! Pause: SIGSTOP to every process of a node; healed by SIGCONT.

use histories::Value;

use crate::kind::{Effect, FaultKind, Prepared, Standing, choice_parameters};
use crate::{Name, Role, Target, Undo};

/// Stops nodes and lets them go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Which nodes.
    pub target: Role,
}

impl FaultKind for Pause {
    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        let targets = self.target.resolve(order, leader);
        let name = ("target", self.target.name());
        let about_leader = self.target.is_about_leader();
        let parameters = choice_parameters(name, about_leader, leader);
        Prepared {
            targets,
            links: Vec::new(),
            parameters: Value::Map(parameters),
        }
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Resume(prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            // Held even if the call fails: some of its processes may be stopped.
            standing.stopped.hold(node, id);
            let states = target.pause(node)?;
            // A node that is down has nothing to stop, and will run when it is started.
            if states == Value::Map(Vec::new()) {
                standing.stopped.release(node, id);
            }
            Ok(states)
        });
        effect.effective = Some(effect.any(all_stopped));
        effect
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        Effect::on_each(&prepared.targets, |node| {
            if standing.stopped.release(node, id) {
                target.resume(node)
            } else {
                Ok("kept stopped by another pause".into())
            }
        })
    }
}

/// Whether there are processes, and the kernel says of each that it is stopped.
fn all_stopped(states: &Value) -> bool {
    match states {
        Value::Map(pids) => {
            !pids.is_empty() && pids.iter().all(|(_, state)| state.as_text() == Some("T"))
        }
        _ => false,
    }
}
