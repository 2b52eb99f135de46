//! What faults of clocks have in common: they distort one clock of some nodes, and leave it as the
//! other faults of clocks in force have it.

use histories::Value;

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{
    Clock, ClockDrift, ClockFreeze, ClockJump, ClockStrobe, Distortion, Role, Target, TargetError,
    Unavailable, Undo,
};

/// A hundred years: further from now no clock can go in nanoseconds.
const OFFSET_MS_MAX: i64 = 100 * 365 * 24 * 3_600_000;

/// A fault of a clock. Every one of them is a fault.
pub(crate) trait OfClock {
    /// Which nodes.
    fn target(&self) -> Role;

    /// Which clock.
    fn clock(&self) -> Clock;

    /// What is wrong with it then.
    fn distortion(&self) -> Distortion;

    /// Whether a clock that is read right after shows it; some take a while.
    fn shows_at_once(&self) -> bool;

    /// As [`FaultKind::draw`].
    fn draw(draws: &mut Draws<'_>) -> Option<Self>
    where
        Self: Sized;

    /// As [`FaultKind::problem`].
    fn problem(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// Makes faults of clocks faults: a blanket implementation would leave no room for another family.
macro_rules! faults_of_clocks {
    ($($fault:ident),+) => {
        $(
        impl FaultKind for $fault {
            fn available(target: &dyn Target) -> Result<(), Unavailable> {
                target.clocks().map(drop)
            }

            fn draw(draws: &mut Draws<'_>) -> Option<Self> {
                <$fault as OfClock>::draw(draws)
            }

            fn problem(&self) -> Option<(&'static str, String)> {
                OfClock::problem(self)
            }

            fn aim(&self) -> Aim<'_> {
                Aim::Nodes(self.target())
            }

            /// Its nodes go on serving.
            fn takes_majority_down(&self) -> bool {
                false
            }

            fn undo(&self, prepared: &Prepared) -> Undo {
                Undo::TrueTime(prepared.targets.clone())
            }

            fn inject(
                &self,
                id: u64,
                prepared: &Prepared,
                target: &dyn Target,
                standing: &mut Standing,
            ) -> Effect {
                let mut effect = Effect::on_each(&prepared.targets, |node| {
                    // In force even if the call fails: some of the node's processes may be changed.
                    let clocks = standing
                        .clocks
                        .entry((node.clone(), self.clock()))
                        .or_default();
                    clocks.push((id, self.distortion()));
                    set(target, node, self.clock(), clocks)
                });
                effect.effective = match (self.shows_at_once(), effect.any(has_processes)) {
                    (true, _) => Some(effect.any(is_changed)),
                    (false, true) => None,
                    (false, false) => Some(false),
                };
                effect
            }

            fn heal(
                &self,
                id: u64,
                prepared: &Prepared,
                target: &dyn Target,
                standing: &mut Standing,
            ) -> Effect {
                let mut effect = Effect::on_each(&prepared.targets, |node| {
                    let clocks = standing
                        .clocks
                        .entry((node.clone(), self.clock()))
                        .or_default();
                    clocks.retain(|(fault, _)| *fault != id);
                    set(target, node, self.clock(), clocks)
                });
                // A strobe is healed in its right half as often as in the other.
                effect.effective = match (effect.any(is_changed), self.shows_at_once()) {
                    (true, _) => Some(true),
                    (false, false) if effect.any(has_processes) => Some(false),
                    (false, _) => None,
                };
                effect
            }
        }
        )+
    };
}

faults_of_clocks!(ClockDrift, ClockFreeze, ClockJump, ClockStrobe);

/// Why an offset is too large, if it is.
pub(crate) fn too_far(field: &'static str, offset_ms: i64) -> Option<(&'static str, String)> {
    (offset_ms.unsigned_abs() > OFFSET_MS_MAX.unsigned_abs()).then(|| {
        (
            field,
            format!("{offset_ms} is beyond {OFFSET_MS_MAX}, a hundred years"),
        )
    })
}

/// Why the clock is not one for this fault, if it is not.
pub(crate) fn only_realtime(clock: Clock, fault: &str) -> Option<(&'static str, String)> {
    (clock == Clock::Monotonic).then(|| {
        let why = format!(
            "a {fault} of the monotonic clock is refused, for it never jumps on a real machine, and \
             every wait until a time by it would last as much longer (hint: drift or freeze it)"
        );
        ("clock", why)
    })
}

fn set(
    target: &dyn Target,
    node: &str,
    clock: Clock,
    distortions: &[(u64, Distortion)],
) -> Result<Value, TargetError> {
    let clocks = target
        .clocks()
        .map_err(|why| TargetError(why.to_string()))?;
    clocks.set_distortions(node, clock, distortions)
}

/// The processes that evidence of one node tells of.
fn processes(evidence: &Value) -> &[Value] {
    evidence
        .get("processes")
        .and_then(Value::as_list)
        .unwrap_or_default()
}

fn has_processes(evidence: &Value) -> bool {
    !processes(evidence).is_empty()
}

/// Whether any process of a node saw its clock change by more than the reading may be wrong.
fn is_changed(evidence: &Value) -> bool {
    let is_changed = |process: &Value| {
        let number = |name| {
            process
                .get(name)
                .and_then(Value::as_int)
                .unwrap_or_default()
        };
        let change_us = number("after_us").saturating_sub(number("before_us"));
        change_us.saturating_abs() > number("within_us").saturating_mul(2)
    };
    processes(evidence).iter().any(is_changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn prepared(fault: &impl FaultKind) -> Prepared {
        fault.prepare(&["n1".into(), "n2".into()], Some("n1"))
    }

    #[test]
    fn faults_of_one_clock_add_up_and_are_healed_apart() {
        let (fake, mut standing) = (Fake::new(2), Standing::default());
        let (jump, drift) = (ClockJump::default(), ClockDrift::default());
        let freeze = ClockFreeze {
            clock: Clock::Monotonic,
            ..ClockFreeze::default()
        };
        let hit = prepared(&jump);
        assert_eq!(
            jump.inject(1, &hit, &fake, &mut standing).effective,
            Some(true)
        );
        assert_eq!(drift.inject(2, &hit, &fake, &mut standing).effective, None);
        assert_eq!(freeze.inject(3, &hit, &fake, &mut standing).effective, None);
        assert_eq!(
            jump.heal(1, &hit, &fake, &mut standing).effective,
            Some(true)
        );
        assert_eq!(
            freeze.heal(3, &hit, &fake, &mut standing).effective,
            Some(true)
        );
        assert_eq!(
            drift.heal(2, &hit, &fake, &mut standing).effective,
            Some(true)
        );
        assert_eq!(
            drift.heal(2, &hit, &fake, &mut standing).effective,
            Some(false)
        );
        assert!(fake.is_whole());
        let expected = [
            "clock realtime n1 [1]",
            "clock realtime n1 [1, 2]",
            "clock monotonic n1 [3]",
            "clock realtime n1 [2]",
            "clock monotonic n1 []",
            "clock realtime n1 []",
            "clock realtime n1 []",
        ];
        assert_eq!(fake.log.lines(), expected);
    }

    #[test]
    fn a_node_that_is_down_shows_no_effect() {
        let (fake, mut standing) = (Fake::new(2), Standing::default());
        fake.kill("n1").unwrap();
        let (jump, freeze) = (ClockJump::default(), ClockFreeze::default());
        let hit = prepared(&jump);
        assert_eq!(
            jump.inject(1, &hit, &fake, &mut standing).effective,
            Some(false)
        );
        assert_eq!(
            freeze.inject(2, &hit, &fake, &mut standing).effective,
            Some(false)
        );
        assert_eq!(jump.heal(1, &hit, &fake, &mut standing).effective, None);
        assert_eq!(freeze.heal(2, &hit, &fake, &mut standing).effective, None);
    }

    #[test]
    fn what_no_clock_can_do_is_refused_by_its_field() {
        let (jump, drift) = (ClockJump::default(), ClockDrift::default());
        let strobe = ClockStrobe::default();
        let clock = Clock::Monotonic;
        let jumps = [
            (jump, None),
            (
                ClockJump {
                    offset_ms: 0,
                    ..jump
                },
                Some("offset_ms"),
            ),
            (
                ClockJump {
                    offset_ms: i64::MIN,
                    ..jump
                },
                Some("offset_ms"),
            ),
            (ClockJump { clock, ..jump }, Some("clock")),
        ];
        for (jump, field) in jumps {
            assert_eq!(
                FaultKind::problem(&jump).map(|(field, _)| field),
                field,
                "{jump:?}"
            );
        }
        let drifts = [
            (drift, None),
            (
                ClockDrift {
                    rate_ppm: 0,
                    ..drift
                },
                Some("rate_ppm"),
            ),
            (
                ClockDrift {
                    rate_ppm: -1_000_001,
                    ..drift
                },
                Some("rate_ppm"),
            ),
            (
                ClockDrift {
                    rate_ppm: 9_000_001,
                    ..drift
                },
                Some("rate_ppm"),
            ),
            (ClockDrift { clock, ..drift }, Some("rate_ppm")),
            (
                ClockDrift {
                    clock,
                    rate_ppm: -1_000_000,
                    ..drift
                },
                None,
            ),
        ];
        for (drift, field) in drifts {
            assert_eq!(
                FaultKind::problem(&drift).map(|(field, _)| field),
                field,
                "{drift:?}"
            );
        }
        let strobes = [
            (strobe, None),
            (
                ClockStrobe {
                    period_ms: 0,
                    ..strobe
                },
                Some("period_ms"),
            ),
            (
                ClockStrobe {
                    offset_ms: 0,
                    ..strobe
                },
                Some("offset_ms"),
            ),
            (ClockStrobe { clock, ..strobe }, Some("clock")),
        ];
        for (strobe, field) in strobes {
            assert_eq!(
                FaultKind::problem(&strobe).map(|(field, _)| field),
                field,
                "{strobe:?}"
            );
        }
    }
}
