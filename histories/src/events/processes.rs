//! The processes of a history, numbered, so that what is known of each is found by position.

use std::collections::HashMap;

use crate::Process;

/// The number of the nemesis.
pub(crate) const NEMESIS: u32 = u32::MAX;

/// Processes below this are found in a table, others by hash.
const DIRECT_MAX: u64 = 1 << 16;

/// The client processes, each with a number from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes {
    clients: Vec<u64>,
    /// Number plus one by process; 0 for none.
    direct: Vec<u32>,
    others: HashMap<u64, u32>,
}

impl Processes {
    /// The number of a process, which it gets now if it has none.
    #[inline]
    pub fn slot(&mut self, process: Process) -> u32 {
        match process {
            Process::Nemesis => NEMESIS,
            Process::Client(client) => self.client_slot(client),
        }
    }

    /// The number of a client process.
    #[inline]
    pub fn client_slot(&mut self, client: u64) -> u32 {
        if client < DIRECT_MAX {
            match self.direct.get(client as usize) {
                Some(slot) if *slot != 0 => slot - 1,
                _ => self.add_direct(client as usize),
            }
        } else {
            let next = self.clients.len() as u32;
            let slot = *self.others.entry(client).or_insert(next);
            if slot == next {
                self.clients.push(client);
            }
            slot
        }
    }

    /// The process of a number.
    #[inline]
    pub fn process(&self, slot: u32) -> Process {
        if slot == NEMESIS {
            Process::Nemesis
        } else {
            Process::Client(self.clients[slot as usize])
        }
    }

    /// The client process of a number, which must not be the nemesis'.
    #[inline]
    pub fn client(&self, slot: u32) -> u64 {
        self.clients[slot as usize]
    }

    /// All client processes, by number.
    pub fn clients(&self) -> &[u64] {
        &self.clients
    }

    /// How many client processes there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    fn add_direct(&mut self, client: usize) -> u32 {
        if self.direct.len() <= client {
            self.direct.resize(client + 1, 0);
        }
        let slot = self.clients.len() as u32;
        self.clients.push(client as u64);
        self.direct[client] = slot + 1;
        slot
    }
}
