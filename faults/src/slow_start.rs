//! Slow start: a node that is killed, and has a small part of a processor to recover with.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::cpu_quota::{PERCENT, percent_problem};
use crate::draws::Draws;
use crate::kill::{kill, start, start_ended};
use crate::kind::{Effect, FaultKind, Prepared};
use crate::limit::{impose, lift};
use crate::standing::Standing;
use crate::{Kind, Resource, Role, Target, Unavailable, Undo};

/// Kills nodes and starts them at once with less of a processor, from the first instruction on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowStart {
    /// Which nodes.
    pub target: Role,
    /// Percent of one processor that all processes of a node together get; from 1 to 100.
    pub percent: u64,
}

impl Default for SlowStart {
    fn default() -> Self {
        SlowStart {
            target: Role::default(),
            percent: 2,
        }
    }
}

impl FaultKind for SlowStart {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.limits().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(SlowStart {
            target: draws.target("slow-start")?,
            percent: draws.deal("slow-start percent", PERCENT)?,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        percent_problem(self.percent)
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Lift(Kind::SlowStart, prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let nodes = &prepared.targets;
        let killed = kill(id, nodes, target, standing);
        let limit = (Resource::CpuPercent, self.percent);
        let limited = impose(id, nodes, limit, target, standing);
        let started = start(id, nodes, target, standing);
        let was_killed = killed.effective == Some(true);
        Effect {
            evidence: killed.evidence,
            // Whether it was slowed down shows later.
            effective: if was_killed {
                limited.effective
            } else {
                Some(false)
            },
            errors: [killed.errors, limited.errors, started.errors].concat(),
        }
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let nodes = &prepared.targets;
        let mut effect = lift(id, nodes, Resource::CpuPercent, target, standing);
        // Down is only what could not be started when the fault began.
        for node in nodes {
            standing.down.release(node, id);
        }
        effect.errors.extend(start_ended(nodes, target, standing));
        effect
    }
}
