//! Kill at start: a node that is killed, and killed again while it recovers from that.

use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::{kill, shows_gone, start};
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Role, Target, Unavailable, Undo};

/// Kills nodes, starts them at once, and kills them again a moment after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillAtStart {
    /// Which nodes.
    pub target: Role,
    /// How long after the start the second kill comes. When there is nothing to kill yet, the node
    /// gets twice as long, and so on.
    pub after_ms: u64,
}

/// How often the second kill is tried.
const ATTEMPTS_MAX: u64 = 4;

/// Later than this no node is starting any more.
const AFTER_MS_MAX: u64 = 10_000;

impl Default for KillAtStart {
    fn default() -> Self {
        KillAtStart {
            target: Role::default(),
            after_ms: 30,
        }
    }
}

impl FaultKind for KillAtStart {
    fn available(_: &dyn Target) -> Result<(), Unavailable> {
        Ok(())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(KillAtStart {
            target: draws.target("kill-at-start")?,
            after_ms: draws.between(10, 100),
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let is_wrong = !(1..=AFTER_MS_MAX).contains(&self.after_ms);
        is_wrong.then(|| ("after_ms", format!("from 1 to {AFTER_MS_MAX}")))
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// Longer than the time to the second kill, with room for a machine that is busy.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        let after_second_ms = draws.between(500, 1_500);
        Some(self.after_ms.saturating_add(after_second_ms))
    }

    fn next_beat_ms(&self, beats: u64) -> Option<u64> {
        (beats < ATTEMPTS_MAX).then(|| self.after_ms.saturating_mul(1 << beats))
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
        let killed = kill(id, &prepared.targets, target, standing);
        let started = start(id, &prepared.targets, target, standing);
        Effect {
            evidence: killed.evidence,
            // That shows with the second kill.
            effective: None,
            errors: [killed.errors, started.errors].concat(),
        }
    }

    fn beat(
        &self,
        id: u64,
        beats: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        if standing.killed_again.contains_key(&id) {
            return Effect::default();
        }
        let mut effect = kill(id, &prepared.targets, target, standing);
        if effect.effective == Some(true) {
            standing.killed_again.insert(id, effect.evidence.clone());
        } else if beats + 1 < ATTEMPTS_MAX {
            let started = start(id, &prepared.targets, target, standing);
            effect.errors.extend(started.errors);
        }
        effect
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let started = start(id, &prepared.targets, target, standing);
        if !started.errors.is_empty() {
            return started;
        }
        let again = standing.killed_again.remove(&id);
        let mut effect = Effect {
            evidence: again.unwrap_or_default(),
            ..Effect::default()
        };
        effect.effective = Some(effect.any(shows_gone));
        effect
    }
}
