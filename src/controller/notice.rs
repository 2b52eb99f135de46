//! What the controller, inside the sandbox, tells the command outside it: one JSON object a line
//! on the controller's standard output.

use serde::{Deserialize, Serialize};

/// Something worth telling whoever watches a run. Times are milliseconds since the run's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// Where the nodes run, and what cannot be done there.
    Sandbox {
        /// In namespaces, or plain.
        namespaces: bool,
        /// On how many hosts beyond this machine the nodes run; 0 for here.
        #[serde(default)]
        hosts: u64,
        /// The image of the containers in which the nodes run, if that is where they do.
        #[serde(default)]
        image: Option<String>,
        /// The fault kinds that cannot be injected here.
        unavailable: Vec<UnavailableFault>,
    },
    /// The cluster serves.
    Ready {
        /// How long that took from the start of the first node.
        after_ms: u64,
    },
    /// Where the run stands.
    Progress(Progress),
    /// The check beside the run found a violation; told outside the sandbox.
    Violation {
        /// Which, in one line.
        text: String,
    },
    /// How far the check beside the run came, in the end; told outside the sandbox.
    Online(OnlineProgress),
    /// A fault was injected or healed, or could not be.
    Fault {
        /// When.
        at_ms: u64,
        /// What happened, in words.
        text: String,
    },
    /// A node ended by itself.
    NodeExit {
        /// When.
        at_ms: u64,
        /// Which.
        node: String,
        /// How, and the last lines of its log.
        text: String,
    },
    /// The next part of the run begins.
    Phase {
        /// What it is.
        text: String,
    },
    /// The run is over, and the history complete.
    Finished {
        /// Whether it was ended early, by a signal or at a violation.
        stopped: bool,
        /// How many events were recorded.
        events: u64,
    },
    /// The run could not be made, or not to its end.
    Failed(Failure),
}

/// Why a run could not be made, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why, and what to do, in words.
    pub text: String,
    /// Whether it is that something asked for, such as a fault by its name, cannot be had here.
    pub is_unavailable: bool,
}

impl Failure {
    /// Something that was asked for cannot be had here: what, why, and what to do.
    pub fn unavailable(text: String) -> Self {
        Failure {
            text,
            is_unavailable: true,
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure {
            text,
            is_unavailable: false,
        }
    }
}

/// A fault kind that cannot be injected on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnavailableFault {
    /// The kind.
    pub kind: String,
    /// What is missing.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Since the run's start.
    pub at_ms: u64,
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations of unknown outcome.
    pub info: u64,
    /// Operations completed per second, lately.
    pub rate_per_s: u64,
    /// The leader and its term, where one is known.
    pub leader: Option<String>,
    /// The faults in force.
    pub faults: Vec<String>,
    /// How far the check beside the run came; added outside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineProgress>,
}

/// How far the check beside the run came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineProgress {
    /// Everything up to here is decided, but for what is said below.
    pub through_ms: Option<u64>,
    /// Whether that is longer ago than the oldest operation can have begun.
    pub is_behind: bool,
    /// Keys in violation.
    pub violations: u64,
    /// Keys given up, to be judged after the run.
    pub undecided_keys: u64,
    /// Why the first of them was.
    pub undecided_why: Option<String>,
    /// Why nothing more is checked, if so.
    pub ended: Option<String>,
}
