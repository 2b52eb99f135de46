//! Values in eight bytes each.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::intern::{Folded, Numbers, hash_text};
use crate::Value;

/// A value in eight bytes: nil, truth values, whole numbers of 63 bits and lists of two whole
/// numbers of 30 bits each stand for themselves; every other value is a number in the table of
/// its history.
///
/// Within one history two packed values are equal exactly when the values are. The order is any
/// total order. What stands for itself is the same in every history ([`Packed::is_inline`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packed(u64);

/// The lowest bit is 0 for a whole number, which is in the other bits; else the three lowest bits
/// say what the others are.
const CONSTANT: u64 = 0b001;
const PAIR: u64 = 0b101;
const IN_TABLE: u64 = 0b111;
const TAG_BITS: u32 = 3;

/// The bits of each number of a pair.
const HALF_BITS: u32 = 30;

impl Default for Packed {
    fn default() -> Self {
        Packed::NIL
    }
}

impl Packed {
    /// Nothing; also stands for "no key".
    pub const NIL: Packed = Packed(CONSTANT);
    /// `false`.
    pub const FALSE: Packed = Packed(CONSTANT | 1 << TAG_BITS);
    /// `true`.
    pub const TRUE: Packed = Packed(CONSTANT | 2 << TAG_BITS);

    /// A truth value.
    #[inline]
    pub fn from_bool(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    /// A whole number, where it fits 63 bits.
    #[inline]
    pub fn from_int(number: i64) -> Option<Self> {
        let shifted = number << 1;
        (shifted >> 1 == number).then_some(Packed(shifted as u64))
    }

    /// The list of two whole numbers, where each fits 30 bits.
    #[inline]
    pub fn from_pair(first: i64, second: i64) -> Option<Self> {
        let half = |number: i64| {
            let shifted = number << (64 - HALF_BITS);
            let fits = shifted >> (64 - HALF_BITS) == number;
            fits.then_some(shifted as u64 >> (64 - HALF_BITS))
        };
        let bits = half(first)? | half(second)? << HALF_BITS;
        Some(Packed(PAIR | bits << TAG_BITS))
    }

    /// Whether it is nil.
    #[inline]
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }

    /// The truth value, if it is one.
    #[inline]
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Self::TRUE => Some(true),
            Self::FALSE => Some(false),
            _ => None,
        }
    }

    /// The whole number, if it is one of 63 bits; the few that are longer are in the table.
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        (self.0 & 1 == 0).then_some(self.0 as i64 >> 1)
    }

    /// The numbers of a list of two whole numbers of 30 bits each.
    #[inline]
    pub fn as_pair(self) -> Option<(i64, i64)> {
        let half = |bits: u64| ((bits << (64 - HALF_BITS)) as i64) >> (64 - HALF_BITS);
        (self.0 & IN_TABLE == PAIR).then(|| {
            let bits = self.0 >> TAG_BITS;
            (half(bits), half(bits >> HALF_BITS))
        })
    }

    /// Whether it stands for itself, the same in every history.
    #[inline]
    pub fn is_inline(self) -> bool {
        self.0 & IN_TABLE != IN_TABLE
    }

    /// Its number in the history's table, from 0, unless it stands for itself.
    #[inline]
    pub fn table_number(self) -> Option<usize> {
        (!self.is_inline()).then_some((self.0 >> TAG_BITS) as usize)
    }

    /// All of it as a number: of use as a key of tables.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// What [`Packed::to_bits`] gave, if it is of a value that stands for itself.
    #[inline]
    pub(crate) fn from_inline_bits(bits: u64) -> Option<Self> {
        let packed = Packed(bits);
        let canonical = match bits & IN_TABLE {
            CONSTANT => (bits >> TAG_BITS) <= 2,
            PAIR => bits >> (TAG_BITS + 2 * HALF_BITS) == 0,
            IN_TABLE => false,
            _ => bits & 1 == 0,
        };
        canonical.then_some(packed)
    }

    /// The number in the table that bits mean which are of no value that stands for itself.
    #[inline]
    pub(crate) fn table_number_of_bits(bits: u64) -> Option<u64> {
        (bits & IN_TABLE == IN_TABLE).then_some(bits >> TAG_BITS)
    }

    /// The value, if it stands for itself.
    pub(crate) fn inline_value(self) -> Option<Value> {
        if let Some(number) = self.as_int() {
            return Some(Value::Int(number));
        }
        if let Some((first, second)) = self.as_pair() {
            return Some(Value::List(vec![Value::Int(first), Value::Int(second)]));
        }
        if self.is_nil() {
            return Some(Value::Nil);
        }
        self.as_bool().map(Value::Bool)
    }

    /// The value as one that stands for itself, if it can.
    #[inline]
    pub(crate) fn inline(value: &Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::NIL),
            Value::Bool(truth) => Some(Self::from_bool(*truth)),
            Value::Int(number) => Self::from_int(*number),
            Value::List(values) => match values.as_slice() {
                [Value::Int(first), Value::Int(second)] => Self::from_pair(*first, *second),
                _ => None,
            },
            Value::Text(_) | Value::Map(_) => None,
        }
    }

    #[inline]
    pub(crate) fn in_table(number: u32) -> Self {
        Packed(u64::from(number) << TAG_BITS | IN_TABLE)
    }
}

