//! Clusters without a sandbox, and what they still promise.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cluster::{Mode, Readiness};
use faults::Target;

use crate::inside::{check_kill_of_a_tree, check_pause, check_unexpected_exit};
use crate::limits;
use crate::support::{PORT, Started, Test};

pub const TESTS: &[Test] = &[
    (
        "nodes_serve_on_loopback_and_the_network_is_out_of_reach",
        serves,
    ),
    ("a_kill_takes_the_whole_tree", || {
        check_kill_of_a_tree(Mode::Plain)
    }),
    ("a_pause_stops_every_process", || check_pause(Mode::Plain)),
    ("an_unexpected_exit_is_reported", || {
        check_unexpected_exit(Mode::Plain)
    }),
    ("programs_of_every_kind_see_another_time", || {
        crate::clocks::check_programs(Mode::Plain)
    }),
    ("a_node_that_starts_again_has_its_clocks", || {
        crate::clocks::check_restart(Mode::Plain)
    }),
    ("a_node_that_is_asked_ends_in_good_order", || {
        limits::check_graceful_end(Mode::Plain)
    }),
    ("a_node_that_ignores_the_request_is_killed", || {
        limits::check_refused_end(Mode::Plain)
    }),
    ("a_node_gets_its_part_of_a_processor", || {
        limits::check_cpu(Mode::Plain)
    }),
    ("a_pause_holds_under_a_quota", || {
        limits::check_pause_under_quota(Mode::Plain)
    }),
    ("a_slow_start_is_slow_from_the_first_instruction", || {
        limits::check_slow_start(Mode::Plain)
    }),
    ("no_descriptor_can_be_opened_beyond_the_limit", || {
        limits::check_files(Mode::Plain)
    }),
    ("a_node_without_memory_ends_and_starts_again", || {
        limits::check_memory(Mode::Plain)
    }),
    ("a_port_in_use_is_named", port_in_use),
    ("what_a_node_leaves_behind_ends_with_it", leftovers),
];

fn serves() {
    let started = Started::echo(Mode::Plain, &["n1", "n2"]);
    let cluster = started.cluster();
    let address = cluster.addresses().of("n2").unwrap();
    let mut stream = TcpStream::connect((address, PORT)).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");

    let why = cluster.network().err().unwrap();
    assert!(why.cause.contains("plain mode"), "{why}");
    assert!(why.remedy.contains("doctor"), "{why}");
    assert_eq!(cluster.clients_entrance().run(|| 7).unwrap(), 7);
    started.cluster.unwrap().stop().unwrap();
    let refused = TcpStream::connect_timeout(&(address, PORT).into(), Duration::from_secs(1));
    assert!(refused.is_err());
}

/// A stranger on a node's port must not pass for the node.
fn port_in_use() {
    let first = Started::echo(Mode::Plain, &["n1"]);
    let address = first.cluster().addresses().of("n1").unwrap();
    let error = Started::echo(Mode::Plain, &["n1"]).error();
    let expected = format!("cannot start node n1: {address}:{PORT} is in use");
    assert!(error.contains(&expected), "{error}");
}

/// A program that ends by itself leaves an orphan; it must not outlive the node's init.
fn leftovers() {
    let started = Started::new(Mode::Plain, &["n1"], &["middle"], &Readiness::Started);
    let exit = started.exits.recv_timeout(crate::support::LIMIT).unwrap();
    assert_eq!(exit.status.code(), Some(0));
    let own = nix::unistd::getpid().as_raw();
    let mut below = crate::support::tree_of(own);
    below.retain(|seen| !crate::support::is_janitor(seen));
    assert_eq!(below.len(), 1, "{below:?}");
    let arg = started.folder.path().to_str().unwrap().to_owned();
    let data = format!("{arg}/n1/data");
    for process in crate::support::all_processes() {
        let folder = std::fs::read_link(format!("/proc/{}/cwd", process.pid));
        assert!(
            folder
                .ok()
                .is_none_or(|folder| folder != std::path::Path::new(&data))
        );
    }
}
