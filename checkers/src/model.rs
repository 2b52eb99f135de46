//! What a system should do when nothing happens at the same time: sequential specifications.

use std::fmt::{self, Debug};
use std::hash::Hash;

use histories::{Operation, Outcome, Value};
use rustc_hash::FxHashSet;

use crate::oracle::Interval;
use crate::{Access, RegisterView};

/// The longest value shown whole in a sentence, in characters.
const BRIEF_MAX: usize = 60;

/// A sequential specification: an initial state and a pure step.
///
/// A search calls [`Model::step`] very often and keeps many states, so states should be cheap to
/// clone, compare and hash. Two operations that are equal as `Op` must behave the same in every
/// state (an `Op` includes what was observed): searches treat them as interchangeable.
///
/// The methods with a body are hints: they make searches faster and explanations better, and are
/// always right as they are. An operation whose answer is unknown must step as it may have done; where
/// what it did depends on a choice that nobody saw, let the state say what is known of the choice.
///
/// A model in full, of a register that only grows:
///
/// ```
/// use checkers::{Cancel, Limits, Model, ModelError, Verdict, linearizability_of};
/// use histories::{Operation, Outcome, Value};
///
/// struct MaxRegister;
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// enum Op {
///     Write(i64),
///     Read(i64),
/// }
///
/// impl Model for MaxRegister {
///     type State = i64;
///     type Op = Op;
///
///     fn name(&self) -> &'static str {
///         "max-register"
///     }
///     fn parse(&self, operation: &Operation) -> Result<Option<Op>, ModelError> {
///         let (input, output) = (operation.input.as_int(), operation.output.as_int());
///         match (&*operation.f, operation.outcome, input, output) {
///             ("write", _, Some(value), _) => Ok(Some(Op::Write(value))),
///             ("read", Outcome::Ok, _, Some(found)) => Ok(Some(Op::Read(found))),
///             ("read", Outcome::Info, ..) => Ok(None),
///             (f, ..) => Err(ModelError::new(self.name(), operation, f, "write or read")),
///         }
///     }
///     fn part(&self, operation: &Operation, _op: &Op) -> Option<Value> {
///         Some(operation.key.clone().unwrap_or_default())
///     }
///     fn initial(&self, _part: Option<&Value>) -> i64 {
///         0
///     }
///     fn step(&self, state: &i64, op: &Op) -> Option<i64> {
///         match op {
///             Op::Write(value) => Some(*state.max(value)),
///             Op::Read(found) => (state == found).then_some(*state),
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorded = br#"
/// {:process 0, :type :invoke, :f :write, :value 5}
/// {:process 0, :type :ok, :f :write, :value 5}
/// {:process 1, :type :invoke, :f :write, :value 3}
/// {:process 1, :type :ok, :f :write, :value 3}
/// {:process 0, :type :invoke, :f :read, :value nil}
/// {:process 0, :type :ok, :f :read, :value 3}
/// "#;
/// let history = histories::read("recorded", recorded, None)?;
/// let (limits, cancel) = (Limits::default(), Cancel::new());
/// let judged = linearizability_of(&MaxRegister, &history.operations(), &limits, &cancel)?;
/// assert_eq!(judged.check.verdict, Verdict::Invalid);
/// # Ok(())
/// # }
/// ```
///
/// Whoever gives hints should let [`laws::check`](crate::laws::check) try them.
pub trait Model: Send + Sync {
    /// The state of one part of the system, as [`Model::part`] divides it.
    type State: Clone + Eq + Hash + Debug + Send;
    /// An operation together with what it is known to have observed.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;

    /// The name people select it by.
    fn name(&self) -> &'static str;

    /// What the operation means to this model.
    ///
    /// `None` when it constrains nothing, e.g. a read whose result nobody knows. Operations of
    /// outcome `Fail` are never asked for. For the outcome `Info` the output is unknown, and the
    /// operation must step wherever any output would be possible.
    fn parse(&self, operation: &Operation) -> Result<Option<Self::Op>, ModelError>;

    /// The part of the system this operation is confined to: parts never influence each other
    /// and are judged on their own (Horn and Kroening, "Faster linearizability checking via
    /// P-compositionality", 2015). `None` when it touches more than one part: then the whole
    /// history is judged as one.
    fn part(&self, operation: &Operation, op: &Self::Op) -> Option<Value>;

    /// Other parts that the operation touches as well: all parts that operations join, directly or
    /// through each other, are judged together, and apart from all others.
    fn joins(&self, _operation: &Operation, _op: &Self::Op) -> Vec<Value> {
        Vec::new()
    }

