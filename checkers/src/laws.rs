//! A test of models: whether what a model says of itself is so.
//!
//! The checker believes a model's hints. A wrong hint would be a wrong verdict, so [`check`] tries
//! every one: on states reached by chance from the initial state, and on small histories made by
//! chance, judged by the brute-force [`oracle`](crate::oracle). It takes sample operations, as they
//! were recorded (a history, or a few lines of one), from which it makes up its own histories; what
//! the samples do not show is not tried, and [`Report::untried`] says so.
//!
//! ```
//! use checkers::laws::{self, Effort};
//! use checkers::{NilReads, Register};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorded = br#"
//! {:process 0, :type :invoke, :f :write, :value 1}
//! {:process 0, :type :ok, :f :write, :value 1}
//! {:process 0, :type :invoke, :f :read, :value nil}
//! {:process 0, :type :ok, :f :read, :value 1}
//! "#;
//! let samples = histories::read("samples", recorded, None)?.operations().to_vec();
//! let model = Register::new(0.into(), NilReads::Observe);
//! laws::check(&model, &samples, &Effort::default())?;
//! # Ok(())
//! # }
//! ```

mod guard;
mod samples;
mod states;
mod timed;

use std::fmt;

use histories::Operation;
use seeds::{Purpose, Stream};

use crate::Model;
use samples::Group;

/// What must hold of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// The samples mean something to the model.
    Samples,
    /// No method panics.
    NoPanic,
    /// [`Model::step`] gives the same whenever it is asked the same, and so does
    /// [`Model::parse`].
    Deterministic,
    /// Operations that are equal do the same in every state, and states that are equal cannot be
    /// told apart; what is equal has equal hashes.
    Equality,
    /// An operation of unknown outcome may have done what it would have done with any answer, and
    /// it is of the same part: [`Model::parse`], [`Model::part`] and [`Model::joins`].
    UnknownOutcome,
    /// Operations that touch different parts do not influence each other: [`Model::part`],
    /// [`Model::joins`]; and what is judged together is of one realm: [`Model::realm`]. Tried on
    /// parts that are joined or of one realm, and so have one state.
    Parts,
    /// [`Model::is_observer`]: it never changes a state.
    IsObserver,
    /// [`Model::states_after`] names every state that the updates can leave.
    StatesAfter,
    /// [`Model::leaves`]: there is no other state after the operation.
    Leaves,
    /// [`Model::observed`] and [`Model::written`]: what is observed was written last.
    Observed,
    /// [`Model::lacks`]: what an observation lacks it cannot have seen.
    Lacks,
    /// [`Model::marks`]: what an operation left or found, later observations show.
    Marks,
    /// [`Model::touches`]: what an operation left at a place stays there until another leaves something.
    Touches,
    /// [`Model::moves`] and [`Model::contents`]: what is moved is in the contents afterwards, or before.
    Moves,
    /// [`Model::things`] and [`Model::aspect`]: where operations can happen, what they do to one thing can.
    Aspect,
    /// [`Model::unobserved`]: what is left out changes no verdict.
    Unobserved,
    /// [`Model::register_view`] has an order exactly when the history has one; or always then, if it says that it
    /// allows more.
    RegisterView,
    /// [`Model::monitor`] decides as the oracle does, and blames operations that contradict each
    /// other.
    Monitor,
    /// The whole check, which believes all hints, decides as the oracle does.
    Verdict,
}

impl Law {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Law; 19] = [
        Law::Samples,
        Law::NoPanic,
        Law::Deterministic,
        Law::Equality,
        Law::UnknownOutcome,
        Law::Parts,
        Law::IsObserver,
        Law::StatesAfter,
        Law::Leaves,
        Law::Observed,
        Law::Lacks,
        Law::Marks,
        Law::Touches,
        Law::Moves,
        Law::Aspect,
        Law::Unobserved,
        Law::RegisterView,
        Law::Monitor,
        Law::Verdict,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Law::Samples => "samples",
            Law::NoPanic => "no panic",
            Law::Deterministic => "deterministic",
            Law::Equality => "equality",
            Law::UnknownOutcome => "unknown outcome",
            Law::Parts => "parts",
            Law::IsObserver => "is_observer",
            Law::StatesAfter => "states_after",
            Law::Leaves => "leaves",
            Law::Observed => "observed and written",
            Law::Lacks => "lacks",
            Law::Marks => "marks",
            Law::Touches => "touches",
            Law::Moves => "moves and contents",
            Law::Aspect => "things and aspect",
            Law::Unobserved => "unobserved",
            Law::RegisterView => "register_view",
            Law::Monitor => "monitor",
            Law::Verdict => "verdict",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much is tried, and by which chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// The same seed tries the same.
    pub seed: u64,
    /// How many parts of the system are looked at, of those that the samples are of.
    pub parts_max: usize,
    /// How many different operations of a part are tried.
    pub operations_max: usize,
    /// How many states of a part are reached.
    pub states_max: usize,
    /// How many histories of a part are made up for each law that is about histories.
    pub histories: u64,
    /// How many operations such a history has at most; no more than the oracle can take.
    pub history_operations_max: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Effort {
            seed: 1,
            parts_max: 4,
            operations_max: 48,
            states_max: 120,
            histories: 1_000,
            history_operations_max: 7,
        }
    }
}

