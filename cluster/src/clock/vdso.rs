//! The vDSO of a process (vdso(7)): where its time functions are.
//!
//! The kernel maps it into every process. C libraries, Go, Rust and Java all read the time by it,
//! statically linked programs too; each process has a private copy, so that what is written there
//! concerns nobody else.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind};

use super::error::ClockError;
use super::payload::{FUNCTIONS, PATCH_BYTES};

/// The machine code of the instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// No vDSO is nearly as large.
const VDSO_BYTES_MAX: u64 = 1 << 20;

/// Where things are in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vdso {
    /// The time functions.
    pub functions: [u64; 3],
    /// An instruction `syscall` that is never overwritten.
    pub syscall: u64,
    /// Its code, without the functions that are no time functions.
    code: Vec<Range<u64>>,
}

impl Vdso {
    /// Finds it in a process whose memory this is.
    pub fn find(pid: Pid, memory: &File) -> Result<Self, ClockError> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))
            .map_err(|error| ClockError::io(pid, "read the mappings", &error))?;
        if maps.is_empty() {
            return Err(ClockError::Ended(pid));
        }
        let (begin, end) =
            range_of(&maps).ok_or_else(|| ClockError::vdso(pid, "it has no vDSO"))?;
        let length = end.saturating_sub(begin).min(VDSO_BYTES_MAX);
        let mut image = vec![0; length as usize];
        memory
            .read_exact_at(&mut image, begin)
            .map_err(|error| ClockError::io(pid, "read the vDSO", &error))?;
        let offsets = Offsets::of(&image).map_err(|problem| ClockError::vdso(pid, problem))?;
        Ok(Self {
            functions: offsets.functions.map(|offset| begin + offset),
            syscall: begin + offsets.syscall,
            code: offsets
                .code
                .iter()
                .map(|part| begin + part.start..begin + part.end)
                .collect(),
        })
    }

    /// Whether a thread at this place goes on inside of what is overwritten.
    pub fn is_overwritten(&self, place: u64) -> bool {
        let within = |begin: &u64| place > *begin && place < begin + PATCH_BYTES as u64;
        self.functions.iter().any(within)
    }

    /// Whether a thread at this place is inside of a time function, and not merely about to begin
    /// one. It goes on there whatever the function's beginning becomes, and may yet see the true
    /// time.
    pub fn is_inside(&self, place: u64) -> bool {
        let begins = self.functions.contains(&place);
        !begins && self.code.iter().any(|part| part.contains(&place))
    }
}

/// The same, from the beginning of the image.
#[derive(Debug)]
struct Offsets {
    functions: [u64; 3],
    syscall: u64,
    code: Vec<Range<u64>>,
}

impl Offsets {
    fn of(image: &[u8]) -> Result<Self, String> {
        let file = object::read::elf::ElfFile64::<object::Endianness>::parse(image)
            .map_err(|error| format!("its vDSO is not that of a 64-bit program ({error})"))?;
        let base = file.segments().map(|segment| segment.address()).min();
        let base = base.ok_or("its vDSO has nothing to load")?;
        let mut functions = [0; 3];
        for (function, name) in functions.iter_mut().zip(FUNCTIONS) {
            let symbol = file
                .dynamic_symbols()
                .find(|symbol| symbol.name() == Ok(name));
            let symbol = symbol.ok_or_else(|| format!("its vDSO has no {name}"))?;
            if symbol.size() < PATCH_BYTES as u64 {
                return Err(format!("{name} has only {} bytes", symbol.size()));
            }
            *function = symbol.address() - base;
        }
        // What has no name is called by the functions that have one.
        let is_time = |at: u64| functions.contains(&(at - base));
        let others = file
            .dynamic_symbols()
            .filter(|symbol| !is_time(symbol.address()));
        let others = others.map(|symbol| symbol.address()..symbol.address() + symbol.size());
        let text = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text);
        let text = text.map(|section| section.address()..section.address() + section.size());
        let code = without(text.collect(), others)
            .into_iter()
            .map(|part| part.start - base..part.end - base)
            .collect();
        let overwritten = |at: u64| {
            let reaches = |function: &u64| at + 2 > *function && at < function + PATCH_BYTES as u64;
            functions.iter().any(reaches)
        };
        let mut calls = (0_u64..).zip(image.windows(2));
        let syscall = calls.find(|(at, code)| *code == SYSCALL && !overwritten(*at));
        let (syscall, _) = syscall.ok_or("its vDSO makes no system call")?;
        Ok(Self {
            functions,
            syscall,
            code,
        })
    }
}

/// What is left of these parts without those.
fn without(parts: Vec<Range<u64>>, others: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    others.fold(parts, |parts, other| {
        let left = |part: Range<u64>| {
            let before = part.start..part.end.min(other.start);
            let behind = part.start.max(other.end)..part.end;
            [before, behind].into_iter().filter(|left| !left.is_empty())
        };
        parts.into_iter().flat_map(left).collect()
    })
}

/// Where a process's mappings say that the vDSO is.
fn range_of(maps: &str) -> Option<(u64, u64)> {
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (begin, end) = line.split(' ').next()?.split_once('-')?;
    let parse = |address| u64::from_str_radix(address, 16).ok();
    Some((parse(begin)?, parse(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_has_what_is_needed() {
        let memory = File::open("/proc/self/mem").unwrap();
        let vdso = Vdso::find(nix::unistd::getpid(), &memory).unwrap();
        let mut code = [0; 2];
        memory.read_exact_at(&mut code, vdso.syscall).unwrap();
        assert_eq!(code, SYSCALL);
        let mut functions = vdso.functions.to_vec();
        functions.dedup();
        assert_eq!(functions.len(), 3);
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "ranges are meant")]
    fn inside_are_the_time_functions_and_what_they_call() {
        let memory = File::open("/proc/self/mem").unwrap();
        let vdso = Vdso::find(nix::unistd::getpid(), &memory).unwrap();
        for function in vdso.functions {
            assert!(!vdso.is_inside(function) && vdso.is_inside(function + 1));
            assert!(vdso.is_inside(function + 12) && !vdso.is_overwritten(function + 12));
            let overwritten = [0, 1, 11].map(|at| vdso.is_overwritten(function + at));
            assert_eq!(overwritten, [false, true, true]);
        }
        assert!(vdso.is_inside(vdso.syscall) && !vdso.is_inside(0));
        let rows = [
            (vec![0..9], vec![3..5], vec![0..3, 5..9]),
            (vec![0..9], vec![0..5, 7..12], vec![5..7]),
            (vec![0..4, 6..9], vec![2..7], vec![0..2, 7..9]),
            (vec![0..4], vec![0..4], vec![]),
            (vec![0..4], vec![4..4, 9..10], vec![0..4]),
        ];
        for (parts, others, left) in rows {
            assert_eq!(without(parts, others.into_iter()), left);
        }
    }

    #[test]
    fn other_images_are_refused_in_words() {
        for image in [&b""[..], b"\x7fELF", &[0; 4096]] {
            let problem = Offsets::of(image).unwrap_err();
            assert!(
                problem.contains("not that of a 64-bit program"),
                "{problem}"
            );
        }
    }

    #[test]
    fn the_mapping_is_found() {
        let maps = "7f-80 r--p 0 0 0 [vvar]\n7ffd1000-7ffd3000 r-xp 0 00:00 0   [vdso]\n";
        assert_eq!(range_of(maps), Some((0x7ffd_1000, 0x7ffd_3000)));
        assert_eq!(range_of("7f-80 r--p 0 0 0 [vvar]\n"), None);
    }
}
