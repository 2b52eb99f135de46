//! What happens inside a sandbox. Each test runs as the controller of one.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use cluster::network::CONTROL;
use cluster::{Cluster, Mode, NodeCommand, Readiness, Sandbox};
use faults::{CLIENTS, Clock, Distortion, Link, Target};
use histories::Value;

use nix::unistd::{gethostname, getpid, getppid};

use crate::clocks::*;
use crate::limits;
use crate::packets::*;
use crate::programs::read_uptimes_ms;
use crate::support::{
    LIMIT, OWN, PORT, Seen, Started, Test, args, eventually, gone, interfaces, length, states,
    succeed,
};

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[Test] = &[$((stringify!($name), || in_sandbox(stringify!($name)))),*];

        /// Runs a test as the controller of a sandbox.
        pub fn run(name: &str) -> ExitCode {
            match name {
                $(stringify!($name) => succeed($name),)*
                _ => crate::outside::run_inside(name),
            }
        }
    };
}

tests![
    the_sandbox_is_furnished,
    orphans_are_reaped,
    a_node_sees_only_itself,
    nodes_and_clients_talk_through_the_switch,
    a_kill_takes_the_whole_tree,
    a_killed_node_starts_again_on_its_data,
    a_pause_stops_every_process,
    an_unexpected_exit_is_reported,
    a_node_that_never_serves_is_named,
    many_nodes_fit,
    a_node_sees_the_uptime_of_its_own_machine,
    programs_of_every_kind_see_another_time,
    each_distortion_is_what_it_says,
    clocks_are_read_while_they_change,
    calls_and_signals_are_not_disturbed,
    children_have_the_clocks_of_their_parents,
    processes_that_share_memory_are_changed_together,
    a_node_that_starts_again_has_its_clocks,
    a_stopped_node_stays_stopped,
    a_traced_process_is_refused,
    a_cut_is_one_way_and_reaches_established_connections,
    only_links_that_exist_can_be_cut,
    every_shape_of_a_partition_cuts_what_it_says,
    a_cut_can_be_of_a_port,
    a_cut_can_flap,
    losses_are_those_of_the_seed,
    delays_hold_packets_and_nobody_else,
    jitter_reorders_unless_order_is_kept,
    duplicates_arrive_twice,
    held_packets_are_overtaken,
    the_receiver_drops_corrupted_packets,
    the_application_gets_corrupted_packets_with_good_checksums,
    a_speed_limit_lets_packets_wait_and_overflow,
    bulk_transfers_are_real_packets_once_packets_are_treated,
    new_connections_are_refused,
    live_connections_are_reset,
    a_capture_has_every_frame,
    a_node_that_is_asked_ends_in_good_order,
    a_node_that_ignores_the_request_is_killed,
    a_node_gets_its_part_of_a_processor,
    a_pause_holds_under_a_quota,
    a_slow_start_is_slow_from_the_first_instruction,
    no_descriptor_can_be_opened_beyond_the_limit,
    a_node_without_memory_ends_and_starts_again,
];

fn in_sandbox(name: &str) {
    let child = Sandbox::new(args(&["inside", name])).enter().unwrap();
    let status = child.wait();
    assert!(status.success(), "{name} ended with {status}");
}

fn the_sandbox_is_furnished() {
    assert_eq!(getppid().as_raw(), 1);
    assert!(nix::unistd::geteuid().is_root());
    assert_eq!(
        fs::read_link("/proc/self").unwrap().to_str(),
        Some(&*getpid().to_string())
    );
    let mut pids: Vec<i32> = crate::support::all_processes()
        .iter()
        .map(|seen| seen.pid)
        .collect();
    pids.sort();
    assert_eq!(pids, [1, getpid().as_raw()]);
    assert_eq!(interfaces(), ["lo"]);
    assert_eq!(gethostname().unwrap(), "whitewater");
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .connect("127.0.0.1:9")
        .unwrap();
}

