//! A column of numbers that mostly grow by the same step, such as indexes and lines: then it takes
//! no memory to speak of, else eight bytes a number.

/// Numbers, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    first: u64,
    step: u64,
    len: usize,
    /// Every number, once they are found not to be evenly spaced.
    listed: Vec<u64>,
}

impl Steps {
    /// Adds a number.
    pub fn push(&mut self, number: u64) {
        if self.listed.is_empty() {
            match self.len {
                0 => self.first = number,
                1 => self.step = number.wrapping_sub(self.first),
                _ if number == self.even(self.len) => {}
                _ => {
                    self.listed = (0..self.len).map(|at| self.even(at)).collect();
                    self.listed.push(number);
                }
            }
        } else {
            self.listed.push(number);
        }
        self.len += 1;
    }

    /// The number at a position, which must be one.
    #[inline]
    pub fn get(&self, at: usize) -> u64 {
        if self.listed.is_empty() {
            self.even(at)
        } else {
            self.listed[at]
        }
    }

    /// Adds `len` numbers that begin with `first` and grow by one.
    pub fn count_from(&mut self, first: u64, len: usize) {
        if len == 0 {
            return;
        }
        self.push(first);
        if len == 1 {
            return;
        }
        self.push(first.wrapping_add(1));
        if self.listed.is_empty() && self.step == 1 {
            self.len += len - 2;
        } else {
            (2..len as u64).for_each(|at| self.push(first.wrapping_add(at)));
        }
    }

    /// Adds the same number `len` times.
    pub fn repeat(&mut self, number: u64, len: usize) {
        for done in 0..len {
            self.push(number);
            if self.len >= 2 && self.listed.is_empty() && self.step == 0 {
                self.len += len - done - 1;
                return;
            }
        }
    }

    /// Adds the numbers of another column, each `base` larger.
    pub fn append(&mut self, other: &Steps, base: u64) {
        if other.listed.is_empty() && other.step == 1 {
            self.count_from(other.first.wrapping_add(base), other.len);
            return;
        }
        for at in 0..other.len {
            self.push(other.get(at).wrapping_add(base));
        }
    }

    /// The bytes it takes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.listed.capacity() * size_of::<u64>()
    }

    #[inline]
    fn even(&self, at: usize) -> u64 {
        self.first.wrapping_add(self.step.wrapping_mul(at as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_steps_the_numbers_are_kept() {
        let rows: [&[u64]; 7] = [
            &[],
            &[7],
            &[7, 3],
            &[0, 1, 2, 3],
            &[5, 5, 5, 5],
            &[0, 1, 2, 9, 10, 3],
            &[u64::MAX, 0, 1, 2, u64::MAX],
        ];
        for first in rows {
            for second in rows {
                let mut steps = Steps::default();
                first.iter().for_each(|number| steps.push(*number));
                let mut other = Steps::default();
                second.iter().for_each(|number| other.push(*number));
                steps.append(&other, 3);
                steps.count_from(40, 3);
                steps.repeat(7, 4);
                let expected: Vec<u64> = first
                    .iter()
                    .copied()
                    .chain(second.iter().map(|number| number.wrapping_add(3)))
                    .chain([40, 41, 42, 7, 7, 7, 7])
                    .collect();
                let found: Vec<u64> = (0..steps.len).map(|at| steps.get(at)).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
