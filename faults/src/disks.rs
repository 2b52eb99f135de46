//! What a fault may do to the disks of the nodes.

use histories::Value;

use crate::TargetError;
use crate::names::named;

named! {
    /// What a node does to its disk.
    DiskOperation, "disk operation" {
        /// Reads from a file, as far as the kernel does not remember what is in it.
        Read = "read",
        /// Writes to a file, or makes it longer or shorter.
        Write = "write",
        /// Makes a file, or the names in a folder, durable.
        Fsync = "fsync",
        /// Gives a file another name.
        Rename = "rename",
    }
}

/// The disks of the nodes: of each, the file system below its data folder.
///
/// A path is one below the data folder, `.` the folder itself; in a pattern `*` stands for any
/// characters and `?` for any one.
pub trait Disks {
    /// From now on the node's power fails as soon as it has something that is not durable: what it
    /// asks of its disk after that moment is not answered any more. To be followed by
    /// [`lose_power`](Disks::lose_power).
    fn arm_power_loss(&self, node: &str) -> Result<(), TargetError>;

    /// Cuts the node's power: kills it as [`Target::kill`](crate::Target::kill) does and drops
    /// everything that it had not made durable. Armed before, it waits for the moment, but not longer
    /// than `wait_ms`. With a node that does not run, drops what it left.
    ///
    /// Returns evidence: `{"gone" [412] "lost_bytes" 96 "lost_names" 1 "lost_truncations" 0 "files"
    /// {"log" 96} "names" ["create log.new"]}`.
    fn lose_power(&self, node: &str, wait_ms: u64) -> Result<Value, TargetError>;

    /// From now on this rule is in force on the node's disk, through restarts too, for this fault.
    fn impose(&self, node: &str, fault: u64, rule: &DiskRule) -> Result<Value, TargetError>;

    /// Ends the rule of this fault, which may have none. A crash that it began is complete then.
    ///
    /// Returns evidence: `{"hits" 3 "first" "log"}`, the operations that it changed and the path of
    /// the first; of a crash also what `lose_power` returns, under `"crash"`.
    fn lift(&self, node: &str, fault: u64) -> Result<Value, TargetError>;

    /// Changes what is in those of the node's files that match, on the disk and in the kernel's
    /// memory.
    ///
    /// Returns evidence: `[{"path" "log" "offset" 17 "bit" 3}]`, nothing where no file matches.
    fn damage(&self, node: &str, path: &str, spots: &[Spot]) -> Result<Value, TargetError>;
}

/// A fault of a disk that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskRule {
    /// Once: the node crashes at an operation.
    Crash {
        /// At which.
        operation: DiskOperation,
        /// On which paths; a rename is on both of its.
        path: String,
        /// At which of those from now on, from 1.
        nth: u64,
        /// Just after it was done, before the node knows, instead of just before.
        after: bool,
        /// What happens.
        crash: Crash,
    },
    /// Operations fail with EIO.
    Fail {
        /// Which.
        operation: DiskOperation,
        /// On which paths.
        path: String,
        /// Only the first.
        once: bool,
    },
    /// Nothing can grow or be made: ENOSPC.
    Full,
    /// An fsync takes this much longer.
    SlowFsync {
        /// On which paths.
        path: String,
        /// How much.
        delay_ms: u64,
    },
    /// An fsync says that it succeeded and makes nothing durable.
    LyingFsync {
        /// On which paths.
        path: String,
    },
}

/// What happens to a node at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It is killed: everything it wrote stays.
    Kill,
    /// Its power fails: everything that is not durable is lost.
    PowerLoss,
    /// Its power fails while its writes are on their way to the disk: of the file at which it
    /// crashes, a first part of what was not durable is on the disk all the same.
    TornWrite {
        /// How much, in thousandths of those bytes, in the order in which they were written.
        keep_permille: u64,
        /// Rounded down to a multiple of this offset in the file.
        boundary_bytes: u64,
    },
}

/// A place among the files that match a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// In which of them, in the order of their paths, in millionths.
    pub file_ppm: u64,
    /// Only among so many bytes at its end; 0 for anywhere.
    pub last_bytes: u64,
    /// Where in it, or among those, in millionths of their number.
    pub offset_ppm: u64,
    /// What is done there.
    pub damage: Damage,
}

/// What is done to a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the byte is inverted, 0 to 7.
    Bit(u8),
    /// So many bytes from there on, as far as the file reaches, become zeros.
    Zeros(u64),
}