/// The leaf is left to PID 1 when its parent ends; killed, it must not stay as a zombie.
fn orphans_are_reaped() {
    let mut middle = Command::new(OWN)
        .args(["program", "middle"])
        .spawn()
        .unwrap();
    assert!(middle.wait().unwrap().success());
    let all = crate::support::all_processes();
    let leaf = all
        .iter()
        .find(|seen| seen.parent == 1 && seen.pid != getpid().as_raw())
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(leaf.pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the orphan is reaped", || Seen::of(leaf.pid).is_none());
}

fn a_node_sees_only_itself() {
    let started = Started::new(Mode::Sandbox, &["n1", "n2"], &["look"], &Readiness::Started);
    let _cluster = started.cluster();
    eventually("the node has looked", || {
        started.output("n2").contains("end\n")
    });
    let data = started.folder.path().join("n2/data");
    let expected = format!(
        "pid 2 parent 1\nhost n2\nprocesses 1 2\ninterfaces eth0 lo\ndescriptors 3\n\
         folder {}\nvariable hello\nSigBlk: 0000000000000000\nend\n",
        data.display()
    );
    assert_eq!(started.output("n2"), expected);
}

fn nodes_and_clients_talk_through_the_switch() {
    let started = Started::echo(Mode::Sandbox, &["n1", "n2", "n3"]);
    let cluster = started.cluster();
    for from in ["n1", "n3", CLIENTS, CONTROL] {
        let mut stream = connect(cluster, from, "n2");
        stream.write_all(b"ping").unwrap();
        assert_eq!(receive(&mut stream, 4), b"ping", "from {from}");
        let network = cluster.packet_network().unwrap();
        for link in [link(from, "n2"), link("n2", from)] {
            let counts = network.counts(&link).unwrap();
            assert!(
                counts.forwarded > 0 && counts.cut == 0,
                "{link:?}: {counts:?}"
            );
        }
    }
    // More than any frame, so that large frames cross whole and right.
    let mut stream = connect(cluster, CLIENTS, "n1");
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let sent = bytes.clone();
    let mut sender = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || sender.write_all(&sent).unwrap());
    assert!(receive(&mut stream, bytes.len()) == bytes);
    sending.join().unwrap();
}

fn a_kill_takes_the_whole_tree() {
    check_kill_of_a_tree(Mode::Sandbox);
}

pub fn check_kill_of_a_tree(mode: Mode) {
    let started = Started::new(mode, &["n1", "n2"], &["tree"], &Readiness::Started);
    let cluster = started.cluster();
    let pids = |node| cluster.node_pids(node).unwrap();
    // The program and its orphaned grandchild; the one between them is gone.
    let is_grown = |node| started.output(node).contains("grown");
    eventually("the trees are grown", || is_grown("n1") && is_grown("n2"));
    let seen: Vec<Seen> = pids("n1").into_iter().filter_map(Seen::of).collect();
    assert_eq!(seen.len(), 2);

    let killed = gone(&cluster.kill("n1").unwrap());
    assert_eq!(
        killed,
        seen.iter()
            .map(|seen| i64::from(seen.pid))
            .collect::<Vec<_>>()
    );
    assert!(seen.iter().all(|seen| !seen.is_there()));
    assert_eq!(pids("n1"), [0; 0]);
    assert_eq!(pids("n2").len(), 2);
    assert_eq!(gone(&cluster.kill("n1").unwrap()), [0; 0], "killed twice");
    assert!(cluster.resume("n1").is_ok());
    assert!(
        cluster
            .pause("n1")
            .unwrap_err()
            .to_string()
            .contains("cannot pause node n1")
    );
    assert!(
        cluster
            .kill("n9")
            .unwrap_err()
            .to_string()
            .contains("no node n9")
    );
    assert!(
        started.exits.try_recv().is_err(),
        "a kill is no unexpected exit"
    );
}

fn a_killed_node_starts_again_on_its_data() {
    let started = Started::echo(Mode::Sandbox, &["n1", "n2"]);
    let cluster = started.cluster();
    let note = started.folder.path().join("n1/data/note");
    fs::write(&note, "kept").unwrap();
    // Connections to a killed node keep its port in use, if anything does.
    let _stream = connect(cluster, "n2", "n1");
    for _ in 0..3 {
        let old = cluster.node_pids("n1").unwrap();
        cluster.kill("n1").unwrap();
        cluster.start("n1").unwrap();
        cluster.start("n1").unwrap();
        cluster.await_ready("n1", LIMIT.as_millis() as u64).unwrap();
        assert_ne!(cluster.node_pids("n1").unwrap(), old);
    }
    assert_eq!(fs::read_to_string(note).unwrap(), "kept");
    let owner = fs::metadata(started.folder.path().join("n1/stdout.log"))
        .unwrap()
        .uid();
    assert_eq!(owner, 0);
}

fn a_pause_stops_every_process() {
    check_pause(Mode::Sandbox);
}

