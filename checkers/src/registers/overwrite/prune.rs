//! R9: configurations that differ only in what could be hidden.

use std::cmp::Reverse;

use super::config::Config;
use super::rules::{Condition, Rules};
use super::supply::Supply;
use super::window::Window;
use crate::search::Mask;

/// One configuration is compared with so many better ones at most, so that the time for large
/// sets does not grow with the square.
const COMPARED_MAX: usize = 512;

/// Removes the configurations that another one dominates: the same value and the same cas placed,
/// no later a cover, no fewer open calls used, no more observers placed, and of the writes placed
/// all that the other has placed (`checker.md` section 2.1, R9). Whatever can be completed from the
/// one can be completed from the other: it does without the observers it has more, and hides the
/// writes it has fewer when they return. That it can: a write is placed either as a cover or
/// behind one, so it began before the cover of every configuration that has placed it.
pub(super) fn prune<M: Mask, K: Copy>(
    configs: &mut Vec<Config<M, K>>,
    window: &Window<M>,
    supply: &Supply,
    rules: &Rules,
) {
    // Whoever dominates comes first.
    configs.sort_unstable_by_key(|config| {
        (
            config.state,
            Reverse(match rules.drops(Condition::PruneCover) {
                false => config.cover,
                true => 0,
            }),
            config.placed.and(&window.writes).len(),
            Reverse(config.placed.len()),
            supply.total(config.used),
        )
    });
    let mut kept = 0;
    let mut group = 0;
    for at in 0..configs.len() {
        if kept > 0 && configs[kept - 1].state != configs[at].state {
            group = kept;
        }
        let from = group.max(kept.saturating_sub(COMPARED_MAX));
        let config = &configs[at];
        let is_dominated = configs[from..kept]
            .iter()
            .any(|better| dominates(better, config, window, supply, rules));
        if !is_dominated {
            configs.swap(kept, at);
            kept += 1;
        }
    }
    configs.truncate(kept);
}

fn dominates<M: Mask, K>(
    better: &Config<M, K>,
    config: &Config<M, K>,
    window: &Window<M>,
    supply: &Supply,
    rules: &Rules,
) -> bool {
    let (mine, its) = (&better.placed, &config.placed);
    let more = mine.without(its);
    let fewer = its.without(mine);
    (more.and(&window.writes).is_empty() || rules.drops(Condition::PruneWrites))
        && (fewer.and(&window.reads).is_empty() && fewer.and(&window.nots).is_empty()
            || rules.drops(Condition::PruneObservers))
        && (more.and(&window.cas).is_empty() && fewer.and(&window.cas).is_empty()
            || rules.drops(Condition::PruneCas))
        && (supply.is_within(better.used, config.used) || rules.drops(Condition::PruneUsed))
}
