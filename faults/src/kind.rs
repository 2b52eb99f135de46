//! What every kind of fault has in common: one file per kind implements [`FaultKind`], one line
//! here names it.

use histories::Value;
use serde::{Deserialize, Serialize};

use crate::aim::Aim;
use crate::draws::Draws;
use crate::names::named;
use crate::standing::Standing;
use crate::{
    BitFlip, ClockDrift, ClockFreeze, ClockJump, ClockStrobe, Command, Corrupt, CpuQuota,
    CrashLoop, CrashPoint, Delay, DiskFull, Duplicate, FdLimit, IoError, Kill, KillAtStart, Link,
    Loss, LyingFsync, MemberChange, MemoryLimit, Name, Partition, Pause, PowerLoss, RateLimit,
    Reboot, RefuseConnections, Reorder, ResetConnections, Restart, SlowFsync, SlowStart, Target,
    TargetError, TornWrite, Unavailable,
};

/// Declares the kinds: the struct that has a kind's parameters, and its name in plans, on command
/// lines and in histories.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident = $name:literal),+ $(,)?) => {
        named! {
            /// The kinds of faults.
            Kind, "fault" {
                $($(#[$about])* $kind = $name),+
            }
        }

        /// A fault with its parameters, before it is known whom it will hit. In a plan: the kind as
        /// `fault`, its parameters beside it; those left out have their defaults.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "fault")]
        pub enum Action {
            $($(#[$about])* #[serde(rename = $name)] $kind($kind)),+
        }

        impl Action {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Action::$kind(_) => Kind::$kind),+
                }
            }

            /// How it is done.
            pub(crate) fn fault(&self) -> &dyn FaultKind {
                match self {
                    $(Action::$kind(fault) => fault),+
                }
            }
        }

        impl Kind {
            /// Whether this kind can be injected into this cluster at all.
            ///
            /// # Errors
            /// What is missing, and what to do about it.
            pub fn available(self, target: &dyn Target) -> Result<(), Unavailable> {
                match self {
                    $(Kind::$kind => $kind::available(target)),+
                }
            }

            /// A fault of this kind for a drawn schedule; `None` where these nodes are too few.
            pub(crate) fn draw(self, draws: &mut Draws<'_>) -> Option<Action> {
                match self {
                    $(Kind::$kind => $kind::draw(draws).map(Action::$kind)),+
                }
            }
        }
    };
}

kinds! {
    /// SIGKILL to a node's processes, and a restart on the data left behind.
    Kill = "kill",
    /// SIGSTOP to a node's processes, and SIGCONT.
    Pause = "pause",
    /// Links cut, and joined again.
    Partition = "partition",
    /// Packets held for a while.
    Delay = "delay",
    /// Packets dropped by chance.
    Loss = "loss",
    /// Packets sent twice.
    Duplicate = "duplicate",
    /// Packets held so that later ones go ahead.
    Reorder = "reorder",
    /// Packets with a bit inverted.
    Corrupt = "corrupt",
    /// Links made slow.
    RateLimit = "rate-limit",
    /// New TCP connections refused.
    RefuseConnections = "refuse-connections",
    /// TCP connections ended by the kernel.
    ResetConnections = "reset-connections",
    /// A clock of a node's processes ahead or behind, and right again.
    ClockJump = "clock-jump",
    /// A clock of a node's processes at another rate, and right again.
    ClockDrift = "clock-drift",
    /// A clock of a node's processes that stands still, and goes on.
    ClockFreeze = "clock-freeze",
    /// A clock of a node's processes that jumps to and fro, and is right again.
    ClockStrobe = "clock-strobe",
    /// SIGTERM to a node's program, SIGKILL to what has not ended in time, and a start.
    Restart = "restart",
    /// A node killed and started, again and again.
    CrashLoop = "crash-loop",
    /// A node killed, and killed again while it starts.
    KillAtStart = "kill-at-start",
    /// A node killed, and started as on a machine that was just switched on.
    Reboot = "reboot",
    /// Less of a processor for a node.
    CpuQuota = "cpu-quota",
    /// A node killed and started with less of a processor.
    SlowStart = "slow-start",
    /// No more memory for a node.
    MemoryLimit = "memory-limit",
    /// No more file descriptors for a node's processes.
    FdLimit = "fd-limit",
    /// A node killed, and everything lost that it had not made durable.
    PowerLoss = "power-loss",
    /// A node that crashes at a certain operation on its disk.
    CrashPoint = "crash-point",
    /// A power failure at a write, of which a first part reaches the disk.
    TornWrite = "torn-write",
    /// Bits inverted in a node's files, or blocks that become zeros.
    BitFlip = "bit-flip",
    /// Reads, writes or fsyncs that fail with EIO.
    IoError = "io-error",
    /// A disk on which nothing can grow or be made.
    DiskFull = "disk-full",
    /// Fsyncs that take long, or hang.
    SlowFsync = "slow-fsync",
    /// Fsyncs that succeed and make nothing durable.
    LyingFsync = "lying-fsync",
    /// Nodes that leave the cluster, or lose their vote, and are given it back.
    MemberChange = "member-change",
    /// What the system does when it is told to, by its own commands.
    Command = "command",
}