pub fn check_pause(mode: Mode) {
    let started = Started::new(mode, &["n1", "n2"], &["count"], &Readiness::Started);
    let cluster = started.cluster();
    let (log, other) = (started.log("n1", "stdout"), started.log("n2", "stdout"));
    let has_child = |text: &str| text.contains("child 1\n");
    eventually("both processes count", || has_child(&started.output("n1")));

    for _ in 0..2 {
        let paused = states(&cluster.pause("n1").unwrap());
        assert_eq!(paused.len(), 2, "{paused:?}");
        assert!(paused.iter().all(|(_, state)| state == "T"), "{paused:?}");
        let (stopped_at, other_at) = (length(&log), length(&other));
        eventually("the other node goes on", || length(&other) > other_at + 200);
        assert_eq!(length(&log), stopped_at);

        let resumed = states(&cluster.resume("n1").unwrap());
        assert_eq!(resumed.len(), 2);
        cluster.resume("n1").unwrap();
        eventually("the node goes on", || length(&log) > stopped_at);
    }
    cluster.pause("n1").unwrap();
    assert_eq!(
        gone(&cluster.kill("n1").unwrap()).len(),
        2,
        "killed while paused"
    );
    cluster.start("n1").unwrap();
    eventually("it counts from the start", || {
        started.output("n1").matches("child 0\n").count() > 1
    });
}

fn an_unexpected_exit_is_reported() {
    check_unexpected_exit(Mode::Sandbox);
}

pub fn check_unexpected_exit(mode: Mode) {
    let started = Started::new(mode, &["n1"], &["fail", "3"], &Readiness::Started);
    let exit = started.exits.recv_timeout(LIMIT).unwrap();
    assert_eq!((&*exit.node, exit.status.code()), ("n1", Some(3)));
    assert_eq!(exit.last_lines.len(), 20);
    assert_eq!(exit.last_lines[19], "complaint 30");
    let text = exit.to_string();
    assert!(
        text.contains("node n1 ended unexpectedly with exit status 3"),
        "{text}"
    );

    let port = Readiness::TcpPort(PORT);
    let early = Started::new(mode, &["n1", "n2"], &["fail", "4"], &port).error();
    assert!(
        early.contains("exit status 4") && early.contains("complaint 30"),
        "{early}"
    );
    assert!(early.contains("before it was ready, node"), "{early}");

    let crashed = Started::new(mode, &["n1"], &["crash"], &port).error();
    assert!(crashed.contains("exit status 134 (signal 6)"), "{crashed}");

    let command = |_| NodeCommand {
        program: "/no/such/program".into(),
        ..NodeCommand::own([])
    };
    let missing = Started::with(mode, &["n1"], command, &port, LIMIT).error();
    assert!(
        missing.contains("/no/such/program: No such file"),
        "{missing}"
    );
}

