//! The sandbox as its parent sees it: exit statuses, Ctrl-C, and what is left after a kill.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use cluster::{Cluster, Mode, Readiness, SETUP_FAILED, Sandbox, doctor};
use faults::{Resource, Target};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::Pid;

use crate::support::{
    Seen, Started, Test, args, cgroups, eventually, interfaces, is_janitor, own_command, park,
    tree_of,
};

pub const TESTS: &[Test] = &[
    ("exit_statuses_pass_through_all_stages", exit_statuses),
    ("a_sandbox_can_be_killed", kill_by_handle),
    ("a_dead_parent_leaves_nothing", || {
        check_nothing_is_left(Stage::Parent)
    }),
    ("a_dead_first_stage_leaves_nothing", || {
        check_nothing_is_left(Stage::Unshared)
    }),
    ("a_dead_init_leaves_nothing", || {
        check_nothing_is_left(Stage::Init)
    }),
    ("a_dead_controller_leaves_nothing", || {
        check_nothing_is_left(Stage::Controller)
    }),
    (
        "a_controller_that_dies_amid_a_change_of_clocks_leaves_nothing",
        amid_clocks,
    ),
    (
        "a_parent_that_dies_at_any_moment_leaves_nothing",
        any_moment,
    ),
    ("a_dead_plain_controller_leaves_no_node", plain_controller),
    ("ctrl_c_is_for_the_controller", ctrl_c),
    ("the_doctor_tries_everything", examination),
    ("the_doctor_says_what_forbids_the_sandbox", refusal),
];

/// The variable by which a test finds everything below a process.
const MARK: &str = "CLUSTER_TEST_MARK";

/// The processes of the chain, from the outside in.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Parent,
    Unshared,
    Init,
    Controller,
}

/// Processes that tests start outside of a sandbox.
pub fn run_helper(name: &str) -> ExitCode {
    match name {
        "parent" => parent("hold"),
        "parent-of-clocks" => parent("hold-clocks"),
        "parent-of-ctrl-c" => parent("ctrl-c"),
        "plain-controller" => hold(Mode::Plain),
        "refused" => refused(),
        _ => panic!("there is no helper {name}"),
    }
}

/// Controllers that tests start inside of a sandbox.
pub fn run_inside(name: &str) -> ExitCode {
    match name {
        "exit-0" => ExitCode::from(0),
        "exit-42" => ExitCode::from(42),
        "abort" => std::process::abort(),
        "hold" => hold(Mode::Sandbox),
        "hold-clocks" => crate::clocks::hold(),
        "ctrl-c" => controller_of_ctrl_c(),
        _ => panic!("there is no test {name}"),
    }
}

fn exit_statuses() {
    for (name, code) in [("exit-0", 0), ("exit-42", 42), ("abort", 128 + 6)] {
        let child = Sandbox::new(args(&["inside", name])).enter().unwrap();
        assert_eq!(child.wait().code(), Some(code), "{name}");
        assert_eq!(child.try_wait(), Some(child.wait()));
    }
}

fn kill_by_handle() {
    let sandbox = Sandbox::new(args(&["inside", "hold"])).stdout(Stdio::piped());
    let mut child = sandbox.enter().unwrap();
    await_line(child.stdout.take().unwrap(), "ready");
    let tree = tree_of(child.pid() as i32);
    child.kill().unwrap();
    assert!(!child.wait().success());
    child.kill().unwrap();
    eventually("all is gone", || !tree.iter().any(Seen::is_there));
}

/// A controller with a cluster, for ever.
fn hold(mode: Mode) -> ExitCode {
    let started = Started::new(mode, &["n1", "n2", "n3"], &["tree"], &Readiness::Started);
    let cluster: &Cluster = started.cluster();
    for node in ["n1", "n2", "n3"] {
        eventually("the trees are grown", || {
            started.output(node).contains("grown")
        });
        assert_eq!(cluster.node_pids(node).unwrap().len(), 2);
    }
    // Whatever limits them goes with them.
    for (node, resource) in [
        ("n1", Resource::CpuPercent),
        ("n2", Resource::SpareMemoryKib),
        ("n3", Resource::SpareFiles),
    ] {
        let limits = cluster.limits().unwrap();
        limits.limit(node, resource, Some(90)).unwrap();
    }
    println!("ready");
    park()
}

