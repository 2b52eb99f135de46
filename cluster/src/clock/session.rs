//! A process held still: every thread of it stopped, or unable to run its program.
//!
//! A session belongs to one thread of ours, its tracer. It ends with that thread at the latest: the
//! kernel then lets every thread of the target go on.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use super::LIMIT;
use super::error::ClockError;
use super::ptrace::{self, State};

/// After how long without an answer a thread is looked at: it may hang in the kernel.
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// So many times we ask at once before we sleep between asking.
const ASK_AT_ONCE_MAX: u32 = 50;

/// Between two askings.
const POLL: Duration = Duration::from_micros(50);

/// For how long a thread that is at a bad place is let go on, the first time and at most.
const RELEASE_MIN: Duration = Duration::from_micros(20);
const RELEASE_MAX: Duration = Duration::from_millis(20);

/// No time function is nearly as long, loops included.
const STEPS_MAX: u32 = 10_000;

/// SIGTRAP in a mask of signals.
const SIGTRAP_BIT: u64 = 1 << (libc::SIGTRAP - 1);

/// How much of a thread's stack is searched for places to which signal handlers return.
const STACK_BYTES_MAX: usize = 32 << 10;

/// The processes that share one memory, and their threads.
pub(super) struct Session {
    /// Those who share it; mostly one.
    members: Vec<Pid>,
    threads: Vec<Thread>,
    memory: File,
    deadline: Instant,
    began: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Thread {
    id: Pid,
    process: Pid,
    hold: Hold,
}

/// Why a thread runs nothing of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It is stopped and can be used.
    Stopped,
    /// It waits in the kernel, in a way that nothing interrupts (a disk, vfork(2)), and will stop
    /// when it comes back. Then it would go on at this place, with this stack.
    InKernel { place: u64, stack: u64 },
}

impl Thread {
    /// Whether a single step leaves no trace: its SIGTRAP is forced upon a program that blocks or
    /// ignores it, by changing what the program has set.
    fn may_be_stepped(self) -> bool {
        let path = format!("/proc/{}/task/{}/status", self.process, self.id);
        let status = fs::read_to_string(path).unwrap_or_default();
        ["SigBlk:", "SigIgn:"].iter().all(|name| {
            let mask = status.lines().find_map(|line| line.strip_prefix(name));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & SIGTRAP_BIT == 0)
        })
    }
}

/// Runs something on a thread of its own, which may trace.
pub(super) fn on_own_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(act).join() {
        Ok(outcome) => outcome,
        Err(panic) => resume_unwind(panic),
    })
}

/// The memory of a process.
pub(super) fn memory(pid: Pid) -> Result<File, ClockError> {
    let mut open = OpenOptions::new();
    open.read(true).write(true);
    open.open(format!("/proc/{pid}/mem"))
        .map_err(|error| ClockError::io(pid, "open the memory", &error))
}

impl Session {
    /// Stops every thread of these processes, which share their memory.
    pub fn begin(members: &[Pid]) -> Result<Self, ClockError> {
        let first = members.first().copied().unwrap_or(Pid::from_raw(0));
        for pid in members {
            refuse_traced(*pid, *pid)?;
        }
        let began = Instant::now();
        let mut session = Session {
            members: members.to_vec(),
            threads: Vec::new(),
            memory: memory(first)?,
            deadline: began + LIMIT,
            began,
        };
        session.stop_all()?;
        // Again, for the program that the process is now known to stay in.
        session.memory = memory(first)?;
        Ok(session)
    }

    pub fn pid(&self) -> Pid {
        self.members[0]
    }