fn a_node_that_never_serves_is_named() {
    let started = Started::new(Mode::Sandbox, &["n1"], &["park"], &Readiness::Started);
    let error = started
        .cluster()
        .await_ready("n2", 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no node n2"), "{error}");
    let never: Readiness = Readiness::Answer(
        PORT,
        std::sync::Arc::new(|address| {
            assert_eq!(address, Ipv4Addr::new(10, 77, 0, 1));
            Err("it thinks".to_owned())
        }),
    );
    let port = PORT.to_string();
    let command = |_| NodeCommand::own(args(&["program", "echo", "10.77.0.1", &port]));
    let limit = Duration::from_millis(50);
    let error = Started::with(Mode::Sandbox, &["n1"], command, &never, limit).error();
    assert!(
        error.contains("node n1 was not ready within 50 ms: it thinks"),
        "{error}"
    );
    assert!(error.contains("it wrote nothing"), "{error}");
}

fn many_nodes_fit() {
    let names: Vec<String> = (1..=25).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let started = Started::echo(Mode::Sandbox, &names);
    let mut stream = connect(started.cluster(), "n25", "n1");
    stream.write_all(b"ping").unwrap();
    assert_eq!(receive(&mut stream, 4), b"ping");
    started.cluster.unwrap().stop().unwrap();
    let left = crate::support::all_processes();
    assert_eq!(left.len(), 2, "{left:?}");
}

fn programs_of_every_kind_see_another_time() {
    crate::clocks::check_programs(Mode::Sandbox);
}

fn a_node_that_starts_again_has_its_clocks() {
    crate::clocks::check_restart(Mode::Sandbox);
}

pub fn link(from: &str, to: &str) -> Link {
    Link {
        from: from.into(),
        to: to.into(),
    }
}

pub fn connect(cluster: &Cluster, from: &str, to: &str) -> TcpStream {
    let address = cluster.addresses().of(to).unwrap();
    let host = cluster.packet_network().unwrap().entrance(from).unwrap();
    let stream = host
        .run(|| TcpStream::connect((address, PORT)))
        .unwrap()
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn receive(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

pub fn udp(cluster: &Cluster, on: &str) -> UdpSocket {
    let host = cluster.packet_network().unwrap().entrance(on).unwrap();
    let clients = Ipv4Addr::new(10, 77, 0, 201);
    let address = cluster.addresses().of(on).unwrap_or(clients);
    host.run(|| UdpSocket::bind((address, 0))).unwrap().unwrap()
}

/// Sends a datagram, and finds out whether it arrives.
pub fn check_datagram(from: &UdpSocket, to: &UdpSocket, arrives: bool) {
    let address = to.local_addr().unwrap();
    from.send_to(b"datagram", address).unwrap();
    let limit = if arrives {
        LIMIT
    } else {
        Duration::from_millis(50)
    };
    to.set_read_timeout(Some(limit)).unwrap();
    let received = to.recv(&mut [0; 16]);
    assert_eq!(received.is_ok(), arrives, "to {address}: {received:?}");
}

/// What the program itself reads from its clocks and from /proc/uptime, start after start.
fn a_node_sees_the_uptime_of_its_own_machine() {
    let started = Started::new(Mode::Sandbox, &["n1"], &["uptime"], &Readiness::Started);
    let cluster = started.cluster();
    let boots = cluster.boots().unwrap();
    let number = |evidence: &Value, name: &str| evidence.get(name).and_then(Value::as_int);
    let ours_ms = read_uptimes_ms()[0];
    let seen = |start: usize| -> Vec<u64> {
        let lines = || started.output("n1");
        eventually("the node has said its uptime", || {
            lines().matches('\n').count() >= start
        });
        let line = lines().lines().nth(start - 1).unwrap().to_owned();
        line.split(' ').map(|ms| ms.parse().unwrap()).collect()
    };
    let first = seen(1);
    assert!(first.iter().all(|ms| near(*ms, ours_ms)), "{first:?}");
    // A node that runs is left alone.
    let left_alone = boots.start_booted("n1", 7_000).unwrap();
    let shown_ms = number(&left_alone, "uptime_ms").unwrap().cast_unsigned();
    assert!(near(shown_ms, ours_ms), "{left_alone}");

    // Ten years, and then a machine that has just started.
    for (start, uptime_ms) in [(2, 315_360_000_000), (3, 5_000)] {
        cluster.kill("n1").unwrap();
        let evidence = boots.start_booted("n1", uptime_ms).unwrap();
        let shown_ms = number(&evidence, "uptime_ms").unwrap().cast_unsigned();
        assert!(near(shown_ms, uptime_ms), "{evidence}");
        let seen_ms = seen(start);
        assert!(seen_ms.iter().all(|ms| near(*ms, uptime_ms)), "{seen_ms:?}");
    }
    // Its machine goes on while its program is started again.
    cluster.kill("n1").unwrap();
    cluster.start("n1").unwrap();
    let again_ms = seen(4);
    assert!(again_ms.iter().all(|ms| near(*ms, 5_000)), "{again_ms:?}");
    // And other clocks are bent from there on.
    let frozen = [(1, Distortion::Freeze)];
    let clocks = cluster.clocks().unwrap();
    clocks
        .set_distortions("n1", Clock::Monotonic, &frozen)
        .unwrap();
    let healed = clocks.set_distortions("n1", Clock::Monotonic, &[]).unwrap();
    let off_us = healed.get("processes").unwrap().as_list().unwrap()[0].get("after_us");
    let off_us = off_us.and_then(Value::as_int).unwrap();
    assert!(near(off_us.unsigned_abs() / 1_000, 0), "{healed}");
}

/// Within what a busy machine may take.
fn near(shown_ms: u64, asked_ms: u64) -> bool {
    shown_ms.abs_diff(asked_ms) < 60_000
}

fn a_node_that_is_asked_ends_in_good_order() {
    limits::check_graceful_end(Mode::Sandbox);
}

fn a_node_that_ignores_the_request_is_killed() {
    limits::check_refused_end(Mode::Sandbox);
}

fn a_node_gets_its_part_of_a_processor() {
    limits::check_cpu(Mode::Sandbox);
}

fn a_pause_holds_under_a_quota() {
    limits::check_pause_under_quota(Mode::Sandbox);
}

fn a_slow_start_is_slow_from_the_first_instruction() {
    limits::check_slow_start(Mode::Sandbox);
}

fn no_descriptor_can_be_opened_beyond_the_limit() {
    limits::check_files(Mode::Sandbox);
}

fn a_node_without_memory_ends_and_starts_again() {
    limits::check_memory(Mode::Sandbox);
}