impl Kind {
    /// The kinds that are drawn for nodes with disks of their own when nobody says which: those
    /// that a correct system must stand. A disk that lies, or forgets, takes what a correct system
    /// acknowledged.
    pub const OF_SOUND_DISKS: [Kind; 6] = [
        Kind::PowerLoss,
        Kind::CrashPoint,
        Kind::TornWrite,
        Kind::IoError,
        Kind::DiskFull,
        Kind::SlowFsync,
    ];

    /// Whether a correct node may end by itself when this hits it: one that cannot write, or whose
    /// data is damaged, had better, and one that gets no memory or descriptor may have to.
    pub fn may_end_nodes(self) -> bool {
        matches!(
            self,
            Kind::IoError | Kind::DiskFull | Kind::BitFlip | Kind::MemoryLimit | Kind::FdLimit
        )
    }

    /// Whether it needs nodes with disks of their own: a file system below each node's data folder
    /// that can fail.
    pub fn needs_disk(self) -> bool {
        matches!(self, Kind::BitFlip | Kind::LyingFsync) || Kind::OF_SOUND_DISKS.contains(&self)
    }
}

/// A kind of fault: how to prepare, inject and heal it. Every call blocks until it is done.
///
/// Faults of one kind may overlap. Each notes in [`Standing`] what it holds down, stopped or cut,
/// and heals only what no other fault still holds.
pub(crate) trait FaultKind {
    /// Whether this kind can be injected into this cluster at all.
    fn available(target: &dyn Target) -> Result<(), Unavailable>
    where
        Self: Sized;

    /// One of this kind for a drawn schedule; `None` where these nodes are too few for any. Draws
    /// all that its parameters leave open.
    fn draw(draws: &mut Draws<'_>) -> Option<Self>
    where
        Self: Sized;

    /// What is wrong with parameters written by hand: the field, and what it should be.
    fn problem(&self) -> Option<(&'static str, String)> {
        None
    }

    /// Whom it hits.
    fn aim(&self) -> Aim<'_>;

    /// Whether fewer than a majority of the nodes can serve while it is in force: then it is
    /// shorter, and some calm follows it.
    fn takes_majority_down(&self) -> bool {
        self.aim().is_majority()
    }

    /// How long it lasts in a drawn schedule, if that is not as long as others do, in milliseconds.
    fn own_length_ms(&self, _draws: &mut Draws<'_>) -> Option<u64> {
        None
    }

    /// How long after it was injected (`beats` is 0), or after that many [beats](Self::beat), the
    /// next beat is due, in milliseconds; `None` for none.
    fn next_beat_ms(&self, _beats: u64) -> Option<u64> {
        None
    }

    /// Does what is to be done again and again while it is in force. `beats` counts those before.
    /// An effect that this shows is an effect of the fault.
    fn beat(
        &self,
        _id: u64,
        _beats: u64,
        _prepared: &Prepared,
        _target: &dyn Target,
        _standing: &mut Standing,
    ) -> Effect {
        Effect::default()
    }

    /// The order in which nodes are chosen, given the plan's and what is in force.
    fn preferred(&self, order: &[Name], standing: &Standing) -> Vec<Name> {
        self.aim().preferred(order, standing)
    }

    /// Who will be hit and how, given the order of preference and the leader at this moment. Pure:
    /// does nothing and draws nothing. Without targets where so few nodes leave nothing to do.
    fn prepare(&self, order: &[Name], leader: Option<&str>) -> Prepared {
        self.aim().resolve(order, leader)
    }

    /// What will take it back, known before anything is done.
    fn undo(&self, prepared: &Prepared) -> Undo;

    /// Does it.
    fn inject(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect;

    /// Takes it back, as far as no other fault is in the way. Harmless when done twice, and when
    /// the fault was never injected.
    fn heal(
        &self,
        id: u64,
        prepared: &Prepared,
        target: &dyn Target,
        standing: &mut Standing,
    ) -> Effect;
}

/// A fault about to be injected: every choice made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    /// The nodes it acts on; none when there is nothing to do.
    pub targets: Vec<Name>,
    /// The links it acts on.
    pub links: Vec<Link>,
    /// What the history records of the choices besides the fault's own parameters: names and
    /// values.
    pub choices: Vec<(Value, Value)>,
}

/// What takes a fault back: data, so that it can be written down before the fault is injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Start these nodes.
    Start(Vec<Name>),
    /// Let these nodes go on.
    Resume(Vec<Name>),
    /// Join these links again.
    Rejoin(Vec<Link>),
    /// Let the clocks of these nodes show the true time.
    TrueTime(Vec<Name>),
    /// Treat the packets of these links as ever again.
    Clear(Vec<Link>),
    /// Nothing: what was done is over at once.
    Nothing,
    /// Let the disks of these nodes work again, and start those nodes that ended of it.
    Mend(Vec<Name>),
    /// Make these nodes members with a vote again.
    Readmit(Vec<Name>),
    /// Lift the limit of this kind of fault from these nodes, and start those that ended.
    Lift(Kind, Vec<Name>),
}

