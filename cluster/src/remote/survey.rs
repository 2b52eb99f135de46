//! Questions to hosts outside a run: what they allow, and what runs that are over have left there.

use std::thread;
use std::time::Duration;

use faults::Unavailable;

use super::error::RemoteError;
use super::host::Host;
use super::session::Session;
use super::ssh;
use super::wire::{Ask, Examined, Healed};

/// How long undoing what runs have left may take beyond other requests.
const HEAL_LIMIT: Duration = Duration::from_secs(60);

/// What a host allows: what it is needed for, and whether it is there.
pub type HostFacts = Vec<(&'static str, Result<(), Unavailable>)>;

/// Tries each host: whether ssh comes through, this program runs there, and what it may do there.
pub fn examine(hosts: &[Host]) -> Vec<Result<HostFacts, RemoteError>> {
    on_each(hosts, |session| {
        let examined: Examined = session.ask(Ask::Examine, Duration::ZERO)?;
        Ok(facts(examined))
    })
}

/// What an agent says of where it is, with what each is needed for.
pub(super) fn facts(examined: Examined) -> HostFacts {
    vec![
        (
            "partitions (root, nf_tables and its program nft)",
            examined.cuts,
        ),
        (
            "the fault reset-connections (root, sock_diag)",
            examined.resets,
        ),
        ("clock faults (ptrace)", examined.clocks),
        (
            "limits of CPU and memory by cgroups; else by signals and resource limits",
            examined.groups,
        ),
    ]
}

/// Undoes on each host what runs that are over have left there. Harmless twice.
pub fn heal(hosts: &[Host]) -> Vec<Result<Vec<Healed>, RemoteError>> {
    on_each(hosts, |session| session.ask(Ask::Heal, HEAL_LIMIT))
}

fn on_each<R: Send>(
    hosts: &[Host],
    ask: impl Fn(&Session) -> Result<R, RemoteError> + Sync,
) -> Vec<Result<R, RemoteError>> {
    let on_one = |host: &Host| {
        host.resolve()?;
        let session = ssh::open(&host.name, Box::new(|_| {}))?;
        let answer = ask(&session)?;
        session.leave()?;
        Ok(answer)
    };
    thread::scope(|scope| {
        let on_one = &on_one;
        let threads: Vec<_> = hosts
            .iter()
            .map(|host| scope.spawn(move || on_one(host)))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}
