//! Command: something that the system under test does when it is told to (compact, defragment, make a
//! snapshot, move the leader), by its own program.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::kind::{Effect, FaultKind, Prepared};
use crate::standing::Standing;
use crate::{Role, Target, TargetError, Unavailable, Undo};

/// Runs one of the commands that the system's definition has, once for each node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Command {
    /// About which nodes.
    pub target: Role,
    /// Which, by its name; empty for one after the other.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl FaultKind for Command {
    fn available(target: &dyn Target) -> Result<(), Unavailable> {
        target.commands().map(drop)
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let roles = [Role::One, Role::Leader, Role::Follower, Role::All];
        let target = draws.target_among("command", &roles)?;
        let name = String::new();
        Some(Command { target, name })
    }

    fn aim(&self) -> Aim<'_> {
        Aim::Nodes(self.target)
    }

    /// Its nodes go on serving.
    fn takes_majority_down(&self) -> bool {
        false
    }

    /// It is over at once; what lasts is what it led to.
    fn own_length_ms(&self, draws: &mut Draws<'_>) -> Option<u64> {
        Some(draws.between(50, 300))
    }

    fn undo(&self, _: &Prepared) -> Undo {
        Undo::Nothing
    }

    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        _: &mut Standing,
    ) -> Effect {
        let mut effect = Effect::on_each(&prepared.targets, |node| {
            let commands = target.commands();
            let commands = commands.map_err(|why| TargetError(why.to_string()))?;
            let names = commands.names();
            let number = usize::try_from(id).unwrap_or_default();
            let name = match names.get(number.checked_rem(names.len()).unwrap_or_default()) {
                Some(next) if self.name.is_empty() => next,
                _ => &self.name,
            };
            let said = commands.run(node, name)?;
            Ok(Value::Map(vec![
                ("command".into(), name.as_str().into()),
                ("said".into(), said),
            ]))
        });
        // One that fails is an error; one that ends well did what it was told.
        effect.effective = Some(effect.any(|_| true));
        effect
    }

    fn heal(&self, _: u64, _: &Prepared, _: &dyn Target, _: &mut Standing) -> Effect {
        Effect::default()
    }
}
