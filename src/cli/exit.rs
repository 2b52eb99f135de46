//! Exit codes: what a script or a nightly job learns without reading a word.

use std::process::ExitCode;

use checkers::Verdict;

/// How the command ended. The numbers are part of the interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Everything that was checked holds.
    Valid,
    /// A violation was found.
    Violation,
    /// The command line or an input file cannot be understood; nothing was run.
    Usage,
    /// Neither: the reason was printed.
    Undecided,
    /// The run could not be made, or not to its end.
    NotRun,
}

impl Exit {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Exit::Valid => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Undecided => 3,
            Exit::NotRun => 4,
        }
    }

    /// The worse of the two, for a campaign: a violation is never hidden behind a run that could
    /// not be made, nor that behind one that came to no decision.
    pub fn worse(self, other: Exit) -> Exit {
        let rank = |exit| match exit {
            Exit::Valid => 0,
            Exit::Undecided => 1,
            Exit::Usage => 2,
            Exit::NotRun => 3,
            Exit::Violation => 4,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Exit::Valid,
            Verdict::Unknown => Exit::Undecided,
            Verdict::Invalid => Exit::Violation,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit::{NotRun, Undecided, Usage, Valid, Violation};

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [Valid, Violation, Usage, Undecided, NotRun].map(|exit| exit.code());
        assert_eq!(codes, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_violation_is_worst_whatever_else_happened() {
        for other in [Valid, Usage, Undecided, NotRun] {
            assert_eq!(Violation.worse(other), Violation);
            assert_eq!(other.worse(Violation), Violation);
            assert_eq!(Valid.worse(other), other);
        }
        assert_eq!(Undecided.worse(NotRun), NotRun);
    }
}
