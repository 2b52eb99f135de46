//! Power loss: a node is killed and loses everything that it had not made durable.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::disk_fault::{disks, range_problem};
use crate::draws::Draws;
use crate::kill::start;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Role, Target, Unavailable, Undo};

/// How long an armed power failure may wait.
const WAIT_MS_MAX: u64 = 60_000;

/// Cuts the power of nodes, of all of them at once, and starts them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerLoss {
    /// Which nodes.
    pub target: Role,
    /// How long to wait for a moment in which the node has something to lose, in milliseconds: a
    /// program that syncs after each write has for a few microseconds at a time only.
    pub wait_ms: u64,
}

impl Default for PowerLoss {
    fn default() -> Self {
        PowerLoss {
            target: Role::default(),
            wait_ms: 300,
        }
    }
}

impl FaultKind for PowerLoss {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.disks().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let target = draws.target("power-loss")?;
        Some(PowerLoss {
            target,
            ..PowerLoss::default()
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        range_problem("wait_ms", self.wait_ms, 0..=WAIT_MS_MAX)
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// Half of them are healed almost at once: a node that is back within the same election shows
    /// what it has forgotten.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        (draws.stream.chance(1, 2)).then(|| draws.between(50, 299))
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
        // All before any is killed: else the others would notice, and have nothing to lose.
        let armed = Effect::on_each(&prepared.targets, |node| {
            disks(target)?.arm_power_loss(node).map(|()| Value::Nil)
        });
        let mut wait_ms = self.wait_ms;
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            // Held even if the call fails: some of its processes may be gone.
            standing.down.hold(node, id);
            let lost = disks(target)?.lose_power(node, std::mem::take(&mut wait_ms))?;
            standing.stopped.release_all(node);
            Ok(lost)
        });
        effect.errors.extend(armed.errors);
        effect.effective = Some(effect.any(lost_something));
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

/// A power failure that took nothing was a mere kill.
fn lost_something(evidence: &Value) -> bool {
    let lost = |name| evidence.get(name).and_then(Value::as_int).unwrap_or(0);
    ["lost_bytes", "lost_names", "lost_truncations"]
        .into_iter()
        .any(|name| lost(name) > 0)
}
