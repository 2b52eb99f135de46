//! Changing and reading the clocks of one process.

use std::fs::File;
use std::os::unix::fs::FileExt;

use faults::Clock;
use nix::unistd::Pid;

use super::error::ClockError;
use super::payload::{self, MAPPING_BYTES, PAGE_BYTES, PATCH_BYTES, Page};
use super::reading::{Mappings, Offset, Reading};
use super::remote::Remote;
use super::session::{Session, memory, on_own_thread};
use super::standing::Standing;
use super::vdso::Vdso;

/// Whether a process's clocks are as they are to be.
pub(crate) fn is_current(pid: Pid, standing: &Standing) -> Result<bool, ClockError> {
    let look = Look::at(pid, &memory(pid)?)?;
    Ok(match look.payload {
        None => standing.is_true(),
        Some((_, page)) => !standing.is_true() && page.generation == standing.generation,
    })
}

/// Brings the clocks of processes that share their memory to what they are to be, and has the first
/// of them read one before and afterwards, by the function that its program calls.
///
/// `None` when there was nothing to do.
pub(crate) fn change(
    members: &[Pid],
    standing: &mut Standing,
    read: Clock,
    mappings: &mut Mappings,
) -> Result<Option<Reading>, ClockError> {
    // ptrace(2) is a matter between threads, and the end of ours frees theirs in any case.
    on_own_thread(|| {
        let mut session = Session::begin(members)?;
        let pid = session.pid();
        let look = Look::at(pid, session.memory())?;
        let is_to_be_patched = !standing.is_true();
        let is_patched = look.payload.is_some();
        if !is_patched && !is_to_be_patched {
            return Ok(None);
        }
        if is_patched != is_to_be_patched {
            // A thread that saw the true monotonic time late would then see the clock go back.
            let is_monotonic = is_to_be_patched && !standing.is_true_of(Clock::Monotonic);
            session.clear(&|place| match is_monotonic {
                true => look.vdso.is_inside(place),
                false => look.vdso.is_overwritten(place),
            })?;
        }
        let worker = session.await_worker()?;
        let known = mappings.get(&pid).copied();
        let work = |remote: &Remote<'_>| {
            let (mapping, page) = match look.payload {
                Some(found) => found,
                None => put_payload(remote, session.memory(), &look, known)?,
            };
            let clocks = Clocks {
                remote,
                memory: session.memory(),
                function: look.vdso.functions[0],
                mapping,
            };
            let before = clocks.offset(read, standing)?;
            clocks.set(page, standing)?;
            if is_patched != is_to_be_patched {
                redirect(remote, &look, is_to_be_patched.then_some(mapping))?;
            }
            Ok((mapping, before, clocks.offset(read, standing)?))
        };
        let (mapping, before, after) = Remote::with(&session, worker, look.vdso.syscall, work)?;
        mappings.insert(pid, mapping);
        Ok(Some(Reading {
            pid,
            before,
            after,
            held: session.end(),
        }))
    })
}

/// What there is in a process.
struct Look {
    vdso: Vdso,
    /// How the functions begin.
    begins: [[u8; 16]; 3],
    /// The payload's mapping and page, where the functions are redirected to it.
    payload: Option<(u64, Page)>,
}

impl Look {
    fn at(pid: Pid, memory: &File) -> Result<Self, ClockError> {
        let vdso = Vdso::find(pid, memory)?;
        let mut begins = [[0; 16]; 3];
        for (begin, at) in begins.iter_mut().zip(vdso.functions) {
            memory
                .read_exact_at(begin, at)
                .map_err(|error| ClockError::io(pid, "read the vDSO", &error))?;
        }
        let mut payload = None;
        for (function, begin) in begins.iter().enumerate() {
            let Some(target) = payload::target_of(begin) else {
                continue;
            };
            let mapping = target.wrapping_sub(payload::entry(0, function));
            let page = page_of(memory, mapping);
            let page = page.ok_or_else(|| ClockError::vdso(pid, "they are redirected already"))?;
            payload = Some((mapping, page));
        }
        Ok(Self {
            vdso,
            begins,
            payload,
        })
    }
}

/// The page of the payload at this mapping, if there is one.
fn page_of(memory: &File, mapping: u64) -> Option<Page> {
    let mut bytes = [0; size_of::<Page>()];
    let at = mapping.checked_add(PAGE_BYTES)?;
    memory.read_exact_at(&mut bytes, at).ok()?;
    Page::from_bytes(bytes)
}

