//! A part of a history, in whichever of two forms it was read.

use std::borrow::Cow;

use histories::{Operations, Value};

use crate::Model;
use crate::columns::RegisterPart;
use crate::normalise::{Member, Part};
use crate::registers::{Excerpt, OPEN, RegisterHistory};
use crate::search::Problem;

/// A part as a history of one register.
#[derive(Debug)]
pub(crate) struct InRegisters<'a> {
    pub history: Cow<'a, RegisterHistory>,
    /// As [`RegisterView::looks_ahead`](crate::RegisterView::looks_ahead).
    pub looks_ahead: bool,
    /// As [`RegisterView::allows_more`](crate::RegisterView::allows_more).
    pub allows_more: bool,
}

/// What is judged on its own.
#[derive(Debug)]
pub(crate) enum Subject<Op> {
    /// Operations as the model understands them.
    Part(Part<Op>),
    /// Accesses to a plain register, read without the model.
    Register(RegisterPart),
}

impl<Op: Clone + Eq + std::hash::Hash> Subject<Op> {
    /// Which part of the system, as [`Part::key`] says.
    pub(crate) fn key(&self) -> Option<&Value> {
        match self {
            Subject::Part(part) => part.key.as_ref(),
            Subject::Register(part) => part.key.as_ref(),
        }
    }

    /// How many operations there are that constrain something.
    pub(crate) fn operations(&self) -> usize {
        match self {
            Subject::Part(part) => part.members.len(),
            Subject::Register(part) => part.sources.len(),
        }
    }

    /// Beginnings and returns, as [`Part::moments`] says.
    pub(crate) fn moments(&self) -> &[u32] {
        match self {
            Subject::Part(part) => &part.moments,
            Subject::Register(part) => &part.history.moments,
        }
    }

    /// The place of a member in the caller's list.
    pub(crate) fn source(&self, member: u32) -> u32 {
        match self {
            Subject::Part(part) => part.members[member as usize].source,
            Subject::Register(part) => part.sources[member as usize],
        }
    }

    /// The part as the general engines take it.
    pub(crate) fn part<M: Model<Op = Op>>(
        &self,
        model: &M,
        operations: &Operations<'_>,
    ) -> Cow<'_, Part<Op>> {
        match self {
            Subject::Part(part) => Cow::Borrowed(part),
            Subject::Register(part) => {
                let member = |member: u32| self.member(member, model, operations);
                Cow::Owned(Part {
                    key: part.key.clone(),
                    members: (0..part.sources.len() as u32).filter_map(member).collect(),
                    moments: part.history.moments.clone(),
                })
            }
        }
    }

    /// The part as a history of one register, if it is one.
    pub(crate) fn registers<M: Model<Op = Op>>(&self, model: &M) -> Option<InRegisters<'_>> {
        match self {
            Subject::Part(part) => {
                let initial = model.initial(part.key.as_ref());
                let view = model.register_view(&initial, &part.intervals())?;
                Some(InRegisters {
                    history: Cow::Owned(part.registers(&view)),
                    looks_ahead: view.looks_ahead,
                    allows_more: view.allows_more,
                })
            }
            Subject::Register(part) => Some(InRegisters {
                history: Cow::Borrowed(&part.history),
                looks_ahead: false,
                allows_more: false,
            }),
        }
    }

    /// Whether the model can name the states that any of the updates leaves.
    pub(crate) fn names_states<M: Model<Op = Op>>(&self, model: &M) -> bool {
        match self {
            Subject::Part(part) => {
                let ops: Vec<&Op> = part.members.iter().map(|member| &member.op).collect();
                model.states_after(&ops, &[]).is_some()
            }
            Subject::Register(_) => true,
        }
    }

    /// An excerpt of [`Subject::registers`] as the general engines take it. Where what came before
    /// is left out, the states it may start from are those its start values stand for; the model
    /// must be able to name them ([`Subject::names_states`]).
    pub(crate) fn excerpt<'m, M: Model<Op = Op>>(
        &self,
        model: &'m M,
        operations: &Operations<'_>,
        excerpt: &Excerpt,
    ) -> Problem<'m, M> {
        let calls = excerpt.sources.iter().zip(&excerpt.history.calls);
        let part = Part {
            key: self.key().cloned(),
            members: calls
                .filter_map(|(&member, call)| {
                    Some(Member {
                        open: call.returns == OPEN,
                        ..self.member(member, model, operations)?
                    })
                })
                .collect(),
            moments: excerpt.history.moments.clone(),
        };
        let problem = part.problem(model, false);
        let rest: Vec<&Op> = part.members.iter().map(|member| &member.op).collect();
        let mut starts = Vec::new();
        for source in &excerpt.start_sources {
            match source {
                None => starts.push(problem.initial.clone()),
                Some(member) => {
                    let update = self.member(*member, model, operations);
                    let left = update.and_then(|update| model.states_after(&[&update.op], &rest));
                    starts.extend(left.unwrap_or_default());
                }
            }
        }
        problem.starting_from(starts)
    }

    /// One operation. A part that was read without the model has none the model does not know.
    fn member<M: Model<Op = Op>>(
        &self,
        member: u32,
        model: &M,
        operations: &Operations<'_>,
    ) -> Option<Member<Op>> {
        match self {
            Subject::Part(part) => part.members.get(member as usize).cloned(),
            Subject::Register(part) => {
                let source = *part.sources.get(member as usize)?;
                let op = model.parse(&operations.get(source as usize)).ok()??;
                let open = part.history.calls[member as usize].returns == OPEN;
                Some(Member { source, op, open })
            }
        }
    }
}
