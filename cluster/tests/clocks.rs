//! Clocks of running programs, as those programs show them.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster::{Mode, NodeCommand, Readiness};
use faults::{Clock, Distortion, Target};
use histories::Value;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{LIMIT, OWN, Seen, Started, eventually, park, states, succeed};

/// What every test of this file moves clocks by: an hour.
const HOUR_MS: i64 = 3_600_000;
const HOUR_US: i64 = HOUR_MS * 1000;

/// Two readings of the same clock in a program are not further apart, nor are ours and theirs.
const CLOSE_US: i64 = 5_000_000;

/// What a program says of its clocks: `name of-day monotonic …`, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    name: String,
    us: Vec<i64>,
}

impl Report {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let us = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { name, us })
    }

    fn day_us(&self) -> i64 {
        self.us[0]
    }

    fn monotonic_us(&self) -> i64 {
        self.us[1]
    }

    /// How far its clocks are from the truth that it says itself.
    fn offsets_us(&self) -> (i64, i64) {
        (self.us[0] - self.us[2], self.us[1] - self.us[3])
    }
}

/// Every whole line that a node's program wrote.
fn reports(started: &Started, node: &str) -> Vec<Report> {
    let text = started.output(node);
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    whole.lines().filter_map(Report::parse).collect()
}

