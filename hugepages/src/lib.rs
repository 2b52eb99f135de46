//! The system's allocator, which asks the kernel for huge pages for large blocks.
//!
//! A history of a million operations is tens of megabytes of columns that are filled once, from
//! beginning to end. In pages of 4 KiB the kernel is asked for each of tens of thousands of them,
//! which took a quarter of the time of a whole check; in pages of 2 MiB it is asked for dozens. Most
//! kernels give such pages only where they are asked for (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`), and `std`'s allocator does not ask.

use std::alloc::{GlobalAlloc, Layout, System};

/// How long a huge page is, in bytes, on the processors of today.
const HUGE_BYTES: usize = 2 << 20;

/// Blocks from this length on are worth it, in bytes: there is at least one whole huge page in
/// each, wherever it begins, and what a page adds to it is at most half.
const LARGE_BYTES: usize = 2 * HUGE_BYTES;

/// The system's allocator, with huge pages for blocks from 4 MiB on, where the kernel has some.
#[derive(Debug, Clone, Copy, Default)]
pub struct HugePages;

// SAFETY: every call goes to the system's allocator with what the caller gave, and its result is
// handed on as it is; `advise` changes neither where a block is nor what is in it.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        let block = unsafe { System.alloc(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        let block = unsafe { System.alloc_zeroed(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        let block = unsafe { System.realloc(block, layout, size) };
        advise(block, size);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Asks for huge pages where a whole one lies in the block. A kernel without them says no, which
/// changes nothing.
#[inline]
fn advise(block: *mut u8, size: usize) {
    if size < LARGE_BYTES || block.is_null() {
        return;
    }
    let end = (block as usize + size) & !(HUGE_BYTES - 1);
    let begin = (block as usize).next_multiple_of(HUGE_BYTES);
    let into = begin - block as usize;
    // SAFETY: the range lies in the block, which is the caller's alone; the advice is about how
    // memory is provided, and never changes what is in it.
    unsafe {
        libc::madvise(block.add(into).cast(), end - begin, libc::MADV_HUGEPAGE);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[global_allocator]
    static ALLOCATOR: HugePages = HugePages;

    #[test]
    fn what_is_in_a_block_stays_as_it_grows_and_shrinks() {
        let sizes = [1, 4_095, HUGE_BYTES, LARGE_BYTES - 1, LARGE_BYTES];
        for size in sizes
            .into_iter()
            .chain([LARGE_BYTES + 1, 5 * HUGE_BYTES + 7])
        {
            let mut block: Vec<u8> = vec![0; size];
            assert!(block.iter().all(|byte| *byte == 0), "{size}");
            block
                .iter_mut()
                .zip((0..=250).cycle())
                .for_each(|(byte, n)| *byte = n);
            for next in [2 * size, 3 * size, size] {
                block.resize(next, 255);
                block.shrink_to_fit();
                let is_kept = block
                    .iter()
                    .zip((0..=250).cycle())
                    .take(size)
                    .all(|(byte, n)| *byte == n);
                assert!(is_kept, "{size} to {next}");
            }
        }
    }

    /// The flags of the mapping that an address lies in.
    fn flags_at(address: usize) -> Option<String> {
        let maps = fs::read_to_string("/proc/self/smaps").ok()?;
        let mut is_in = false;
        for line in maps.lines() {
            let range = line
                .split(' ')
                .next()
                .and_then(|range| range.split_once('-'));
            let number = |text| usize::from_str_radix(text, 16).ok();
            if let Some((begin, end)) = range.and_then(|(a, b)| Some((number(a)?, number(b)?))) {
                is_in = (begin..end).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_in) {
                return Some(flags.to_owned());
            }
        }
        None
    }

    #[test]
    fn large_blocks_are_asked_for_in_huge_pages() {
        if !fs::exists("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or(false) {
            println!("skipped: this kernel has no transparent huge pages");
            return;
        }
        let is_huge = |block: &[u8]| {
            let middle = block.as_ptr() as usize + block.len() / 2;
            let flags = flags_at(middle).expect("the block is mapped");
            flags.split_whitespace().any(|flag| flag == "hg")
        };
        let mut grown: Vec<u8> = Vec::new();
        while grown.len() < 5 * HUGE_BYTES {
            grown.extend([1; 1 << 10]);
        }
        assert!(is_huge(&vec![0; 2 * LARGE_BYTES]));
        assert!(is_huge(&vec![1; 2 * LARGE_BYTES]));
        assert!(is_huge(&grown));
    }
}
