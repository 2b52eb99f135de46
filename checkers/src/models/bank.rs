//! A bank: money is moved between accounts, and never made, lost, or spent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxBuildHasher;

use crate::model::{asks_nothing, brief, is_known};
use crate::models::InitialError;
use crate::monitors::sums::{self, Sum};
use crate::oracle::Interval;
use crate::{Model, ModelError, Monitored, NilReads};

mod bound;

pub use bound::Bound;

const TRANSFER: &str = "a map with from, to and amount, as {from 0, to 1, amount 5}";
const READ: &str = "a map from every account to its balance, a whole number";

/// The model `bank`: transfers between accounts, none of which may be overdrawn, and reads of all
/// balances at once.
///
/// An account is a name or a number; in JSON the keys of a map are text, so 1 and "1" are the same
/// account. What is not mentioned holds nothing: accounts of balance 0 may be left out.
#[derive(Debug, Clone)]
pub struct Bank {
    initial: Balances,
    nil_reads: NilReads,
}

/// The balances other than 0, in order of account.
type Balances = Arc<Vec<(Arc<str>, i64)>>;

/// What an operation did at the bank.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BankOp {
    /// Moved an amount.
    Transfer(Transfer),
    /// Found less than the amount on the account it was to come from.
    Refused(Transfer),
    /// Found these balances: all other than 0, in order of account.
    Read(Arc<Vec<(Arc<str>, i64)>>),
    /// What it has to do with a bound of the balance of one account ([`Model::aspect`]); no operation of a
    /// history is only this.
    Bound(Bound),
}

/// An amount to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transfer {
    from: Arc<str>,
    to: Arc<str>,
    /// Not negative.
    amount: i64,
}

impl Bank {
    /// Accounts start with the balances of the map `initial`, all others with 0. Without one there
    /// is no bank: no transfer from accounts that hold nothing could ever happen.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let start = balances(initial.unwrap_or(&Value::Nil));
        // What is there never grows, so that no balance is ever too large for its type.
        let total = |held: &Balances| {
            held.iter().try_fold(0_i64, |sum, (_, balance)| {
                sum.checked_add(*balance).filter(|_| *balance >= 0)
            })
        };
        match start {
            Ok(initial) if total(&initial).is_some() => Ok(Bank { initial, nil_reads }),
            Ok(_) | Err(_) => Err(InitialError {
                model: "bank",
                initial: initial.unwrap_or(&Value::Nil).to_string(),
                expected: "a map from account to balance, as {a 10, b 10}, none negative",
            }),
        }
    }

    fn parse_transfer(&self, operation: &Operation) -> Result<BankOp, ModelError> {
        let input = &operation.input;
        let error = |expected: &str| {
            let found = format!("a transfer with the argument {}", brief(&input.to_string()));
            ModelError::new(self.name(), operation, found, expected)
        };
        let end = |name: &str| input.get(name).and_then(account);
        let amount = input.get("amount").and_then(Value::as_int);
        let (Some(from), Some(to), Some(amount)) = (end("from"), end("to"), amount) else {
            return Err(error(TRANSFER));
        };
        if amount < 0 {
            return Err(error("an amount that is not negative"));
        }
        let transfer = Transfer { from, to, amount };
        match &operation.output {
            _ if !is_known(operation) => Ok(BankOp::Transfer(transfer)),
            Value::Bool(false) => Ok(BankOp::Refused(transfer)),
            Value::Nil | Value::Bool(true) => Ok(BankOp::Transfer(transfer)),
            output if output == input => Ok(BankOp::Transfer(transfer)),
            output => Err(ModelError::new(
                self.name(),
                operation,
                format!("a transfer with the result {}", brief(&output.to_string())),
                "nil, true, or false (the account held less)",
            )),
        }
    }
}

impl Model for Bank {
    type State = Balances;
    type Op = BankOp;