    pub fn memory(&self) -> &File {
        &self.memory
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits until there is a thread that may be used to run something else meanwhile. There need
    /// not be one at once: all of them may wait in the kernel, as for a disk, until which nothing
    /// else can be done with them.
    pub fn await_worker(&mut self) -> Result<Pid, ClockError> {
        let mut asked = 0;
        loop {
            if let Some(worker) = self.worker() {
                return Ok(worker);
            }
            self.threads
                .retain(|thread| !has_ended(thread.process, thread.id));
            if self.threads.is_empty() {
                return Err(ClockError::Ended(self.pid()));
            }
            if Instant::now() > self.deadline {
                let waits = |thread: &Thread| thread.hold != Hold::Stopped;
                let what = match self.threads.iter().any(waits) {
                    true => "did not come back from the kernel with any thread",
                    false => "had no thread outside of restartable sequences",
                };
                return Err(ClockError::stuck(self.pid(), what));
            }
            for at in (0..self.threads.len()).rev() {
                self.look_again(at)?;
            }
            pause(&mut asked);
        }
    }

    /// A thread that waited in the kernel may have come back, and stopped; one in a restartable
    /// sequence is out of it a step later, as the kernel breaks such off for whoever is stopped.
    fn look_again(&mut self, at: usize) -> Result<(), ClockError> {
        let thread = self.threads[at];
        if thread.hold == Hold::Stopped {
            if thread.may_be_stepped() {
                self.step_out(thread.id, &|place| self.is_in_sequence(thread.id, place))?;
            }
            return Ok(());
        }
        let state = ptrace::state(thread.id)
            .map_err(|error| ClockError::call(self.pid(), "wait for a thread", error))?;
        match state {
            State::Stopped => self.keep(at, Some(Hold::Stopped)),
            State::Ended => self.keep(at, None),
            State::AtSignal(signal) => drop(self.proceed(thread.id, signal)?),
            State::AtSystemCall => drop(self.proceed(thread.id, 0)?),
            State::Going => {}
        }
        Ok(())
    }

    /// A thread that may be used to run something else meanwhile.
    ///
    /// One inside of a restartable sequence (rseq(2)) may not: the kernel would take it for gone
    /// from there.
    fn worker(&self) -> Option<Pid> {
        let stopped = self
            .threads
            .iter()
            .filter(|thread| thread.hold == Hold::Stopped);
        let mut last_resort = None;
        for thread in stopped {
            let Ok(registers) = ptrace::registers(thread.id) else {
                continue;
            };
            // A thread in a system call is in no such sequence.
            if registers.orig_rax.cast_signed() >= 0 {
                return Some(thread.id);
            }
            if last_resort.is_none() && !self.is_in_sequence(thread.id, registers.rip) {
                last_resort = Some(thread.id);
            }
        }
        last_resort
    }

    /// Lets threads go on until none of them will run on inside of code that is about to be
    /// overwritten: neither now, nor when a signal handler returns.
    pub fn clear(&mut self, is_inside: &dyn Fn(u64) -> bool) -> Result<(), ClockError> {
        let mut release = RELEASE_MIN;
        while let Some((at, is_running_there)) = self.find_in(is_inside) {
            if Instant::now() > self.deadline {
                return Err(ClockError::stuck(
                    self.pid(),
                    "did not leave its time functions",
                ));
            }
            let thread = self.threads[at];
            if is_running_there && thread.may_be_stepped() {
                self.step_out(thread.id, is_inside)?;
                continue;
            }
            if thread.hold == Hold::Stopped && self.proceed(thread.id, 0)? {
                // Long enough at last for it to be given a processor.
                thread::sleep(release);
                release = (release * 2).min(RELEASE_MAX);
                self.interrupt(thread.id)?;
            }
            let hold = self.await_hold(thread)?;
            self.keep(at, hold);
            // It may have started others.
            self.stop_all()?;
        }
        Ok(())
    }

    /// Has a stopped thread run one instruction after the other until it is outside. Signals that
    /// arrive meanwhile stay pending.
    fn step_out(&self, thread: Pid, is_inside: &dyn Fn(u64) -> bool) -> Result<(), ClockError> {
        let failed = |error| ClockError::call(self.pid(), "step a thread", error);
        let mask = ptrace::signal_mask(thread).map_err(failed)?;
        ptrace::set_signal_mask(thread, !SIGTRAP_BIT).map_err(failed)?;
        let outcome = self.step_while(thread, is_inside);
        if ptrace::set_signal_mask(thread, mask) == Err(Errno::ESRCH) {
            // It is still at its step, beyond the session's limit, or it has ended.
            ptrace::interrupt(thread).map_err(failed)?;
            self.await_state(thread, Instant::now() + LIMIT)?;
            ptrace::set_signal_mask(thread, mask).map_err(failed)?;
        }
        outcome
    }

    fn step_while(&self, thread: Pid, is_inside: &dyn Fn(u64) -> bool) -> Result<(), ClockError> {
        let failed = |error| ClockError::call(self.pid(), "step a thread", error);
        for _ in 0..STEPS_MAX {
            if !is_inside(ptrace::registers(thread).map_err(failed)?.rip) {
                break;
            }
            ptrace::step(thread).map_err(failed)?;
            match self.await_state(thread, self.deadline)? {
                State::AtSignal(libc::SIGTRAP) | State::Stopped => {}
                // SIGSTOP cannot be blocked; it is sent again.
                State::AtSignal(signal) => ptrace::send(self.pid(), signal).map_err(failed)?,
                _ => return Err(ClockError::Ended(self.pid())),
            }
        }
        Ok(())
    }

    /// Waits until a thread has come to a stop, and says to which.
    pub fn await_state(&self, thread: Pid, deadline: Instant) -> Result<State, ClockError> {
        let mut asked = 0;
        loop {
            let state = ptrace::state(thread)
                .map_err(|error| ClockError::call(self.pid(), "wait for a thread", error))?;
            if state != State::Going {
                return Ok(state);
            }
            if Instant::now() > deadline {
                return Err(ClockError::stuck(self.pid(), "did not go on"));
            }
            pause(&mut asked);
        }
    }

    /// Lets everything go on. Returns for how long the process was held.
    pub fn end(self) -> Duration {
        let began = self.began;
        drop(self);
        began.elapsed()
    }

    /// Seizes and stops threads until there are none that are not.
    fn stop_all(&mut self) -> Result<(), ClockError> {
        loop {
            let mut fresh = Vec::new();
            for process in &self.members {
                for id in threads_of(*process)? {
                    if !self.threads.iter().any(|thread| thread.id == id)
                        && self.seize(*process, id)?
                    {
                        let hold = Hold::Stopped;
                        fresh.push(Thread {
                            id,
                            process: *process,
                            hold,
                        });
                    }
                }
            }
            if fresh.is_empty() {
                break;
            }
            for thread in fresh {
                if let Some(hold) = self.await_hold(thread)? {
                    self.threads.push(Thread { hold, ..thread });
                }
            }
        }
        if self.threads.is_empty() {
            return Err(ClockError::Ended(self.pid()));
        }
        Ok(())
    }

    /// Seizes a thread and asks it to stop; false if it has ended.
    fn seize(&self, process: Pid, thread: Pid) -> Result<bool, ClockError> {
        let mut seized = ptrace::seize(thread);
        if seized == Err(Errno::EPERM) && !has_ended(process, thread) {
            refuse_traced(process, thread)?;
            seized = ptrace::seize(thread);
        }
        match seized {
            Ok(()) => self.interrupt(thread),
            Err(Errno::ESRCH) => Ok(false),
            Err(_) if has_ended(process, thread) => Ok(false),
            Err(error) => Err(ClockError::Refused {
                pid: process,
                error,
            }),
        }
    }

    fn interrupt(&self, thread: Pid) -> Result<bool, ClockError> {
        self.unless_gone("stop a thread", ptrace::interrupt(thread))
    }

    fn proceed(&self, thread: Pid, signal: i32) -> Result<bool, ClockError> {
        self.unless_gone("let a thread go on", ptrace::proceed(thread, signal))
    }

    fn unless_gone(&self, action: &str, outcome: nix::Result<()>) -> Result<bool, ClockError> {
        match outcome {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(error) => Err(ClockError::call(self.pid(), action, error)),
        }
    }

    /// Waits until a thread that was asked to stop has done so, or hangs in the kernel; `None` when
    /// it has ended. Signals that arrive are delivered.
    fn await_hold(&self, thread: Thread) -> Result<Option<Hold>, ClockError> {
        let (mut asked, began) = (0, Instant::now());
        loop {
            let state = ptrace::state(thread.id)
                .map_err(|error| ClockError::call(self.pid(), "wait for a thread", error))?;
            match state {
                State::Stopped => return Ok(Some(Hold::Stopped)),
                State::Ended => return Ok(None),
                State::AtSignal(signal) => drop(self.proceed(thread.id, signal)?),
                State::AtSystemCall => drop(self.proceed(thread.id, 0)?),
                State::Going => {
                    if began.elapsed() > LOOK_AFTER
                        && let Some(hold) = in_kernel(thread)
                    {
                        return Ok(Some(hold));
                    }
                    if Instant::now() > self.deadline {
                        return Err(ClockError::stuck(thread.process, "did not stop"));
                    }
                    pause(&mut asked);
                }
            }
        }
    }

    fn keep(&mut self, at: usize, hold: Option<Hold>) {
        match hold {
            Some(hold) => self.threads[at].hold = hold,
            None => drop(self.threads.swap_remove(at)),
        }
    }

    /// A thread that will run on inside, and whether it would do so at once.
    fn find_in(&self, is_inside: &dyn Fn(u64) -> bool) -> Option<(usize, bool)> {
        self.threads.iter().enumerate().find_map(|(at, thread)| {
            let (place, stack) = match thread.hold {
                Hold::InKernel { place, stack } => (place, stack),
                Hold::Stopped => match ptrace::registers(thread.id) {
                    Ok(registers) => (registers.rip, registers.rsp),
                    // Killed meanwhile.
                    Err(_) => return None,
                },
            };
            if is_inside(place) {
                return Some((at, thread.hold == Hold::Stopped));
            }
            self.is_on_stack(stack, is_inside).then_some((at, false))
        })
    }

    /// Whether such a place is on a stack, from here upwards.
    fn is_on_stack(&self, stack: u64, is_it: &dyn Fn(u64) -> bool) -> bool {
        let mut bytes = vec![0; STACK_BYTES_MAX];
        let stack = stack.next_multiple_of(8);
        // It may end sooner.
        let length = self.memory.read_at(&mut bytes, stack).unwrap_or(0);
        bytes.truncate(length);
        let (words, _) = bytes.as_chunks();
        words
            .iter()
            .copied()
            .any(|word| is_it(u64::from_le_bytes(word)))
    }

    /// Whether a thread that goes on at this place is inside of a restartable sequence (rseq(2)).
    fn is_in_sequence(&self, thread: Pid, place: u64) -> bool {
        let number = |address: u64| {
            let mut bytes = [0; 8];
            let read = self.memory.read_exact_at(&mut bytes, address);
            read.map(|()| u64::from_le_bytes(bytes)).unwrap_or(0)
        };
        // A kernel that cannot tell is older than every C library that uses them.
        let area = ptrace::rseq_area(thread).unwrap_or(0);
        if area == 0 {
            return false;
        }
        // struct rseq: two numbers of the CPU, then a pointer to struct rseq_cs: version and flags,
        // where the sequence begins, its length.
        let sequence = number(area + 8);
        sequence != 0 && place.wrapping_sub(number(sequence + 8)) < number(sequence + 16)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for thread in &self.threads {
            // One that is not stopped goes on when the tracing thread ends.
            let _ = ptrace::detach(thread.id, 0);
        }
    }
}

fn pause(asked: &mut u32) {
    *asked += 1;
    // Not by yielding: on a busy machine that is to wait for everybody else's turn.
    if *asked > ASK_AT_ONCE_MAX {
        thread::sleep(POLL);
    }
}

fn threads_of(process: Pid) -> Result<Vec<Pid>, ClockError> {
    let failed = |error: &_| ClockError::io(process, "list the threads", error);
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task")).map_err(|error| failed(&error))? {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        threads.extend(
            name.to_str()
                .and_then(|name| name.parse().ok())
                .map(Pid::from_raw),
        );
    }
    Ok(threads)
}

