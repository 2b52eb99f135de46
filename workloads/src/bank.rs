//! The workload `bank`: money is moved between accounts, and never made or lost.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `transfer` | `{from, to, amount}`: two of 8 accounts, 1 to 5 | true, or false when the account held less |
//! | `read` | nil | a map from every account to its balance |
//!
//! A bank that nobody has touched holds 10 on each account.

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// How many accounts a bank has: 0 and up.
pub const ACCOUNTS: u64 = 8;
/// What each holds before anything happens.
pub const INITIAL_BALANCE: i64 = 10;

/// Transfers, and reads of all balances.
pub static BANK: ByWeight = ByWeight {
    name: "bank",
    model: Some("bank"),
    checks: &["bank"],
    read: Some("read"),
    mix: Mix {
        operations: &[("transfer", 55), ("read", 45)],
        argument: |f, draw| match f {
            "transfer" => {
                let from = draw.stream.below(ACCOUNTS);
                let to = (from + 1 + draw.stream.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = draw.stream.below(5) + 1;
                let entries = [("from", from), ("to", to), ("amount", amount)];
                let entry =
                    |(name, number): (&str, u64)| (name.into(), number.cast_signed().into());
                Value::Map(entries.map(entry).into())
            }
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || {
        let account = |number: u64| (number.to_string().into(), INITIAL_BALANCE.into());
        Some(Value::Map((0..ACCOUNTS).map(account).collect()))
    },
    is_emptied: false,
    keys: 2,
    ops_per_key: 80,
};