/// The process with the terminal: ignores Ctrl-C and waits for its sandbox.
fn parent(inside: &str) -> ExitCode {
    // SAFETY: installs no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGINT, nix::sys::signal::SigHandler::SigIgn) }
        .unwrap();
    let child = Sandbox::new(args(&["inside", inside])).enter().unwrap();
    ExitCode::from(child.wait().code().map_or(1, |code| code as u8))
}

fn check_nothing_is_left(victim: Stage) {
    let (mounts, devices) = (mounts(), interfaces());
    let mut child = start_helper("parent");
    let (janitors, tree): (Vec<Seen>, Vec<Seen>) =
        tree_of(child.id() as i32).into_iter().partition(is_janitor);
    assert_eq!(janitors.is_empty(), cgroups(child.id()).is_empty());
    // Parent, two stages, controller; for each of three nodes an init and two processes.
    assert_eq!(tree.len(), 4 + 3 * 3, "{tree:?}");
    let namespaces: BTreeSet<String> = tree.iter().flat_map(namespaces_of).collect();
    let own: BTreeSet<String> = namespaces_of(&Seen::of(std::process::id() as i32).unwrap())
        .into_iter()
        .collect();
    let made: BTreeSet<&String> = namespaces.difference(&own).collect();
    assert!(made.len() >= 3 + 3 * 3, "{made:?}");

    let victim = &tree[victim as usize];
    kill(Pid::from_raw(victim.pid), Signal::SIGKILL).unwrap();
    assert!(!child.wait().unwrap().success());
    eventually("every process is gone", || !tree.iter().any(Seen::is_there));
    eventually("every cgroup is gone", || cgroups(child.id()).is_empty());
    eventually("the janitor is gone", || {
        !janitors.iter().any(Seen::is_there)
    });
    let is_held = || {
        // One that is dead and not yet reaped by the machine's init has a number and no more.
        let alive = crate::support::all_processes()
            .into_iter()
            .filter(|seen| seen.state != "Z");
        let held: BTreeSet<String> = alive.flat_map(|seen| namespaces_of(&seen)).collect();
        made.iter().any(|namespace| held.contains(*namespace))
    };
    eventually("every namespace is gone", || !is_held());
    assert_eq!(self::mounts(), mounts);
    assert_eq!(interfaces(), devices);
}

/// While threads are stopped, their registers changed and code is half written.
fn amid_clocks() {
    for moment in 0..20 {
        let mut child = start_helper("parent-of-clocks");
        let (janitors, tree): (Vec<Seen>, Vec<Seen>) =
            tree_of(child.id() as i32).into_iter().partition(is_janitor);
        assert_eq!(tree.len(), 4 + 2 * 2, "{tree:?}");
        std::thread::sleep(Duration::from_micros(400 * moment));
        let victim = &tree[Stage::Controller as usize];
        kill(Pid::from_raw(victim.pid), Signal::SIGKILL).unwrap();
        assert!(!child.wait().unwrap().success());
        eventually("every process is gone", || !tree.iter().any(Seen::is_there));
        eventually("the janitor is gone", || {
            !janitors.iter().any(Seen::is_there)
        });
    }
}

