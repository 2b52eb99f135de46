//! Linearizable histories of any size, made by clients of a register that never rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use seeds::Stream;

use crate::registers::{Access, OPEN, RegisterCall, RegisterHistory};

const LATENCY_MEAN: u64 = 1_000_000;

/// A history to make: half of the calls read, but for those that are cas.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub calls: usize,
    pub clients: usize,
    /// How many values are written; 0 for a new one each time.
    pub values: u32,
    pub cas_percent: u64,
    /// Calls that never return; half of them take effect all the same, late.
    pub open_percent: u64,
}

/// What happens next to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

/// A register and its clients.
struct Simulation<'c> {
    load: Load,
    chance: &'c mut Stream,
    agenda: BinaryHeap<Reverse<(u64, u64, Step, u32)>>,
    stamps: u64,
    state: u32,
    fresh: u32,
    calls: Vec<RegisterCall>,
    moments: Vec<u32>,
}

/// A linearizable history.
pub(crate) fn simulate(load: &Load, chance: &mut Stream) -> RegisterHistory {
    let mut simulation = Simulation {
        load: *load,
        chance,
        agenda: BinaryHeap::new(),
        stamps: 0,
        state: 0,
        fresh: 1,
        calls: Vec::new(),
        moments: Vec::new(),
    };
    for _ in 0..load.clients {
        let time = simulation.chance.exponential(LATENCY_MEAN);
        simulation.plan(time, Step::Begin, 0);
    }
    while let Some(Reverse((time, _, step, call))) = simulation.agenda.pop() {
        match step {
            Step::Begin if simulation.calls.len() < load.calls => simulation.begin(time),
            Step::Begin => {}
            Step::Effect => simulation.effect(time, call),
            Step::End => simulation.end(time, call),
        }
    }
    RegisterHistory {
        calls: simulation.calls,
        moments: simulation.moments,
        values: match load.values {
            0 => simulation.fresh,
            values => values + 1,
        },
        starts: vec![0],
    }
}

impl Simulation<'_> {
    fn plan(&mut self, time: u64, step: Step, call: u32) {
        self.stamps += 1;
        self.agenda.push(Reverse((time, self.stamps, step, call)));
    }

    fn value(&mut self) -> u32 {
        if self.load.values > 0 {
            return 1 + self.chance.below(u64::from(self.load.values)) as u32;
        }
        self.fresh += 1;
        self.fresh - 1
    }

    fn begin(&mut self, time: u64) {
        let access = if self.chance.chance(self.load.cas_percent, 100) {
            let old = match self.load.values {
                0 => self.state,
                _ => self.value(),
            };
            Access::Cas(old, self.value())
        } else if self.chance.chance(1, 2) {
            Access::Read(0)
        } else {
            Access::Write(self.value())
        };
        let call = self.calls.len() as u32;
        self.calls.push(RegisterCall {
            access,
            begins: self.moments.len() as u32,
            returns: OPEN,
        });
        self.moments.push(call << 1);
        let delay = 1 + self.chance.exponential(LATENCY_MEAN);
        if !self.chance.chance(self.load.open_percent, 100) {
            // Until it returns it is marked as one that will.
            self.calls[call as usize].returns = 0;
            self.plan(time + delay, Step::Effect, call);
            return;
        }
        if self.chance.chance(1, 2) {
            let late = 1 + self.chance.below(10);
            self.plan(time + delay * late, Step::Effect, call);
        }
        self.plan(time + 3 * LATENCY_MEAN, Step::Begin, 0);
    }

    fn effect(&mut self, time: u64, number: u32) {
        let call = &mut self.calls[number as usize];
        match call.access {
            Access::Read(_) => call.access = Access::Read(self.state),
            Access::Write(value) => self.state = value,
            Access::Cas(old, new) if old == self.state => self.state = new,
            Access::Cas(old, _) if call.returns != OPEN => call.access = Access::Not(old),
            Access::Cas(..) | Access::Not(_) => {}
        }
        if call.returns != OPEN {
            let end = time + 1 + self.chance.exponential(LATENCY_MEAN);
            self.plan(end, Step::End, number);
        }
    }

    fn end(&mut self, time: u64, call: u32) {
        self.calls[call as usize].returns = self.moments.len() as u32;
        self.moments.push(call << 1 | 1);
        self.plan(time + 1, Step::Begin, 0);
    }
}
