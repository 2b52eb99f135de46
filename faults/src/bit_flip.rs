//! Bit flip: bits in a node's files change, or whole blocks become zeros.

use histories::Value;
use seeds::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::disk_fault::{disks, pattern_problem, range_problem};
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Damage, Name, Role, Spot, Target, Unavailable, Undo};

/// How many places are damaged at most.
const COUNT_MAX: u64 = 1_000;
/// How long a block is at most.
const BLOCK_BYTES_MAX: u64 = 1 << 20;
/// Numbers in a plan are signed, and in other programs' hands perhaps floating.
const POSITIONS_MAX: u64 = 1 << 52;
const MILLION: u64 = 1_000_000;

/// Damages files of nodes, on the disk and in the kernel's memory. It cannot be undone: what the
/// program does not notice, and mend from elsewhere, stays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BitFlip {
    /// Which nodes.
    pub target: Role,
    /// Which paths below the data folder: `*` stands for any characters, `?` for any one.
    pub path: String,
    /// How many places are damaged.
    pub count: u64,
    /// How many bytes from there on become zeros; 0 for one bit that is inverted.
    pub zero_bytes: u64,
    /// Only among so many bytes at the end of a file; 0 for anywhere.
    pub last_bytes: u64,
    /// The number that files, offsets and bits are drawn from.
    pub positions: u64,
}

impl Default for BitFlip {
    fn default() -> Self {
        BitFlip {
            target: Role::default(),
            path: "*".to_owned(),
            count: 1,
            zero_bytes: 0,
            last_bytes: 0,
            positions: 0,
        }
    }
}

impl BitFlip {
    fn spots(&self) -> Vec<Spot> {
        let mut stream = Stream::new(self.positions, Purpose::Schedule, 0);
        let mut spot = || Spot {
            file_ppm: stream.below(MILLION),
            last_bytes: self.last_bytes,
            offset_ppm: stream.below(MILLION),
            damage: match (self.zero_bytes, stream.below(8)) {
                (0, bit) => Damage::Bit(bit as u8),
                (bytes, _) => Damage::Zeros(bytes),
            },
        };
        (0..self.count).map(|_| spot()).collect()
    }
}

impl FaultKind for BitFlip {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.disks().map(|_| ())
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let roles = [Role::Leader, Role::Follower, Role::One, Role::Minority];
        Some(BitFlip {
            target: draws.target_among("bit-flip", &roles)?,
            path: "*".to_owned(),
            count: draws.between(1, 3),
            zero_bytes: draws.deal("bit-flip zeros", &[0, 0, 512])?,
            last_bytes: 0,
            positions: draws.between(0, POSITIONS_MAX),
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        pattern_problem(&self.path)
            .or_else(|| range_problem("count", self.count, 1..=COUNT_MAX))
            .or_else(|| range_problem("zero_bytes", self.zero_bytes, 0..=BLOCK_BYTES_MAX))
            .or_else(|| range_problem("positions", self.positions, 0..=POSITIONS_MAX))
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// The files of a node that is down are there all the same.
    fn preferred(&self, order: &[Name], _: &Standing) -> Vec<Name> {
        order.to_vec()
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Start(prepared.targets.clone())
    }

    fn inject(&self, _: u64, prepared: &Prepared, target: &dyn Target, _: &mut Standing) -> Effect {
        let spots = self.spots();
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            disks(target)?.damage(node, &self.path, &spots)
        });
        let is_done = |done: &Value| done.as_list().is_some_and(|done| !done.is_empty());
        effect.effective = Some(effect.any(is_done));
        effect
    }

    fn heal(
        &self,
        _: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        Effect::on_each(&prepared.targets, |node| {
            if standing.down.is_held(node) {
                return Ok("kept down by another fault".into());
            }
            target.start(node)
        })
    }
}
