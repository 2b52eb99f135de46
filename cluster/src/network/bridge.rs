//! The kernel's bridge between the cables, and its packet filter for cuts.
//!
//! The second back end, for runs whose only network faults are cuts and resets, where the program
//! `nft` is installed: packets never leave the kernel, so it is nearest to bare speed. Each cut is a
//! set of pairs of addresses with a counter; all are replaced in one transaction of nf_tables.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use faults::{Rule, RuleCounts, TargetError, Treatment, Unavailable};

use crate::error::{For, SystemCall};
use crate::network::{Entrance, Placed};

/// The packet mark of what is dropped at the end of the chain, where nobody else marks packets.
const DROPPED_MARK: u32 = 0x77;

/// The same on a host that others use too.
const DROPPED_MARK_ON_HOST: u32 = 0x5749_4c44;

/// Where a filter is: a table of nf_tables with a chain for the cuts. A packet that a cut is about is
/// marked there, so that every cut counts it, and dropped after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its family and its name.
    pub name: String,
    /// What sets it up.
    base: String,
    mark: u32,
}

impl Table {
    /// Beside the bridge that joins the cables.
    fn of_bridge() -> Self {
        let name = "bridge whitewater".to_owned();
        let base = format!(
            "table {name} {{
    chain cuts {{
    }}
    chain forwarding {{
        type filter hook forward priority 0; policy accept;
        jump cuts
        meta mark {DROPPED_MARK:#x} drop
    }}
}}
"
        );
        Table {
            name,
            base,
            mark: DROPPED_MARK,
        }
    }

    /// On a host of its own: for what comes to the host and goes out from it, but never for
    /// connections to the port of it, if there is one, by which it is controlled.
    pub fn of_host(name: &str, spared_port: Option<u16>) -> Self {
        let name = format!("inet {name}");
        let chain = |hook: &str, port: &str| {
            let spared = spared_port.map(|spared| format!("tcp {port} {spared} accept\n"));
            let spared = spared.unwrap_or_default();
            format!(
                "    chain {hook} {{
        type filter hook {hook} priority -150; policy accept;
        {spared}
        jump cuts
        meta mark {DROPPED_MARK_ON_HOST:#x} drop
    }}
"
            )
        };
        let (input, output) = (chain("input", "dport"), chain("output", "sport"));
        let base = format!("table {name} {{\n    chain cuts {{\n    }}\n{input}{output}}}\n");
        Table {
            name,
            base,
            mark: DROPPED_MARK_ON_HOST,
        }
    }
}

/// A cut as the filter knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    rule: Arc<Rule>,
    pairs: Vec<(Ipv4Addr, Ipv4Addr)>,
    since: Instant,
}

/// The bridge's filter. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Bridge {
    shared: Arc<Shared>,
    flapper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    nft: Nft,
    table: Table,
    entrance: Entrance,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cuts: Vec<Cut>,
    /// The faults that have a counter in the kernel.
    counted: BTreeSet<u64>,
    /// The faults whose cut is in the filter now.
    down: Vec<u64>,
    /// The transactions whose marks are in the kernel; its end numbers the next.
    marked: Range<u64>,
    /// Programs whose transaction is done, and that have not ended yet.
    ending: Vec<Child>,
    is_over: bool,
}

/// The program `nft`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nft {
    program: PathBuf,
    /// What stands before its arguments, where another program must load it.
    args: Vec<OsString>,
}

impl Nft {
    /// The one that came with us into a container, or that of this machine; or why there is no bridge
    /// without it.
    pub fn find() -> Result<Self, Unavailable> {
        let own = crate::remote::bundled("nft");
        let found = own.or_else(|| Some((crate::programs::find("nft")?, Vec::new())));
        let (program, args) = found.ok_or_else(|| Unavailable {
            cause: "there is no program nft, which the network's back end `bridge` is built on"
                .into(),
            remedy: "install it (Debian, Ubuntu, Fedora: package nftables), or use `--network \
                     switch`, which needs nothing"
                .into(),
        })?;
        Ok(Nft { program, args })
    }

    /// A command of it, still without arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }
}

impl Bridge {
    /// Sets up the filter in the namespace where the bridge is.
    pub fn start(nft: Nft, entrance: Entrance) -> Result<Self, SystemCall> {
        Self::start_in(Table::of_bridge(), nft, entrance)
    }

