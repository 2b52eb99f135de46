//! The cluster on real processes, namespaces and packets.
//!
//! This binary is the test runner, the program of every node, and every hidden stage of the
//! sandbox. As root it runs everything a second time as an ordinary user. Where a machine refuses
//! namespaces the tests that need them are skipped with the reason, unless `CI` is set: then they
//! fail.

// Everything here is a test, though no `#[test]` says so: it fails by panicking.
#![allow(clippy::unwrap_used)]

mod clocks;
mod disk;
mod inside;
mod limits;
mod outside;
mod packets;
mod plain;
mod programs;
mod shell;
mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic;
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
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
        ["disk", name] => disk::run(name),
        ["suite", ref filters @ ..] => run_suite(filters),
        ["become", user, ref filters @ ..] => become_user(user.parse().unwrap(), filters),
        ref filters => run_suites(filters),
    }
}

/// Runs everything as the user we are, and if that is root, as an ordinary user too.
fn run_suites(args: &[&str]) -> ExitCode {
    let filters: Vec<&str> = args
        .iter()
        .copied()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let own = nix::unistd::geteuid().as_raw();
    let users = if own == 0 {
        vec![own, ORDINARY_USER]
    } else {
        vec![own]
    };
    let failed: Vec<u32> = users
        .into_iter()
        .filter(|user| !run_suite_as(*user, &filters))
        .collect();
    match failed[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs this binary again as this user, from a place that everybody may read. Controllers that are
/// killed cannot clean up after themselves, so temporary files are kept in one place too.
fn run_suite_as(user: u32, filters: &[&str]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(user), None).unwrap();
    let copy = folder.path().join("cluster-tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut suite = Command::new(&copy);
    if nix::unistd::geteuid().is_root() {
        suite.arg("become").arg(user.to_string());
    } else {
        suite.arg("suite");
    }
    suite
        .args(filters)
        .current_dir("/")
        .env("TMPDIR", folder.path());
    suite.status().unwrap().success()
}

/// Goes on as this user, who can open /dev/fuse, as on most systems everybody can.
fn become_user(user: u32, filters: &[&str]) -> ExitCode {
    if let Err(why) = open_device() {
        println!("user {user} gets no /dev/fuse: {why}");
    }
    let mut suite = Command::new(std::env::current_exe().unwrap());
    let error = suite.arg("suite").args(filters).uid(user).gid(user).exec();
    panic!("{error}");
}

/// Puts a device that everybody may open over /dev/fuse, seen by this process and its children only.
fn open_device() -> nix::Result<()> {
    let device = std::env::temp_dir().join("fuse");
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    mknod(&device, SFlag::S_IFCHR, Mode::empty(), makedev(10, 229))?;
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    let nothing = None::<&str>;
    mount(
        Some(&device),
        "/dev/fuse",
        nothing,
        MsFlags::MS_BIND,
        nothing,
    )
}

fn run_suite(filters: &[&str]) -> ExitCode {
    let is_root = nix::unistd::geteuid().is_root();
    let user = if is_root { "root" } else { "user" };
    let mut failed = run_tests("plain", user, plain::TESTS, filters);
    match cluster::Mode::detect() {
        (cluster::Mode::Sandbox, _) => {
            failed += run_tests("outside", user, outside::TESTS, filters);
            failed += run_tests("inside", user, inside::TESTS, filters);
            match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
                Ok(_) => failed += run_tests("disk", user, disk::TESTS, filters),
                // Which most systems give to everybody, but none must.
                Err(error) => println!("skipped as {user}: disks: cannot open /dev/fuse: {error}"),
            }
        }
        (cluster::Mode::Plain, why) => {
            let why = why.map(|why| why.to_string()).unwrap_or_default();
            println!("skipped as {user}: no sandbox here: {why}");
            failed += usize::from(std::env::var_os("CI").is_some());
        }
    }
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    println!("{failed} failed as {user}");
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