/// What it says from now on, so many times.
fn next_reports(started: &Started, node: &str, count: usize) -> Vec<Report> {
    // The one being written now may be of before.
    let seen = reports(started, node).len() + 2;
    let mut new = Vec::new();
    eventually("the program says what time it is", || {
        new = reports(started, node).into_iter().skip(seen).collect();
        new.len() >= count
    });
    new
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros() as i64
}

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
fn compile(source: &str, text: &str, arguments: &[&str]) -> Option<PathBuf> {
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

/// A Go program as a user of the compiler builds it. Built before the clocks matter: that takes long
/// where nothing is in the compiler's cache, which must be ours for users without a home.
fn build_go(source: &Path) -> Option<PathBuf> {
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
fn interpreter(program: &str, version: &str, arguments: &[&Path]) -> Option<NodeCommand> {
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

fn plain_command(program: &Path, arguments: &[&str]) -> NodeCommand {
    NodeCommand {
        program: program.to_owned(),
        args: arguments.iter().map(Into::into).collect(),
        env: Vec::new(),
        user: None,
    }
}

/// One node for each of these commands.
fn start(mode: Mode, commands: &[NodeCommand]) -> (Started, Vec<String>) {
    let names: Vec<String> = (1..=commands.len())
        .map(|number| format!("n{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let command = |address: Ipv4Addr| commands[usize::from(address.octets()[3]) - 1].clone();
    let started = Started::with(mode, &names, command, &Readiness::Started, LIMIT);
    started.cluster();
    (
        started,
        names.iter().map(|name| (*name).to_owned()).collect(),
    )
}

fn start_one(mode: Mode, command: NodeCommand) -> Started {
    start(mode, &[command]).0
}

fn set(started: &Started, node: &str, clock: Clock, distortions: &[(u64, Distortion)]) -> Value {
    let clocks = started
        .cluster()
        .clocks()
        .unwrap_or_else(|why| panic!("{why}"));
    clocks
        .set_distortions(node, clock, distortions)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn offset(ms: i64) -> Vec<(u64, Distortion)> {
    vec![(1, Distortion::Offset { ms })]
}

fn number(process: &Value, name: &str) -> i64 {
    process
        .get(name)
        .and_then(Value::as_int)
        .unwrap_or_else(|| panic!("no {name} in {process}"))
}

/// What evidence says of each process.
fn processes(evidence: &Value) -> Vec<Value> {
    evidence
        .get("processes")
        .unwrap()
        .as_list()
        .unwrap()
        .to_vec()
}

/// Evidence of one change is exactly so: of each process, a change of its offset.
fn check_evidence(evidence: &Value, pids: &[i32], before_us: i64, after_us: i64) {
    let processes = processes(evidence);
    let changed: Vec<i64> = processes
        .iter()
        .map(|process| number(process, "pid"))
        .collect();
    let expected: Vec<i64> = pids.iter().map(|pid| i64::from(*pid)).collect();
    assert_eq!(changed, expected, "{evidence}");
    for process in &processes {
        let within_us = number(process, "within_us");
        for (name, expected_us) in [("before_us", before_us), ("after_us", after_us)] {
            let off_us = number(process, name) - expected_us;
            assert!(
                off_us.abs() <= within_us,
                "{name} should be {expected_us}: {evidence}"
            );
        }
    }
}

/// The vDSO of a process, byte for byte.
fn vdso(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
    let mut bytes = vec![0; (end - begin) as usize];
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    memory.read_exact_at(&mut bytes, begin).unwrap();
    bytes
}

/// Whatever a program is written in and however it is linked: it is an hour ahead, an hour behind,
/// and right again, and by its vDSO nobody could tell that it ever was not.
pub fn check_programs(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let clock_c = include_str!("clocks/clock.c");
    let (java, python) = (
        include_str!("clocks/Clock.java"),
        include_str!("clocks/clock.py"),
    );
    let (java, python) = (write("Clock.java", java), write("clock.py", python));
    let go = write("clock.go", include_str!("clocks/clock.go"));
    let own = NodeCommand::own(["program", "clock"].map(Into::into));
    let programs = [
        (
            "C",
            compile("clock", clock_c, &[]).map(|path| plain_command(&path, &[])),
        ),
        (
            "C, static",
            compile("clock", clock_c, &["-static"]).map(|path| plain_command(&path, &[])),
        ),
        ("Rust", Some(own)),
        ("Python", interpreter("python3", "--version", &[&python])),
        ("Java", interpreter("java", "--version", &[&java])),
        ("Go", build_go(&go).map(|path| plain_command(&path, &[]))),
    ];
    let (languages, commands): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .filter_map(|(language, command)| Some((language, command?)))
        .unzip();
    let (started, nodes) = start(mode, &commands);
    for (node, language) in nodes.iter().zip(languages) {
        eventually(language, || !reports(&started, node).is_empty());
        let pids = started.cluster().node_pids(node).unwrap();
        let was: Vec<Vec<u8>> = pids.iter().map(|pid| vdso(*pid)).collect();
        let monotonic_off_us = {
            let report = next_reports(&started, node, 1)[0].clone();
            assert!(
                (report.day_us() - now_us()).abs() < CLOSE_US,
                "{language}: {report:?}"
            );
            report.monotonic_us() - now_us()
        };
        let mut before_us = 0;
        for wanted_ms in [HOUR_MS, -HOUR_MS, 0] {
            let distortions = if wanted_ms == 0 {
                vec![]
            } else {
                offset(wanted_ms)
            };
            let evidence = set(&started, node, Clock::Realtime, &distortions);
            check_evidence(&evidence, &pids, before_us, wanted_ms * 1000);
            before_us = wanted_ms * 1000;
            let report = next_reports(&started, node, 1)[0].clone();
            let off_us = report.day_us() - now_us() - before_us;
            assert!(
                off_us.abs() < CLOSE_US,
                "{language} {wanted_ms}: off by {off_us}"
            );
            let monotonic_us = report.monotonic_us() - now_us() - monotonic_off_us;
            assert!(
                monotonic_us.abs() < CLOSE_US,
                "{language} {wanted_ms}: {report:?}"
            );
        }
        for (pid, was) in pids.iter().zip(was) {
            assert!(vdso(*pid) == was, "{language}: the vDSO is not as it was");
        }
        println!("  {language}");
    }
}

pub fn check_each_distortion() {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    let change = |clock, distortions: &[(u64, Distortion)]| {
        set(&started, "n1", clock, distortions);
        next_reports(&started, "n1", 100)
    };
    // Gained for each true second, from the first report to the last.
    let rate = |reports: &[Report], shown: usize, truth: usize| {
        let (first, last) = (&reports[0], &reports[reports.len() - 1]);
        let elapsed_us = last.us[truth] - first.us[truth];
        assert!(elapsed_us > 50_000);
        (last.us[shown] - first.us[shown]) as f64 / elapsed_us as f64
    };
    let off = |reports: &[Report]| reports[reports.len() - 1].offsets_us();
    let close = |offset_us: i64, expected_us: i64| (offset_us - expected_us).abs() < 20_000;

    let ahead = change(Clock::Realtime, &offset(HOUR_MS));
    for report in &ahead {
        let [day, _, truth, _, timeofday, time, coarse] = report.us[..] else {
            panic!("{report:?}");
        };
        for shown in [day, timeofday, time, coarse] {
            assert!((shown - truth - HOUR_US).abs() < 2_000_000, "{report:?}");
        }
        // `time` rounds down, so that its seconds and those of the others agree.
        assert!(
            timeofday - time >= -10_000 && timeofday - time < 1_100_000,
            "{report:?}"
        );
        assert!(close(report.offsets_us().1, 0), "{report:?}");
    }

    let drifting = change(Clock::Realtime, &[(2, Distortion::Drift { ppm: 500_000 })]);
    assert!(
        (rate(&drifting, 0, 2) - 1.5).abs() < 0.02,
        "{}",
        rate(&drifting, 0, 2)
    );
    assert!((rate(&drifting, 1, 3) - 1.0).abs() < 0.02);

    let frozen = change(Clock::Realtime, &[(3, Distortion::Freeze)]);
    assert!(
        frozen
            .iter()
            .all(|report| report.day_us() == frozen[0].day_us()),
        "{frozen:?}"
    );
    assert!((rate(&frozen, 1, 3) - 1.0).abs() < 0.02);

    let strobe = Distortion::Strobe {
        offset_ms: -HOUR_MS,
        period_us: 20_000,
    };
    let strobing = change(Clock::Realtime, &[(4, strobe)]);
    let is_behind = |report: &&Report| close(report.offsets_us().0, -HOUR_US);
    let is_right = |report: &&Report| close(report.offsets_us().0, 0);
    let (behind, right) = (
        strobing.iter().filter(is_behind),
        strobing.iter().filter(is_right),
    );
    let (behind, right) = (behind.count(), right.count());
    assert!(
        behind > 20 && right > 20 && behind + right == strobing.len(),
        "{behind} {right}"
    );

    // All at once add up; a freeze stops them where they are.
    let all = [
        (1, Distortion::Offset { ms: HOUR_MS }),
        (5, Distortion::Offset { ms: 7_000 }),
    ];
    assert!(close(
        off(&change(Clock::Realtime, &all)).0,
        HOUR_US + 7_000_000
    ));
    let all = [all[0], all[1], (6, Distortion::Freeze)];
    let stopped = change(Clock::Realtime, &all);
    assert_eq!(stopped[0].day_us(), stopped[99].day_us());
    assert!(stopped[0].day_us() - stopped[0].us[2] > HOUR_US + 6_000_000);

    // The other clock, at the same time, and never back.
    let slow = change(
        Clock::Monotonic,
        &[(7, Distortion::Drift { ppm: -500_000 })],
    );
    assert!(
        (rate(&slow, 1, 3) - 0.5).abs() < 0.02,
        "{}",
        rate(&slow, 1, 3)
    );
    assert_eq!(slow[0].day_us(), stopped[0].day_us());
    let frozen = change(Clock::Monotonic, &[(8, Distortion::Freeze)]);
    assert_eq!(frozen[0].monotonic_us(), frozen[99].monotonic_us());
    change(Clock::Monotonic, &[]);
    let healed = change(Clock::Realtime, &[]);
    assert_eq!(
        (close(off(&healed).0, 0), close(off(&healed).1, 0)),
        (true, true)
    );
    let all = reports(&started, "n1");
    let is_back = |pair: &[Report]| pair[1].monotonic_us() < pair[0].monotonic_us();
    assert!(!all.windows(2).any(is_back));
}

pub fn check_stress() {
    let text = include_str!("clocks/stress.c");
    check_unharmed(("stress", text), &[], Clock::Realtime, 200);
    check_unharmed(("stress", text), &["rest"], Clock::Monotonic, 200);
}

pub fn check_calls_and_signals() {
    let text = include_str!("clocks/calls.c");
    check_unharmed(("calls", text), &[], Clock::Monotonic, 200);
}

/// A program that complains when anything is amiss does not, through so many changes.
fn check_unharmed((name, text): (&str, &str), args: &[&str], clock: Clock, changes: usize) {
    let Some(program) = compile(name, text, &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, args));
    eventually("it runs", || started.output("n1").contains("on "));
    let pid = started.cluster().node_pids("n1").unwrap()[0];
    let was = vdso(pid);
    let mut held_us = Vec::new();
    for change in 0..changes {
        let distortion = match change % 3 {
            0 => Distortion::Freeze,
            1 => Distortion::Drift { ppm: -300_000 },
            _ => Distortion::Drift { ppm: -1_000 },
        };
        for distortions in [&[(change as u64, distortion)][..], &[]] {
            let evidence = set(&started, "n1", clock, distortions);
            held_us.extend(
                processes(&evidence)
                    .iter()
                    .map(|process| number(process, "held_us")),
            );
        }
        let said = started.output("n1");
        let complaint = said.lines().find(|line| !line.starts_with("on "));
        assert_eq!(complaint, None, "after {change} changes");
        assert!(vdso(pid) == was);
    }
    assert_eq!(held_us.len(), 2 * changes, "every change was one");
    let lines = started.output("n1").lines().count();
    eventually("it goes on", || {
        started.output("n1").lines().count() > lines + 3
    });
    let said = started.output("n1");
    let complaint = said.lines().find(|line| !line.starts_with("on "));
    assert_eq!(complaint, None);
    assert!(started.exits.try_recv().is_err());
    held_us.sort_unstable();
    println!(
        "  held for {} us, at most {}",
        held_us[changes],
        held_us[2 * changes - 1]
    );
}

/// Children: by fork they have it from their parents, by exec they get it again.
pub fn check_children() {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
        return;
    };
    let commands = ["fork", "exec"].map(|how| plain_command(&program, &[how]));
    let (started, nodes) = start(Mode::Sandbox, &commands);
    for node in &nodes {
        eventually("children report", || {
            reports(&started, node)
                .iter()
                .any(|report| report.name == "child")
        });
        set(&started, node, Clock::Realtime, &offset(HOUR_MS));
    }
    for node in &nodes {
        let is_ahead = |report: &Report| report.offsets_us().0 > HOUR_US - CLOSE_US;
        // A forked child never sees the true time; one that runs another program does at first.
        let mut new = next_reports(&started, node, 100);
        if node == "n1" {
            assert!(new.iter().all(is_ahead));
        }
        eventually("children of both sorts are ahead", || {
            let is_ahead = new.iter().any(is_ahead);
            new = next_reports(&started, node, 40);
            is_ahead
        });
        let evidence = set(&started, node, Clock::Realtime, &[]);
        assert!(processes(&evidence).len() > 1, "{evidence}");
        let later = evidence
            .get("started_since")
            .map(|later| later.as_list().unwrap().len());
        assert_eq!(
            later.is_some_and(|later| later > 0),
            node == "n2",
            "{evidence}"
        );
        let new = next_reports(&started, node, 100);
        assert!(!new.iter().any(is_ahead), "all children are healed");
    }
}

/// A process in vfork(2) cannot be stopped, and its child runs in its memory: they are changed as
/// one.
pub fn check_shared_memory() {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, &["vfork"]));
    for round in 0..10 {
        eventually("it waits for its child", || {
            let pids = started.cluster().node_pids("n1").unwrap();
            pids.len() == 2 && Seen::of(pids[0]).is_some_and(|seen| seen.state == "D")
        });
        let wanted_ms = if round % 2 == 0 { HOUR_MS } else { -HOUR_MS };
        let evidence = set(&started, "n1", Clock::Realtime, &offset(wanted_ms));
        assert_eq!(processes(&evidence).len(), 1, "{evidence}");
        let report = next_reports(&started, "n1", 1)[0].clone();
        assert!(
            (report.offsets_us().0 - wanted_ms * 1000).abs() < CLOSE_US,
            "{report:?}"
        );
    }
    set(&started, "n1", Clock::Realtime, &[]);
    let report = next_reports(&started, "n1", 1)[0].clone();
    assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
}

/// A node that is started again never sees the true time.
pub fn check_restart(mode: Mode) {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &["-static"]) else {
        return;
    };
    let started = start_one(mode, plain_command(&program, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    let cluster = started.cluster();
    cluster.kill("n1").unwrap();
    let evidence = set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
    assert_eq!(processes(&evidence), []);
    for _ in 0..3 {
        let seen = reports(&started, "n1").len();
        cluster.start("n1").unwrap();
        eventually("it runs again", || {
            reports(&started, "n1").len() > seen + 10
        });
        for report in reports(&started, "n1").into_iter().skip(seen) {
            assert!(
                (report.offsets_us().0 - HOUR_US).abs() < CLOSE_US,
                "{report:?}"
            );
        }
        cluster.kill("n1").unwrap();
    }
    set(&started, "n1", Clock::Realtime, &[]);
    let seen = reports(&started, "n1").len();
    cluster.start("n1").unwrap();
    eventually("it runs again", || {
        reports(&started, "n1").len() > seen + 10
    });
    for report in reports(&started, "n1").into_iter().skip(seen) {
        assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
    }
    // A program that is not there is still an exit, and nothing to wait for.
    set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
    cluster.kill("n1").unwrap();
    fs::remove_file(&program).unwrap();
    cluster.start("n1").unwrap();
    let exit = started.exits.recv_timeout(LIMIT).unwrap();
    assert_eq!(exit.status.code(), Some(127));
}

/// A stopped process is changed and stays stopped; one that is stopped meanwhile is, too.
pub fn check_stopped() {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    let cluster = started.cluster();
    let pid = cluster.node_pids("n1").unwrap()[0];
    for wanted_ms in [HOUR_MS, 0] {
        let paused = states(&cluster.pause("n1").unwrap());
        assert_eq!(paused, [(i64::from(pid), "T".to_owned())]);
        let seen = reports(&started, "n1").len();
        let distortions = if wanted_ms == 0 {
            vec![]
        } else {
            offset(wanted_ms)
        };
        let evidence = set(&started, "n1", Clock::Realtime, &distortions);
        check_evidence(
            &evidence,
            &[pid],
            (HOUR_MS - wanted_ms) * 1000,
            wanted_ms * 1000,
        );
        eventually("it is stopped again", || {
            Seen::of(pid).unwrap().state == "T"
        });
        thread::sleep(Duration::from_millis(20));
        assert_eq!(reports(&started, "n1").len(), seen, "it stays stopped");
        cluster.resume("n1").unwrap();
        let report = next_reports(&started, "n1", 1)[0].clone();
        assert!(
            (report.offsets_us().0 - wanted_ms * 1000).abs() < CLOSE_US,
            "{report:?}"
        );
    }
    // SIGSTOP and SIGCONT from elsewhere, at any moment.
    for round in 0..50_i64 {
        thread::scope(|scope| {
            scope.spawn(|| kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap());
            set(&started, "n1", Clock::Realtime, &offset(round * HOUR_MS));
        });
        eventually("it is stopped", || Seen::of(pid).unwrap().state == "T");
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
        eventually("it goes on", || Seen::of(pid).unwrap().state != "T");
    }
    next_reports(&started, "n1", 10);
}

/// Somebody else traces it: refused in words, and nothing is changed.
pub fn check_traced() {
    let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    let pid = started.cluster().node_pids("n1").unwrap()[0];
    let mut tracer = Command::new(OWN)
        .args(["program", "trace", &pid.to_string()])
        .spawn()
        .unwrap();
    let status = format!("/proc/{pid}/status");
    let traced = format!("TracerPid:\t{}\n", tracer.id());
    eventually("it is traced", || {
        fs::read_to_string(&status).unwrap().contains(&traced)
    });
    let clocks = started.cluster().clocks().unwrap();
    let error = clocks
        .set_distortions("n1", Clock::Realtime, &offset(HOUR_MS))
        .unwrap_err();
    let error = error.to_string();
    let expected = format!("process {pid} is traced by process {}", tracer.id());
    assert!(error.contains(&expected), "{error}");
    let report = next_reports(&started, "n1", 1)[0].clone();
    assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
    let error = clocks
        .set_distortions("n9", Clock::Realtime, &[])
        .unwrap_err();
    assert!(error.to_string().contains("no node n9"), "{error}");
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
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

/// A controller that changes clocks without end.
pub fn hold() -> ExitCode {
    succeed(|| {
        let Some(program) = compile("clock", include_str!("clocks/clock.c"), &[]) else {
            panic!("no compiler");
        };
        let commands = [plain_command(&program, &[]), plain_command(&program, &[])];
        let (started, nodes) = start(Mode::Sandbox, &commands);
        for round in 0_u64.. {
            if round == 1 {
                println!("ready");
            }
            for node in &nodes {
                set(
                    &started,
                    node,
                    Clock::Monotonic,
                    &[(round, Distortion::Freeze)],
                );
                set(&started, node, Clock::Realtime, &[]);
            }
        }
    })
}
