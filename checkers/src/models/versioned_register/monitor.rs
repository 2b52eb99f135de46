//! Versioned registers, decided from their versions.
//!
//! A version that somebody saw was there for one stretch of time, and the versions seen are in
//! order. So a history has an order if and only if
//!
//! 1. all agree on the value of a version, and on who made it; nothing was made below the start;
//! 2. no version that was seen lies between the one a compare-and-set found and the one it made;
//! 3. no operation on a larger version returns before one on a smaller version begins, and no read
//!    before the change that made what it found;
//! 4. for each version seen that no completed operation made there is an operation of unknown
//!    outcome that did, one for each: a write of its value, or a compare-and-set to its value from
//!    the version seen before it. It must have begun before any operation returns that is on this
//!    version or a larger one. Such a compare-and-set can have made only the one version, so it is
//!    taken first; and as the limit only grows with the version, of the writes of a value those
//!    that began earlier are as good as any.
//!
//! What else is of unknown outcome did not happen. (In the order by versions, each operation takes
//! place at the latest of its beginning and those of the operations before it, which by 3 and 4 is
//! before it returns.)
//!
//! Compare-and-sets that found another version than expected fit in with one version or another:
//! the smallest that is not the one they expected, and not below one on which an operation returned
//! before. If that is above the version of an operation that begins after they return, it is left
//! to the search, for versions that nobody saw could have been there for a while.

use histories::Value;
use rustc_hash::FxHashMap;

use super::VersionedOp;
use crate::Monitored;
use crate::oracle::Interval;

type History = [Interval<VersionedOp>];

/// Decides the history of a register that starts as given. `None` where versions do not say enough:
/// a completed change did not say which version it made, a version is known only from a
/// compare-and-set that found it, or see above.
pub(super) fn decide(version: u64, value: &Value, history: &History) -> Option<Monitored> {
    let versions = match Versions::of(version, value, history)? {
        Ok(versions) => versions,
        Err(calls) => return Some(violated(calls)),
    };
    if let Err(calls) = versions.check_links().and_then(|()| versions.check_times()) {
        return Some(violated(calls));
    }
    let makers = match versions.find_makers()? {
        Ok(makers) => makers,
        Err(calls) => return Some(violated(calls)),
    };
    versions
        .fit_mismatches(&makers)
        .then_some(Monitored::Linearizable)
}

fn violated(mut calls: Vec<usize>) -> Monitored {
    calls.sort_unstable();
    calls.dedup();
    Monitored::Violated(calls)
}

/// A version that was seen.
#[derive(Debug)]
struct Seen<'a> {
    version: u64,
    /// `None` where only a compare-and-set that found it names it.
    value: Option<&'a Value>,
    /// The completed operation that made it.
    maker: Option<usize>,
    reads: Vec<usize>,
    /// Some operation that names it.
    named_by: Option<usize>,
}

/// The versions seen, in order; the first is the one at the start.
struct Versions<'a> {
    history: &'a History,
    seen: Vec<Seen<'a>>,
}

/// Operations that contradict each other.
type Conflict = Vec<usize>;

