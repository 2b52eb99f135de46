//! Echoes: every answer is what was sent.

use histories::{Operation, Value};

use super::tally::Tally;
use super::{is_ok, name_of};
use crate::Check;

/// Judges `echo`.
pub(super) fn check(operations: &[Operation]) -> Check {
    let mut tally = Tally::new("echo", &["attempts", "acknowledged", "changed", "strange"]);
    for operation in operations {
        if &*operation.f != "echo" {
            tally.add("strange", 1);
            continue;
        }
        tally.add("attempts", 1);
        if !is_ok(operation) {
            continue;
        }
        tally.add("acknowledged", 1);
        if operation.output != operation.input {
            let text = || {
                let (sent, found) = (&operation.input, &operation.output);
                format!("{} sent {sent} and got {found}", name_of(operation))
            };
            tally.violation("changed", &Value::Nil, text, &[operation]);
        }
    }
    if tally.count("acknowledged") == 0 {
        tally.unknown("nothing was answered");
    }
    if tally.count("strange") > 0 {
        tally.unknown("there are operations other than echo");
    }
    tally.finish()
}
