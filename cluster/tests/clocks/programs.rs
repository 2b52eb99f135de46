//! The programs whose clocks are moved, and what it takes to run them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use cluster::{Mode, NodeCommand};

use super::{now_us, reports, start_one};
use crate::support::{Started, eventually, park};

/// The program of the tests in C.
pub const CLOCK_C: &str = include_str!("clock.c");

/// The program of the tests in Rust.
pub fn program() -> ExitCode {
    use nix::time::{ClockId, clock_gettime};
    let monotonic = || clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    for _ in 0..4 {
        thread::spawn(move || {
            loop {
                monotonic();
            }
        });
    }
    loop {
        let monotonic_us = monotonic().tv_sec() * 1_000_000 + monotonic().tv_nsec() / 1000;
        println!("clock {} {monotonic_us}", now_us());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Compiles a program of the tests, or says why not.
pub fn compile(source: &str, text: &str, arguments: &[&str]) -> Option<PathBuf> {
    // Kept for as long as nodes may run it; everything temporary is removed in the end.
    let folder = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (file, program) = (folder.join(format!("{source}.c")), folder.join(source));
    fs::write(&file, text).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-pthread"])
        .args(arguments)
        .arg("-o")
        .args([&program, &file]);
    let outcome = cc.output();
    match outcome {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => skip(source, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => skip(source, &format!("cc: {error}")),
    }
}

/// The program of the tests in C, or nothing where it cannot be compiled.
pub fn compile_clock() -> Option<PathBuf> {
    compile("clock", CLOCK_C, &[])
}

/// A node that runs the program in C and has said what time it is; none where it cannot be compiled.
pub fn running() -> Option<Started> {
    let started = start_one(Mode::Sandbox, plain_command(&compile_clock()?, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    Some(started)
}

/// A Go program as a user of the compiler builds it. Built before the clocks matter: that takes long
/// where nothing is in the compiler's cache, which must be ours for users without a home.
pub fn build_go(source: &Path) -> Option<PathBuf> {
    let folder = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("clock-go");
    let outcome = Command::new("go")
        .args(["build", "-o"])
        .args([&program, source])
        .env("GOCACHE", folder.join("cache"))
        .env("HOME", &folder)
        .current_dir(&folder)
        .output();
    match outcome {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => skip("Go", &String::from_utf8_lossy(&output.stderr)),
        Err(error) => skip("Go", &format!("go: {error}")),
    }
}

/// Says what is not tested. A C compiler is part of every build, so nobody lacks it.
fn skip<T>(what: &str, why: &str) -> Option<T> {
    println!(
        "  skipped: {what}: {}",
        why.trim().lines().next().unwrap_or_default()
    );
    assert!(
        std::env::var_os("CI").is_none() || !why.starts_with("cc"),
        "{what}: {why}"
    );
    None
}

/// The command of an interpreter that is there and works.
pub fn interpreter(program: &str, version: &str, arguments: &[&Path]) -> Option<NodeCommand> {
    let mut command = Command::new(program);
    let tried = command
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        return skip(program, "it is not installed for this user");
    }
    Some(NodeCommand {
        program: program.into(),
        args: arguments
            .iter()
            .map(|argument| argument.as_os_str().to_owned())
            .collect(),
        env: Vec::new(),
        user: None,
    })
}

pub fn plain_command(program: &Path, arguments: &[&str]) -> NodeCommand {
    NodeCommand {
        program: program.to_owned(),
        args: arguments.iter().map(Into::into).collect(),
        env: Vec::new(),
        user: None,
    }
}

/// What a debugger does.
pub fn trace(pid: &str) -> ExitCode {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    let pid: libc::pid_t = pid.parse().unwrap();
    // SAFETY: takes no address and no data.
    assert_eq!(0, unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, nothing)
    });
    park()
}
