//! The models that come with the crate, and their names.

mod kv;
mod multi_register;
mod register;

use std::fmt;
use std::str::FromStr;

use histories::Value;
use thiserror::Error;

pub use kv::{Kv, KvOp};
pub use multi_register::{MultiRegister, Transaction};
pub use register::{Register, RegisterOp};

use crate::{Model, NilReads};

/// A model that comes with the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// One value: read and write.
    Register,
    /// One value: read, write and compare-and-set.
    CasRegister,
    /// Several registers, read and written in transactions.
    MultiRegister,
    /// Keys with string values: get, put, append, compare-and-set, delete.
    Kv,
}

impl ModelKind {
    /// All of them.
    pub const ALL: [ModelKind; 4] = [
        ModelKind::Register,
        ModelKind::CasRegister,
        ModelKind::MultiRegister,
        ModelKind::Kv,
    ];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelKind::Register => "register",
            ModelKind::CasRegister => "cas-register",
            ModelKind::MultiRegister => "multi-register",
            ModelKind::Kv => "kv",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ModelKind {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        ModelKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownModel {
                name: name.to_owned(),
            })
    }
}

/// A name that no model has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no model is named {name:?} (known: {})", ModelKind::ALL.map(ModelKind::as_str).join(", "))]
pub struct UnknownModel {
    /// The name asked for.
    pub name: String,
}

/// A model with what can be set about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOptions {
    /// Which model.
    pub kind: ModelKind,
    /// The value at the start. Nothing stands for: nil (register, cas-register); a missing key
    /// (kv; give `""` where the system under test cannot tell a missing key from an empty one);
    /// every register nil (multi-register, which takes a map from register to value).
    pub initial: Option<Value>,
    /// What a read of nil means.
    pub nil_reads: NilReads,
}

impl ModelOptions {
    /// The model as it is without any option.
    pub fn new(kind: ModelKind) -> Self {
        ModelOptions {
            kind,
            initial: None,
            nil_reads: NilReads::default(),
        }
    }
}

/// Something to be done with a model, whichever it is.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<M: Model>(self, model: &M) -> Self::Output;
}

impl ModelOptions {
    /// Makes the model and hands it to `visitor`.
    pub(crate) fn visit<V: Visitor>(&self, visitor: V) -> Result<V::Output, InitialError> {
        let initial = self.initial.as_ref();
        let value = || initial.cloned().unwrap_or_default();
        Ok(match self.kind {
            ModelKind::Register => visitor.visit(&Register::new(value(), self.nil_reads)),
            ModelKind::CasRegister => visitor.visit(&Register::with_cas(value(), self.nil_reads)),
            ModelKind::MultiRegister => {
                visitor.visit(&MultiRegister::new(initial, self.nil_reads)?)
            }
            ModelKind::Kv => visitor.visit(&Kv::new(initial, self.nil_reads)?),
        })
    }
}

/// An initial value that a model cannot start from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the model {model} cannot start from {initial} (hint: give {expected})")]
pub struct InitialError {
    /// The model.
    pub model: &'static str,
    /// What was given.
    pub initial: String,
    /// What would do.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_its_own_model() {
        for kind in ModelKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = ModelKind::from_str("regster").unwrap_err().to_string();
        assert_eq!(
            error,
            "no model is named \"regster\" (known: register, cas-register, multi-register, kv)"
        );
    }
}
