//! The network between the nodes and the clients, as faults see it: rules about packets.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::names::named;
use crate::{Name, TargetError, Unavailable};

/// One direction of the connection between two ports of the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Where packets come from.
    pub from: Name,
    /// Where packets go.
    pub to: Name,
}

/// What one fault asks of the network: something done to the packets of some links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The fault's number. Its counts are kept under it, and its chances drawn from it.
    pub fault: u64,
    /// The directed links.
    pub links: Vec<Link>,
    /// Only packets to or from one of these TCP or UDP ports; every packet where this is empty.
    pub ports: Vec<u16>,
    /// What is done to them.
    pub treatment: Treatment,
}

/// What is done to packets. Chances and delays are drawn for each packet from the run's seed, the
/// directed link, the fault's number, and the packet's number on that link since the rule is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Every packet is dropped.
    Cut {
        /// Dropped in the first half of each period of so many milliseconds and forwarded in the
        /// second half; 0 for dropped all the time.
        flap_period_ms: u64,
    },
    /// A packet that opens a TCP connection is answered with a reset, and not forwarded.
    Refuse {
        /// How many of a thousand.
        permille: u32,
    },
    /// Packets are dropped by chance.
    Lose {
        /// How many of a thousand.
        permille: u32,
        /// How likely, in a thousand, a packet shares the fate of the one before it instead of
        /// drawing its own.
        correlation_permille: u32,
    },
    /// A bit of some packets is inverted.
    Corrupt {
        /// How many packets of a thousand.
        permille: u32,
        /// What becomes of the checksum.
        checksums: Checksums,
    },
    /// Packets are sent more than once.
    Duplicate {
        /// How many of a thousand.
        permille: u32,
        /// The second arrives up to so many microseconds after the first, drawn evenly.
        apart_us: u64,
    },
    /// Packets pass one after the other at a limited speed, and wait in a queue for it.
    Limit {
        /// The speed.
        kbit_per_s: u64,
        /// A packet that would wait longer is dropped.
        queue_ms: u64,
    },
    /// Every packet is held for a while.
    Delay(Delays),
    /// Some packets are held, and those after them go ahead.
    Reorder {
        /// How many of a thousand are held.
        permille: u32,
        /// For how long.
        hold_us: u64,
    },
}

/// How long packets are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// On average, in microseconds.
    pub mean_us: u64,
    /// How far from the mean: what that means is said at [`Distribution`].
    pub jitter_us: u64,
    /// How delays are spread around the mean.
    pub distribution: Distribution,
    /// How likely, in a thousand, a packet is held as long as the one before it instead of drawing
    /// its own delay.
    pub correlation_permille: u32,
    /// Whether packets leave a link in the order in which they came.
    pub keep_order: bool,
}

named! {
    /// How delays are spread around their mean. None is below 0.
    Distribution, "distribution" {
        /// Evenly from `mean - jitter` to `mean + jitter`.
        Uniform = "uniform",
        /// Normally, with the jitter as standard deviation, and none further away than six.
        Normal = "normal",
        /// From `mean - jitter` with a heavy tail (Pareto's, of exponent 2): one packet in a
        /// hundred is held longer than `mean + 8 jitter`, and none longer than `mean + 100 jitter`.
        Pareto = "pareto",
    }
}

named! {
    /// What becomes of the checksum of a corrupted packet.
    Checksums, "checksums" {
        /// It stays as it was, so that the receiving kernel notices and drops the packet, as on a
        /// real network.
        Wrong = "wrong",
        /// It is made good again, so that the application receives wrong bytes. Only payload is
        /// corrupted then.
        Repaired = "repaired",
    }
}

/// What the rules of one fault have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Packets they were about.
    pub packets: u64,
    /// Packets that something was done to: dropped, refused, corrupted, sent twice, held, made to
    /// wait.
    pub affected: u64,
    /// Packets dropped because the queue of a speed limit, or the switch's own, was full.
    pub overflowed: u64,
    /// Packets held by a reordering that others did overtake.
    pub overtaken: u64,
    /// How long all packets together were held, in microseconds.
    pub held_us: u64,
}

/// Something a network may or may not be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAbility {
    /// [`Treatment::Cut`].
    Cut,
    /// Every other [`Treatment`].
    TreatPackets,
    /// [`Network::reset_connections`].
    ResetConnections,
}

/// The network between the nodes and the clients.
pub trait Network {
    /// Whether this is possible here.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    fn can(&self, ability: NetworkAbility) -> Result<(), Unavailable>;

    /// From now on treats packets by these rules and by no others: one atomic swap, established
    /// connections included. No rules heal everything: what a delay still holds then goes on at
    /// once.
    ///
    /// Where several rules are about a packet, cuts come first, then refusals, losses, corruption,
    /// duplication, speed limits, delays and reordering. So losses combine and delays add up. Rules
    /// that stay keep counting where they were.
    ///
    /// # Errors
    /// Then nothing has changed.
    fn set_rules(&self, rules: &[Rule]) -> Result<(), TargetError>;

    /// What the rules of this fault have done so far, also when they are no more.
    fn counts(&self, fault: u64) -> RuleCounts;

    /// Ends the TCP connections of a node to these others, as the kernel does when it gives one
    /// up: both ends get an error at once. Only connections to or from one of these ports, all
    /// where there are none.
    ///
    /// Returns how many were ended: `{"reset" 4}`.
    ///
    /// # Errors
    /// Some may have been ended.
    fn reset_connections(
        &self,
        node: &str,
        others: &[Name],
        ports: &[u16],
    ) -> Result<Value, TargetError>;
}
