//! Where orders come from: the engines.

use histories::Operations;
use rayon::prelude::*;

use super::{CertifyError, PartOrder};
use crate::limits::{Budget, Exhausted};
use crate::linearizability::name_of;
use crate::mend::mend;
use crate::monitors::{self, Replayed};
use crate::normalise::{self, Part};
use crate::{Cancel, Limits, Model, Monitored, registers, search};

/// [`certify`](super::certify) for any model: the orders alone.
///
/// # Errors
///
/// When an operation means nothing to the model, a limit is reached, or the history is not
/// linearizable.
pub fn certify_of<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Vec<PartOrder>, CertifyError> {
    let parts = normalise::parts(model, operations)?;
    let budget = Budget::new(limits, cancel);
    let work = || {
        let parts = parts.par_iter();
        parts
            .map(|part| certify_part(model, operations, part, &budget))
            .collect()
    };
    // Where the system gives no threads, this one does it all.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(limits.threads)
        .build();
    match pool {
        Ok(pool) if parts.len() > 1 => pool.install(work),
        _ => parts
            .iter()
            .map(|part| certify_part(model, operations, part, &budget))
            .collect(),
    }
}

fn certify_part<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    part: &Part<M::Op>,
    budget: &Budget,
) -> Result<PartOrder, CertifyError> {
    let name = || name_of(part.key.as_ref());
    match order_of_part(model, part, budget) {
        Ok(Some(order)) => {
            let index = |&source: &u32| operations.packed(source as usize).invoked.index;
            Ok(PartOrder {
                part: part.key.as_ref().map(ToString::to_string),
                order: order.iter().map(index).collect(),
            })
        }
        Ok(None) => Err(CertifyError::NotLinearizable { part: name() }),
        Err(limit) => Err(CertifyError::Limit {
            part: name(),
            limit: match limit {
                Exhausted::Time => "the time limit",
                Exhausted::Memory => "the memory limit",
                Exhausted::Nodes | Exhausted::Cancelled => "the limit of work",
            },
            operations: part.members.len(),
        }),
    }
}

/// An order of the part's operations, by their places in the caller's list: every completed one,
/// and of those of unknown outcome the ones that are needed. `None` when there is none.
///
/// The engines for registers are asked first. Whatever they answer is verified later, so that an
/// error of theirs can only ever cost a certificate.
fn order_of_part<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    budget: &Budget,
) -> Result<Option<Vec<u32>>, Exhausted> {
    budget.check()?;
    let initial = model.initial(part.key.as_ref());
    let history = part.intervals();
    let order = model.register_view(&initial, &history).and_then(|view| {
        let registers = part.registers(&view);
        match view.allows_more {
            true => mend(model, &initial, &history, &registers, budget),
            false => registers::order(&registers, budget),
        }
    });
    if let Some(order) = order {
        let source = |call: u32| part.members[call as usize].source;
        return Ok(Some(order.into_iter().map(source).collect()));
    }
    // Where the model's own algorithm finds an order, and it is one.
    if let Some(Monitored::Ordered(order)) = model.monitor(&initial, &history)
        && monitors::replay(model, &initial, &history, &order) == Replayed::Explains
    {
        let source = |call: usize| part.members[call].source;
        return Ok(Some(order.into_iter().map(source).collect()));
    }
    let problem = part.problem(model, true);
    let source = |call: u32| problem.calls[call as usize].source;
    let order = search::order(&problem, budget)?;
    Ok(order.map(|order| order.into_iter().map(source).collect()))
}
