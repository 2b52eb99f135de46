//! Crash loop: a node that is killed again as soon as it has come up, again and again.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::{kill, shows_gone, start};
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Name, Role, Target, Unavailable, Undo};

/// Kills nodes, starts them, kills them again…
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrashLoop {
    /// Which nodes: the same all the time.
    pub target: Role,
    /// How long they run between a start and the next kill.
    pub up_ms: u64,
    /// How long they are down between a kill and the next start.
    pub down_ms: u64,
}

impl Default for CrashLoop {
    fn default() -> Self {
        CrashLoop {
            target: Role::default(),
            up_ms: 200,
            down_ms: 100,
        }
    }
}

impl FaultKind for CrashLoop {
    fn available(_: &dyn Target) -> Result<(), Unavailable> {
        Ok(())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(CrashLoop {
            target: draws.target("crash-loop")?,
            up_ms: draws.between(100, 500),
            down_ms: draws.between(10, 150),
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let times = [("up_ms", self.up_ms), ("down_ms", self.down_ms)];
        let mut zero = times.iter().filter(|(_, time_ms)| *time_ms == 0);
        zero.next().map(|(field, _)| (*field, "at least 1".into()))
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// Long enough for three to six crashes, or fewer on a machine that is busy.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        let rounds = draws.between(2, 5);
        let round_ms = self.up_ms.saturating_add(self.down_ms);
        // The last crash is half a time down before the end.
        Some(
            rounds
                .saturating_mul(round_ms)
                .saturating_add(self.down_ms / 2),
        )
    }

    /// Down and up in turns.
    fn next_beat_ms(&self, beats: u64) -> Option<u64> {
        Some(if is_start(beats) {
            self.down_ms
        } else {
            self.up_ms
        })
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
        let effect = crash(id, &prepared.targets, target, standing);
        Effect {
            // One crash is no loop.
            effective: None,
            ..effect
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
        if is_start(beats) {
            start(id, &prepared.targets, target, standing)
        } else {
            Effect {
                effective: None,
                ..crash(id, &prepared.targets, target, standing)
            }
        }
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
        let crashes = standing.crashes.remove(&id).unwrap_or_default();
        let most = crashes.values().map(Vec::len).max().unwrap_or(0);
        let evidence = crashes.into_iter().map(|(node, kills)| {
            let of = vec![
                ("crashes".into(), Value::Int(kills.len() as i64)),
                ("kills".into(), Value::List(kills)),
            ];
            (Value::Text(node), Value::Map(of))
        });
        Effect {
            evidence: Value::Map(evidence.collect()),
            effective: Some(most > 1),
            errors: Vec::new(),
        }
    }
}

/// Whether the beat after so many others is a start; else it is a kill.
fn is_start(beats: u64) -> bool {
    beats.is_multiple_of(2)
}

/// Kills these nodes, and notes of which there was something to kill.
fn crash(id: u64, nodes: &[Name], target: &dyn Target, standing: &mut Standing) -> Effect {
    let effect = kill(id, nodes, target, standing);
    if let Value::Map(found) = &effect.evidence {
        let crashes = standing.crashes.entry(id).or_default();
        for (node, gone) in found {
            if let (Value::Text(node), true) = (node, shows_gone(gone)) {
                crashes.entry(node.clone()).or_default().push(gone.clone());
            }
        }
    }
    effect
}
