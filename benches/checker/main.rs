//! How long a verdict takes, what an explanation adds to it, and how much memory: one command,
//! `cargo bench --bench checker`.
//!
//! Every row is a history by seed, made and judged in a process of its own. Engines and whole
//! checks are on one thread, medians of some runs; the whole command uses all processors, as it
//! does for a user, and is compared with `grep -c foo` on the same file. `cargo bench --bench
//! checker -- WORD` makes only the rows whose name has that word.

mod rows;
mod simulate;
mod whole;

use std::process::{Command, ExitCode};

use hugepages::HugePages;

/// As in the command.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    if let ["row", number] = words[..]
        && let Some(row) = number
            .parse()
            .ok()
            .and_then(|number: usize| rows::ROWS.get(number))
    {
        println!("{}", rows::measure(row));
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| words.iter().all(|word| name.contains(word));
    println!("{}", rows::TITLE);
    for (number, row) in rows::ROWS.iter().enumerate() {
        if wanted(row.name) && !in_own_process(number) {
            eprintln!("{}: failed", row.name);
            return ExitCode::FAILURE;
        }
    }
    if wanted(whole::NAME)
        && let Err(error) = whole::measure()
    {
        eprintln!("{}: {error}", whole::NAME);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// So that the memory a row takes is its own.
fn in_own_process(number: usize) -> bool {
    let Ok(program) = std::env::current_exe() else {
        return false;
    };
    let status = Command::new(program)
        .args(["row", &number.to_string()])
        .status();
    status.is_ok_and(|status| status.success())
}
