//! The `whitewater` command.

use std::process::ExitCode;

use hugepages::HugePages;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    whitewater::cli::run(std::env::args_os()).into()
}
