//! What a bank shows on one account: how much there is at least, or at most.
//!
//! Of all that happens only what lowers the balance of one account is looked at, and reads. Where the
//! operations happen one after the other, the balance is never below what is left when all else is ignored, for
//! ignored are only payments into the account; and a read says exactly what there is, so that one can go on from that.
//! So a read that finds less than what is left contradicts what came before it. The other way round
//! with payments into the account, and reads that find more. Either way nothing that is ignored has to be shown.

use std::sync::Arc;

use histories::Value;

use super::{Balances, BankOp, Transfer, balance, set_balance};
use crate::Monitored;
use crate::oracle::Interval;

/// Which bound of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// There is at least so much.
    Floor,
    /// There is at most so much.
    Ceiling,
}

/// What an operation has to do with a bound of the balance of one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bound {
    account: Arc<str>,
    side: Side,
    does: Does,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Does {
    /// Moves the bound by this amount.
    Moves(i64),
    /// Found this balance.
    Finds(i64),
}

/// The names of what can be seen of these accounts.
pub(super) fn things<'a>(accounts: impl Iterator<Item = &'a Arc<str>>) -> Vec<Value> {
    let name = |account: &Arc<str>, side: &str| {
        Value::List(vec![Value::Text(Arc::clone(account)), side.into()])
    };
    accounts
        .flat_map(|account| [name(account, "floor"), name(account, "ceiling")])
        .collect()
}

/// What the operation has to do with this.
pub(super) fn aspect(op: &BankOp, thing: &Value) -> Option<BankOp> {
    let [Value::Text(account), side] = thing.as_list()? else {
        return None;
    };
    let side = match side.as_text()? {
        "floor" => Side::Floor,
        _ => Side::Ceiling,
    };
    let does = match op {
        BankOp::Read(found) => Does::Finds(balance(found, account)),
        BankOp::Transfer(Transfer { from, to, amount }) => {
            let moves = match side {
                Side::Floor => from,
                Side::Ceiling => to,
            };
            (moves == account && from != to && *amount > 0).then_some(Does::Moves(*amount))?
        }
        BankOp::Refused(_) => return None,
        BankOp::Bound(bound) => return Some(BankOp::Bound(bound.clone())),
    };
    Some(BankOp::Bound(Bound {
        account: Arc::clone(account),
        side,
        does,
    }))
}

impl Bound {
    pub(super) fn step(&self, state: &Balances) -> Option<Balances> {
        let held = balance(state, &self.account);
        let next = match (self.does, self.side) {
            (Does::Moves(amount), Side::Floor) => held.checked_sub(amount)?,
            (Does::Moves(amount), Side::Ceiling) => held.checked_add(amount)?,
            (Does::Finds(found), Side::Floor) => (held <= found).then_some(found)?,
            (Does::Finds(found), Side::Ceiling) => (held >= found).then_some(found)?,
        };
        let mut state = Arc::clone(state);
        if next != held {
            set_balance(Arc::make_mut(&mut state), &self.account, next);
        }
        Some(state)
    }

    pub(super) fn finds(&self) -> Option<i64> {
        match self.does {
            Does::Finds(found) => Some(found),
            Does::Moves(_) => None,
        }
    }

    /// The balances after it, where nothing but this bound is moved.
    pub(super) fn leaves(&self, initial: &Balances) -> Option<Balances> {
        let found = self.finds()?;
        let mut state = Arc::clone(initial);
        set_balance(Arc::make_mut(&mut state), &self.account, found);
        Some(state)
    }

    fn is_of(&self, other: &Bound) -> bool {
        self.account == other.account && self.side == other.side
    }

    pub(super) fn describe(&self) -> String {
        let account = &self.account;
        match (self.does, self.side) {
            (Does::Finds(found), _) => format!("read of {found} on {account}"),
            (Does::Moves(amount), Side::Floor) => format!("transfer of {amount} from {account}"),
            (Does::Moves(amount), Side::Ceiling) => format!("transfer of {amount} to {account}"),
        }
    }
}

/// Whether all of these are about the same bound of one account.
pub(super) fn are_of_one<'a>(mut ops: impl Iterator<Item = &'a BankOp>) -> bool {
    let Some(BankOp::Bound(first)) = ops.next() else {
        return false;
    };
    ops.all(|op| matches!(op, BankOp::Bound(bound) if bound.is_of(first)))
}

/// A read of one end of the bound that what came before contradicts: what an earlier read found, or what there
/// was at the start, less all that may have moved it since. Whatever moved it before that is part of the
/// contradiction, for it cannot have come later. `None` where there is none of this kind.
pub(super) fn contradiction(initial: &Balances, history: &[Interval<BankOp>]) -> Option<Monitored> {
    if !are_of_one(history.iter().map(|interval| &interval.op)) {
        return None;
    }
    let bound = |call: usize| match &history[call].op {
        BankOp::Bound(bound) => Some(bound),
        _ => None,
    };
    let first = bound(0)?;
    // A ceiling is a floor upside down.
    let sign = match first.side {
        Side::Floor => 1,
        Side::Ceiling => -1,
    };
    let start = sign * i128::from(balance(initial, &first.account));
    let mut events: Vec<(u64, usize, bool)> = Vec::with_capacity(2 * history.len());
    for (call, interval) in history.iter().enumerate() {
        events.push((interval.begins, call, false));
        events.extend(interval.ends.map(|ends| (ends, call, true)));
    }
    events.sort_unstable();
    // What has begun to move it, and what is over.
    let (mut begun, mut over) = (0_i128, 0_i128);
    // Over when each read began; and of the reads that are over the one that leaves the most.
    let mut over_at = vec![0_i128; history.len()];
    let mut most: (i128, Option<usize>) = (start, None);
    let mut before = vec![most; history.len()];
    for (_, call, ends) in events {
        match (bound(call)?.does, ends) {
            (Does::Moves(amount), false) => begun += i128::from(amount),
            (Does::Moves(amount), true) => over += i128::from(amount),
            (Does::Finds(_), false) => {
                over_at[call] = over;
                before[call] = most;
            }
            (Does::Finds(found), true) => {
                let found = sign * i128::from(found);
                let (left, earlier) = before[call];
                if found < left - begun {
                    return Some(Monitored::Violated(blamed(history, earlier, call)));
                }
                let leaves = found + over_at[call];
                if leaves > most.0 {
                    most = (leaves, Some(call));
                }
            }
        }
    }
    None
}

/// The two reads, and what was over before the earlier one.
fn blamed(history: &[Interval<BankOp>], earlier: Option<usize>, later: usize) -> Vec<usize> {
    let from = earlier.map_or(0, |earlier| history[earlier].begins);
    let is_move = |op: &BankOp| matches!(op, BankOp::Bound(bound) if bound.finds().is_none());
    let moved = history.iter().enumerate().filter(|(_, interval)| {
        is_move(&interval.op) && interval.ends.is_some_and(|ends| ends < from)
    });
    let moved = moved.map(|(call, _)| call);
    moved.chain(earlier).chain([later]).collect()
}

#[cfg(test)]
mod tests;
