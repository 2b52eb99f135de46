//! Which of some numbers have a given sum.

/// How many sums may be looked at for one sum asked for.
const TRIED_MAX: u64 = 1 << 20;
/// How many numbers there can be.
const NUMBERS_MAX: usize = 64;

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    /// How many sums a table has at most.
    pub sums_max: usize,
    /// How many choices are named.
    pub choices_max: usize,
}

/// Numbers, and the sums of all choices of each half of them; of many numbers only the sums of few.
#[derive(Debug)]
pub(super) struct Missing {
    /// In order of sum.
    first: Vec<(u64, u64)>,
    second: Vec<(u64, u64)>,
    /// For each number the equal ones before it: they are chosen first.
    equal_before: Vec<u64>,
    /// Whether all choices are in the tables.
    pub complete: bool,
    choices_max: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Choices that have the sum, smaller ones first.
    pub choices: Vec<Choice>,
    /// How many sums were looked at.
    pub tried: u64,
    /// Whether there were more than are named.
    pub truncated: bool,
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
    /// Of more numbers than there can be the last ones are left out. `are_equal` says of two of them
    /// by their places, the first one first, whether they stand for the same.
    pub(super) fn new(
        numbers: &[u64],
        are_equal: impl Fn(usize, usize) -> bool,
        tables: Tables,
    ) -> Self {
        let number = |place: usize| (numbers[place], 1_u64 << place);
        let places = 0..numbers.len().min(NUMBERS_MAX);
        let (first, second): (Vec<usize>, Vec<usize>) = places.partition(|place| place % 2 == 0);
        let equal_before: Vec<u64> = (0..numbers.len())
            .map(|place| {
                let before = 0..place.min(NUMBERS_MAX);
                before.fold(0, |mask, other| {
                    mask | u64::from(are_equal(other, place)) << other
                })
            })
            .collect();
        let sums = |places: Vec<usize>| {
            let numbers: Vec<(u64, u64)> = places.iter().map(|&place| number(place)).collect();
            let half = numbers.iter().fold(0, |mask, (_, bit)| mask | bit);
            let equal: Vec<u64> = places
                .iter()
                .map(|&place| equal_before[place] & half)
                .collect();
            sums(&numbers, &equal, tables.sums_max)
        };
        let ((mut first, all_first), (second, all_second)) = (sums(first), sums(second));
        first.sort_unstable();
        let complete = numbers.len() <= NUMBERS_MAX && all_first && all_second;
        Missing {
            equal_before,
            first,
            second,
            complete,
            choices_max: tables.choices_max,
        }
    }

    /// How many sums there are in the tables.
    pub(super) fn sums(&self) -> u64 {
        (self.first.len() + self.second.len()) as u64
    }

    /// Choices that have this sum, with or without one of the additional numbers.
    pub(super) fn find(&self, wanted: u64, additional: impl Iterator<Item = u64>) -> Found {
        let mut found = Found::default();
        let with = additional
            .enumerate()
            .map(|(place, number)| (Some(place), number));
        for (additional, number) in std::iter::once((None, 0)).chain(with) {
            let wanted = wanted.wrapping_sub(number);
            for &(sum, numbers) in &self.second {
                found.tried += 1;
                let rest = wanted.wrapping_sub(sum);
                let from = self.first.partition_point(|(sum, _)| *sum < rest);
                for (_, others) in self.first[from..]
                    .iter()
                    .take_while(|(sum, _)| *sum == rest)
                {
                    found.tried += 1;
                    let choice = Choice {
                        numbers: numbers | others,
                        additional,
                    };
                    if self.is_first(choice) {
                        found.choices.push(choice);
                    }
                }
                found.truncated = found.tried > TRIED_MAX;
                if found.truncated {
                    break;
                }
            }
        }
        found.choices.sort_by_key(|choice| choice.len());
        found.truncated |= found.choices.len() > self.choices_max;
        found.choices.truncate(self.choices_max);
        found
    }

    /// Of equal numbers it has the first.
    fn is_first(&self, choice: Choice) -> bool {
        let mut numbers = choice.numbers();
        numbers.all(|number| self.equal_before[number] & !choice.numbers == 0)
    }
}

/// The sums of all choices of these that have the first of equal ones, or of those of few, and which
/// they are; and whether it is all.
fn sums(numbers: &[(u64, u64)], equal_before: &[u64], most: usize) -> (Vec<(u64, u64)>, bool) {
    let mut sums = vec![(0, 0)];
    // Those of one more than before.
    let mut last = 0;
    while last < sums.len() {
        let end = sums.len();
        for at in last..end {
            let (sum, chosen): (u64, u64) = sums[at];
            for (&(number, bit), equal) in numbers.iter().zip(equal_before) {
                if bit <= chosen || equal & !chosen != 0 {
                    continue;
                }
                if sums.len() >= most {
                    return (sums, false);
                }
                sums.push((sum.wrapping_add(number), chosen | bit));
            }
        }
        last = end;
    }
    (sums, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::chance;

    const TABLES: Tables = Tables {
        sums_max: 1_500,
        choices_max: 32,
    };

    /// Goal: every choice is found, of equal numbers the first, and no other. Method: all of them
    /// tried.
    #[test]
    fn choices_have_the_sum() {
        let mut chance = chance(1);
        for _ in 0..500 {
            let count = chance.below(9) as usize;
            let mut draw = || chance.below(6).wrapping_sub(2);
            let numbers: Vec<u64> = (0..count).map(|_| draw()).collect();
            let additional: Vec<u64> = (0..count % 3).map(|_| draw().wrapping_add(100)).collect();
            let wanted = draw().wrapping_add(if count.is_multiple_of(2) { 0 } else { 100 });
            let missing = Missing::new(
                &numbers,
                |one, other| numbers[one] == numbers[other],
                TABLES,
            );
            let found = missing.find(wanted, additional.iter().copied()).choices;
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
            let is_one = |choice: &Choice| sum(choice) == wanted && missing.is_first(*choice);
            let fits = all.filter(is_one).count();
            assert_eq!(found.len(), fits.min(TABLES.choices_max));
        }
    }
}
