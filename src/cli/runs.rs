//! `whitewater runs`: list the stored runs with their verdicts.

use serde::Deserialize;

use super::args::RunsArgs;
use super::exit::Exit;
use super::{fail, print};
use crate::store::RunFolder;

/// What is read of a `verdict.json`.
#[derive(Debug, Deserialize)]
struct Stored {
    verdict: String,
    reason: Option<String>,
    operations: u64,
}

/// Lists them, oldest first.
pub fn runs(args: &RunsArgs) -> Exit {
    let folders = match RunFolder::list(&args.store.store) {
        Ok(folders) => folders,
        Err(error) => return fail(Exit::Usage, error),
    };
    if folders.is_empty() {
        print(&format!("no runs in {}\n", args.store.store.display()));
        return Exit::Valid;
    }
    print("verdict   operations  faults                 run\n");
    for folder in &folders {
        print(&line(folder, &args.store.store));
    }
    Exit::Valid
}

fn line(folder: &RunFolder, store: &std::path::Path) -> String {
    let name = folder.path().file_name().unwrap_or_default();
    let path = store.join(name);
    let faults = folder.plan().map_or_else(
        |_| "?".to_owned(),
        |plan| {
            let kinds: Vec<&str> = plan.faults.kinds.keys().map(|kind| kind.name()).collect();
            if kinds.is_empty() {
                "none".to_owned()
            } else {
                kinds.join(",")
            }
        },
    );
    let none = |reason: &str| ("none".to_owned(), "?".to_owned(), Some(reason.to_owned()));
    let (verdict, operations, reason) = match std::fs::read(folder.verdict_path()) {
        Ok(text) => match serde_json::from_slice::<Stored>(&text) {
            Ok(stored) => (stored.verdict, stored.operations.to_string(), stored.reason),
            Err(_) => none("its verdict.json cannot be read"),
        },
        Err(_) => none("it never came to a verdict"),
    };
    let reason = reason.map_or_else(String::new, |reason| format!("{:<45}{reason}\n", ""));
    format!(
        "{verdict:<9} {operations:>10}  {faults:<21}  {}\n{reason}",
        path.display()
    )
}
