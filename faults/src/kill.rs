//! Kill: SIGKILL to every process of a node; healed by a restart on the data left behind.

use histories::Value;

use crate::kind::{Effect, FaultKind, Prepared, Standing, choice_parameters, facts};
use crate::{Name, Role, Target, Undo};

/// Kills nodes and starts them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kill {
    /// Which nodes.
    pub target: Role,
}

impl FaultKind for Kill {
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
        Undo::Start(prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            // Held even if the call fails: some of its processes may be gone.
            standing.down.hold(node, id);
            let pids = target.kill(node)?;
            // The stopped processes are gone; those of a restart will run.
            standing.stopped.release_all(node);
            Ok(pids)
        });
        // A node that was down already has no pids to show.
        effect.effective =
            Some(effect.any(|gone| facts(gone).iter().any(|fact| fact.as_int().is_some())));
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
            if standing.down.release(node, id) {
                target.start(node)
            } else {
                Ok("kept down by another kill".into())
            }
        })
    }
}
