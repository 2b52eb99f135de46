//! The few requests of ptrace(2) that are needed, on one thread of a target each.
//!
//! A target's threads belong to the *thread* of ours that seized them; when that thread ends,
//! the kernel lets them all go on.

#![allow(
    clippy::unnecessary_cast,
    reason = "the C libraries do not agree whether a request is signed"
)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use nix::errno::Errno;
use nix::unistd::Pid;

/// The registers of a thread.
pub(super) type Registers = libc::user_regs_struct;

/// ptrace(2): a stop that we asked for, or of a process that SIGSTOP stopped.
const PTRACE_EVENT_STOP: i32 = 128;

/// linux/ptrace.h; not in every C library.
const PTRACE_SEIZE: u32 = 0x4206;
const PTRACE_INTERRUPT: u32 = 0x4207;
const PTRACE_GETSIGMASK: u32 = 0x420a;
const PTRACE_SETSIGMASK: u32 = 0x420b;
const PTRACE_GET_RSEQ_CONFIGURATION: u32 = 0x420f;

/// What a thread has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, or is in the kernel.
    Going,
    /// It stopped as asked, or is stopped by SIGSTOP like its whole process.
    Stopped,
    /// It stopped at the beginning or the end of a system call.
    AtSystemCall,
    /// It stopped because this signal is about to be delivered to it.
    AtSignal(i32),
    /// It has ended.
    Ended,
}

/// Becomes the thread's tracer; it goes on.
pub(super) fn seize(thread: Pid) -> nix::Result<()> {
    request(
        PTRACE_SEIZE,
        thread,
        0,
        libc::PTRACE_O_TRACESYSGOOD as usize,
    )
}

/// Asks the thread to stop, at the latest before it runs another instruction of its program.
pub(super) fn interrupt(thread: Pid) -> nix::Result<()> {
    request(PTRACE_INTERRUPT, thread, 0, 0)
}

/// Lets the thread go on, with this signal delivered (0 for none).
pub(super) fn proceed(thread: Pid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_CONT as u32, thread, 0, signal as usize)
}

/// Lets the thread go on to the next beginning or end of a system call.
pub(super) fn proceed_to_system_call(thread: Pid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_SYSCALL as u32, thread, 0, signal as usize)
}

/// Lets the thread run one instruction.
pub(super) fn step(thread: Pid) -> nix::Result<()> {
    request(libc::PTRACE_SINGLESTEP as u32, thread, 0, 0)
}

/// Sends a signal to a process.
pub(super) fn send(process: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: takes numbers only. The wrapper of `nix` does not know real-time signals.
    Errno::result(unsafe { libc::kill(process.as_raw(), signal) }).map(drop)
}

/// Lets the thread go, untraced, with this signal delivered (0 for none).
pub(super) fn detach(thread: Pid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_DETACH as u32, thread, 0, signal as usize)
}

/// Writes eight bytes into the thread's memory, read-only mappings included.
pub(super) fn poke(thread: Pid, address: u64, bytes: [u8; 8]) -> nix::Result<()> {
    let word = usize::from_ne_bytes(bytes);
    request(libc::PTRACE_POKEDATA as u32, thread, address as usize, word)
}

pub(super) fn registers(thread: Pid) -> nix::Result<Registers> {
    let mut registers = MaybeUninit::<Registers>::uninit();
    let into = registers.as_mut_ptr() as usize;
    request(libc::PTRACE_GETREGS as u32, thread, 0, into)?;
    // SAFETY: the request succeeded, so the kernel has written the whole struct.
    Ok(unsafe { registers.assume_init() })
}

pub(super) fn set_registers(thread: Pid, registers: &Registers) -> nix::Result<()> {
    let from = ptr::from_ref(registers) as usize;
    request(libc::PTRACE_SETREGS as u32, thread, 0, from)
}

/// Which signals the thread blocks.
pub(super) fn signal_mask(thread: Pid) -> nix::Result<u64> {
    let mut mask = 0_u64;
    let into = &raw mut mask as usize;
    request(PTRACE_GETSIGMASK, thread, size_of::<u64>(), into)?;
    Ok(mask)
}

pub(super) fn set_signal_mask(thread: Pid, mask: u64) -> nix::Result<()> {
    let from = &raw const mask as usize;
    request(PTRACE_SETSIGMASK, thread, size_of::<u64>(), from)
}

/// The address of the thread's area for restartable sequences (rseq(2)), 0 if it has none. Kernels
/// before 5.13 cannot say.
pub(super) fn rseq_area(thread: Pid) -> nix::Result<u64> {
    // struct ptrace_rseq_configuration: a pointer, two numbers, flags and padding.
    let mut configuration = [0_u64; 3];
    let into = configuration.as_mut_ptr() as usize;
    request(
        PTRACE_GET_RSEQ_CONFIGURATION,
        thread,
        size_of_val(&configuration),
        into,
    )?;
    Ok(configuration[0])
}

/// What has become of a thread that this thread traces, without waiting.
pub(super) fn state(thread: Pid) -> nix::Result<State> {
    let mut status = 0;
    // By number and only of our own tracees: other threads wait for their own children.
    let flags = libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG;
    // SAFETY: the kernel writes one int, which lives as long as the call. The wrapper of `nix` does
    // not know real-time signals and would lose a stop for one.
    let waited = unsafe { libc::waitpid(thread.as_raw(), &raw mut status, flags) };
    match Errno::result(waited) {
        Ok(0) => Ok(State::Going),
        Ok(_) => Ok(decode(status)),
        // It took another number by execve(2), or was reaped with its process.
        Err(Errno::ECHILD) => Ok(State::Ended),
        Err(Errno::EINTR) => Ok(State::Going),
        Err(error) => Err(error),
    }
}

fn decode(status: i32) -> State {
    if !libc::WIFSTOPPED(status) {
        return State::Ended;
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        PTRACE_EVENT_STOP => State::Stopped,
        _ if signal == libc::SIGTRAP | 0x80 => State::AtSystemCall,
        _ => State::AtSignal(signal),
    }
}

fn request(request: u32, thread: Pid, address: usize, data: usize) -> nix::Result<()> {
    let (address, data) = (address as *mut c_void, data as *mut c_void);
    // SAFETY: each caller above passes, as `address` and `data`, numbers or the address of a value
    // of the size that its request reads or writes, which lives until the call has returned.
    let result = unsafe { libc::ptrace(request as _, thread.as_raw(), address, data) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_told_apart() {
        let stopped = |signal: i32, event: i32| (event << 16) | (signal << 8) | 0x7f;
        let rows = [
            (stopped(libc::SIGTRAP, PTRACE_EVENT_STOP), State::Stopped),
            (stopped(libc::SIGSTOP, PTRACE_EVENT_STOP), State::Stopped),
            (stopped(libc::SIGTRAP | 0x80, 0), State::AtSystemCall),
            (stopped(libc::SIGTRAP, 0), State::AtSignal(libc::SIGTRAP)),
            (stopped(34, 0), State::AtSignal(34)),
            (0, State::Ended),
            (libc::SIGKILL, State::Ended),
        ];
        for (status, expected) in rows {
            assert_eq!(decode(status), expected, "{status:#x}");
        }
    }
}
