//! Calling a model that may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Law, LawViolation};
use crate::Model;

/// What `call` gives, or the violation that it panicked.
pub(super) fn guarded<M: Model, T>(
    model: &M,
    what: &str,
    call: impl FnOnce() -> T,
) -> Result<T, LawViolation> {
    caught(call).map_err(|message| LawViolation {
        model: model.name(),
        law: Law::NoPanic,
        what: format!("{what} panicked: {message}"),
        state: None,
        operations: Vec::new(),
    })
}

/// What `call` gives, or the message with which it panicked.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that a panic may have left half done is used afterwards: the laws end there.
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
