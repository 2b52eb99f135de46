//! Pause: SIGSTOP to every process of a node; healed by SIGCONT.

use histories::Value;

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared, facts};
use crate::standing::Standing;
use crate::{Role, Target, Unavailable, Undo};

/// Stops nodes and lets them go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pause {
    /// Which nodes.
    pub target: Role,
}

impl FaultKind for Pause {
    fn available(_: &dyn Target) -> Result<(), Unavailable> {
        Ok(())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target("pause")?;
        Some(Pause { target })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
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
            // A node that is down has nothing to stop, and will run when it is started.
            if standing.down.is_held(node) {
                return Ok(Value::Nil);
            }
            // Held even if the call fails: some of its processes may be stopped.
            standing.stopped.hold(node, id);
            target.pause(node)
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
    let states: Vec<&str> = facts(states)
        .into_iter()
        .filter_map(Value::as_text)
        .collect();
    !states.is_empty() && states.iter().all(|&state| state == "T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_means_that_every_process_is() {
        let states = |states: &[&str]| {
            let process = |&state: &&str| {
                Value::Map(vec![
                    ("pid".into(), 4.into()),
                    ("state".into(), state.into()),
                ])
            };
            Value::List(states.iter().map(process).collect())
        };
        assert!(all_stopped(&states(&["T"])) && all_stopped(&states(&["T", "T"])));
        for running in [&["T", "R"][..], &["S"], &["t"], &[]] {
            assert!(!all_stopped(&states(running)), "{running:?}");
        }
        assert!(!all_stopped(&Value::Nil));
    }
}
