//! Memory limit: a node gets hardly any memory besides what it has.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::start_ended;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::limit::{impose, lift};
use crate::standing::Standing;
use crate::{Kind, Resource, Role, Target, Unavailable, Undo};

/// Gives nodes no more memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryLimit {
    /// Which nodes.
    pub target: Role,
    /// KiB that a node may get besides the memory it has when the fault begins.
    pub headroom_kib: u64,
}

impl FaultKind for MemoryLimit {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.limits().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(MemoryLimit {
            target: draws.target("memory-limit")?,
            headroom_kib: draws.deal("memory-limit headroom", &[0, 64])?,
        })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Lift(Kind::MemoryLimit, prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let limit = (Resource::SpareMemoryKib, self.headroom_kib);
        impose(id, &prepared.targets, limit, target, standing)
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let nodes = &prepared.targets;
        let mut effect = lift(id, nodes, Resource::SpareMemoryKib, target, standing);
        effect.errors.extend(start_ended(nodes, target, standing));
        effect
    }
}
