//! The engines for registers one by one, for whoever wants to compare or to time them.
//! [`linearizability`](crate::linearizability) uses them all.

mod agree;

use histories::Operations;

use crate::columns::{self, RegisterPart};
use crate::limits::{Budget, Exhausted};
use crate::registers::overwrite::{self, Options};
use crate::registers::zones::{self, Zones};
use crate::search::Decision;
use crate::{Cancel, Limits, ModelOptions, Verdict};

pub use agree::disagreement;

/// An engine that decides histories of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Zones of unique values (Gibbons and Korach, 1997): linear time.
    Zones,
    /// The set of configurations with overwrites decided late (`checker.md` section 2.1).
    Set,
}

/// The histories of plain registers, one for each key, as the engines take them.
#[derive(Debug)]
pub struct Registers(Vec<RegisterPart>);

impl Registers {
    /// Reads the operations. `None` when the model is no plain register (`register`,
    /// `cas-register`), or does not know an operation.
    pub fn read(operations: &Operations<'_>, options: &ModelOptions) -> Option<Self> {
        let register = options.plain_register()?;
        columns::register_parts(operations, &register).map(Registers)
    }

    /// Decides by one engine alone, one key after another. `None` where the engine does not apply.
    pub fn decide(&self, engine: Engine, limits: &Limits, cancel: &Cancel) -> Option<Verdict> {
        let budget = Budget::new(limits, cancel);
        let mut worst = Verdict::Valid;
        for part in &self.0 {
            let verdict = match engine {
                Engine::Zones => match zones::decide(&part.history)? {
                    Zones::Linearizable => Verdict::Valid,
                    Zones::Violated { .. } => Verdict::Invalid,
                },
                Engine::Set => by_set(part, &budget),
            };
            worst = worst.max(verdict);
        }
        Some(worst)
    }
}

/// The set, with a bounded beam where that is not enough.
fn by_set(part: &RegisterPart, budget: &Budget) -> Verdict {
    let first = budget.with_nodes(part.history.moments.len() as u64 * 64 + 100_000);
    let verdict = |decision| match decision {
        Decision::Linearizable => Verdict::Valid,
        Decision::NotLinearizable { .. } => Verdict::Invalid,
        Decision::Undecided { .. } => Verdict::Unknown,
    };
    match overwrite::decide(&part.history, &Options::exact(true), &first).decision {
        Decision::Undecided {
            limit: Exhausted::Nodes,
            ..
        } => {}
        decision => return verdict(decision),
    }
    let mut search = overwrite::widening(&part.history, budget);
    loop {
        match search.advance(1 << 20) {
            crate::search::Progress::Done(decision) => return verdict(decision),
            crate::search::Progress::Paused if budget.check().is_ok() => {}
            _ => return Verdict::Unknown,
        }
    }
}
