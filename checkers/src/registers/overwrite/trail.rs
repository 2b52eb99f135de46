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

    /// No decisions yet, from this value on.
    fn start(&mut self, value: u32) -> Self::Mark;
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

    fn start(&mut self, _value: u32) {}

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

/// Stands before the first decision.
const NONE: u32 = u32::MAX;
/// Up to so many decisions are kept without looking for ones no longer needed.
const KEPT_MIN: usize = 1 << 16;

/// Keeps the decisions as a tree, of which only the branches still in use are kept.
#[derive(Debug, Default)]
pub(super) struct Told {
    decisions: Vec<Decided>,
    /// How many were in use when last looked.
    in_use: usize,
}

/// A decision and the one before it.
#[derive(Debug, Clone, Copy)]
struct Decided {
    before: u32,
    /// The call's number, times two, plus one if it is hidden; of a start the value.
    call: u32,
    moment: u32,
}

impl Trail for Told {
    type Mark = u32;

    fn start(&mut self, value: u32) -> u32 {
        self.push(Decided {
            before: NONE,
            call: value,
            moment: 0,
        })
    }

    fn add(&mut self, before: u32, step: Step) -> u32 {
        self.push(Decided {
            before,
            call: step.call << 1 | u32::from(step.hidden),
            moment: step.moment as u32,
        })
    }

    fn wants_compaction(&self) -> bool {
        self.decisions.len() > KEPT_MIN + 2 * self.in_use
    }

    fn compact(&mut self, marks: &mut [&mut u32]) {
        let mut numbers = vec![NONE; self.decisions.len()];
        for mark in marks.iter() {
            numbers[**mark as usize] = 0;
        }
        // What is before comes earlier in the list.
        for at in (0..self.decisions.len()).rev() {
            let before = self.decisions[at].before;
            if numbers[at] != NONE && before != NONE {
                numbers[before as usize] = 0;
            }
        }
        let mut kept = 0;
        for at in 0..self.decisions.len() {
            if numbers[at] != NONE {
                let mut decided = self.decisions[at];
                if decided.before != NONE {
                    decided.before = numbers[decided.before as usize];
                }
                self.decisions[kept] = decided;
                numbers[at] = kept as u32;
                kept += 1;
            }
        }
        self.decisions.truncate(kept);
        self.in_use = kept;
        for mark in marks.iter_mut() {
            **mark = numbers[**mark as usize];
        }
    }

    fn bytes(&self) -> usize {
        self.decisions.capacity() * size_of::<Decided>()
    }
}

impl Told {
    fn push(&mut self, decided: Decided) -> u32 {
        self.decisions.push(decided);
        self.decisions.len() as u32 - 1
    }

    /// The value at the start, and the decisions in order of time.
    pub(super) fn steps(&self, mark: u32) -> (u32, Vec<Step>) {
        let mut steps = Vec::new();
        let mut at = self.decisions[mark as usize];
        while at.before != NONE {
            steps.push(Step {
                call: at.call >> 1,
                hidden: at.call & 1 == 1,
                moment: u64::from(at.moment),
            });
            at = self.decisions[at.before as usize];
        }
        steps.reverse();
        (at.call, steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compaction keeps the branches in use, whole, and no other.
    #[test]
    fn branches_in_use_are_kept() {
        let step = |call| Step {
            call,
            hidden: call % 2 == 1,
            moment: u64::from(call) * 3,
        };
        let mut told = Told::default();
        let start = told.start(7);
        let (mut kept, mut lost) = (start, start);
        for call in 0..100 {
            lost = told.add(lost, step(1000 + call));
            kept = told.add(kept, step(call));
        }
        let branch = told.add(kept, step(100));
        let (mut mark, mut other) = (kept, branch);
        told.compact(&mut [&mut mark, &mut other]);
        assert_eq!(told.decisions.len(), 102);
        assert_eq!(told.steps(mark), (7, (0..100).map(step).collect()));
        assert_eq!(told.steps(other), (7, (0..101).map(step).collect()));
    }
}
