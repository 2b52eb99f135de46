//! Whether the system served again after everything was healed.

use histories::{Event, Process, Value};

use crate::Check;

const NAME: &str = "recovery";

/// Reads the event in which the nemesis recorded how the system came back: `f` is `recovery`, the
/// value a map with `limit_ms` and `took_ms` (nil when it did not come back within the limit).
///
/// `None` when there is no such event, as in foreign histories. Of several the worst counts.
pub fn recovery(events: &[Event]) -> Option<Check> {
    events
        .iter()
        .filter(|event| event.process == Process::Nemesis && &*event.f == "recovery")
        .map(|event| judge(&event.value))
        .max_by_key(|check| check.verdict)
}

fn judge(value: &Value) -> Check {
    let limit_ms = value.get("limit_ms").and_then(Value::as_int);
    let took_ms = value.get("took_ms");
    match (limit_ms, took_ms) {
        (Some(limit_ms), Some(Value::Int(took_ms))) if *took_ms <= limit_ms => {
            let detail = format!("served again after {took_ms} ms (limit {limit_ms} ms)");
            Check::valid(NAME).with_details(vec![detail])
        }
        (Some(limit_ms), Some(Value::Int(took_ms))) => Check::invalid(
            NAME,
            format!(
                "the cluster took {took_ms} ms to serve again after every fault was healed \
                 (limit {limit_ms} ms)"
            ),
        ),
        (Some(limit_ms), Some(Value::Nil)) => Check::invalid(
            NAME,
            format!(
                "the cluster did not serve again within {limit_ms} ms after every fault was healed"
            ),
        ),
        _ => Check::unknown(
            NAME,
            format!("the recovery event says {value}, not limit_ms and took_ms"),
        ),
    }
}

#[cfg(test)]
mod tests;
