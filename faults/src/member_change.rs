//! Member-change: nodes leave the cluster, or lose their vote in it, through the system's own
//! interface; healed by giving it back.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::{Aim, leader_choice};
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Name, Part, Role, Target, TargetError, Unavailable, Undo};

/// How long a change is waited for when it is taken back, in milliseconds.
const HEAL_WAIT_MS: u64 = 3_000;
/// The longest that a change may be waited for, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;

/// Takes nodes out of the cluster, or their vote, and gives it back. Their processes run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberChange {
    /// Which nodes, one after the other.
    pub target: Role,
    /// Whether they stay as learners, which are sent everything and have no vote.
    pub learner: bool,
    /// How long to wait until the cluster has agreed to each change, in milliseconds. What has been
    /// asked for by then may still come about.
    pub wait_ms: u64,
}

impl Default for MemberChange {
    fn default() -> Self {
        MemberChange {
            target: Role::Follower,
            learner: false,
            wait_ms: 2_000,
        }
    }
}

impl MemberChange {
    fn part(&self) -> Part {
        match self.learner {
            true => Part::Learner,
            false => Part::Outside,
        }
    }
}

impl FaultKind for MemberChange {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.membership().map(drop)
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let roles = [Role::Follower, Role::Leader, Role::One];
        let target = draws.target_among("member-change", &roles)?;
        let learner = draws.deal("member-change-learner", &[false, false, true])?;
        Some(MemberChange {
            target,
            learner,
            ..MemberChange::default()
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let range = 1..=WAIT_MS_MAX;
        (!range.contains(&self.wait_ms)).then(|| {
            let why = format!("{} ms, expected 1 to {WAIT_MS_MAX}", self.wait_ms);
            ("wait_ms", why)
        })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// A node that is down is a member all the same.
    fn preferred(&self, order: &[Name], _: &Standing) -> Vec<Name> {
        order.to_vec()
    }

    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        Prepared {
            // It is the leader that is asked, whomever it is about.
            choices: leader_choice(true, leader),
            ..self.aim().resolve(order, leader)
        }
    }

    fn undo(&self, prepared: &Prepared) -> Undo {
        Undo::Readmit(prepared.targets.clone())
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        let leader = prepared
            .choices
            .iter()
            .find(|(name, _)| *name == "leader".into());
        let leader = leader.and_then(|(_, node)| node.as_text());
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            // Held even if the call fails: the change may yet come about.
            standing.without_vote.hold(node, id);
            let members = target.membership().map_err(unavailable)?;
            members.change(node, self.part(), leader, self.wait_ms)
        });
        let node_has = |entry: &(Value, Value)| {
            let node = entry.0.as_text().unwrap_or_default();
            part_in(&entry.1, node) == Some(self.part())
        };
        let shown = match &effect.evidence {
            Value::Map(nodes) => nodes.iter().any(node_has),
            _ => false,
        };
        effect.effective = Some(shown);
        effect
    }

    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect {
        Effect::on_each(&prepared.targets, |node| {
            if !standing.without_vote.release(node, id) {
                return Ok("kept without a vote by another change".into());
            }
            let members = target.membership().map_err(unavailable)?;
            members.change(node, Part::Voter, None, HEAL_WAIT_MS)
        })
    }
}

fn unavailable(why: Unavailable) -> TargetError {
    TargetError(why.to_string())
}

/// The part that a node plays, as a report of the members says.
fn part_in(report: &Value, node: &str) -> Option<Part> {
    let Value::Map(entries) = report else {
        return None;
    };
    let list = |name: &str| {
        let (_, list) = entries.iter().find(|(key, _)| *key == name.into())?;
        let has = list
            .as_list()?
            .iter()
            .any(|known| known.as_text() == Some(node));
        Some(has)
    };
    Some(match (list("members")?, list("learners")?) {
        (_, true) => Part::Learner,
        (true, false) => Part::Voter,
        (false, false) => Part::Outside,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn inject(fake: &Fake, change: MemberChange, standing: &mut Standing, id: u64) -> Effect {
        let order = fake.nodes();
        let prepared = change.prepare(&order, Some("n1"));
        change.inject(id, &prepared, fake, standing)
    }

    #[test]
    fn a_node_leaves_and_comes_back_with_its_vote() {
        let fake = Fake::new(3);
        let mut standing = Standing::default();
        let leave = MemberChange::default();
        assert_eq!(inject(&fake, leave, &mut standing, 1).effective, Some(true));
        assert_eq!(fake.part_of("n2"), Part::Outside);
        let prepared = leave.prepare(&fake.nodes(), Some("n1"));
        leave.heal(1, &prepared, &fake, &mut standing);
        leave.heal(1, &prepared, &fake, &mut standing);
        assert_eq!(fake.part_of("n2"), Part::Voter);
    }

    #[test]
    fn a_node_comes_back_when_no_change_holds_it_any_more() {
        let fake = Fake::new(3);
        let mut standing = Standing::default();
        let learner = MemberChange {
            learner: true,
            ..MemberChange::default()
        };
        inject(&fake, learner, &mut standing, 1);
        inject(&fake, learner, &mut standing, 2);
        let prepared = learner.prepare(&fake.nodes(), Some("n1"));
        learner.heal(1, &prepared, &fake, &mut standing);
        assert_eq!(fake.part_of("n2"), Part::Learner);
        learner.heal(2, &prepared, &fake, &mut standing);
        assert_eq!(fake.part_of("n2"), Part::Voter);
    }

    #[test]
    fn a_change_that_was_not_made_has_no_effect() {
        let fake = Fake::new(3);
        fake.fail_after(Some(0));
        let effect = inject(&fake, MemberChange::default(), &mut Standing::default(), 1);
        assert_eq!((effect.effective, effect.errors.len()), (Some(false), 1));
    }
}
