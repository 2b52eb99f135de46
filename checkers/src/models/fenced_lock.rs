//! A lock whose every holder is given a token, larger than those of all before it.

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::is_known;
use crate::models::InitialError;
use crate::models::owner::{self, Owner, TOKENS, answered};
use crate::{Model, ModelError};

/// The model `fenced-lock`: each key is a lock for one at a time; taking it answers a fencing
/// token, a whole number larger than every one answered before. A `write` of what the lock protects
/// says nothing of the lock itself: the check `lock` judges it.
#[derive(Debug, Clone)]
pub struct FencedLock {
    highest: Option<i64>,
}

/// What an operation did to a fenced lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FencedLockOp {
    /// Took it while it was free, and was given this token (`None`: nobody knows which).
    Acquire(Owner, Option<i64>),
    /// Gave it back, naming its token or not.
    Release(Owner, Option<i64>),
    /// Found it held.
    AcquireRefused(Owner),
    /// Found that this owner does not hold it.
    ReleaseRefused(Owner),
}

/// The state of a fenced lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    holder: Option<Owner>,
    /// The last token; where it is not known, the smallest that it can be.
    last: Option<i64>,
    /// Whether `last` is only the smallest that it can be. Anything later that is possible after
    /// a larger token is possible after the smallest.
    at_least: bool,
}

impl FencedLock {
    /// All locks start free. Tokens must be larger than `initial`, where it is given.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        let highest = match initial {
            None | Some(Value::Nil) => None,
            Some(Value::Int(highest)) => Some(*highest),
            Some(other) => {
                return Err(InitialError {
                    model: "fenced-lock",
                    initial: other.to_string(),
                    expected: "the token that all must be larger than, a whole number",
                });
            }
        };
        Ok(FencedLock { highest })
    }

    /// The token in an argument or result.
    fn token(&self, operation: &Operation, value: &Value) -> Result<Option<i64>, ModelError> {
        let token = match value {
            Value::Map(_) => TOKENS.into_iter().find_map(|name| value.get(name)),
            other => Some(other),
        };
        match token {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::Int(token)) => Ok(Some(*token)),
            Some(other) => Err(ModelError::new(
                self.name(),
                operation,
                format!("{} with the token {other}", operation.f),
                "a whole number",
            )),
        }
    }

    fn parse_acquire(&self, operation: &Operation) -> Result<FencedLockOp, ModelError> {
        let owner = Owner::of(self.name(), operation)?;
        if !is_known(operation) {
            return Ok(FencedLockOp::Acquire(owner, None));
        }
        if operation.output == Value::Bool(false) {
            return Ok(FencedLockOp::AcquireRefused(owner));
        }
        match self.token(operation, &operation.output)? {
            Some(token) => Ok(FencedLockOp::Acquire(owner, Some(token))),
            None => Err(ModelError::new(
                self.name(),
                operation,
                format!("acquire with the result {}", operation.output),
                "a token (a whole number, or a map with one under token), or false (it was held)",
            )),
        }
    }

    fn parse_release(&self, operation: &Operation) -> Result<FencedLockOp, ModelError> {
        let owner = Owner::of(self.name(), operation)?;
        if is_known(operation) && !answered(self.name(), operation, "")? {
            return Ok(FencedLockOp::ReleaseRefused(owner));
        }
        let token = match &operation.input {
            map @ Value::Map(_) => self.token(operation, map)?,
            _ => None,
        };
        Ok(FencedLockOp::Release(owner, token))
    }
}

impl Model for FencedLock {
    type State = Fence;
    type Op = FencedLockOp;

