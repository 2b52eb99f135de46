//! What a process runs in the place of its vDSO's time functions, and the page it reads.
//!
//! The payload is position-independent machine code, assembled with this crate and never run by
//! it: its bytes are copied into a mapping of three pages in the target.
//!
//! | page | what | access |
//! |---|---|---|
//! | 0 | the code | read, execute |
//! | 1 | [`Page`]: which payload this is, what it replaced, how each clock runs | read, write |
//! | 2 | the stack on which we have the target read its own clock | read, write |
//!
//! It asks the kernel for the true time by the system call, which cannot be redirected, and bends
//! the answer for the clock's class:
//!
//! ```text
//! shown = fake_base + (now − real_base) · rate / 2³²   (+ amplitude in a strobe's even halves)
//! shown = max(shown, floor)
//! ```
//!
//! We write the page only while every thread of the target is stopped; a thread may have been
//! stopped while it computed, so it begins again if the page's sequence number has changed.

use std::mem::{offset_of, size_of};

use super::standing::Course;

/// The size of a page.
pub(super) const PAGE_BYTES: u64 = 4096;

/// The whole mapping.
pub(super) const MAPPING_BYTES: u64 = 3 * PAGE_BYTES;

/// How many bytes of each time function are replaced.
pub(super) const PATCH_BYTES: usize = 12;

/// The functions that are redirected, in the order of [`Page::originals`] and of the entries.
pub(super) const FUNCTIONS: [&str; 3] =
    ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"];

/// Between the entries of two functions, at the beginning of the code.
const ENTRY_BYTES: u64 = 16;

/// Where a function called by us returns to.
const BACK_ENTRY: u64 = 3;

/// The system call by which the code at [`back`] says that it got there.
pub(super) const BACK_CALL: u64 = 39; // getpid, which anyone may do

/// What marks a page as ours.
pub(super) const MAGIC: [u8; 16] = *b"whitewaterclock1";

/// The second page of the mapping.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Changed by every change of what follows.
    pub sequence: u64,
    /// Which change of the node's clocks this process has seen last.
    pub generation: u64,
    /// [`MAGIC`].
    pub magic: [u8; 16],
    /// What stood at the beginning of each function; a few bytes more than are replaced, to be
    /// written in words.
    pub originals: [[u8; 16]; 3],
    reserved: [u64; 6],
    /// How the clocks of class real time, and those of class monotonic, run.
    pub courses: [Course; 2],
}

/// Where the courses begin in the page.
const COURSES_AT: usize = offset_of!(Page, courses);

impl Page {
    /// A page of ours for functions that began so.
    pub fn new(originals: [[u8; 16]; 3]) -> Self {
        Page {
            sequence: 0,
            generation: 0,
            magic: MAGIC,
            originals,
            reserved: [0; 6],
            courses: [Course::TRUE; 2],
        }
    }

    pub fn to_bytes(self) -> [u8; size_of::<Page>()] {
        // SAFETY: the struct consists of integers without padding (asserted below), so each of its
        // bytes is initialised, and an array of bytes has no alignment.
        unsafe { std::mem::transmute(self) }
    }

    /// The page in these bytes, if it is one of ours.
    pub fn from_bytes(bytes: [u8; size_of::<Page>()]) -> Option<Self> {
        // SAFETY: every pattern of bytes is a value of each of the struct's integers, and it has no
        // padding (asserted below).
        let page: Page = unsafe { std::mem::transmute(bytes) };
        (page.magic == MAGIC).then_some(page)
    }
}

const _: () = assert!(size_of::<Course>() == 64 && COURSES_AT == 128);
const _: () = assert!(size_of::<Page>() == 128 + 2 * 64);

/// The code, to be copied to the first page.
pub(super) fn code() -> &'static [u8] {
    unsafe extern "C" {
        #[link_name = "whitewater_clock_payload"]
        static BEGIN: u8;
        #[link_name = "whitewater_clock_payload_end"]
        static END: u8;
    }
    // SAFETY: the assembly below defines both symbols, the second behind the first in one section,
    // and everything between them is initialised, read-only and there for as long as the program.
    unsafe {
        let (begin, end) = (&raw const BEGIN, &raw const END);
        std::slice::from_raw_parts(begin, end.offset_from(begin).unsigned_abs())
    }
}

/// Where the function of this number begins, in a mapping that begins here.
pub(super) fn entry(mapping: u64, function: usize) -> u64 {
    mapping + ENTRY_BYTES * function as u64
}

/// The address to which a function called by us is to return. The code there makes the system call
/// [`BACK_CALL`] with what the function returned as its argument.
pub(super) fn back(mapping: u64) -> u64 {
    mapping + ENTRY_BYTES * BACK_ENTRY
}

/// `movabs rax, target; jmp rax`, which goes anywhere and changes only a register that a called
/// function may change.
pub(super) fn jump_to(target: u64) -> [u8; PATCH_BYTES] {
    let mut patch = [0; PATCH_BYTES];
    patch[..2].copy_from_slice(&[0x48, 0xb8]);
    patch[2..10].copy_from_slice(&target.to_le_bytes());
    patch[10..].copy_from_slice(&[0xff, 0xe0]);
    patch
}

/// Where such a jump goes, if these bytes are one.
pub(super) fn target_of(patch: &[u8]) -> Option<u64> {
    let target = patch.strip_prefix(&[0x48, 0xb8])?;
    let (target, rest) = target.split_first_chunk()?;
    rest.starts_with(&[0xff, 0xe0])
        .then_some(u64::from_le_bytes(*target))
}

