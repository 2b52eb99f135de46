//! How a configuration came about, kept only when asked for.

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The call that is placed.
    pub call: u32,
    /// Whether it is placed just before the last write rather than after everything.
    pub hidden: bool,
    /// The moment at which that was decided.
    pub moment: u64,
}

/// Keeps the decisions behind every configuration, or nothing.
pub(super) trait Trail: Default + std::fmt::Debug {
    /// Stands for all decisions behind a configuration.
    type Mark: Copy + std::fmt::Debug;

    /// No decisions.
    fn start() -> Self::Mark;
    /// One more decision.
    fn add(&mut self, before: Self::Mark, step: Step) -> Self::Mark;
    /// Whether enough was added since the last time that [`compact`](Trail::compact) pays.
    fn wants_compaction(&self) -> bool;
    /// Forgets the decisions that are behind none of these marks, which change.
    fn compact(&mut self, marks: &mut [&mut Self::Mark]);
    /// Memory held.
    fn bytes(&self) -> usize;
}

/// Keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Untold;

impl Trail for Untold {
    type Mark = ();

    fn start() {}

    #[inline(always)]
    fn add(&mut self, _before: (), _step: Step) {}

    fn wants_compaction(&self) -> bool {
        false
    }

    fn compact(&mut self, _marks: &mut [&mut ()]) {}

    fn bytes(&self) -> usize {
        0
    }
}