    fn name(&self) -> &'static str {
        "fenced-lock"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<FencedLockOp>, ModelError> {
        match &*operation.f {
            "acquire" => self.parse_acquire(operation).map(Some),
            "release" => self.parse_release(operation).map(Some),
            "write" => Ok(None),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "acquire, release or write",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &FencedLockOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Fence {
        Fence {
            holder: None,
            last: self.highest,
            at_least: false,
        }
    }

    fn step(&self, state: &Fence, op: &FencedLockOp) -> Option<Fence> {
        let is_holder = |owner: &Owner| state.holder.as_ref() == Some(owner);
        match op {
            FencedLockOp::Acquire(owner, token) if state.holder.is_none() => {
                let least = match state.last {
                    None => i64::MIN,
                    Some(last) => last.checked_add(1)?,
                };
                let grown = token.is_none_or(|token| token >= least);
                grown.then(|| Fence {
                    holder: Some(owner.clone()),
                    last: Some(token.unwrap_or(least)),
                    at_least: token.is_none(),
                })
            }
            FencedLockOp::Acquire(..) => None,
            FencedLockOp::Release(owner, token) => {
                let fits = token.is_none_or(|token| match state.at_least {
                    true => state.last.is_none_or(|least| token >= least),
                    false => state.last == Some(token),
                });
                (is_holder(owner) && fits).then(|| Fence {
                    holder: None,
                    last: token.or(state.last),
                    at_least: state.at_least && token.is_none(),
                })
            }
            FencedLockOp::AcquireRefused(_) => state.holder.is_some().then(|| state.clone()),
            FencedLockOp::ReleaseRefused(owner) => (!is_holder(owner)).then(|| state.clone()),
        }
    }

    fn is_observer(&self, op: &FencedLockOp) -> bool {
        match op {
            FencedLockOp::AcquireRefused(_) | FencedLockOp::ReleaseRefused(_) => true,
            FencedLockOp::Acquire(..) | FencedLockOp::Release(..) => false,
        }
    }

    /// An open acquire can go when all releases of its owner are open too: with it goes the one
    /// that ends its hold, so that the lock is free in between and the tokens after it have less
    /// to be larger than. A refusal could tell how long the lock was held: then all stays.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&FencedLockOp],
        open: &[&FencedLockOp],
    ) -> Vec<bool> {
        let mut released = FxHashSet::default();
        for op in completed {
            match op {
                FencedLockOp::Acquire(..) => continue,
                FencedLockOp::Release(owner, _) => released.insert(owner),
                FencedLockOp::AcquireRefused(_) | FencedLockOp::ReleaseRefused(_) => {
                    return vec![false; open.len()];
                }
            };
        }
        open.iter()
            .map(|op| match op {
                FencedLockOp::Acquire(owner, _) => !released.contains(owner),
                FencedLockOp::Release(..) => false,
                FencedLockOp::AcquireRefused(_) | FencedLockOp::ReleaseRefused(_) => true,
            })
            .collect()
    }

    fn leaves(&self, op: &FencedLockOp, _among: &[&FencedLockOp]) -> Option<Fence> {
        match op {
            FencedLockOp::Acquire(owner, Some(token)) => Some(Fence {
                holder: Some(owner.clone()),
                last: Some(*token),
                at_least: false,
            }),
            FencedLockOp::Release(_, Some(token)) => Some(Fence {
                holder: None,
                last: Some(*token),
                at_least: false,
            }),
            _ => None,
        }
    }

    fn describe(&self, op: &FencedLockOp) -> String {
        match op {
            FencedLockOp::Acquire(owner, Some(token)) => {
                format!(
                    "{} with the token {token}",
                    owner::describe("acquire", owner)
                )
            }
            FencedLockOp::Acquire(owner, None) => {
                format!(
                    "{} with an unknown token",
                    owner::describe("acquire", owner)
                )
            }
            FencedLockOp::Release(owner, Some(token)) => {
                format!("{} of the token {token}", owner::describe("release", owner))
            }
            FencedLockOp::Release(owner, None) => owner::describe("release", owner),
            FencedLockOp::AcquireRefused(owner) => owner::describe("refused acquire", owner),
            FencedLockOp::ReleaseRefused(owner) => owner::describe("refused release", owner),
        }
    }

    fn describe_state(&self, state: &Fence) -> String {
        let holder = match &state.holder {
            None => "the lock is free".to_owned(),
            Some(owner) => format!("{owner} holds the lock"),
        };
        match (state.last, state.at_least) {
            (None, _) => holder,
            (Some(i64::MIN), true) => format!("{holder}, the last token is not known"),
            (Some(least), true) => format!("{holder}, the last token is {least} or larger"),
            (Some(last), false) => format!("{holder}, the last token is {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge_rows, samples};
    use crate::{ModelKind, ModelOptions, Verdict};
    use Verdict::{Invalid, Valid};

    fn options() -> ModelOptions {
        ModelOptions::new(ModelKind::FencedLock)
    }

    #[test]
    fn fenced_lock_histories() {
        judge_rows(
            &options(),
            &[
                (
                    "0 acquire nil -> 1 @0 1; 0 release nil -> nil @2 3; 1 acquire nil -> 2 @4 5",
                    Valid,
                ),
                (
                    "0 acquire nil -> 2 @0 1; 0 release nil -> nil @2 3; 1 acquire nil -> 2 @4 5",
                    Invalid,
                ),
                (
                    "0 acquire nil -> 2 @0 1; 0 release nil -> nil @2 3; 1 acquire nil -> 1 @4 5",
                    Invalid,
                ),
                ("0 acquire nil -> 1 @0 1; 1 acquire nil -> 2 @2 3", Invalid),
                ("0 acquire nil -> 1 @0 1; 0 acquire nil -> 2 @2 3", Invalid),
                ("0 release nil -> nil @0 1", Invalid),
                (
                    "0 acquire {:client a} -> {:fence 7, :client a} @0 1; \
                     0 release {:client a, :fence 7} -> nil @2 3",
                    Valid,
                ),
                (
                    "0 acquire {:client a} -> {:token 7} @0 1; \
                     0 release {:client a, :token 6} -> nil @2 3",
                    Invalid,
                ),
                // The token of an unknown acquire is larger than those before, whatever it is.
                (
                    "0 acquire nil -> 5 @0 1; 0 release nil -> nil @2 3; 0 acquire nil -> ? @4 ?; \
                     1 acquire nil -> 6 @5 6",
                    Valid,
                ),
                (
                    "0 acquire a -> 5 @0 1; 0 release a -> nil @2 3; 0 acquire a -> ? @4 ?; \
                     1 release a -> nil @5 6; 1 acquire b -> 6 @7 8",
                    Invalid,
                ),
                (
                    "0 acquire a -> 5 @0 1; 0 release a -> nil @2 3; 0 acquire a -> ? @4 ?; \
                     1 release a -> nil @5 6; 1 acquire b -> 7 @7 8",
                    Valid,
                ),
                (
                    "0 acquire a -> ? @0 ?; 1 release {:client a, :token 8} -> nil @1 2; \
                     1 acquire b -> 8 @3 4",
                    Invalid,
                ),
                (
                    "0 acquire a -> ? @0 ?; 1 release {:client a, :token 8} -> nil @1 2; \
                     1 acquire b -> 9 @3 4",
                    Valid,
                ),
                // Refused.
                (
                    "0 acquire nil -> 1 @0 1; 1 acquire nil -> false @2 3; \
                     1 release nil -> false @4 5",
                    Valid,
                ),
                ("0 acquire nil -> false @0 1", Invalid),
                (
                    "0 acquire nil -> 1 @0 1; 0 release nil -> false @2 3",
                    Invalid,
                ),
            ],
        );
    }

    #[test]
    fn tokens_start_above_the_initial_one() {
        let options = ModelOptions {
            initial: Some(Value::Int(10)),
            ..options()
        };
        judge_rows(
            &options,
            &[
                ("0 acquire nil -> 11 @0 1", Valid),
                ("0 acquire nil -> 10 @0 1", Invalid),
            ],
        );
        let refused = FencedLock::new(Some(&"a".into())).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the model fenced-lock cannot start from \"a\" (hint: give the token that all must be \
             larger than, a whole number)"
        );
    }

    #[test]
    fn what_is_no_fenced_lock_is_refused() {
        let rows = [
            (
                "acquire nil -> nil",
                "operation 0 has acquire with the result nil, but the model fenced-lock expects a \
                 token (a whole number, or a map with one under token), or false (it was held)",
            ),
            (
                "acquire nil -> {:token a}",
                "operation 0 has acquire with the token \"a\", but the model fenced-lock expects \
                 a whole number",
            ),
            (
                "release nil -> 4",
                "operation 0 has release with the result 4, but the model fenced-lock expects \
                 nil, true, or false (it was refused)",
            ),
            (
                "put 1 -> nil",
                "operation 0 has an operation \"put\", but the model fenced-lock expects \
                 acquire, release or write",
            ),
        ];
        for (row, expected) in rows {
            let lock = FencedLock::new(None).unwrap();
            let refused = lock.parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
    }
}