    /// A part as seen by someone who does not know the operations still to come: no other operation
    /// will ever join it with another. `None` when this one touches everything, or when that cannot
    /// be said: a check while the history is being made ([`crate::Online`]) then judges the whole
    /// history as one, from the start.
    fn realm(&self, operation: &Operation, op: &Self::Op) -> Option<Value> {
        match self.joins(operation, op).is_empty() {
            true => self.part(operation, op),
            false => None,
        }
    }

    /// The state at the start, of one part, of several that are joined (a list of them), or
    /// (`None`) of the whole.
    fn initial(&self, part: Option<&Value>) -> Self::State;

    /// The state after the operation, or `None` when it cannot happen in this state with what it
    /// observed.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether the operation never changes any state (it is legal or not, and that is all).
    fn is_observer(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Says of each distinct `open` update (outcome unknown) whether it can be left out because
    /// nothing among the `completed` operations, nor any open one that stays in, could ever tell
    /// that it happened (`checker.md` R4). Saying `false` is always right. The history starts from
    /// one of `starts`: the initial state, or where the model can name them ([`Model::states_after`],
    /// [`Model::leaves`]) any others.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        _completed: &[&Self::Op],
        open: &[&Self::Op],
    ) -> Vec<bool> {
        vec![false; open.len()]
    }

    /// States that stand for every state that these updates can leave, whatever was there before
    /// and in whatever order they happen, as far as the `rest` of a history (each operation as
    /// often as it is in there) can tell: where some of the rest can happen one after the other
    /// from a state that was left, they can from one of those named, too. Naming all, and more, is
    /// always right; `None` where they are too many to name. It allows to show a violation without
    /// all that happened before it.
    fn states_after(
        &self,
        _updates: &[&Self::Op],
        _rest: &[&Self::Op],
    ) -> Option<Vec<Self::State>> {
        None
    }

    /// The only state there can be right after the operation, whatever was there before, in a
    /// history of only the operations `among` (which are all there are): that of a read of
    /// everything, or of a write of everything. `None` where that is not known. It allows to show a
    /// violation without all that happened before such an operation.
    fn leaves(&self, _op: &Self::Op, _among: &[&Self::Op]) -> Option<Self::State> {
        None
    }

    /// What the operation must find and what it leaves, where the state is values at places; `None` when
    /// that cannot be said. After an operation that leaves a value at a place, no operation can happen that
    /// finds another value there, until one that leaves that other value there has. A search that
    /// knows it of all operations of a part does not leave a value behind that somebody must still
    /// find and nobody brings back (`checker.md` R6).
    fn touches(&self, _op: &Self::Op) -> Option<Touches> {
        None
    }

    /// What the operation puts into a container or takes out of it, where the state is what was put in
    /// and not yet taken, in whatever order ([`Model::contents`] names it); `None` for one that moves
    /// nothing. What was taken too often is then seen without a search, and of the operations of unknown
    /// outcome that take whatever there is, no more are looked at than can have found something.
    fn moves(&self, _op: &Self::Op) -> Option<Moves> {
        None
    }

    /// What a container holds in this state, in any order, each value as often as it is in there;
    /// `None` for a model that is none.
    fn contents(&self, _state: &Self::State) -> Option<Vec<Value>> {
        None
    }

    /// Things that the state is made of (elements of a set or of a list) on which it may show that these
    /// operations contradict each other, or others of those that are there, `among`; by names that
    /// [`Model::aspect`] knows, the likely ones first. Any, and none, is right.
    fn things(&self, _ops: &[&Self::Op], _among: &[&Self::Op]) -> Vec<Value> {
        Vec::new()
    }

    /// What the operation does to one thing alone, as an operation of its own; `None` where that is
    /// nothing. Whatever operations can happen one after the other from the initial state, what they
    /// do to one thing can, too. Of a violation that shows on one thing it leaves only what concerns
    /// that.
    fn aspect(&self, _op: &Self::Op, _thing: &Value) -> Option<Self::Op> {
        None
    }

    /// What the operation leaves for good, or finds of what was left, where updates can be told in what
    /// is observed, and at which place: marks at others have nothing to do with it. `None` for an operation
    /// of which nothing of the kind can be said. Of a history that is not linearizable it shows what holds
    /// all the same ([`crate::Guarantees`]).
    fn marks(&self, _op: &Self::Op) -> Option<(Value, Marks)> {
        None
    }

    /// The history of one part as a history of a single register, where it is one in disguise: it
    /// must have an order exactly when the view has one (or only then, if the view says that it
    /// [allows more](RegisterView::allows_more)), also for any of its prefixes and with any
    /// operations made of unknown outcome, unless the view says that it
    /// [looks ahead](RegisterView::looks_ahead). `None` where it is not, or not this history.
    ///
    /// The times of intervals are all distinct; the intervals need not be sorted.
    fn register_view(
        &self,
        _initial: &Self::State,
        _history: &[Interval<Self::Op>],
    ) -> Option<RegisterView> {
        None
    }

