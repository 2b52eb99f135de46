//! What tells one list of operations from another.

use histories::{Operations, Outcome, Place, Value};

/// An odd number without pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The checksum, as 16 hexadecimal digits, over everything of the operations that a verdict depends
/// on: process, name, key, argument, result, outcome and both moments. Nodes, errors and lines do
/// not count.
pub(super) fn of(operations: &Operations<'_>) -> String {
    let mut checksum = Checksum(0);
    for number in 0..operations.len() {
        let operation = operations.packed(number);
        checksum.word(operation.process);
        checksum.text(operations.symbol_name(operation.f));
        for packed in [operation.key, operation.input, operation.output] {
            checksum.value(&operations.value_of(packed));
        }
        checksum.word(match operation.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        });
        checksum.point(Some(operation.invoked));
        // When a client gave up waiting bounds nothing.
        checksum.point(operation.ended.filter(|_| operation.outcome == Outcome::Ok));
    }
    format!("{:016x}", checksum.0)
}

/// Every word is multiplied in, and the high half, which the multiplication mixes best, folded
/// back.
struct Checksum(u64);

impl Checksum {
    fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_add(1).wrapping_mul(FACTOR);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn point(&mut self, point: Option<Place>) {
        self.word(u64::from(point.is_some()));
        if let Some(point) = point {
            self.word(point.index);
            self.word(point.time_ns);
        }
    }

    /// Every value is preceded by its kind, and lists by their length, so that no two values look
    /// alike. Values may be nested deeply: hence no recursion.
    fn value(&mut self, value: &Value) {
        let mut left = vec![value];
        while let Some(value) = left.pop() {
            match value {
                Value::Nil => self.word(1),
                Value::Bool(truth) => self.word(2 + u64::from(*truth)),
                Value::Int(number) => {
                    self.word(4);
                    self.word(number.cast_unsigned());
                }
                Value::Text(text) => {
                    self.word(5);
                    self.text(text);
                }
                Value::List(values) => {
                    self.word(6);
                    self.word(values.len() as u64);
                    left.extend(values.iter().rev());
                }
                Value::Map(entries) => {
                    self.word(7);
                    self.word(entries.len() as u64);
                    left.extend(entries.iter().rev().flat_map(|(key, value)| [value, key]));
                }
            }
        }
    }
}
