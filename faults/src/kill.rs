//! Kill: SIGKILL to every process of a node; healed by a restart on the data left behind.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared, facts};
use crate::standing::Standing;
use crate::{Name, Role, Target, TargetError, Unavailable, Undo};

/// Kills nodes and starts them again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kill {
    /// Which nodes.
    pub target: Role,
}

impl FaultKind for Kill {
    fn available(_: &dyn Target) -> Result<(), Unavailable> {
        Ok(())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target("kill")?;
        Some(Kill { target })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// One kill in three is healed almost at once: a node that is back within the same election
    /// shows what it has forgotten.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        brief_length_ms(draws)
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
        kill(id, &prepared.targets, target, standing)
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        start(id, &prepared.targets, target, standing)
    }
}

/// One time in three a length within an election.
pub(crate) fn brief_length_ms(draws: &mut Draws<'_>) -> Option<u64> {
    (draws.stream.chance(1, 3)).then(|| draws.between(50, 299))
}

/// Whether evidence of a kill shows a process that is gone.
pub(crate) fn shows_gone(gone: &Value) -> bool {
    gone.get("gone")
        .is_some_and(|gone| facts(gone).iter().any(|pid| pid.as_int().is_some()))
}

/// Kills these nodes, and holds them down for this fault.
pub(crate) fn kill(
    id: u64,
    nodes: &[Name],
    target: &dyn Target,
    standing: &mut Standing,
) -> Effect {
    let mut effect = Effect::on_each(nodes, |node| {
        // Held even if the call fails: some of its processes may be gone.
        standing.down.hold(node, id);
        let pids = target.kill(node)?;
        // The stopped processes are gone; those of a restart will run.
        standing.stopped.release_all(node);
        Ok(pids)
    });
    // A node that was down already has no pids to show.
    effect.effective = Some(effect.any(shows_gone));
    effect
}

/// Starts those of these nodes that no other fault holds down.
pub(crate) fn start(
    id: u64,
    nodes: &[Name],
    target: &dyn Target,
    standing: &mut Standing,
) -> Effect {
    Effect::on_each(nodes, |node| {
        if standing.down.release(node, id) {
            target.start(node)
        } else {
            Ok(Value::from("kept down by another fault"))
        }
    })
}

/// Starts those of these nodes that ended because of the fault just healed. None that another fault
/// holds down; a node that runs is left alone.
pub(crate) fn start_ended(
    nodes: &[Name],
    target: &dyn Target,
    standing: &Standing,
) -> Vec<TargetError> {
    let to_run = nodes.iter().filter(|node| !standing.down.is_held(node));
    to_run.filter_map(|node| target.start(node).err()).collect()
}
