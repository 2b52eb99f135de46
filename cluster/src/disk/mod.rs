//! Disks that can fail: a FUSE file system below each node's data folder, which knows what a power
//! failure would take.
//!
//! * [`unsynced`]: what a file would lose; pure.
//! * [`journal`]: which changes of directories would be lost; pure.
//! * [`tree`]: the files by number and name.
//! * [`files`], [`content`], [`loss`]: the three on a real folder, without FUSE.
//! * [`rules`]: the faults in force; [`damage`]: bits that flip.
//! * [`served`]: a node's disk through its lives and crashes; [`adapter`]: FUSE's requests;
//!   [`mount`]: mounting.
//!
//! What is promised is what POSIX does, and no more than that:
//!
//! * fsync and fdatasync of a file make its content and size durable, not its name. O_SYNC and
//!   O_DSYNC do the same after each write; O_DIRECT alone makes nothing durable.
//! * fsync of a directory makes its names durable: files made, removed, renamed in it. (ext4 makes
//!   a new file's name durable with the file, and a rename over a file waits for its content. A
//!   program that depends on either loses data elsewhere, and here.)
//! * A rename is there whole or not at all.
//! * Modes, owners and times are durable at once. So is what was in the folder at the start.
//! * What a process has mapped and written reaches the disk when the kernel writes it out: at
//!   msync(2), munmap(2) or the end of the process.
//! * A killed process loses nothing that it wrote.
//!
//! The real folder holds at any time what the node sees, so that it can be looked at after the run;
//! in memory is only what a power failure would put back.

mod adapter;
mod content;
mod damage;
mod files;
mod journal;
mod loss;
pub(crate) mod mount;
mod pattern;
mod rules;
mod served;
mod terms;
mod tree;
mod unsynced;

pub(crate) use loss::Loss;
pub(crate) use served::{NodeDisk, available, try_in, use_in_trial};

#[cfg(test)]
mod tests;
