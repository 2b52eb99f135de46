//! How many elements are there for certain in each gap, and the like: trees over places.

/// The node above all others; those below `n` are `2n` and `2n + 1`.
const ROOT: usize = 1;

/// How often each gap is covered.
#[derive(Debug)]
pub(crate) struct Cores {
    gaps: usize,
    /// A power of two.
    leaves: usize,
    /// Least and most below each node of the tree, apart from what is added above it.
    least: Vec<i32>,
    most: Vec<i32>,
    /// Added to everything below.
    added: Vec<i32>,
}

impl Cores {
    pub(crate) fn none(gaps: usize) -> Self {
        let leaves = gaps.next_power_of_two();
        Cores {
            gaps,
            leaves,
            least: vec![0; 2 * leaves],
            most: vec![0; 2 * leaves],
            added: vec![0; 2 * leaves],
        }
    }

    /// How many gaps there are.
    pub(crate) fn len(&self) -> usize {
        self.gaps
    }

    /// Covers the gaps from the first up to but not with the end so many times more.
    pub(crate) fn add(&mut self, first: usize, end: usize, times: i32) {
        let mut asked = vec![(ROOT, 0, self.leaves, false)];
        while let Some((node, from, upto, is_done)) = asked.pop() {
            if end <= from || upto <= first {
                continue;
            }
            if is_done {
                let (left, right) = (2 * node, 2 * node + 1);
                self.least[node] = self.added[node] + self.least[left].min(self.least[right]);
                self.most[node] = self.added[node] + self.most[left].max(self.most[right]);
            } else if first <= from && upto <= end {
                self.least[node] += times;
                self.most[node] += times;
                self.added[node] += times;
            } else {
                let middle = from.midpoint(upto);
                asked.push((node, from, upto, true));
                asked.push((2 * node, from, middle, false));
                asked.push((2 * node + 1, middle, upto, false));
            }
        }
    }

    /// The first gap from this one on that is covered; the number of gaps where there is none.
    pub(crate) fn covered(&self, gap: usize) -> usize {
        self.first(gap, |least_most| least_most.1 > 0)
    }

    /// The first gap from this one on that is not covered; the number of gaps where there is none.
    pub(crate) fn uncovered(&self, gap: usize) -> usize {
        self.first(gap, |least_most| least_most.0 <= 0)
    }

    /// The first gap from this one on below nodes whose least and most may hold it.
    fn first(&self, gap: usize, may_hold: impl Fn((i32, i32)) -> bool) -> usize {
        let mut asked = vec![(ROOT, 0, self.leaves, 0)];
        while let Some((node, from, upto, above)) = asked.pop() {
            let bounds = (self.least[node] + above, self.most[node] + above);
            if upto <= gap || from >= self.gaps || !may_hold(bounds) {
                continue;
            }
            if node >= self.leaves {
                return from;
            }
            let middle = from.midpoint(upto);
            let above = above + self.added[node];
            asked.push((2 * node + 1, middle, upto, above));
            asked.push((2 * node, from, middle, above));
        }
        self.gaps
    }
}

/// Numbers by place, and the least of many of them.
#[derive(Debug)]
pub(crate) struct Least {
    /// A power of two.
    leaves: usize,
    least: Vec<usize>,
}

impl Least {
    pub(crate) fn of(numbers: impl ExactSizeIterator<Item = usize>) -> Self {
        let leaves = numbers.len().next_power_of_two();
        let mut least = vec![usize::MAX; 2 * leaves];
        for (place, number) in numbers.enumerate() {
            least[leaves + place] = number;
        }
        for node in (ROOT..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Least { leaves, least }
    }

    /// Gives a place another number.
    pub(crate) fn set(&mut self, place: usize, number: usize) {
        let mut node = self.leaves + place;
        self.least[node] = number;
        while node > ROOT {
            node /= 2;
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]);
        }
    }

    /// The first place from one up to but not with another whose number is below a bound, and that
    /// is wanted.
    pub(crate) fn find(
        &self,
        from: usize,
        upto: usize,
        below: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut asked = vec![(ROOT, 0, self.leaves)];
        while let Some((node, first, end)) = asked.pop() {
            if end <= from || upto <= first || self.least[node] >= below {
                continue;
            }
            if node >= self.leaves {
                if wanted(first) {
                    return Some(first);
                }
                continue;
            }
            let middle = first.midpoint(end);
            asked.push((2 * node + 1, middle, end));
            asked.push((2 * node, first, middle));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::chance;

    /// Goal: the tree is what it stands for. Method: a plain list beside it.
    #[test]
    fn cores_are_counted() {
        for gaps in [1, 2, 5, 8, 13] {
            let (mut cores, mut plain) = (Cores::none(gaps), vec![0; gaps]);
            let mut chance = chance(gaps as u64);
            let mut covers = Vec::new();
            for _ in 0..200 {
                let first = chance.below(gaps as u64) as usize;
                let end = first + 1 + chance.below((gaps - first) as u64) as usize;
                let (first, end, times) = match covers.is_empty() || chance.chance(1, 2) {
                    true => {
                        covers.push((first, end));
                        (first, end, 1)
                    }
                    false => {
                        let (first, end) = covers.swap_remove(0);
                        (first, end, -1)
                    }
                };
                cores.add(first, end, times);
                plain[first..end].iter_mut().for_each(|of| *of += times);
                for gap in 0..gaps {
                    let first = |is: &dyn Fn(i32) -> bool| {
                        (gap..gaps).find(|&gap| is(plain[gap])).unwrap_or(gaps)
                    };
                    assert_eq!(cores.covered(gap), first(&|times| times > 0));
                    assert_eq!(cores.uncovered(gap), first(&|times| times == 0));
                }
            }
        }
    }

    #[test]
    fn the_least_is_found() {
        let mut least = Least::of([5, 3, 8, 1, 9].into_iter());
        assert_eq!(least.find(0, 5, 3, |_| true), Some(3));
        assert_eq!(least.find(0, 3, 4, |_| true), Some(1));
        assert_eq!(least.find(0, 5, 9, |place| place > 1), Some(2));
        least.set(3, usize::MAX);
        assert_eq!(least.find(0, 5, 3, |_| true), None);
    }
}
