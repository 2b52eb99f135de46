//! The `whitewater` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    whitewater::cli::run(std::env::args_os()).into()
}
