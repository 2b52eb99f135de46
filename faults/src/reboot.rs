//! Reboot: a node that is killed, and started as on a machine that was switched on a moment ago.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kill::{brief_length_ms, kill};
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Role, Target, TargetError, Unavailable, Undo};

/// Kills nodes and starts them with clocks of elapsed time that began anew, as they do when a
/// machine is switched on: a restart of a program alone never shows that.
///
/// What the node sees of `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` stays so through every later start,
/// as that of a machine does, until its next reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reboot {
    /// Which nodes.
    pub target: Role,
    /// For how long its machine seems to have run when the node starts.
    pub uptime_ms: u64,
}

/// What is drawn: a machine that has just started, and those that have run for a few seconds less
/// than 31 and 32 bits of milliseconds can count.
const UPTIMES_MS: &[u64] = &[5_000, (1 << 31) - 4_000, (1 << 32) - 4_000];

/// A hundred years.
const UPTIME_MS_MAX: u64 = 100 * 365 * 24 * 3_600_000;

impl Default for Reboot {
    fn default() -> Self {
        Reboot {
            target: Role::default(),
            uptime_ms: UPTIMES_MS[0],
        }
    }
}

impl FaultKind for Reboot {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.boots().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(Reboot {
            target: draws.target("reboot")?,
            uptime_ms: draws.deal("reboot uptime", UPTIMES_MS)?,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let is_wrong = self.uptime_ms > UPTIME_MS_MAX;
        is_wrong.then(|| ("uptime_ms", format!("at most {UPTIME_MS_MAX}")))
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
        let mut killed = kill(id, &prepared.targets, target, standing);
        // The other half of it shows when it starts.
        if killed.effective == Some(true) {
            killed.effective = None;
        }
        killed
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            if !standing.down.release(node, id) {
                return Ok(Value::from("kept down by another fault"));
            }
            let boots = target.boots();
            let boots = boots.map_err(|why| TargetError(why.to_string()))?;
            boots.start_booted(node, self.uptime_ms)
        });
        effect.effective = Some(effect.any(|node| shows_uptime(node, self.uptime_ms)));
        effect
    }
}

/// Whether a process of the node is shown the uptime that was asked for, and what has passed since.
fn shows_uptime(node: &Value, asked_ms: u64) -> bool {
    let number = |name: &str| node.get(name).and_then(Value::as_int);
    let (Some(uptime_ms), Some(passed_ms)) = (number("uptime_ms"), number("passed_ms")) else {
        return false;
    };
    let shown_ms = uptime_ms.saturating_sub_unsigned(asked_ms);
    (-1..=passed_ms + 1).contains(&shown_ms)
}