/// Puts the payload into a process, or finds it where it was put before. Nothing leads to it yet.
fn put_payload(
    remote: &Remote<'_>,
    memory: &File,
    look: &Look,
    known: Option<u64>,
) -> Result<(u64, Page), ClockError> {
    let known = known.and_then(|mapping| Some((mapping, page_of(memory, mapping)?)));
    if let Some((mapping, page)) = known.filter(|(_, page)| page.originals == look.begins) {
        return Ok((mapping, page));
    }
    let may_write = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let may_run = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let no_file = u64::MAX;
    let arguments = [0, MAPPING_BYTES, may_write, private, no_file, 0];
    let mapping = remote.system_call("map memory for the clocks", libc::SYS_mmap, arguments)?;
    let page = Page::new(look.begins);
    remote.write(mapping, payload::code())?;
    remote.write(mapping + PAGE_BYTES, &page.to_bytes())?;
    let arguments = [mapping, PAGE_BYTES, may_run, 0, 0, 0];
    remote.system_call("make the clocks' code run", libc::SYS_mprotect, arguments)?;
    Ok((mapping, page))
}

/// Lets the functions lead to the payload, or puts back what they were.
fn redirect(remote: &Remote<'_>, look: &Look, mapping: Option<u64>) -> Result<(), ClockError> {
    let originals = look.payload.map_or(look.begins, |(_, page)| page.originals);
    for (function, original) in originals.into_iter().enumerate() {
        let mut begin = original;
        if let Some(mapping) = mapping {
            let jump = payload::jump_to(payload::entry(mapping, function));
            begin[..PATCH_BYTES].copy_from_slice(&jump);
        }
        remote.write_code(look.vdso.functions[function], &begin)?;
    }
    Ok(())
}

/// The clocks of a stopped process that has the payload.
struct Clocks<'a> {
    remote: &'a Remote<'a>,
    memory: &'a File,
    /// The `clock_gettime` that its program calls.
    function: u64,
    mapping: u64,
}

impl Clocks<'_> {
    /// Writes how the clocks are to run.
    fn set(&self, mut page: Page, standing: &mut Standing) -> Result<(), ClockError> {
        standing.begin();
        // No thread may see the monotonic clock go back, which others that we have not stopped yet
        // may have read since the distortion began.
        let floor_ns = if standing.is_true_of(Clock::Monotonic) {
            i64::MIN
        } else {
            self.shown_ns(Clock::Monotonic)?
        };
        page.sequence += 1;
        page.generation = standing.generation;
        page.courses =
            [(Clock::Realtime, i64::MIN), (Clock::Monotonic, floor_ns)].map(|(clock, floor_ns)| {
                standing.course(clock, standing.true_time_ns(clock), floor_ns)
            });
        self.remote
            .write(self.mapping + PAGE_BYTES, &page.to_bytes())
    }

    fn offset(&self, clock: Clock, standing: &Standing) -> Result<Offset, ClockError> {
        let earliest_ns = standing.true_time_ns(clock);
        let shown_ns = self.shown_ns(clock)?;
        let latest_ns = standing.true_time_ns(clock);
        let half_ns = (latest_ns - earliest_ns) / 2;
        Ok(Offset {
            offset_ns: shown_ns - earliest_ns - half_ns,
            within_ns: half_ns.abs() + 1,
        })
    }

    /// What the process is shown by a clock.
    fn shown_ns(&self, clock: Clock) -> Result<i64, ClockError> {
        let id = match clock {
            Clock::Realtime => libc::CLOCK_REALTIME,
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
        };
        let (result_at, stack_top) = (self.mapping + 2 * PAGE_BYTES, self.mapping + MAPPING_BYTES);
        let arguments = [id as u64, result_at];
        let result = self
            .remote
            .call(self.function, arguments, self.mapping, stack_top)?;
        let mut time = [[0; 8]; 2];
        for (at, number) in (result_at..).step_by(8).zip(&mut time) {
            self.memory
                .read_exact_at(number, at)
                .map_err(|error| ClockError::io(self.remote.pid(), "read the time", &error))?;
        }
        if result != 0 {
            let problem = format!("clock_gettime returned {result}");
            return Err(ClockError::vdso(self.remote.pid(), problem));
        }
        let [seconds, ns] = time.map(i64::from_le_bytes);
        Ok(seconds * 1_000_000_000 + ns)
    }
}