    /// What the operation does to a single register, for a model of which every part is a register
    /// and every operation an access to it ([`Model::held`] names its value).
    fn access(&self, _op: &Self::Op) -> Option<Access<Value>> {
        None
    }

    /// The value of the register in this state, for such a model.
    fn held(&self, _state: &Self::State) -> Option<Value> {
        None
    }

    /// Decides the history of one part by a polynomial algorithm that this model has and others do
    /// not (`checker.md` section 4); `None` where it does not apply to this history. The same
    /// intervals as for [`Model::register_view`].
    fn monitor(
        &self,
        _initial: &Self::State,
        _history: &[Interval<Self::Op>],
    ) -> Option<Monitored> {
        None
    }

    /// How much memory a state takes, in bytes, what it holds on the heap included.
    fn state_bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// The operation as a person says it, e.g. `read 7`, `write 8`.
    fn describe(&self, op: &Self::Op) -> String {
        format!("{op:?}")
    }

    /// The state as a person says it, e.g. `the value is 8`.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("the state is {state:?}")
    }

    /// The value the operation observed, for models of one value: what the explanation of a
    /// violation follows back to its writer.
    fn observed(&self, _op: &Self::Op) -> Option<Value> {
        None
    }

    /// The value the operation leaves behind in every state in which it can happen, likewise.
    fn written(&self, _op: &Self::Op) -> Option<Value> {
        None
    }

    /// Whether the observation shows that the update had not happened, or that what it left was
    /// overwritten (by an operation of which [`Model::written`] names the value); likewise.
    fn lacks(&self, _observation: &Self::Op, _update: &Self::Op) -> bool {
        false
    }
}

/// Values at places, as [`Model::touches`] says: each pair is a place and a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// What must be there for the operation to happen.
    pub finds: Vec<(Value, Value)>,
    /// What is there afterwards.
    pub leaves: Vec<(Value, Value)>,
}

/// What an operation puts into a container or takes out of it, as [`Model::moves`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moves {
    /// Puts this value in.
    Puts(Value),
    /// Takes this value out, which is in there.
    Takes(Value),
    /// Takes out one of the values in there; where there is none it leaves everything as it is.
    TakesAny,
}

/// What updates leave for good and observations find of it, as [`Model::marks`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marks {
    /// The update adds this element: whoever observes later finds it, unless it was removed.
    Adds(Value),
    /// The update may remove this element.
    Removes(Value),
    /// The observation found these elements, and no others.
    Finds {
        /// The elements.
        elements: Vec<Value>,
        /// Whether they are in order of their addition, and none was ever removed.
        in_order: bool,
    },
    /// The update left this level: whoever observes later finds no lower one.
    Leaves(i128),
    /// The observation found this level.
    Level(i128),
}

impl Marks {
    /// Whether it is of an observation.
    pub(crate) fn is_seen(&self) -> bool {
        matches!(self, Marks::Finds { .. } | Marks::Level(_))
    }

    /// The elements that were found.
    pub(crate) fn set(&self) -> Option<FxHashSet<&Value>> {
        match self {
            Marks::Finds { elements, .. } => Some(elements.iter().collect()),
            _ => None,
        }
    }

    /// Whether the observation does not show what an operation left or found that happened before
    /// it, but for the elements that somebody may have removed.
    pub(crate) fn is_behind(&self, earlier: &Marks, removed: &FxHashSet<Value>) -> bool {
        match (self, earlier) {
            (
                Marks::Finds {
                    elements,
                    in_order: true,
                },
                Marks::Finds {
                    elements: earlier,
                    in_order: true,
                },
            ) => !elements.starts_with(earlier),
            (
                Marks::Finds { .. },
                Marks::Finds {
                    elements: earlier, ..
                },
            ) => {
                let found = self.set().unwrap_or_default();
                let mut kept = earlier.iter().filter(|element| !removed.contains(element));
                kept.any(|element| !found.contains(element))
            }
            (Marks::Finds { elements, .. }, Marks::Adds(element)) => {
                !removed.contains(element) && !elements.contains(element)
            }
            (Marks::Level(found), Marks::Level(earlier) | Marks::Leaves(earlier)) => {
                found < earlier
            }
            _ => false,
        }
    }
}

/// What a [`Model::monitor`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Monitored {
    /// The history has an order.
    Linearizable,
    /// It has this one: places in the history, those of all completed operations and of some of
    /// unknown outcome. Whoever asked takes the steps to see that it is one.
    Ordered(Vec<usize>),
    /// It has none. These operations, by their places in the history, contradict each other: with
    /// every other operation of unknown outcome (observers left out) there is still no order.
    Violated(Vec<usize>),
    /// It has none, and the shortest beginning of it that has none ends with the return of this
    /// operation; which others contradict it was not found out.
    ViolatedAt(usize),
}