/// What was tried, when no law was found broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    cases: [u64; Law::ALL.len()],
    /// How many of the histories made up for the laws had an order.
    pub linearizable: u64,
    /// How many had none.
    pub contradictory: u64,
}

impl Report {
    fn new() -> Self {
        Report {
            cases: [0; Law::ALL.len()],
            linearizable: 0,
            contradictory: 0,
        }
    }

    /// How many cases of a law were tried.
    pub fn cases(&self, law: Law) -> u64 {
        self.cases[law as usize]
    }

    /// The laws of which no case came up: the model does not give the hint, or not for anything
    /// that the samples show.
    pub fn untried(&self) -> Vec<Law> {
        let none = |law: &Law| self.cases(*law) == 0;
        Law::ALL.into_iter().filter(none).collect()
    }

    fn count(&mut self, law: Law, cases: u64) {
        self.cases[law as usize] += cases;
    }

    fn judged(&mut self, linearizable: bool) {
        match linearizable {
            true => self.linearizable += 1,
            false => self.contradictory += 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for law in Law::ALL {
            writeln!(f, "{law}: {} cases", self.cases(law))?;
        }
        let (good, bad) = (self.linearizable, self.contradictory);
        write!(f, "histories: {good} linearizable, {bad} not")
    }
}

/// A law that a model breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LawViolation {
    /// The model.
    pub model: &'static str,
    /// The law.
    pub law: Law,
    /// What the model says, and what is so instead.
    pub what: String,
    /// The state it is about, or that the history starts from.
    pub state: Option<String>,
    /// The operations it is about; those of a history with beginning and end. As few as possible.
    pub operations: Vec<String>,
}

impl fmt::Display for LawViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the model {} breaks the law \"{}\": {}",
            self.model, self.law, self.what
        )?;
        if let Some(state) = &self.state {
            write!(f, "\n  state: {state}")?;
        }
        for operation in &self.operations {
            write!(f, "\n  operation: {operation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LawViolation {}

/// Tries to catch a model breaking a law, on histories of operations like the samples.
///
/// Samples that completed are tried as of unknown outcome too; those that failed are not used.
///
/// # Errors
///
/// The first law found broken, with the smallest case found of it; also when there are no samples
/// that mean something to the model, or one that it refuses.
pub fn check<M: Model>(
    model: &M,
    samples: &[Operation],
    effort: &Effort,
) -> Result<Report, LawViolation> {
    let mut report = Report::new();
    let mut chance = Stream::new(effort.seed, Purpose::Client, 0);
    let groups = guard::guarded(model, "parse or part", || {
        samples::groups(model, samples, effort, &mut chance, &mut report)
    })??;
    for group in &groups {
        let mut trial = Trial {
            model,
            group,
            effort,
            report: &mut report,
            chance: &mut chance,
        };
        let states = guard::guarded(model, "step", || trial.reach_states())??;
        guard::guarded(model, "a hint", || trial.laws_of_states(&states))??;
        guard::guarded(model, "a hint", || trial.laws_of_histories(&states))??;
    }
    Ok(report)
}

/// The laws being tried on one part of the system.
struct Trial<'a, M: Model> {
    model: &'a M,
    group: &'a Group<M::Op>,
    effort: &'a Effort,
    report: &'a mut Report,
    chance: &'a mut Stream,
}

impl<M: Model> Trial<'_, M> {
    fn violation(
        &self,
        law: Law,
        what: String,
        state: Option<&M::State>,
        operations: Vec<String>,
    ) -> LawViolation {
        LawViolation {
            model: self.model.name(),
            law,
            what,
            state: state.map(|state| self.model.describe_state(state)),
            operations,
        }
    }
}

#[cfg(test)]
mod tests;
