//! `whitewater replay`: run the stored plan of an earlier run again. Nothing is drawn anew.

use super::args::ReplayArgs;
use super::exit::Exit;
use super::{fail, run};
use crate::store::RunFolder;

/// Makes the run again, in a folder of its own.
pub fn replay(args: &ReplayArgs) -> Exit {
    match RunFolder::open(&args.run).and_then(|folder| folder.plan()) {
        Ok(plan) => run::make(&plan, &args.store.store, &args.output),
        Err(error) => fail(Exit::Usage, error),
    }
}
