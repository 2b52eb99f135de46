//! What runs as a node in the tests.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use std::{fs, process, thread};

use nix::unistd::{getpid, getppid, setsid};

use crate::support::{OWN, park};

pub fn run(name: &str, args: &[&str]) -> ExitCode {
    match (name, args) {
        ("echo", [address, port]) => echo(address, port),
        ("tree", []) => tree(),
        ("middle", []) => middle(),
        ("leaf", []) => leaf(),
        ("count", []) => count(),
        ("trace", [pid]) => crate::clocks::trace(pid),
        ("clock", []) => crate::clocks::program(),
        ("look", []) => look(),
        ("shell", []) => crate::shell::serve(),
        ("fail", [code]) => fail(code),
        ("crash", []) => process::abort(),
        ("park", []) => park(),
        ("uptime", []) => uptime(),
        ("spin", []) => spin(),
        ("open", []) => open(),
        ("allocate", []) => allocate(),
        ("end-when-asked", []) => end_when_asked(),
        ("refuse-to-end", []) => refuse_to_end(),
        _ => panic!("there is no program {name} {args:?}"),
    }
}

fn spawn(program: &str) -> process::Child {
    let mut command = Command::new(OWN);
    command
        .args(["program", program])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends back whatever it receives.
fn echo(address: &str, port: &str) -> ExitCode {
    let listener = TcpListener::bind((address, port.parse().unwrap())).unwrap();
    for stream in listener.incoming() {
        thread::spawn(move || {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
        });
    }
    ExitCode::FAILURE
}

/// A process with an orphaned grandchild in a session of its own.
fn tree() -> ExitCode {
    assert!(spawn("middle").wait().unwrap().success());
    println!("grown");
    park()
}

#[expect(clippy::zombie_processes, reason = "an orphan is wanted")]
fn middle() -> ExitCode {
    let leaf = spawn("leaf");
    let session = || nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(leaf.id() as i32)));
    while session() != Ok(nix::unistd::Pid::from_raw(leaf.id() as i32)) {
        thread::sleep(Duration::from_millis(1));
    }
    ExitCode::SUCCESS
}

fn leaf() -> ExitCode {
    setsid().unwrap();
    park()
}

/// Two processes that write without end.
#[expect(clippy::zombie_processes, reason = "neither ends by itself")]
fn count() -> ExitCode {
    let is_child = std::env::var_os("COUNT_CHILD").is_some();
    if !is_child {
        let mut command = Command::new(OWN);
        let child = command.args(["program", "count"]).env("COUNT_CHILD", "1");
        child.spawn().unwrap();
    }
    for number in 0_u64.. {
        println!("{}{number}", if is_child { "child " } else { "" });
        thread::sleep(Duration::from_millis(1));
    }
    ExitCode::SUCCESS
}

/// Says for how long its machine has been up, in milliseconds, by every clock there is for that.
fn uptime() -> ExitCode {
    println!("{}", read_uptimes_ms().map(|ms| ms.to_string()).join(" "));
    park()
}

/// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`, and what /proc/uptime says.
pub fn read_uptimes_ms() -> [u64; 3] {
    let read = |clock| {
        let time = nix::time::clock_gettime(clock).unwrap();
        std::time::Duration::from(time).as_millis() as u64
    };
    let text = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    [
        read(nix::time::ClockId::CLOCK_MONOTONIC),
        read(nix::time::ClockId::CLOCK_BOOTTIME),
        (seconds * 1_000.0) as u64,
    ]
}

/// Says what it sees of its surroundings.
fn look() -> ExitCode {
    let list = |folder: &str| {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|name| name.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    println!("pid {} parent {}", getpid(), getppid());
    println!(
        "host {}",
        nix::unistd::gethostname().unwrap().to_str().unwrap()
    );
    let processes = list("/proc");
    let processes = processes.iter().filter(|name| name.parse::<u32>().is_ok());
    println!(
        "processes {}",
        processes.cloned().collect::<Vec<_>>().join(" ")
    );
    println!("interfaces {}", crate::support::interfaces().join(" "));
    // The one besides standard input, output and error is the listing itself.
    println!("descriptors {}", list("/proc/self/fd").len() - 1);
    println!("folder {}", std::env::current_dir().unwrap().display());
    println!("variable {}", std::env::var("GREETING").unwrap_or_default());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let blocked = status
        .lines()
        .find(|line| line.starts_with("SigBlk"))
        .unwrap();
    println!("{}", blocked.replace('\t', " "));
    println!("end");
    park()
}

/// Complains and gives up.
fn fail(code: &str) -> ExitCode {
    for line in 1..=30 {
        eprintln!("complaint {line}");
    }
    ExitCode::from(code.parse::<u8>().unwrap())
}

/// Two threads that use all the processor there is.
fn spin() -> ExitCode {
    let spin = || {
        for number in 0_u64.. {
            std::hint::black_box(number);
        }
    };
    println!("spinning");
    thread::spawn(spin);
    spin();
    ExitCode::SUCCESS
}

/// Opens a file again and again, and says whenever whether it can has changed.
fn open() -> ExitCode {
    let mut last = None;
    loop {
        let opened = fs::File::open("/dev/null");
        let now = opened
            .err()
            .map_or(0, |error| error.raw_os_error().unwrap());
        if last.replace(now) != Some(now) {
            println!(
                "{}",
                if now == 0 {
                    "opened".to_owned()
                } else {
                    format!("error {now}")
                }
            );
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Takes more and more memory, after a while of rest, until there is none.
fn allocate() -> ExitCode {
    println!("begin");
    let mut all = Vec::new();
    for _ in 0..100_000 {
        // Written to, so that it is really had.
        all.push(vec![1_u8; 64 << 10]);
        thread::sleep(Duration::from_millis(2));
    }
    println!("had {}", all.len());
    park()
}

/// Ends in good order on SIGTERM.
fn end_when_asked() -> ExitCode {
    let mut asked = nix::sys::signal::SigSet::empty();
    asked.add(nix::sys::signal::Signal::SIGTERM);
    asked.thread_block().unwrap();
    println!("waiting");
    asked.wait().unwrap();
    println!("asked to end");
    ExitCode::SUCCESS
}

/// Hears SIGTERM and goes on.
fn refuse_to_end() -> ExitCode {
    let mut asked = nix::sys::signal::SigSet::empty();
    asked.add(nix::sys::signal::Signal::SIGTERM);
    asked.thread_block().unwrap();
    println!("waiting");
    loop {
        asked.wait().unwrap();
        println!("asked to end");
    }
}
