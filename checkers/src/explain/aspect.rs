//! A violation that shows on one of the things that a state is made of, such as an element of a set.

use histories::Operations;

use crate::dispatch::{self, Finding, Violation};
use crate::limits::Budget;
use crate::normalise::Part;
use crate::subject::Subject;
use crate::{Model, Monitored};

/// How many things are looked at.
const THINGS_MAX: usize = 16;

/// What the operations do to one of the things that those which contradict each other are about, where
/// that has no order either. Then the whole has none: an order of it is an order of what is done to each
/// thing ([`Model::aspect`]).
pub(super) fn of_one_thing<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    violation: &Violation,
    budget: &Budget,
) -> Option<(Subject<M::Op>, Violation)> {
    let Subject::Part(part) = subject else {
        return None;
    };
    let hint = match (&violation.hint, violation.event) {
        (Some(hint), _) => hint.clone(),
        (None, Some(event)) => vec![part.moments.get(event)? >> 1],
        (None, None) => return None,
    };
    let ops: Vec<&M::Op> = hint
        .iter()
        .filter_map(|call| Some(&part.members.get(*call as usize)?.op))
        .collect();
    let among: Vec<&M::Op> = part.members.iter().map(|member| &member.op).collect();
    let mut things = model.things(&ops, &among);
    things.dedup();
    things.into_iter().take(THINGS_MAX).find_map(|thing| {
        let is_whole = |op: &M::Op| model.aspect(op, &thing).as_ref() == Some(op);
        if part.members.iter().all(|member| is_whole(&member.op)) {
            return None;
        }
        let seen = part.reread(|op| model.aspect(op, &thing));
        if violation.hint.is_none() {
            // Nobody knows yet whether it shows on this: only what is plain to see is asked for.
            let found = plainly(model, &seen)?;
            return Some((Subject::Part(seen), found));
        }
        let seen = Subject::Part(seen);
        match dispatch::decide(model, operations, &seen, budget, false) {
            Finding::Violated(found) => Some((seen, found)),
            _ => None,
        }
    })
}

/// That the model's own algorithm sees no order of this part, and at which return.
fn plainly<M: Model>(model: &M, seen: &Part<M::Op>) -> Option<Violation> {
    let history = seen.intervals();
    let calls = match model.monitor(&model.initial(seen.key.as_ref()), &history)? {
        Monitored::Violated(calls) => calls,
        Monitored::ViolatedAt(call) => vec![call],
        Monitored::Linearizable | Monitored::Ordered(_) => return None,
    };
    // The times are the numbers of moments.
    let ends = calls.into_iter().filter_map(|call| history[call].ends);
    Some(Violation {
        event: ends.max().map(|ends| ends as usize),
        ..Violation::default()
    })
}

/// The moment of the whole that is this one of what is seen of it.
pub(super) fn moment_of<Op>(seen: &Subject<Op>, moment: usize, whole: &Subject<Op>) -> Option<usize>
where
    Op: Clone + Eq + std::hash::Hash,
{
    let named = |subject: &Subject<Op>, moment: u32| (subject.source(moment >> 1), moment & 1);
    let wanted = named(seen, *seen.moments().get(moment)?);
    let mut moments = whole.moments().iter();
    moments.position(|moment| named(whole, *moment) == wanted)
}
