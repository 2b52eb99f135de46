//! The run folder: everything that happened in one run, written as it happens.
//!
//! ```text
//! runs/20261123-034100-register-42/
//!   plan.toml       the run as data, the fault schedule included; written before anything starts
//!   history.jsonl   what every client saw, and every fault, in one order; or history.bin
//!   ledger.jsonl    the undo of every fault, noted before it is injected
//!   nodes/n1/…      each node's stdout.log, stderr.log and data
//!   verdict.json    what the checkers say
//!   report.html     the same for people, with the pictures
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use histories::Encoding;

use crate::plan::{Plan, PlanError};

/// Where runs are kept unless said otherwise, relative to the working directory.
pub const DEFAULT_STORE: &str = "runs";

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Why a run folder cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("failed to {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no run here.
    #[error(
        "{} is not a run folder: it has no plan.toml (hint: `whitewater runs` lists the stored runs)",
        .0.display()
    )]
    NotARun(PathBuf),
    /// Its plan cannot be understood.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What to do about the errors that users meet.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " (hint: choose another place with --store DIR)"
        }
        io::ErrorKind::StorageFull => {
            " (hint: free some space, or choose another place with --store DIR)"
        }
        _ => "",
    }
}

impl RunFolder {
    /// Makes a new folder in `store` and writes the plan into it.
    pub fn create(store: &Path, plan: &Plan) -> Result<Self, StoreError> {
        create_dir_all(store)?;
        let name = format!("{}-{}-{}", timestamp(), plan.workload.name, plan.seed);
        let path = (1..=1_000)
            .map(|n| {
                store.join(if n == 1 {
                    name.clone()
                } else {
                    format!("{name}-{n}")
                })
            })
            .find_map(|path| match fs::create_dir(&path) {
                Ok(()) => Some(Ok(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                Err(source) => Some(Err(StoreError::Io {
                    action: "create",
                    path,
                    source,
                })),
            })
            .unwrap_or_else(|| {
                let source = io::Error::from(io::ErrorKind::AlreadyExists);
                Err(StoreError::Io {
                    action: "create",
                    path: store.join(name),
                    source,
                })
            })?;
        let folder = RunFolder {
            path: absolute(&path)?,
        };
        folder.write("plan.toml", plan.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run made earlier.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = RunFolder {
            path: absolute(path)?,
        };
        if folder.plan_path().is_file() {
            Ok(folder)
        } else {
            Err(StoreError::NotARun(path.to_owned()))
        }
    }

    /// Every run in `store`, oldest first. A store that does not exist has none.
    pub fn list(store: &Path) -> Result<Vec<Self>, StoreError> {
        let entries = match fs::read_dir(store) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(StoreError::Io {
                    action: "list",
                    path: store.into(),
                    source,
                });
            }
        };
        let mut runs: Vec<Self> = entries
            .flatten()
            .filter_map(|entry| RunFolder::open(&entry.path()).ok())
            .collect();
        runs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(runs)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its plan's file.
    pub fn plan_path(&self) -> PathBuf {
        self.path.join("plan.toml")
    }

    /// The file of a history that is recorded so.
    pub fn history_path(&self, encoding: Encoding) -> PathBuf {
        self.path.join(encoding.file_name())
    }

    /// Where packets are captured, if they are.
    pub fn capture_path(&self) -> PathBuf {
        self.path.join("packets.pcapng")
    }

    /// The file of the faults' undos.
    pub fn ledger_path(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// The file of the verdict.
    pub fn verdict_path(&self) -> PathBuf {
        self.path.join("verdict.json")
    }

    /// The report's file.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The folder of a node's logs and data.
    pub fn node_path(&self, node: &str) -> PathBuf {
        self.path.join("nodes").join(node)
    }

    /// Reads the plan.
    pub fn plan(&self) -> Result<Plan, StoreError> {
        Ok(Plan::read(&self.plan_path())?)
    }

    /// Writes a whole file of the folder: first beside it, then renamed, so that a crash leaves
    /// the old one or the new one.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let beside = self.path.join(format!(".{name}.new"));
        fs::write(&beside, contents)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|source| {
                // Best effort: what could not be written is not worth keeping.
                let _ = fs::remove_file(&beside);
                StoreError::Io {
                    action: "write",
                    path,
                    source,
                }
            })
    }

    /// Removes the whole folder.
    pub fn remove(self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.path).map_err(|source| StoreError::Io {
            action: "remove",
            path: self.path,
            source,
        })
    }
}

/// The history's file in a run folder, in whichever format it was recorded; of two the one for
/// people.
pub fn history_in(folder: &Path) -> PathBuf {
    let files = Encoding::ALL.map(|encoding| folder.join(encoding.file_name()));
    let [jsonl, binary] = files;
    if binary.exists() && !jsonl.exists() {
        binary
    } else {
        jsonl
    }
}

/// Makes a folder and those above it.
pub fn create_dir_all(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|source| StoreError::Io {
        action: "create",
        path: path.to_owned(),
        source,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|source| StoreError::Io {
        action: "find",
        path: path.to_owned(),
        source,
    })
}

/// `20261123-034100` in UTC: folders sort by it.
fn timestamp() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.trim_end_matches('Z')
        .replace(['-', ':'], "")
        .replace('T', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_made_in_one_second_have_names_of_their_own() {
        let store = tempfile::tempdir().expect("a temporary folder");
        let plan = Plan::default();
        let first = RunFolder::create(store.path(), &plan).expect("writable");
        let second = RunFolder::create(store.path(), &plan).expect("writable");
        assert_ne!(first, second);
        assert_eq!(RunFolder::list(store.path()).expect("readable").len(), 2);
        assert_eq!(first.plan().expect("just written"), plan);
    }

    #[test]
    fn a_store_that_is_a_file_is_an_error_with_its_name() {
        let store = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = RunFolder::create(store.path(), &Plan::default()).expect_err("not a folder");
        assert!(
            error.to_string().starts_with("failed to create "),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_run_is_not_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = RunFolder::open(folder.path()).expect_err("empty");
        assert!(error.to_string().contains("is not a run folder"), "{error}");
    }
}