/// Where a thread will go on that waits in the kernel and cannot be interrupted, if it does.
fn in_kernel(thread: Thread) -> Option<Hold> {
    let folder = format!("/proc/{}/task/{}", thread.process, thread.id);
    if state_letter(&folder)? != 'D' {
        return None;
    }
    // proc_pid_syscall(5): "running", or numbers of which the last two are stack and place.
    let line = fs::read_to_string(format!("{folder}/syscall")).ok()?;
    let mut numbers = line.split_ascii_whitespace().rev();
    let mut number = || u64::from_str_radix(numbers.next()?.strip_prefix("0x")?, 16).ok();
    let (place, stack) = (number()?, number()?);
    // Between the two looks it may have come back to its program.
    (state_letter(&folder)? == 'D').then_some(Hold::InKernel { place, stack })
}

fn has_ended(process: Pid, thread: Pid) -> bool {
    state_letter(&format!("/proc/{process}/task/{thread}"))
        .is_none_or(|state| matches!(state, 'Z' | 'X'))
}

fn state_letter(folder: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.trim_start().chars().next()
}

/// Fails if somebody else traces this thread. A tracing thread of ours that has just ended may yet
/// have to let it go.
fn refuse_traced(process: Pid, thread: Pid) -> Result<(), ClockError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status"))
            .map_err(|error| ClockError::io(process, "read the state", &error))?;
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        match tracer.and_then(|tracer| tracer.trim().parse().ok()) {
            None | Some(0) => return Ok(()),
            Some(tracer) if tracer != getpid().as_raw() || Instant::now() > deadline => {
                return Err(ClockError::Traced {
                    pid: process,
                    tracer,
                });
            }
            Some(_) => thread::sleep(POLL),
        }
    }
}