// Register use, besides arguments and results as the psABI (AMD64, section 3.2) has them:
//   r8 the page    r9 the true time    r10 the page's sequence number    r11 what will be shown
//   rcx the course of the clock's class    rbx half the strobe's period
core::arch::global_asm!(
    r#"
    .pushsection .rodata.whitewater_clock, "a", @progbits
    .balign 16
    .globl whitewater_clock_payload
    .hidden whitewater_clock_payload
whitewater_clock_payload:
    jmp 30f
    .balign {entry}
    jmp 60f
    .balign {entry}
    jmp 70f
    .balign {entry}

    // Where a function returns to that we called.
    mov rdi, rax
    mov eax, {back_call}
    syscall
    ud2
    .balign 16

    // int clock_gettime(clockid_t edi, struct timespec *rsi)
30: mov eax, {sys_clock_gettime}
    syscall
    test eax, eax
    jnz 39f
    cmp edi, 11
    ja 39f                          // clocks of CPU time and devices are left alone
    xor edx, edx
    mov eax, {class_realtime}
    bt eax, edi
    jc 31f
    mov edx, 64
    mov eax, {class_monotonic}
    bt eax, edi
    jnc 38f
31: push rbx
    lea r8, [rip + whitewater_clock_payload + {page}]
    lea rcx, [r8 + rdx + {courses}]
    imul r9, [rsi], 1000000000
    add r9, [rsi + 8]
32: mov r10, [r8]
    mov rax, r9
    sub rax, [rcx]                  // real_base
    imul qword ptr [rcx + 16]       // rate: rdx:rax
    shrd rax, rdx, 32
    add rax, [rcx + 8]              // fake_base
    mov r11, rax
    mov rbx, [rcx + 32]             // half of the strobe's period
    test rbx, rbx
    jz 33f
    mov rax, r9
    sub rax, [rcx + 24]             // strobe_base
    cqo
    idiv rbx
    test al, 1
    jnz 33f
    add r11, [rcx + 40]             // strobe_amplitude
33: cmp r11, [rcx + 48]             // floor
    cmovl r11, [rcx + 48]
    cmp r10, [r8]
    jne 32b
    pop rbx
    mov rax, r11
    cqo
    mov ecx, 1000000000
    idiv rcx
    test rdx, rdx
    jns 34f
    add rdx, rcx
    dec rax
34: mov [rsi], rax
    mov [rsi + 8], rdx
38: xor eax, eax
39: ret

    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
60: test rdi, rdi
    jz 61f
    push rdi
    push rsi
    sub rsp, 24
    xor edi, edi
    mov rsi, rsp
    call 30b
    mov rax, [rsp + 8]
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov rcx, [rsp]
    add rsp, 24
    pop rsi
    pop rdi
    mov [rdi], rcx
    mov [rdi + 8], rax
61: xor eax, eax
    test rsi, rsi
    jz 62f
    xor edi, edi                    // the time zone is the kernel's
    mov eax, {sys_gettimeofday}
    syscall
62: ret

    // time_t time(time_t *rdi)
70: push rdi
    sub rsp, 16
    xor edi, edi
    mov rsi, rsp
    call 30b
    mov rax, [rsp]
    add rsp, 16
    pop rdi
    test rdi, rdi
    jz 71f
    mov [rdi], rax
71: ret
    .globl whitewater_clock_payload_end
    .hidden whitewater_clock_payload_end
whitewater_clock_payload_end:
    .popsection
    "#,
    entry = const ENTRY_BYTES,
    page = const PAGE_BYTES,
    courses = const COURSES_AT,
    back_call = const BACK_CALL,
    sys_clock_gettime = const libc::SYS_clock_gettime,
    sys_gettimeofday = const libc::SYS_gettimeofday,
    // CLOCK_REALTIME, _COARSE, _ALARM, CLOCK_TAI
    class_realtime = const 1 << 0 | 1 << 5 | 1 << 8 | 1 << 11,
    // CLOCK_MONOTONIC, _RAW, _COARSE, CLOCK_BOOTTIME, _ALARM
    class_monotonic = const 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 9,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_its_page_and_begins_with_its_entries() {
        let code = code();
        assert!(
            code.len() > 64 && code.len() < PAGE_BYTES as usize,
            "{}",
            code.len()
        );
        for function in 0..FUNCTIONS.len() {
            // A short or a near jump.
            let first = code[entry(0, function) as usize];
            assert!(matches!(first, 0xeb | 0xe9), "{function}: {first:#x}");
        }
        // mov rdi, rax
        assert_eq!(code[back(0) as usize..][..3], [0x48, 0x89, 0xc7]);
    }

    #[test]
    fn jumps_are_recognised() {
        for target in [0, 0x7fff_1234_5678_9abc] {
            assert_eq!(target_of(&jump_to(target)), Some(target));
        }
        for other in [&[0x55, 0x48, 0x89, 0xe5][..], &[0x48, 0xb8], &[]] {
            assert_eq!(target_of(other), None);
        }
        let mut call = jump_to(7);
        call[11] = 0xd0;
        assert_eq!(target_of(&call), None);
    }

    #[test]
    fn pages_of_others_are_refused() {
        let page = Page::new([[7; 16]; 3]);
        let mut bytes = page.to_bytes();
        assert_eq!(Page::from_bytes(bytes), Some(page));
        bytes[16] ^= 1;
        assert_eq!(Page::from_bytes(bytes), None);
    }
}