    fn name(&self) -> &'static str {
        "bank"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<BankOp>, ModelError> {
        match &*operation.f {
            "transfer" => self.parse_transfer(operation).map(Some),
            "read" if !is_known(operation) => Ok(None),
            "read" if operation.output.is_nil() && self.nil_reads == NilReads::Any => Ok(None),
            "read" => {
                asks_nothing(self.name(), operation)?;
                match balances(&operation.output) {
                    Ok(balances) => Ok(Some(BankOp::Read(balances))),
                    Err(found) => Err(ModelError::new(self.name(), operation, found, READ)),
                }
            }
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "transfer or read",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &BankOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Balances {
        Arc::clone(&self.initial)
    }

    fn step(&self, state: &Balances, op: &BankOp) -> Option<Balances> {
        match op {
            BankOp::Bound(bound) => bound.step(state),
            BankOp::Read(found) => (state == found).then(|| Arc::clone(state)),
            BankOp::Refused(transfer) => {
                (balance(state, &transfer.from) < transfer.amount).then(|| Arc::clone(state))
            }
            BankOp::Transfer(Transfer { from, to, amount }) => {
                let held = balance(state, from).checked_sub(*amount);
                let held = held.filter(|held| *held >= 0)?;
                if from == to || *amount == 0 {
                    return Some(Arc::clone(state));
                }
                let raised = balance(state, to).checked_add(*amount)?;
                let mut state = Arc::clone(state);
                set_balance(Arc::make_mut(&mut state), from, held);
                set_balance(Arc::make_mut(&mut state), to, raised);
                Some(state)
            }
        }
    }

    fn is_observer(&self, op: &BankOp) -> bool {
        match op {
            BankOp::Read(_) | BankOp::Refused(_) => true,
            BankOp::Transfer(Transfer { from, to, amount }) => from == to || *amount == 0,
            BankOp::Bound(_) => false,
        }
    }

    /// Of what is known of a bound of one account only: a read takes it back to where it was, or further, which makes
    /// nothing possible that was not.
    fn unobserved(
        &self,
        _starts: &[Balances],
        completed: &[&BankOp],
        open: &[&BankOp],
    ) -> Vec<bool> {
        let of_one = bound::are_of_one(completed.iter().chain(open).copied());
        let finds = |op: &BankOp| matches!(op, BankOp::Bound(bound) if bound.finds().is_some());
        open.iter().map(|op| of_one && finds(op)).collect()
    }

    fn leaves(&self, op: &BankOp, among: &[&BankOp]) -> Option<Balances> {
        match op {
            BankOp::Read(found) => Some(Arc::clone(found)),
            BankOp::Bound(bound) => bound::are_of_one(among.iter().copied())
                .then(|| bound.leaves(&self.initial))
                .flatten(),
            BankOp::Refused(_) | BankOp::Transfer(_) => None,
        }
    }

    /// By what reads of all balances say is missing.
    fn monitor(&self, initial: &Balances, history: &[Interval<BankOp>]) -> Option<Monitored> {
        if history
            .iter()
            .any(|interval| matches!(interval.op, BankOp::Bound(_)))
        {
            return bound::contradiction(initial, history);
        }
        let (start, sums) = sums_of(initial, history);
        sums::decide(self, (initial, start), history, &sums)
    }

    /// Each account, from below and from above.
    fn things(&self, _ops: &[&BankOp], among: &[&BankOp]) -> Vec<Value> {
        let mut accounts: BTreeSet<&Arc<str>> = self.initial.iter().map(|(name, _)| name).collect();
        for op in among {
            if let BankOp::Transfer(Transfer { from, to, .. }) = op {
                accounts.extend([from, to]);
            }
        }
        bound::things(accounts.into_iter())
    }

    fn aspect(&self, op: &BankOp, thing: &Value) -> Option<BankOp> {
        bound::aspect(op, thing)
    }

    fn state_bytes(&self, state: &Balances) -> usize {
        size_of::<Self::State>() + 64 + state.len() * size_of::<(Arc<str>, i64)>()
    }

    fn describe(&self, op: &BankOp) -> String {
        match op {
            BankOp::Transfer(Transfer { from, to, amount }) => {
                format!("transfer of {amount} from {from} to {to}")
            }
            BankOp::Refused(Transfer { from, to, amount }) => {
                format!("transfer of {amount} from {from} to {to} that was refused")
            }
            BankOp::Read(found) => format!("read of {}", show(found)),
            BankOp::Bound(bound) => bound.describe(),
        }
    }

    fn describe_state(&self, state: &Balances) -> String {
        format!("the balances are {}", show(state))
    }
}

fn balance(balances: &Balances, account: &Arc<str>) -> i64 {
    let found = balances.binary_search_by(|(other, _)| other.cmp(account));
    found.map_or(0, |at| balances[at].1)
}

/// All balances as one number, each account with a factor of its own.
fn total(balances: &Balances) -> u64 {
    let all = balances.iter();
    all.fold(0, |sum, (account, balance)| {
        sum.wrapping_add(part(account, *balance))
    })
}

/// What an account with this balance is of such a number.
fn part(account: &Arc<str>, balance: i64) -> u64 {
    sums::scattered(FxBuildHasher.hash_one(account)).wrapping_mul(balance as u64)
}

/// The balances at the start as such a number, and what each operation adds and found.
pub(crate) fn sums_of(initial: &Balances, history: &[Interval<BankOp>]) -> (u64, Vec<Sum>) {
    let sums = history.iter().map(|interval| sum(&interval.op));
    (total(initial), sums.collect())
}

/// What the operation adds to the balances, and what it found.
fn sum(op: &BankOp) -> Sum {
    match op {
        BankOp::Transfer(Transfer { from, to, amount }) => Sum {
            adds: part(to, *amount).wrapping_sub(part(from, *amount)),
            finds: None,
        },
        BankOp::Refused(_) | BankOp::Bound(_) => Sum {
            adds: 0,
            finds: None,
        },
        BankOp::Read(found) => Sum {
            adds: 0,
            finds: Some(total(found)),
        },
    }
}

fn set_balance(balances: &mut Vec<(Arc<str>, i64)>, account: &Arc<str>, balance: i64) {
    match balances.binary_search_by(|(other, _)| other.cmp(account)) {
        Ok(at) if balance == 0 => {
            balances.remove(at);
        }
        Ok(at) => balances[at].1 = balance,
        Err(_) if balance == 0 => {}
        Err(at) => balances.insert(at, (Arc::clone(account), balance)),
    }
}

/// The name of an account.
fn account(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Text(name) => Some(Arc::clone(name)),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Nil | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The balances in a map; what is wrong with it when there are none.
fn balances(value: &Value) -> Result<Balances, String> {
    let shown = || brief(&value.to_string());
    let Value::Map(entries) = value else {
        return Err(format!("the balances {}", shown()));
    };
    let mut held = BTreeMap::new();
    for (name, balance) in entries {
        let (Some(name), Some(balance)) = (account(name), balance.as_int()) else {
            return Err(format!("the balance {balance} of {name} in {}", shown()));
        };
        if held.insert(name, balance).is_some() {
            return Err(format!("an account named twice in {}", shown()));
        }
    }
    held.retain(|_, balance| *balance != 0);
    Ok(Arc::new(held.into_iter().collect()))
}

fn show(balances: &Balances) -> String {
    let shown: Vec<String> = balances
        .iter()
        .map(|(account, balance)| format!("{account} {balance}"))
        .collect();
    format!("({})", brief(&shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge_rows, samples};
    use crate::{ModelKind, ModelOptions, Verdict};
    use Verdict::{Invalid, Valid};

    fn options() -> ModelOptions {
        let initial = histories::edn::parse_value("{0 10, 1 10, 2 0}").unwrap();
        ModelOptions {
            initial: Some(initial),
            ..ModelOptions::new(ModelKind::Bank)
        }
    }

    #[test]
    fn bank_histories() {
        judge_rows(
            &options(),
            &[
                ("0 read nil -> {0 10, 1 10} @0 1", Valid),
                ("0 read nil -> {\"0\" 10, \"1\" 10, \"2\" 0} @0 1", Valid),
                ("0 read nil -> {0 10} @0 1", Invalid),
                ("0 read nil -> {0 10, 1 10, 3 1} @0 1", Invalid),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> {:from 0, :to 1, :amount 5} @0 1; \
                     0 read nil -> {0 5, 1 15} @2 3",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> true @0 1; \
                     0 read nil -> {0 10, 1 10} @2 3",
                    Invalid,
                ),
                // Half of a transfer is never seen.
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> nil @0 9; \
                     1 read nil -> {0 5, 1 10} @2 3",
                    Invalid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> nil @0 9; \
                     1 read nil -> {0 10, 1 10} @2 3; 1 read nil -> {0 5, 1 15} @4 5",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> nil @0 9; \
                     1 read nil -> {0 5, 1 15} @2 3; 1 read nil -> {0 10, 1 10} @4 5",
                    Invalid,
                ),
                // No account is overdrawn.
                (
                    "0 transfer {:from 0, :to 1, :amount 11} -> nil @0 1",
                    Invalid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 11} -> false @0 1",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 10} -> false @0 1",
                    Invalid,
                ),
                (
                    "0 transfer {:from 1, :to 0, :amount 1} -> nil @0 9; \
                     1 transfer {:from 0, :to 2, :amount 11} -> nil @1 8",
                    Valid,
                ),
                (
                    "0 transfer {:from 7, :to 0, :amount 1} -> nil @0 1",
                    Invalid,
                ),
                (
                    "0 transfer {:from 0, :to 0, :amount 10} -> nil @0 1; \
                     0 read nil -> {0 10, 1 10} @2 3",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 0, :amount 11} -> nil @0 1",
                    Invalid,
                ),
                // An unknown transfer happened late, or never, or was refused.
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> ? @0 ?; \
                     1 read nil -> {0 10, 1 10} @2 3; 1 read nil -> {0 5, 1 15} @4 5",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> ? @0 ?; \
                     1 read nil -> {0 5, 1 15} @2 3; 1 read nil -> {0 0, 1 20} @4 5",
                    Invalid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 99} -> ? @0 ?; \
                     1 read nil -> {0 10, 1 10} @2 3",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 1, :amount 5} -> x @0 x; \
                     1 read nil -> {0 5, 1 15} @2 3",
                    Invalid,
                ),
                // Two that commute, seen in neither order.
                (
                    "0 transfer {:from 0, :to 2, :amount 1} -> nil @0 9; \
                     1 transfer {:from 1, :to 2, :amount 1} -> nil @1 8; \
                     2 read nil -> {0 9, 1 10, 2 1} @2 3; 2 read nil -> {0 9, 1 9, 2 2} @4 5",
                    Valid,
                ),
                (
                    "0 transfer {:from 0, :to 2, :amount 1} -> nil @0 9; \
                     1 transfer {:from 1, :to 2, :amount 1} -> nil @1 8; \
                     2 read nil -> {0 9, 1 10, 2 1} @2 3; 3 read nil -> {0 10, 1 9, 2 1} @4 5",
                    Invalid,
                ),
            ],
        );
    }

    #[test]
    fn what_is_no_bank_is_refused() {
        let rows = [
            (
                "transfer {:from 0, :amount 1} -> nil",
                "operation 0 has a transfer with the argument {\"from\" 0, \"amount\" 1}, but the \
                 model bank expects a map with from, to and amount, as {from 0, to 1, amount 5}",
            ),
            (
                "transfer {:from 0, :to 1, :amount -1} -> nil",
                "operation 0 has a transfer with the argument {\"from\" 0, \"to\" 1, \"amount\" \
                 -1}, but the model bank expects an amount that is not negative",
            ),
            (
                "transfer {:from 0, :to 1, :amount 1} -> 5",
                "operation 0 has a transfer with the result 5, but the model bank expects nil, \
                 true, or false (the account held less)",
            ),
            (
                "read nil -> {0 nil}",
                "operation 0 has the balance nil of 0 in {0 nil}, but the model bank expects a \
                 map from every account to its balance, a whole number",
            ),
            (
                "read nil -> {0 1, \"0\" 1}",
                "operation 0 has an account named twice in {0 1, \"0\" 1}, but the model bank \
                 expects a map from every account to its balance, a whole number",
            ),
            (
                "read nil -> nil",
                "operation 0 has the balances nil, but the model bank expects a map from every \
                 account to its balance, a whole number",
            ),
            (
                "withdraw 1 -> nil",
                "operation 0 has an operation \"withdraw\", but the model bank expects transfer \
                 or read",
            ),
        ];
        for (row, expected) in rows {
            let bank = Bank::new(Some(&Value::Map(Vec::new())), NilReads::Observe).unwrap();
            let refused = bank.parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
        let bank = Bank::new(Some(&Value::Map(Vec::new())), NilReads::Any).unwrap();
        assert_eq!(bank.parse(&samples("read nil -> nil")[0]), Ok(None));
    }

    #[test]
    fn a_bank_that_cannot_be_is_refused() {
        for initial in [
            "nil",
            "{0 -1}",
            "[1]",
            "{0 9223372036854775807, 1 1}",
            "{0 x}",
        ] {
            let value = histories::edn::parse_value(initial).unwrap();
            let refused = Bank::new(Some(&value), NilReads::Observe).unwrap_err();
            let expected = format!(
                "the model bank cannot start from {value} (hint: give a map from account to \
                 balance, as {{a 10, b 10}}, none negative)"
            );
            assert_eq!(refused.to_string(), expected);
        }
    }
}