/// The values of a history that do not stand for themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    values: Vec<Value>,
    numbers: Numbers,
}

impl Values {
    /// The packed form of a value, which gets a number now if it needs one.
    #[inline]
    pub fn pack(&mut self, value: &Value) -> Packed {
        Packed::inline(value).unwrap_or_else(|| self.intern(Cow::Borrowed(value)))
    }

    /// The same, of a value that is nobody else's.
    pub fn pack_owned(&mut self, value: Value) -> Packed {
        match Packed::inline(&value) {
            Some(packed) => packed,
            None => self.intern(Cow::Owned(value)),
        }
    }

    /// The packed form of a text.
    pub fn pack_text(&mut self, text: &str) -> Packed {
        let hash = hash_text(text);
        let same = |number: u32| self.values[number as usize].as_text() == Some(text);
        let found = self.numbers.find(hash, same);
        Packed::in_table(found.unwrap_or_else(|| self.add(hash, Value::from(text))))
    }

    /// The packed form of a value that stands for itself or has a number.
    pub fn find(&self, value: &Value) -> Option<Packed> {
        Packed::inline(value).or_else(|| {
            let same = |number: u32| self.values[number as usize] == *value;
            self.numbers.find(hash(value), same).map(Packed::in_table)
        })
    }

    /// The value of a packed one of this history.
    pub fn value_of(&self, packed: Packed) -> Value {
        match packed.table_number() {
            Some(number) => self.values[number].clone(),
            None => packed.inline_value().unwrap_or_default(),
        }
    }

    /// All that do not stand for themselves, by number.
    pub fn table(&self) -> &[Value] {
        &self.values
    }

    /// The bytes of the table, not of what its values hold themselves.
    pub fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<Value>() + self.numbers.heap_bytes()
    }

    fn intern(&mut self, value: Cow<'_, Value>) -> Packed {
        let hash = hash(&value);
        let same = |number: u32| self.values[number as usize] == *value;
        let found = self.numbers.find(hash, same);
        Packed::in_table(found.unwrap_or_else(|| self.add(hash, value.into_owned())))
    }

    /// Takes the table, and leaves none.
    pub fn take_table(&mut self) -> Vec<Value> {
        self.numbers = Numbers::default();
        std::mem::take(&mut self.values)
    }

    fn add(&mut self, hash: u32, value: Value) -> u32 {
        self.values.push(value);
        self.numbers.add(hash)
    }
}

/// The hash of a value; that of a text is the text's own.
fn hash(value: &Value) -> u32 {
    if let Some(text) = value.as_text() {
        return hash_text(text);
    }
    let mut hasher = Folded::new();
    value.hash(&mut hasher);
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal values pack alike, others do not, and each comes back.
    #[test]
    fn packed_equality_is_equality() {
        let list = |values: &[i64]| Value::List(values.iter().copied().map(Value::Int).collect());
        let wide = 1 << 29;
        let rows = [
            Value::Nil,
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(0),
            Value::Int(1),
            Value::Int(-1),
            Value::Int(i64::MAX),
            Value::Int(i64::MIN),
            Value::Int(i64::MAX >> 1),
            Value::Int(i64::MIN >> 1),
            Value::Int((i64::MAX >> 1) + 1),
            Value::from(""),
            Value::from("0"),
            Value::from("0\0"),
            Value::from("a longer text than eight bytes"),
            list(&[]),
            list(&[0]),
            list(&[0, 0]),
            list(&[-1, 1]),
            list(&[1, -1]),
            list(&[wide - 1, -wide]),
            list(&[wide, 0]),
            list(&[0, -wide - 1]),
            list(&[1, 2, 3]),
            Value::List(vec![Value::Int(1), Value::Nil]),
            Value::Map(vec![(Value::from("x"), Value::Int(1))]),
        ];
        let mut values = Values::default();
        let packed: Vec<Packed> = rows.iter().map(|value| values.pack(value)).collect();
        for (at, value) in rows.iter().enumerate() {
            assert_eq!(values.value_of(packed[at]), *value);
            assert_eq!(values.pack(&value.clone()), packed[at], "{value}");
            assert_eq!(values.find(value), Some(packed[at]), "{value}");
            assert_eq!(
                packed.iter().filter(|other| **other == packed[at]).count(),
                1
            );
            let bits = Packed::from_inline_bits(packed[at].to_bits());
            assert_eq!(
                bits,
                packed[at].is_inline().then_some(packed[at]),
                "{value}"
            );
        }
        assert_eq!(values.pack_text("0"), values.pack(&Value::from("0")));
        assert_eq!(values.find(&Value::from("unseen")), None);
    }

    #[test]
    fn many_values_keep_their_numbers() {
        let mut values = Values::default();
        let packed: Vec<Packed> = (0..5_000)
            .map(|number| values.pack_text(&format!("v{number}")))
            .collect();
        for (number, packed) in packed.iter().enumerate() {
            assert_eq!(packed.table_number(), Some(number));
            let value = Value::from(format!("v{number}"));
            assert_eq!(values.find(&value), Some(*packed));
        }
        assert_eq!(values.table().len(), 5_000);
    }
}
