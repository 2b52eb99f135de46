//! What the faults of disks that last have in common: a rule is imposed on each node's disk, and
//! lifted; a node that ended of it is started.

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{
    CrashPoint, DiskFull, DiskRule, IoError, LyingFsync, Role, SlowFsync, Target, TargetError,
    TornWrite, Unavailable, Undo,
};

/// Whom faults of single disks hit, by weight.
pub(crate) const TARGETS: [Role; 6] = [
    Role::Leader,
    Role::Leader,
    Role::Follower,
    Role::One,
    Role::Minority,
    Role::Majority,
];

/// A fault that is a rule of a disk, and nothing more.
pub(crate) trait DiskFault: Sized {
    /// One for a drawn schedule.
    fn draw(draws: &mut Draws<'_>) -> Option<Self>;

    /// Which nodes.
    fn target(&self) -> Role;

    /// What is imposed on their disks.
    fn rule(&self) -> DiskRule;

    /// What is wrong with parameters written by hand.
    fn problem(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// What holds for every fault that is a rule of a disk. A generic implementation would contradict
/// that of the clocks' faults, for all the compiler knows.
macro_rules! disk_faults {
    ($($kind:ident),+) => {$(
        impl FaultKind for $kind {
            fn available(target: &dyn Target) -> Result<(), Unavailable> {
                target.disks().map(|_| ())
            }

            fn draw(draws: &mut Draws<'_>) -> Option<Self> {
                <$kind as DiskFault>::draw(draws)
            }

            fn problem(&self) -> Option<(&'static str, String)> {
                DiskFault::problem(self)
            }

            fn aim(&self) -> Aim<'_> {
                Aim::Nodes(self.target())
            }

            fn undo(&self, prepared: &Prepared) -> Undo {
                Undo::Mend(prepared.targets.clone())
            }

            fn inject(
                &self,
                id: u64,
                prepared: &Prepared,
                target: &dyn Target,
                _: &mut Standing,
            ) -> Effect {
                let rule = self.rule();
                Effect::on_each(&prepared.targets, |node| {
                    disks(target)?.impose(node, id, &rule)
                })
            }

            fn heal(
                &self,
                id: u64,
                prepared: &Prepared,
                target: &dyn Target,
                standing: &mut Standing,
            ) -> Effect {
                let mut effect = Effect::on_each(&prepared.targets, |node| {
                    let hits = disks(target)?.lift(node, id)?;
                    if !standing.down.is_held(node) {
                        target.start(node)?;
                    }
                    Ok(hits)
                });
                let hit = |evidence: &histories::Value| {
                    let hits = evidence.get("hits").and_then(histories::Value::as_int);
                    hits.is_some_and(|hits| hits > 0)
                };
                effect.effective = Some(effect.any(hit));
                effect
            }
        }
    )+};
}

disk_faults!(
    CrashPoint, DiskFull, IoError, LyingFsync, SlowFsync, TornWrite
);

/// The disks, which were there when the run began.
pub(crate) fn disks(target: &dyn Target) -> Result<&dyn crate::Disks, TargetError> {
    target.disks().map_err(|why| TargetError(why.to_string()))
}

/// What is wrong with a pattern: an empty one matches nothing.
pub(crate) fn pattern_problem(path: &str) -> Option<(&'static str, String)> {
    path.is_empty()
        .then(|| ("path", "a pattern such as \"*\" or \"wal/*\"".to_owned()))
}

/// What is wrong with a number that must lie in a range.
pub(crate) fn range_problem(
    field: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Option<(&'static str, String)> {
    (!range.contains(&value)).then(|| (field, format!("{} to {}", range.start(), range.end())))
}
