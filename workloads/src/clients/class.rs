//! What is known of an operation once it was tried.

use std::sync::Arc;

use histories::Value;

use crate::{Completion, Outcome};

/// What is known of a request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// It took effect, with this result.
    Done(Value),
    /// It did not take effect and never will.
    NotDone(String),
    /// Nobody knows.
    Unknown(String),
}

impl Class {
    /// The same, with the node named in what went wrong.
    pub fn about(self, node: &str) -> Class {
        match self {
            Class::Done(value) => Class::Done(value),
            Class::NotDone(why) => Class::NotDone(format!("{node}: {why}")),
            Class::Unknown(why) => Class::Unknown(format!("{node}: {why}")),
        }
    }

    /// The same of a request that changes nothing: without an answer it has done nothing either.
    pub fn of_a_read(self) -> Class {
        match self {
            Class::Unknown(why) => Class::NotDone(why),
            known => known,
        }
    }

    /// The completion of an operation that went to this node only.
    pub fn complete(self, node: Option<Arc<str>>) -> Completion {
        let (outcome, error) = match self {
            Class::Done(value) => (Outcome::Ok(value), None),
            Class::NotDone(why) => (Outcome::Fail, Some(why)),
            Class::Unknown(why) => (Outcome::Info, Some(why)),
        };
        Completion {
            outcome,
            node,
            path: Vec::new(),
            error: error.map(Arc::from),
        }
    }
}