/// From before the first stage has asked to be tied until after the nodes run.
fn any_moment() {
    for moment in 0..40 {
        let mark = format!("{MARK}={}-{moment}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let mut command = own_command(&["outside", "parent"]);
        let mut child = command
            .env(name, value)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(2 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("every process is gone", || !is_anyone_marked(&mark));
    }
}

/// Everything below a process inherits its environment.
fn is_anyone_marked(mark: &str) -> bool {
    crate::support::all_processes().iter().any(|seen| {
        let environment = fs::read(format!("/proc/{}/environ", seen.pid)).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
}

fn plain_controller() {
    let mut child = start_helper("plain-controller");
    let tree = tree_of(child.id() as i32);
    let janitors = tree.iter().filter(|seen| is_janitor(seen)).count();
    assert_eq!(tree.len() - janitors, 1 + 3 * 3, "{tree:?}");
    assert_eq!(janitors > 0, !cgroups(child.id()).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("every process is gone", || !tree.iter().any(Seen::is_there));
    eventually("every cgroup is gone", || cgroups(child.id()).is_empty());
}

/// As on a terminal, the signal goes to the whole process group.
fn ctrl_c() {
    let mut command = own_command(&["outside", "parent-of-ctrl-c"]);
    let mut child = command
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    await_line(child.stdout.take().unwrap(), "ready");
    killpg(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

fn controller_of_ctrl_c() -> ExitCode {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    // Before any thread exists, so that all of them leave the signal to this one.
    interrupt.thread_block().unwrap();
    let started = Started::new(Mode::Sandbox, &["n1"], &["tree"], &Readiness::Started);
    eventually("the tree is grown", || {
        started.output("n1").contains("grown")
    });
    let node = started.cluster().node_pids("n1").unwrap();
    println!("ready");
    assert_eq!(interrupt.wait(), Ok(Signal::SIGINT));
    assert_eq!(
        started.cluster().node_pids("n1").unwrap(),
        node,
        "the node lives on"
    );
    assert!(started.exits.try_recv().is_err());
    ExitCode::from(7)
}

fn examination() {
    let abilities = doctor::examine();
    for ability in &abilities {
        let is_explained = ability.cause.is_some() && ability.remedy.is_some();
        assert_eq!(is_explained, !ability.available, "{ability:?}");
        println!(
            "  {}: {}",
            ability.name,
            ability.cause.as_deref().unwrap_or("available")
        );
    }
    // These are what the sandbox is made of, and the sandbox is available.
    for ability in &abilities[..5] {
        assert!(ability.available, "{ability:?}");
    }
    let is_open = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_ok();
    let fuse = abilities
        .iter()
        .find(|ability| ability.name.starts_with("FUSE"))
        .unwrap();
    assert_eq!(fuse.available, is_open, "{fuse:?}");
}

/// In a user namespace of its own a process may forbid itself what a machine forbids.
fn refusal() {
    let mut child = own_command(&["outside", "refused"]).spawn().unwrap();
    assert!(child.wait().unwrap().success());
}

fn refused() -> ExitCode {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).unwrap();
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
    assert_eq!(Mode::detect(), (Mode::Sandbox, None));

    for (limit, refused) in [("net", "network"), ("user", "create a user namespace")] {
        let path = format!("/proc/sys/user/max_{limit}_namespaces");
        fs::write(&path, "0").unwrap();
        let (mode, why) = Mode::detect();
        let why = why.unwrap();
        assert_eq!(mode, Mode::Plain);
        assert!(why.cause.contains("cannot make the sandbox"), "{why}");
        assert!(why.cause.contains(refused), "{why}");
        let fix = format!("sysctl -w user.max_{limit}_namespaces=");
        assert!(why.remedy.contains(&fix), "{why}");
    }
    let child = Sandbox::new(args(&["inside", "exit-0"]))
        .stderr(Stdio::null())
        .enter()
        .unwrap();
    assert_eq!(child.wait().code(), Some(i32::from(SETUP_FAILED)));
    ExitCode::SUCCESS
}

fn start_helper(name: &str) -> Child {
    let mut command = own_command(&["outside", name]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    await_line(child.stdout.take().unwrap(), "ready");
    child
}

fn await_line(output: impl Read, expected: &str) {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), expected);
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}

/// The namespaces a process lives in, as far as we may know.
fn namespaces_of(process: &Seen) -> Vec<String> {
    let link = |kind| fs::read_link(format!("/proc/{}/ns/{kind}", process.pid));
    let links = ["net", "mnt", "pid"].map(link);
    links
        .into_iter()
        .flatten()
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}
