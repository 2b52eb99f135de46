//! Restart: a node asked to end (SIGTERM), and started again on the data it left in good order.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::{brief_length_ms, shows_gone, start};
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Role, Target, Unavailable, Undo};

/// Restarts nodes gracefully: they are asked to end, and ended by SIGKILL if they have not in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// Which nodes.
    pub target: Role,
    /// How long each may take to end by itself.
    pub grace_ms: u64,
}

/// While a node takes its time, no other fault begins or ends.
const GRACE_MS_MAX: u64 = 60_000;

impl Default for Restart {
    fn default() -> Self {
        Restart {
            target: Role::default(),
            grace_ms: 5_000,
        }
    }
}

impl FaultKind for Restart {
    fn available(_: &dyn Target) -> Result<(), Unavailable> {
        Ok(())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(Restart {
            target: draws.target("restart")?,
            ..Restart::default()
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let too_long = self.grace_ms > GRACE_MS_MAX;
        too_long.then(|| ("grace_ms", format!("at most {GRACE_MS_MAX}")))
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

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
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            standing.down.hold(node, id);
            // One that a pause holds stopped cannot answer, so it is not waited for.
            let is_stopped = standing.stopped.is_held(node);
            let grace_ms = if is_stopped { 0 } else { self.grace_ms };
            let ended = target.terminate(node, grace_ms)?;
            standing.stopped.release_all(node);
            Ok(ended)
        });
        effect.effective = Some(effect.any(shows_gone));
        effect
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
