//! What clients cannot put into an outcome.

use std::sync::{Arc, Mutex, PoisonError};

/// What is wrong with the clients themselves, rather than with the system: a program that cannot be
/// started or does not speak the protocol. A run whose clients are broken says nothing about the
/// system. Shared by all clients of a run.
#[derive(Debug, Clone, Default)]
pub struct Complaints(Arc<Mutex<Vec<String>>>);

/// Only whether it is the same list.
impl PartialEq for Complaints {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Complaints {}

/// Complaints that are kept: the first ones say it.
const COMPLAINTS_MAX: usize = 20;

impl Complaints {
    /// Adds a complaint, unless the same was made before.
    pub fn add(&self, complaint: String) {
        let mut complaints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < COMPLAINTS_MAX && !complaints.contains(&complaint) {
            complaints.push(complaint);
        }
    }

    /// The first complaint, if there is any.
    pub fn first(&self) -> Option<String> {
        let complaints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.first().cloned()
    }
}
