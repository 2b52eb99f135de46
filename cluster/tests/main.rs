//! The cluster on real processes, namespaces and packets.
//!
//! This binary is the test runner, the program of every node, and every hidden stage of the
//! sandbox. As root it runs everything a second time as an ordinary user. Where a machine refuses
//! namespaces the tests that need them are skipped with the reason, unless `CI` is set: then they
//! fail.

// Everything here is a test, though no `#[test]` says so: it fails by panicking.
#![allow(clippy::unwrap_used)]

mod inside;
mod outside;
mod plain;
mod programs;
mod support;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic;
use std::process::{Command, ExitCode};

use cluster::Mode;
use support::Test;

/// Any user that is not root and owns nothing.
const ORDINARY_USER: u32 = 54_321;

fn main() -> ExitCode {
    if let Some(code) = cluster::hidden::run(std::env::args_os()) {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["program", name, ref rest @ ..] => programs::run(name, rest),
        ["inside", name] => inside::run(name),
        ["outside", name] => outside::run_helper(name),
        ref filters => run_all(filters),
    }
}

fn run_all(args: &[&str]) -> ExitCode {
    let filters: Vec<&str> = args
        .iter()
        .copied()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_root = nix::unistd::geteuid().is_root();
    let user = if is_root { "root" } else { "user" };
    let mut failed = run_tests("plain", user, plain::TESTS, &filters);
    match Mode::detect() {
        (Mode::Sandbox, _) => {
            failed += run_tests("outside", user, outside::TESTS, &filters);
            failed += run_tests("inside", user, inside::TESTS, &filters);
        }
        (Mode::Plain, why) => {
            let why = why.map(|why| why.to_string()).unwrap_or_default();
            println!("skipped as {user}: no sandbox here: {why}");
            failed += usize::from(std::env::var_os("CI").is_some());
        }
    }
    if is_root && !run_as_ordinary_user(args) {
        failed += 1;
    }
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{failed} failed");
    ExitCode::FAILURE
}

fn run_tests(group: &str, user: &str, tests: &[Test], filters: &[&str]) -> usize {
    let mut failed = 0;
    for (name, test) in tests {
        let name = format!("{group}::{name}");
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
            continue;
        }
        let outcome = panic::catch_unwind(test);
        println!(
            "test {name} as {user} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        failed += usize::from(outcome.is_err());
    }
    failed
}

/// Runs this binary again without any privilege, from a place that everybody may read.
fn run_as_ordinary_user(args: &[&str]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("cluster-tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let status = Command::new(&copy)
        .args(args.iter().map(OsString::from))
        .current_dir("/")
        .uid(ORDINARY_USER)
        .gid(ORDINARY_USER)
        .status()
        .unwrap();
    status.success()
}