impl<'a> Versions<'a> {
    fn of(start: u64, value: &'a Value, history: &'a History) -> Option<Result<Self, Conflict>> {
        // Each naming of a version: by whom, whether as its maker, and with which value.
        let mut named: Vec<(u64, usize, Naming<'a>)> = Vec::new();
        for (call, interval) in history.iter().enumerate() {
            let version = match (&interval.op, interval.ends) {
                (VersionedOp::Write(_, Some(_)) | VersionedOp::Cas(_, _, Some(_)), None)
                | (VersionedOp::Write(_, None) | VersionedOp::Cas(_, _, None), Some(_)) => {
                    return None;
                }
                (VersionedOp::Mismatch(_), _) | (_, None) => continue,
                (VersionedOp::Read(version, value), Some(_)) => {
                    named.push((*version, call, Naming::Reads(value)));
                    *version
                }
                (VersionedOp::Write(value, Some(version)), Some(_)) => {
                    named.push((*version, call, Naming::Makes(value)));
                    version.saturating_sub(1)
                }
                (VersionedOp::Cas(expected, value, Some(version)), Some(_)) => {
                    named.push((*expected, call, Naming::Finds));
                    named.push((*version, call, Naming::Makes(value)));
                    if version <= expected {
                        return Some(Err(vec![call]));
                    }
                    *expected
                }
            };
            if version < start {
                return Some(Err(vec![call]));
            }
        }
        named.sort_by_key(|(version, ..)| *version);
        let mut versions = Versions {
            history,
            seen: vec![Seen {
                version: start,
                value: Some(value),
                maker: None,
                reads: Vec::new(),
                named_by: None,
            }],
        };
        for (version, call, naming) in named {
            if let Err(conflict) = versions.add(version, call, naming) {
                return Some(Err(conflict));
            }
        }
        let is_vague = |seen: &Seen<'_>| seen.value.is_none();
        (!versions.seen.iter().any(is_vague)).then_some(Ok(versions))
    }

    /// Adds a naming of a version at or above all that were added.
    fn add(&mut self, version: u64, call: usize, naming: Naming<'a>) -> Result<(), Conflict> {
        if self.seen.last().is_none_or(|last| last.version < version) {
            self.seen.push(Seen {
                version,
                value: None,
                maker: None,
                reads: Vec::new(),
                named_by: Some(call),
            });
        }
        let is_start = self.seen.len() == 1;
        let Some(seen) = self.seen.last_mut() else {
            return Ok(());
        };
        let value = match naming {
            Naming::Finds => return Ok(()),
            Naming::Reads(value) => {
                seen.reads.push(call);
                value
            }
            Naming::Makes(value) => {
                let other = seen.maker.replace(call);
                if other.is_some() || is_start {
                    return Err(other.into_iter().chain([call]).collect());
                }
                value
            }
        };
        match seen.value {
            Some(known) if known != value => {
                // Whoever told the other value: the maker, or the first read; or the start did.
                let makes = matches!(naming, Naming::Makes(_));
                let teller = seen
                    .maker
                    .filter(|_| !makes)
                    .or(seen.reads.first().copied());
                Err(teller.into_iter().chain([call]).collect())
            }
            _ => {
                seen.value = Some(value);
                Ok(())
            }
        }
    }

    fn begins(&self, call: usize) -> u64 {
        self.history[call].begins
    }

    fn ends(&self, call: usize) -> u64 {
        self.history[call].ends.unwrap_or(u64::MAX)
    }

    /// What a compare-and-set found is the version seen before the one it made.
    fn check_links(&self) -> Result<(), Conflict> {
        for pair in self.seen.windows(2) {
            let [before, seen] = pair else { continue };
            let Some(maker) = seen.maker else { continue };
            if let VersionedOp::Cas(expected, ..) = self.history[maker].op
                && expected != before.version
            {
                return Err(before.named_by.into_iter().chain([maker]).collect());
            }
        }
        Ok(())
    }

    /// The order of versions is not against that of time.
    fn check_times(&self) -> Result<(), Conflict> {
        let mut last_begun: Option<usize> = None;
        for seen in &self.seen {
            let steps: [&[usize]; 2] = [seen.maker.as_slice(), &seen.reads];
            for calls in steps {
                for &call in calls {
                    if let Some(last) = last_begun
                        && self.ends(call) < self.begins(last)
                    {
                        return Err(vec![call, last]);
                    }
                }
                let latest = calls.iter().copied().chain(last_begun);
                last_begun = latest.max_by_key(|call| self.begins(*call));
            }
        }
        Ok(())
    }

    /// For each version the operation of unknown outcome that made it, where one must have.
    fn find_makers(&self) -> Option<Result<Vec<Option<usize>>, Conflict>> {
        let mut open = Open::of(self.history);
        let limits = self.limits();
        let mut makers = vec![None; self.seen.len()];
        // Versions of each value that writes have to make.
        let mut wanting: FxHashMap<&Value, Vec<usize>> = FxHashMap::default();
        for place in 1..self.seen.len() {
            let (seen, before) = (&self.seen[place], &self.seen[place - 1]);
            let (None, Some(value)) = (seen.maker, seen.value) else {
                continue;
            };
            let (limit, limited_by) = limits[place];
            if let Some(cas) = open.take_cas(before.version, value, limit) {
                makers[place] = Some(cas);
                continue;
            }
            let wanting = wanting.entry(value).or_default();
            wanting.push(place);
            if let Some(write) = open.take_write(value, limit) {
                makers[place] = Some(write);
                continue;
            }
            if open.may_come_from_unseen(value, self) {
                return None;
            }
            // There are fewer writes than versions that want one, for these reasons.
            let mut calls = vec![limited_by];
            for &wanted in wanting.iter() {
                calls.push(limits[wanted].1);
                calls.extend(self.seen[wanted].reads.first());
                calls.extend(self.seen[wanted - 1].named_by);
            }
            return Some(Err(calls));
        }
        Some(Ok(makers))
    }

    /// For each version, when an operation on it or on a larger one returns first, and which.
    fn limits(&self) -> Vec<(u64, usize)> {
        let mut limits = vec![(u64::MAX, 0); self.seen.len()];
        let mut first = (u64::MAX, 0);
        for (place, seen) in self.seen.iter().enumerate().rev() {
            for &call in seen.reads.iter().chain(&seen.maker) {
                first = first.min((self.ends(call), call));
            }
            limits[place] = first;
        }
        limits
    }

    /// Whether the compare-and-sets that found another version fit in.
    fn fit_mismatches(&self, makers: &[Option<usize>]) -> bool {
        let mut mismatches: Vec<(usize, u64)> = Vec::new();
        for (call, interval) in self.history.iter().enumerate() {
            if let (VersionedOp::Mismatch(version), Some(_)) = (&interval.op, interval.ends) {
                mismatches.push((call, *version));
            }
        }
        if mismatches.is_empty() {
            return true;
        }
        mismatches.sort_unstable_by_key(|(call, _)| self.begins(*call));
        // When each place is returned from, by operations and by mismatches put there, in order
        // of time.
        let mut returns: Vec<(u64, usize)> = Vec::new();
        // At which places may one be that returns at a time: where all before, and the maker, have
        // begun.
        let mut begun: Vec<u64> = Vec::with_capacity(self.seen.len());
        let mut latest = 0;
        for (place, seen) in self.seen.iter().enumerate() {
            let maker = seen.maker.or(makers[place]);
            latest = maker.map_or(latest, |maker| latest.max(self.begins(maker)));
            begun.push(latest);
            for &read in &seen.reads {
                latest = latest.max(self.begins(read));
            }
            let completed = seen.reads.iter().chain(&seen.maker);
            returns.extend(completed.map(|call| (self.ends(*call), place)));
        }
        let mut returns: std::collections::BinaryHeap<_> =
            returns.into_iter().map(std::cmp::Reverse).collect();
        let mut lowest = 0;
        for (call, expected) in mismatches {
            while let Some(std::cmp::Reverse((ends, place))) = returns.peek().copied()
                && ends < self.begins(call)
            {
                lowest = lowest.max(place);
                returns.pop();
            }
            let place = lowest + usize::from(self.seen[lowest].version == expected);
            // `begun` only grows, so a smaller place would not do either.
            if begun
                .get(place)
                .is_none_or(|begun| *begun > self.ends(call))
            {
                return false;
            }
            returns.push(std::cmp::Reverse((self.ends(call), place)));
        }
        true
    }
}

/// How an operation names a version.
#[derive(Debug, Clone, Copy)]
enum Naming<'a> {
    Reads(&'a Value),
    Makes(&'a Value),
    Finds,
}

/// Changes of unknown outcome, the last to begin first.
struct Open<'a> {
    writes: FxHashMap<&'a Value, Vec<(u64, usize)>>,
    cas: FxHashMap<(u64, &'a Value), Vec<(u64, usize)>>,
}

impl<'a> Open<'a> {
    fn of(history: &'a History) -> Self {
        let mut open = Open {
            writes: FxHashMap::default(),
            cas: FxHashMap::default(),
        };
        for (call, interval) in history.iter().enumerate() {
            let list = match &interval.op {
                _ if interval.ends.is_some() => continue,
                VersionedOp::Write(value, _) => open.writes.entry(value).or_default(),
                VersionedOp::Cas(expected, value, _) => {
                    open.cas.entry((*expected, value)).or_default()
                }
                VersionedOp::Read(..) | VersionedOp::Mismatch(_) => continue,
            };
            list.push((interval.begins, call));
        }
        for list in open.writes.values_mut().chain(open.cas.values_mut()) {
            list.sort_unstable_by(|a, b| b.cmp(a));
        }
        open
    }

    fn take_write(&mut self, value: &'a Value, limit: u64) -> Option<usize> {
        take(self.writes.get_mut(value)?, limit)
    }

    fn take_cas(&mut self, expected: u64, value: &'a Value, limit: u64) -> Option<usize> {
        take(self.cas.get_mut(&(expected, value))?, limit)
    }

    /// Whether a compare-and-set to this value is from a version that nobody saw, but that may have
    /// been there.
    fn may_come_from_unseen(&self, value: &Value, versions: &Versions<'_>) -> bool {
        let is_seen = |version: u64| {
            let found = versions
                .seen
                .binary_search_by_key(&version, |seen| seen.version);
            found.is_ok()
        };
        let mut unseen = self.cas.keys().filter(|(expected, _)| !is_seen(*expected));
        unseen.any(|(_, left)| **left == *value)
    }
}

/// The first to begin, if that is before the limit.
fn take(list: &mut Vec<(u64, usize)>, limit: u64) -> Option<usize> {
    let (begins, call) = *list.last()?;
    (begins < limit).then(|| {
        list.pop();
        call
    })
}
