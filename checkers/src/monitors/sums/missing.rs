//! Which of some numbers have a given sum.

/// How many sums a table has at most.
const SUMS_MAX: usize = 1_500;
/// How many choices are named.
const CHOICES_MAX: usize = 8;
/// How many numbers there can be.
const NUMBERS_MAX: usize = 64;

/// Numbers, and the sums of all choices of each half of them; of many numbers only the sums of few.
#[derive(Debug)]
pub(super) struct Missing {
    /// In order of sum.
    first: Vec<(u64, u64)>,
    second: Vec<(u64, u64)>,
}

/// Numbers that together have the sum asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// One bit for each number.
    numbers: u64,
    /// The place of the additional number, if it is one of them.
    pub additional: Option<usize>,
}

impl Choice {
    /// The places of the numbers.
    pub(super) fn numbers(self) -> impl Iterator<Item = usize> {
        (0..NUMBERS_MAX).filter(move |number| self.numbers >> number & 1 == 1)
    }

    fn len(self) -> u32 {
        self.numbers.count_ones() + u32::from(self.additional.is_some())
    }
}

impl Missing {
    /// Of more numbers than there can be the last ones are left out.
    pub(super) fn new(numbers: &[u64]) -> Self {
        let number = |place: usize| (numbers[place], 1_u64 << place);
        let places = 0..numbers.len().min(NUMBERS_MAX);
        let (first, second): (Vec<usize>, Vec<usize>) = places.partition(|place| place % 2 == 0);
        let sums = |places: Vec<usize>| sums(&places.into_iter().map(number).collect::<Vec<_>>());
        let mut first = sums(first);
        first.sort_unstable();
        Missing {
            first,
            second: sums(second),
        }
    }

    /// Choices that have this sum, smaller ones first, with or without one of the additional numbers. Also
    /// how many sums were looked at.
    pub(super) fn find(
        &self,
        wanted: u64,
        additional: impl Iterator<Item = u64>,
    ) -> (Vec<Choice>, u64) {
        let (mut choices, mut tried) = (Vec::new(), 0);
        let with = additional
            .enumerate()
            .map(|(place, number)| (Some(place), number));
        for (additional, number) in std::iter::once((None, 0)).chain(with) {
            let wanted = wanted.wrapping_sub(number);
            tried += self.second.len() as u64;
            for &(sum, numbers) in &self.second {
                let rest = wanted.wrapping_sub(sum);
                let from = self.first.partition_point(|(sum, _)| *sum < rest);
                let fits = self.first[from..]
                    .iter()
                    .take_while(|(sum, _)| *sum == rest);
                choices.extend(fits.map(|(_, others)| Choice {
                    numbers: numbers | others,
                    additional,
                }));
            }
        }
        choices.sort_by_key(|choice| choice.len());
        choices.truncate(CHOICES_MAX);
        (choices, tried)
    }
}

/// The sums of all choices of these, or of those of few, and which they are.
fn sums(numbers: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sums = vec![(0, 0)];
    // Those of one more than before.
    let mut last = 0;
    for _ in 0..numbers.len() {
        let end = sums.len();
        for at in last..end {
            let (sum, chosen): (u64, u64) = sums[at];
            for &(number, bit) in numbers.iter().filter(|(_, bit)| chosen < *bit) {
                if sums.len() >= SUMS_MAX {
                    return sums;
                }
                sums.push((sum.wrapping_add(number), chosen | bit));
            }
        }
        last = end;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::chance;

    /// Goal: every choice is found, and no other. Method: all of them tried.
    #[test]
    fn choices_have_the_sum() {
        let mut chance = chance(1);
        for _ in 0..500 {
            let count = chance.below(9) as usize;
            let mut draw = || chance.below(6).wrapping_sub(2);
            let numbers: Vec<u64> = (0..count).map(|_| draw()).collect();
            let additional: Vec<u64> = (0..count % 3).map(|_| draw().wrapping_add(100)).collect();
            let wanted = draw().wrapping_add(if count.is_multiple_of(2) { 0 } else { 100 });
            let (found, _) = Missing::new(&numbers).find(wanted, additional.iter().copied());
            let sum = |choice: &Choice| {
                let more = choice.additional.map_or(0, |place| additional[place]);
                let chosen = choice.numbers().map(|place| numbers[place]);
                chosen.fold(more, u64::wrapping_add)
            };
            assert!(found.iter().all(|choice| sum(choice) == wanted));
            let with = (0..additional.len()).map(Some);
            let all = std::iter::once(None).chain(with).flat_map(|additional| {
                (0..1_u64 << count).map(move |numbers| Choice {
                    numbers,
                    additional,
                })
            });
            let fits = all.filter(|choice| sum(choice) == wanted).count();
            assert_eq!(found.len(), fits.min(CHOICES_MAX));
        }
    }
}
