//! Having a stopped thread of another process do something for us: make a system call, or call a
//! function; afterwards it goes on as if nothing had been.
//!
//! Its registers are kept and put back. If it was stopped in the middle of a system call, that is
//! begun again by the kernel as after every stop, since the last stop before it goes on is again
//! one of those that we asked for (in the others the kernel does not begin calls again). All
//! signals are blocked meanwhile: those that arrive are delivered afterwards.
//!
//! There are no breakpoints in it: the kernel forces their SIGTRAP upon a program that blocks or
//! ignores it, by changing what the program has set.

use std::os::unix::fs::FileExt;
use std::time::Instant;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::LIMIT;
use super::error::ClockError;
use super::payload;
use super::ptrace::{self, Registers, State};
use super::session::Session;

/// No function that we call makes nearly as many system calls.
const CALLS_MAX: u32 = 64;

/// A thread of a stopped process that works for us.
pub(super) struct Remote<'a> {
    session: &'a Session,
    thread: Pid,
    saved: Registers,
    /// The address of an instruction `syscall`.
    instruction: u64,
}

impl<'a> Remote<'a> {
    /// Has this stopped thread of the process do what `act` says, and puts it back in any case.
    pub fn with<T>(
        session: &'a Session,
        thread: Pid,
        instruction: u64,
        act: impl FnOnce(&Self) -> Result<T, ClockError>,
    ) -> Result<T, ClockError> {
        let failed = |error| ClockError::call(session.pid(), "borrow a thread", error);
        let saved = ptrace::registers(thread).map_err(failed)?;
        let mask = ptrace::signal_mask(thread).map_err(failed)?;
        ptrace::set_signal_mask(thread, u64::MAX).map_err(failed)?;
        let remote = Remote {
            session,
            thread,
            saved,
            instruction,
        };
        let outcome = act(&remote);
        let restored = remote.restore(mask);
        // A thread that is not as it was is worse than whatever else went wrong.
        restored.and(outcome)
    }

    /// Makes a system call. What the kernel refuses is an error that names `action`.
    pub fn system_call(
        &self,
        action: &str,
        number: libc::c_long,
        arguments: [u64; 6],
    ) -> Result<u64, ClockError> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        self.set_registers(&Registers {
            rax: number.cast_unsigned(),
            rip: self.instruction,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.saved
        })?;
        self.to_system_call()?;
        self.to_system_call()?;
        let result = self.registers()?.rax.cast_signed();
        // The kernel returns errors so, and nothing else.
        if (-4095..0).contains(&result) {
            let error = Errno::from_raw(-result as i32);
            return Err(ClockError::call(self.session.pid(), action, error));
        }
        Ok(result.cast_unsigned())
    }

    /// Calls a function with two arguments, on this stack, and returns its result. The process must
    /// have the payload in `mapping`.
    pub fn call(
        &self,
        function: u64,
        arguments: [u64; 2],
        mapping: u64,
        stack_top: u64,
    ) -> Result<i64, ClockError> {
        // As after a call: the return address lies below a multiple of 16 (psABI, section 3.2.2).
        let rsp = stack_top - 8;
        self.write(rsp, &payload::back(mapping).to_le_bytes())?;
        self.set_registers(&Registers {
            rax: 0,
            rip: function,
            rsp,
            rdi: arguments[0],
            rsi: arguments[1],
            ..self.saved
        })?;
        for _ in 0..CALLS_MAX {
            self.to_system_call()?;
            let registers = self.registers()?;
            self.to_system_call()?;
            let is_payload = registers.rip.wrapping_sub(mapping) < payload::PAGE_BYTES;
            if is_payload && registers.orig_rax == payload::BACK_CALL {
                return Ok(registers.rdi.cast_signed());
            }
        }
        Err(ClockError::stuck(
            self.session.pid(),
            "did not return from its time function",
        ))
    }

    /// The process that the thread belongs to.
    pub fn pid(&self) -> Pid {
        self.session.pid()
    }

    /// Writes where the process itself may write.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), ClockError> {
        self.session
            .memory()
            .write_all_at(bytes, address)
            .map_err(|error| ClockError::io(self.session.pid(), "write to the memory", &error))
    }

    /// Writes where the process itself may not: its code. The length is a multiple of 8.
    pub fn write_code(&self, address: u64, code: &[u8]) -> Result<(), ClockError> {
        for (at, word) in (address..).step_by(8).zip(code.as_chunks().0) {
            ptrace::poke(self.thread, at, *word)
                .map_err(|error| ClockError::call(self.session.pid(), "write code", error))?;
        }
        Ok(())
    }

    fn restore(&self, mask: u64) -> Result<(), ClockError> {
        let failed = |error| ClockError::call(self.session.pid(), "put a thread back", error);
        let deadline = Instant::now() + LIMIT;
        if ptrace::set_registers(self.thread, &self.saved) == Err(Errno::ESRCH) {
            // It is still at work, beyond the session's limit, or it has ended.
            ptrace::interrupt(self.thread).map_err(failed)?;
            self.go_until(State::Stopped, ptrace::proceed, deadline)?;
            ptrace::set_registers(self.thread, &self.saved).map_err(failed)?;
        }
        ptrace::set_signal_mask(self.thread, mask).map_err(failed)?;
        ptrace::interrupt(self.thread).map_err(failed)?;
        ptrace::proceed(self.thread, 0).map_err(failed)?;
        self.go_until(State::Stopped, ptrace::proceed, deadline)
    }

    fn to_system_call(&self) -> Result<(), ClockError> {
        let failed = |error| ClockError::call(self.session.pid(), "let a thread work", error);
        ptrace::proceed_to_system_call(self.thread, 0).map_err(failed)?;
        let deadline = self.session.deadline();
        self.go_until(
            State::AtSystemCall,
            ptrace::proceed_to_system_call,
            deadline,
        )
    }

    /// Waits for a stop of this kind, and lets the thread go on after every other.
    fn go_until(
        &self,
        wanted: State,
        proceed: fn(Pid, i32) -> nix::Result<()>,
        deadline: Instant,
    ) -> Result<(), ClockError> {
        let pid = self.session.pid();
        loop {
            let signal = match self.session.await_state(self.thread, deadline)? {
                state if state == wanted => return Ok(()),
                State::Ended | State::Going => return Err(ClockError::Ended(pid)),
                State::AtSignal(signal) if is_fault(signal) => {
                    let problem = format!("one raised signal {signal} when it was tried");
                    return Err(ClockError::vdso(pid, problem));
                }
                // SIGSTOP cannot be blocked. It stops the process, which works for us all the same.
                State::AtSignal(signal) => signal,
                State::Stopped | State::AtSystemCall => 0,
            };
            proceed(self.thread, signal)
                .map_err(|error| ClockError::call(pid, "let a thread work", error))?;
        }
    }

    fn registers(&self) -> Result<Registers, ClockError> {
        ptrace::registers(self.thread)
            .map_err(|error| ClockError::call(self.session.pid(), "read registers", error))
    }

    fn set_registers(&self, registers: &Registers) -> Result<(), ClockError> {
        let registers = Registers {
            // No system call to be begun again.
            orig_rax: u64::MAX,
            ..*registers
        };
        ptrace::set_registers(self.thread, &registers)
            .map_err(|error| ClockError::call(self.session.pid(), "set registers", error))
    }
}

/// Whether this signal says that an instruction went wrong.
fn is_fault(signal: i32) -> bool {
    let faults = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGSYS,
        libc::SIGTRAP,
    ];
    faults.contains(&signal)
}