/// What injecting or healing a fault did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effect {
    /// What shows it.
    pub evidence: Value,
    /// Whether the evidence shows that the fault took effect, where it can tell.
    pub effective: Option<bool>,
    /// What went wrong, for each node or for the network.
    pub errors: Vec<TargetError>,
}

impl Effect {
    /// Does something to each node in turn, not stopping at errors; the evidence is a map from
    /// node to what each call returned.
    pub fn on_each(
        nodes: &[Name],
        mut act: impl FnMut(&Name) -> Result<Value, TargetError>,
    ) -> Effect {
        let mut effect = Effect::default();
        let mut evidence = Vec::new();
        for node in nodes {
            match act(node) {
                Ok(found) => evidence.push((Value::Text(node.clone()), found)),
                Err(error) => effect.errors.push(error),
            }
        }
        effect.evidence = Value::Map(evidence);
        effect
    }

    /// Whether what `on_each` found of any node passes this test.
    pub fn any(&self, shows_effect: impl Fn(&Value) -> bool) -> bool {
        match &self.evidence {
            Value::Map(nodes) => nodes.iter().any(|(_, found)| shows_effect(found)),
            _ => false,
        }
    }
}

/// The numbers and texts that evidence holds, at any depth, without the names they stand under.
pub(crate) fn facts(evidence: &Value) -> Vec<&Value> {
    match evidence {
        Value::List(values) => values.iter().flat_map(facts).collect(),
        Value::Map(entries) => entries.iter().flat_map(|(_, value)| facts(value)).collect(),
        Value::Nil => Vec::new(),
        fact => vec![fact],
    }
}

/// The exact parameters of a fault as a history records them: its own, then what was chosen.
pub(crate) fn parameters(action: &Action, prepared: &Prepared) -> Value {
    let mut entries = Vec::new();
    // Plain data with text keys, which can always be expressed.
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(action) {
        let own = fields.into_iter().filter(|(name, _)| name != "fault");
        entries.extend(own.map(|(name, field)| (name.into(), recorded(field))));
    }
    entries.extend(prepared.choices.iter().cloned());
    Value::Map(entries)
}

fn recorded(field: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match field {
        Json::Null => Value::Nil,
        Json::Bool(truth) => truth.into(),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| number.to_string().into(), Value::Int),
        Json::String(text) => text.into(),
        Json::Array(elements) => Value::List(elements.into_iter().map(recorded).collect()),
        Json::Object(fields) => {
            let entries = fields.into_iter();
            Value::Map(
                entries
                    .map(|(name, field)| (name.into(), recorded(field)))
                    .collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_at_any_depth_and_names_are_none() {
        let pids = Value::List(vec![4.into(), 5.into()]);
        let process = Value::Map(vec![("pid".into(), 4.into()), ("state".into(), "T".into())]);
        let rows = [
            (Value::Nil, vec![]),
            (
                Value::Map(vec![("gone".into(), Value::List(vec![]))]),
                vec![],
            ),
            (
                Value::Map(vec![("gone".into(), pids)]),
                vec![4.into(), 5.into()],
            ),
            (Value::List(vec![process]), vec![4.into(), "T".into()]),
        ];
        for (evidence, expected) in rows {
            assert_eq!(
                facts(&evidence),
                expected.iter().collect::<Vec<&Value>>(),
                "{evidence}"
            );
        }
    }
}
