//! File-descriptor limit: the processes of a node can open hardly any descriptor besides those they have.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::start_ended;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::limit::{impose, lift};
use crate::standing::Standing;
use crate::{Kind, Resource, Role, Target, Unavailable, Undo};

/// Gives nodes no more file descriptors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdLimit {
    /// Which nodes.
    pub target: Role,
    /// Descriptors that each process can open besides those open when the fault begins.
    pub spare: u64,
}

impl FaultKind for FdLimit {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.limits().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(FdLimit {
            target: draws.target("fd-limit")?,
            ..FdLimit::default()
        })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Lift(Kind::FdLimit, prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let limit = (Resource::SpareFiles, self.spare);
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
        let mut effect = lift(id, nodes, Resource::SpareFiles, target, standing);
        effect.errors.extend(start_ended(nodes, target, standing));
        effect
    }
}