/// A value in a sentence: of a long one the beginning and the end.
pub(crate) fn brief(text: &str) -> String {
    let count = text.chars().count();
    if count <= BRIEF_MAX {
        return text.to_owned();
    }
    let half = BRIEF_MAX / 2 - 1;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{head}…{tail}")
}

/// What to make of a read that returned nil.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NilReads {
    /// It observed nil.
    #[default]
    Observe,
    /// Its value is not known: it constrains nothing (as in histories recorded for Knossos).
    Any,
}

/// An operation that a model cannot make sense of: the wrong model, or a broken history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError {
    /// The index of the invocation.
    pub index: u64,
    /// Its line in the file, where known.
    pub line: Option<u32>,
    /// The model.
    pub model: &'static str,
    /// What was found there.
    pub found: String,
    /// What the model expects.
    pub expected: String,
}

impl ModelError {
    /// An operation in which the model found something else than it expects; both as they stand
    /// in "operation 5 has *found*, but the model m expects *expected*".
    pub fn new(
        model: &'static str,
        operation: &Operation,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        ModelError {
            index: operation.invoked.index,
            line: operation.line,
            model,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// An operation of a name the model does not know.
    pub(crate) fn unknown_f(model: &'static str, operation: &Operation, expected: &str) -> Self {
        ModelError::new(
            model,
            operation,
            format!("an operation {:?}", operation.f),
            expected,
        )
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(
            f,
            "operation {} has {}, but the model {} expects {}",
            self.index, self.found, self.model, self.expected
        )
    }
}

impl std::error::Error for ModelError {}

/// What a compare-and-set that completed says: whether it swapped.
///
/// Histories say `true` or `false`; some only repeat the argument, or say nothing, and then `ok`
/// itself says that it swapped.
pub(crate) fn cas_swapped(model: &'static str, operation: &Operation) -> Result<bool, ModelError> {
    match &operation.output {
        Value::Bool(swapped) => Ok(*swapped),
        _ if is_done(operation) => Ok(true),
        output => Err(ModelError::new(
            model,
            operation,
            format!("a cas with the result {output}"),
            "true (it swapped) or false (it found another value)",
        )),
    }
}

/// The two values of a compare-and-set's argument: expected and new.
pub(crate) fn cas_input<'a>(
    model: &'static str,
    operation: &'a Operation,
) -> Result<(&'a Value, &'a Value), ModelError> {
    match operation.input.as_list() {
        Some([old, new]) => Ok((old, new)),
        _ => Err(ModelError::new(
            model,
            operation,
            format!("a cas with the argument {}", operation.input),
            "a list of two values, [expected new]",
        )),
    }
}

/// Whether the result of a change says that it was made and no more. Some histories repeat the argument
/// there, some have what the client printed.
pub(crate) fn is_done(operation: &Operation) -> bool {
    match &operation.output {
        Value::Nil | Value::Bool(true) => true,
        Value::Text(said) if said.is_empty() || said.eq_ignore_ascii_case("ok") => true,
        said => *said == operation.input,
    }
}

/// Makes sure that a change that completed was made, and that its result says no more.
pub(crate) fn took_effect(model: &'static str, operation: &Operation) -> Result<(), ModelError> {
    if is_done(operation) {
        return Ok(());
    }
    let (input, output) = (&operation.input, &operation.output);
    let shown = |value: &Value| brief(&value.to_string());
    let (f, input, output) = (&operation.f, shown(input), shown(output));
    let found = format!("{f} with the argument {input} and the result {output}");
    let expected = "nil, true or the argument (fail is for what did not take effect)";
    Err(ModelError::new(model, operation, found, expected))
}

/// Makes sure that an observation has no argument: one that is passed over might mean something.
/// Some histories have the result in its place, or lists of nil to be filled.
pub(crate) fn asks_nothing(model: &'static str, operation: &Operation) -> Result<(), ModelError> {
    let (input, output) = (&operation.input, &operation.output);
    if !is_known(operation) || is_blank(input) || input == output {
        return Ok(());
    }
    let shown = |value: &Value| brief(&value.to_string());
    let (f, input, output) = (&operation.f, shown(input), shown(output));
    let found = format!("{f} with the argument {input} and the result {output}");
    let are_tuples =
        [&operation.input, &operation.output].map(|value| value.as_list().map(<[Value]>::len));
    let expected = match are_tuples {
        [Some(2), Some(2) | None] => {
            "no argument (hint: --keys tuple takes keys out of values [key value])"
        }
        _ => "no argument",
    };
    Err(ModelError::new(model, operation, found, expected))
}

/// Nil, and lists of it.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(values) => values.iter().all(is_blank),
        _ => false,
    }
}

/// Whether the result of the operation is known.
pub(crate) fn is_known(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok
}
