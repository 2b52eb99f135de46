//! A node of the key-value store as a program of its own.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    raft_kv::cli::run(raft_kv::cli::Args::parse())
}
