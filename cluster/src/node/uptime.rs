//! What a node sees of elapsed time: that of a machine of its own, by a time namespace
//! (time_namespaces(7)), entered before its program begins.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::error::{For, SystemCall};

const NS_PER_S: i64 = 1_000_000_000;
const NEW_TIME: CloneFlags = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);

/// How far the clocks of elapsed time are from those of this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uptime {
    /// What `CLOCK_MONOTONIC` and its relatives are ahead, in nanoseconds.
    pub monotonic_ns: i64,
    /// What `CLOCK_BOOTTIME` and its relatives are ahead, in nanoseconds.
    boottime_ns: i64,
}

impl Uptime {
    /// Of a machine that has been up for so long at this moment.
    pub fn of(uptime: Duration) -> Self {
        let uptime_ns = i64::try_from(uptime.as_nanos()).unwrap_or(i64::MAX);
        let ahead = |clock| uptime_ns.saturating_sub(now_ns(clock));
        Uptime {
            monotonic_ns: ahead(ClockId::CLOCK_MONOTONIC),
            boottime_ns: ahead(ClockId::CLOCK_BOOTTIME),
        }
    }

    /// How long the machine seems to have been up by now.
    pub fn now(self) -> Duration {
        let shown_ns = now_ns(ClockId::CLOCK_MONOTONIC).saturating_add(self.monotonic_ns);
        Duration::from_nanos(u64::try_from(shown_ns).unwrap_or(0))
    }

    /// What a process is shown, as the kernel has it.
    pub fn shown_to(pid: Pid) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/timens_offsets"))?;
        let ahead_ns = |clock: &str| {
            let mut lines = text.lines().map(str::split_ascii_whitespace);
            let mut fields =
                lines.find_map(|mut line| (line.next() == Some(clock)).then_some(line))?;
            let seconds: i64 = fields.next()?.parse().ok()?;
            let ns: i64 = fields.next()?.parse().ok()?;
            seconds.checked_mul(NS_PER_S)?.checked_add(ns)
        };
        match (ahead_ns("monotonic"), ahead_ns("boottime")) {
            (Some(monotonic_ns), Some(boottime_ns)) => Ok(Uptime {
                monotonic_ns,
                boottime_ns,
            }),
            _ => Err(io::Error::other(format!("unexpected offsets {text:?}"))),
        }
    }

    /// Puts this process, which must have one thread only, and all below it on such a machine.
    pub fn enter(self) -> Result<(), SystemCall> {
        if self == Uptime::default() {
            return Ok(());
        }
        unshare(NEW_TIME).call("create a time namespace")?;
        let line = |name, ahead_ns: i64| {
            let (seconds, ns) = (ahead_ns.div_euclid(NS_PER_S), ahead_ns.rem_euclid(NS_PER_S));
            format!("{name} {seconds} {ns}\n")
        };
        let offsets = line("monotonic", self.monotonic_ns) + &line("boottime", self.boottime_ns);
        fs::write("/proc/self/timens_offsets", offsets)
            .call("set the clocks of a time namespace")?;
        let namespace = File::open("/proc/self/ns/time_for_children");
        let namespace = namespace.call("open a time namespace")?;
        setns(namespace, NEW_TIME).call("enter a time namespace")
    }

    /// As an argument of a command.
    pub fn to_arg(self) -> String {
        format!("{},{}", self.monotonic_ns, self.boottime_ns)
    }

    /// From an argument of a command.
    pub fn from_arg(arg: &OsStr) -> Option<Self> {
        let (monotonic, boottime) = arg.to_str()?.split_once(',')?;
        Some(Uptime {
            monotonic_ns: monotonic.parse().ok()?,
            boottime_ns: boottime.parse().ok()?,
        })
    }
}

fn now_ns(clock: ClockId) -> i64 {
    // Both clocks exist on every Linux since 2.6.39.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * NS_PER_S + time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_is_kept_in_an_argument_and_goes_on() {
        let day = Duration::from_secs(86_400);
        let uptime = Uptime::of(day);
        assert_eq!(Uptime::from_arg(OsStr::new(&uptime.to_arg())), Some(uptime));
        assert!(uptime.now() >= day);
        assert_eq!(Uptime::from_arg(OsStr::new("1")), None);
        assert_eq!(Uptime::from_arg(OsStr::new("1,x")), None);
    }
}