    /// Sets up a filter in this table.
    pub fn start_in(table: Table, nft: Nft, entrance: Entrance) -> Result<Self, SystemCall> {
        let shared = Arc::new(Shared {
            nft,
            table,
            entrance,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        shared.run(&mut shared.lock(), &shared.table.base)?;
        let flapping = Arc::clone(&shared);
        let flapper = thread::Builder::new()
            .name("flapper".into())
            .spawn(move || flapping.flap())
            .call("start a thread")?;
        Ok(Self {
            shared,
            flapper: Some(flapper),
        })
    }

    /// From now on drops what these rules cut and nothing else.
    pub fn set_rules(&self, rules: &[Placed<Ipv4Addr>]) -> Result<(), TargetError> {
        let mut state = self.shared.lock();
        let now = Instant::now();
        let cut = |(rule, pairs): &Placed<Ipv4Addr>| {
            let old = state.cuts.iter().find(|old| old.rule == *rule);
            old.cloned().unwrap_or_else(|| Cut {
                rule: Arc::clone(rule),
                pairs: pairs.clone(),
                since: now,
            })
        };
        let cuts = rules.iter().map(cut).collect();
        self.shared.apply(&mut state, cuts, now)?;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// What the rule of a fault dropped so far.
    pub fn rule_counts(&self, fault: u64) -> RuleCounts {
        let is_counted = self.shared.lock().counted.contains(&fault);
        let packets = is_counted
            .then(|| self.shared.counter(fault))
            .flatten()
            .unwrap_or_default();
        RuleCounts {
            packets,
            affected: packets,
            ..RuleCounts::default()
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        if let Some(flapper) = self.flapper.take() {
            let _ = flapper.join();
        }
        for child in &mut self.shared.lock().ending {
            let _ = child.wait();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts those cuts into the filter that are down at this moment.
    fn apply(&self, state: &mut State, cuts: Vec<Cut>, now: Instant) -> Result<(), TargetError> {
        let down: Vec<&Cut> = cuts.iter().filter(|cut| cut.is_down(now)).collect();
        let script = script(&self.table, &down, &state.down, |fault| {
            state.counted.contains(&fault)
        });
        self.run(state, &script)
            .map_err(|error| TargetError(format!("cannot cut links: {error}")))?;
        state.down = down.iter().map(|cut| cut.rule.fault).collect();
        state.counted.extend(&state.down);
        state.cuts = cuts;
        Ok(())
    }

    /// Lifts and drops the cuts that flap, when it is their time.
    fn flap(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let now = Instant::now();
            let down: Vec<u64> = state
                .cuts
                .iter()
                .filter(|cut| cut.is_down(now))
                .map(|cut| cut.rule.fault)
                .collect();
            if down != state.down {
                let cuts = state.cuts.clone();
                // If it fails, the next change tries again; until then the old state stands.
                let _ = self.apply(&mut state, cuts, now);
            }
            let waits = state.cuts.iter().filter_map(|cut| cut.until_change(now));
            state = match waits.min() {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// How many packets a fault's counter has counted.
    fn counter(&self, fault: u64) -> Option<u64> {
        let counter = format!("fault{fault}");
        let table = self.table.name.split(' ');
        let args: Vec<&str> = ["list", "counter"].into_iter().chain(table).collect();
        let listed = self.nft(&[&args[..], &[&counter]].concat()).ok()?;
        let mut words = listed.split_whitespace();
        words.find(|word| *word == "packets")?;
        words.next()?.parse().ok()
    }

    /// Runs a script as one transaction, and returns when it is in force.
    ///
    /// The program ends later: before that the kernel waits until nobody can be using what was
    /// removed any more, which takes it up to 20 ms. So each transaction adds an object of its own,
    /// which the program tells of as soon as all is in force.
    fn run(&self, state: &mut State, script: &str) -> Result<(), SystemCall> {
        state
            .ending
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let table = &self.table.name;
        let mark = |number: u64| format!("counter {table} done{number}");
        let mut marked = state.marked.clone();
        let added = mark(marked.end);
        let mut script = format!("{script}add {added}\n");
        // Marks are removed with cuts, so that the next transaction need not wait for the end of one
        // that only adds.
        if !state.down.is_empty() {
            let old = marked.clone();
            script.extend(old.map(|number| format!("delete {}\n", mark(number))));
            marked.start = marked.end;
        }
        marked.end += 1;
        let mut child = self.spawn(&["--echo", "--file", "-"], &script)?;
        let said = child.stdout.take().map(BufReader::new);
        let mut lines = said.into_iter().flat_map(BufRead::lines);
        if lines.any(|line| line.is_ok_and(|line| line.contains(&added))) {
            state.ending.push(child);
        } else {
            self.outcome(child)?;
        }
        state.marked = marked;
        Ok(())
    }

    fn nft(&self, args: &[&str]) -> Result<String, SystemCall> {
        self.outcome(self.spawn(args, "")?)
    }

    fn spawn(&self, args: &[&str], input: &str) -> Result<Child, SystemCall> {
        let spawn = || -> std::io::Result<_> {
            // Inside the namespace, which the program inherits from this thread.
            let mut child = self
                .nft
                .command()
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            Ok(child)
        };
        self.entrance.run(spawn)?.call(self.action())
    }

    fn outcome(&self, child: Child) -> Result<String, SystemCall> {
        let output = child.wait_with_output().call(self.action())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        let action = format!("{}, which said: {said}", self.action());
        Err(SystemCall::new(action, nix::errno::Errno::EINVAL))
    }

    fn action(&self) -> String {
        "run nft".to_owned()
    }
}

impl Cut {
    fn flap_period(&self) -> Option<Duration> {
        match self.rule.treatment {
            Treatment::Cut { flap_period_ms } if flap_period_ms > 0 => {
                Some(Duration::from_millis(flap_period_ms))
            }
            _ => None,
        }
    }

    /// Whether it drops packets at this moment: always, or in the first half of its period.
    fn is_down(&self, now: Instant) -> bool {
        self.flap_period().is_none_or(|period| {
            let into = now.duration_since(self.since).as_nanos() % period.as_nanos();
            into < period.as_nanos().div_ceil(2)
        })
    }

    fn until_change(&self, now: Instant) -> Option<Duration> {
        let period = self.flap_period()?;
        let into = now.duration_since(self.since).as_nanos() % period.as_nanos();
        let half = period.as_nanos().div_ceil(2);
        let next = if into < half { half } else { period.as_nanos() };
        Some(Duration::from_nanos(
            u64::try_from(next - into).unwrap_or(u64::MAX),
        ))
    }
}

/// One transaction: the cuts that are to be in the filter, in the place of those that are.
fn script(
    Table {
        name: table, mark, ..
    }: &Table,
    down: &[&Cut],
    old: &[u64],
    is_counted: impl Fn(u64) -> bool,
) -> String {
    use std::fmt::Write;
    let mut script = format!("flush chain {table} cuts\n");
    for fault in old {
        let _ = writeln!(script, "delete set {table} links{fault}");
    }
    for Cut { rule, pairs, .. } in down {
        let fault = rule.fault;
        if !is_counted(fault) {
            let _ = writeln!(script, "add counter {table} fault{fault}");
        }
        let set = format!("{table} links{fault}");
        let _ = writeln!(script, "add set {set} {{ type ipv4_addr . ipv4_addr; }}");
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(from, to)| format!("{from} . {to}"))
            .collect();
        let _ = writeln!(script, "add element {set} {{ {} }}", pairs.join(", "));
        let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        let filters = if ports.is_empty() {
            vec![String::new()]
        } else {
            // So that a packet of two such ports is counted once.
            vec![
                format!("meta l4proto {{ tcp, udp }} th dport {{ {ports} }}"),
                format!(
                    "meta l4proto {{ tcp, udp }} th dport != {{ {ports} }} th sport {{ {ports} }}"
                ),
            ]
        };
        for filter in filters {
            let _ = writeln!(
                script,
                "add rule {table} cuts ip saddr . ip daddr @links{fault} {filter} counter \
                 name fault{fault} meta mark set {mark:#x}"
            );
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(fault: u64, ports: Vec<u16>, flap_period_ms: u64, since: Instant) -> Cut {
        let treatment = Treatment::Cut { flap_period_ms };
        let links = Vec::new();
        let rule = Rule {
            fault,
            links,
            ports,
            treatment,
        };
        let host = |last| Ipv4Addr::new(10, 77, 0, last);
        Cut {
            rule: Arc::new(rule),
            pairs: vec![(host(1), host(2)), (host(2), host(1))],
            since,
        }
    }

    #[test]
    fn a_swap_is_one_script() {
        let now = Instant::now();
        let (plain, of_ports) = (cut(3, vec![], 0, now), cut(4, vec![7, 8], 0, now));
        let table = Table::of_bridge();
        let script = script(&table, &[&plain, &of_ports], &[2, 3], |fault| fault == 3);
        let lines: Vec<&str> = script.lines().collect();
        let pairs = "{ 10.77.0.1 . 10.77.0.2, 10.77.0.2 . 10.77.0.1 }";
        let set = "{ type ipv4_addr . ipv4_addr; }";
        let rule = "add rule bridge whitewater cuts ip saddr . ip daddr";
        let ports = "meta l4proto { tcp, udp } th dport";
        assert_eq!(
            lines,
            [
                "flush chain bridge whitewater cuts",
                "delete set bridge whitewater links2",
                "delete set bridge whitewater links3",
                &format!("add set bridge whitewater links3 {set}"),
                &format!("add element bridge whitewater links3 {pairs}"),
                &format!("{rule} @links3  counter name fault3 meta mark set 0x77"),
                "add counter bridge whitewater fault4",
                &format!("add set bridge whitewater links4 {set}"),
                &format!("add element bridge whitewater links4 {pairs}"),
                &format!(
                    "{rule} @links4 {ports} {{ 7, 8 }} counter name fault4 meta mark set 0x77"
                ),
                &format!(
                    "{rule} @links4 {ports} != {{ 7, 8 }} th sport {{ 7, 8 }} counter name fault4 \
                     meta mark set 0x77"
                ),
            ]
        );
    }

    #[test]
    fn a_flapping_cut_changes_twice_in_each_period() {
        let since = Instant::now();
        let cut = cut(1, vec![], 11, since);
        for (into_us, is_down, wait_us) in [
            (0, true, 5_500),
            (5_499, true, 1),
            (5_500, false, 5_500),
            (11_000, true, 5_500),
        ] {
            let now = since + Duration::from_micros(into_us);
            assert_eq!(cut.is_down(now), is_down, "{into_us}");
            assert_eq!(
                cut.until_change(now),
                Some(Duration::from_micros(wait_us)),
                "{into_us}"
            );
        }
        let steady = self::cut(1, vec![], 0, since);
        assert!(steady.is_down(since) && steady.until_change(since).is_none());
    }
}
