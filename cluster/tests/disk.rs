//! Disks that fail below real processes. Each test runs as the controller of a sandbox.

use std::fs;
use std::process::ExitCode;

use cluster::{Cluster, Mode, Readiness, Sandbox};
use faults::{Crash, Damage, DiskOperation, DiskRule, Disks, Spot, Target};
use histories::Value;

use crate::shell::Shell;
use crate::support::{Seen, Started, Test, args, eventually, gone, succeed};

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[Test] = &[$((stringify!($name), || in_sandbox(stringify!($name)))),*];

        /// Runs a test as the controller of a sandbox.
        pub fn run(name: &str) -> ExitCode {
            match name {
                $(stringify!($name) => succeed($name),)*
                _ => panic!("there is no test {name}"),
            }
        }
    };
}

tests![
    files_are_as_on_any_disk,
    a_kill_loses_nothing,
    power_loss_takes_what_was_not_synced,
    names_are_durable_by_their_folder,
    a_crash_comes_at_the_operation_it_was_told,
    a_torn_write_leaves_a_first_part,
    operations_fail_as_told_and_heal,
    a_failed_fsync_is_not_made_good_by_the_next,
    a_full_disk_refuses_what_grows,
    an_fsync_takes_its_time_or_hangs,
    an_fsync_can_lie,
    bits_flip_in_what_the_kernel_remembers_too,
    mapped_memory_reaches_the_disk_when_told,
    the_real_folder_is_left_as_it_was_seen,
    an_armed_power_loss_waits_for_something_to_lose,
];

fn in_sandbox(name: &str) {
    let child = Sandbox::new(args(&["disk", name])).enter().unwrap();
    let status = child.wait();
    assert!(status.success(), "{name} ended with {status}");
}

/// One node with a disk of ours and a shell.
struct Node {
    started: Started,
    shell: Shell,
}

impl Node {
    fn new() -> Self {
        let readiness = Readiness::Started;
        let started = Started::on_disks(Mode::Sandbox, &["n1"], &["shell"], &readiness);
        let shell = Shell::new(&started.folder.path().join("n1"));
        started.cluster();
        Node { started, shell }
    }

    fn cluster(&self) -> &Cluster {
        self.started.cluster()
    }

    fn disks(&self) -> &dyn Disks {
        self.cluster().disks().unwrap()
    }

    fn restart(&self) {
        self.cluster().start("n1").unwrap();
    }

    /// Cuts the power, starts the node again, and gives the evidence.
    fn lose_power(&self) -> Value {
        let evidence = self.disks().lose_power("n1", 0).unwrap();
        self.restart();
        evidence
    }

    fn impose(&self, fault: u64, rule: DiskRule) {
        self.disks().impose("n1", fault, &rule).unwrap();
    }

    fn lift(&self, fault: u64) -> Value {
        self.disks().lift("n1", fault).unwrap()
    }

    /// Waits until the node sleeps in an fsync and its disk has taken notice of that: the kernel wakes
    /// who serves the disk before the node sleeps, and they sleep again when they have.
    fn awaits_fsync(&self) {
        let pid = self.cluster().node_pids("n1").unwrap()[0];
        let call = format!("{} ", libc::SYS_fsync);
        eventually("the fsync has begun", || {
            let now = fs::read_to_string(format!("/proc/{pid}/syscall"));
            let is_called = now.is_ok_and(|now| now.starts_with(&call));
            let sleeps = Seen::of(pid).is_some_and(|node| matches!(&*node.state, "S" | "D"));
            is_called && sleeps && disks_sleep()
        });
    }

    /// Asks for something of which the node dies, and starts it again.
    fn dies_of(&self, command: &str) {
        let number = self.shell.begin(command);
        eventually("the node is dead", || {
            self.cluster().node_pids("n1").unwrap().is_empty()
        });
        self.shell.forget(number);
    }
}

/// Whether no thread of ours that serves a disk is at work.
fn disks_sleep() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat")).ok();
    let mut stats = threads.filter_map(|thread| stat(thread.ok()?));
    stats.all(|stat| !stat.contains("(fuser") || stat.contains(") S"))
}

fn number(evidence: &Value, name: &str) -> i64 {
    evidence.get(name).unwrap().as_int().unwrap()
}

fn files_are_as_on_any_disk() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&[
        "make a",
        "append a one",
        "append a two",
        "mkdir d",
        "link a d/b",
    ]);
    shell.all(&[
        "symlink d/b s",
        "chmod a 640",
        "sync a",
        "datasync d/b",
        "sync .",
    ]);
    for (command, answer) in [
        ("read a", "onetwo"),
        ("read s", "onetwo"),
        ("list .", "a d s"),
        ("list d", "b"),
        ("target s", "d/b"),
        ("make a", "EEXIST"),
        ("rmdir d", "ENOTEMPTY"),
        ("remove d", "EISDIR"),
        ("read none", "ENOENT"),
        ("lock a", "EAGAIN"),
        ("attribute a", "EOPNOTSUPP"),
        ("rename-new a s", "EEXIST"),
        ("exchange a s", "EINVAL"),
        ("rename d d/x", "EINVAL"),
        ("mkdir e", ""),
        ("rename d e", ""),
        ("list .", "a e s"),
        ("rename-new a c", ""),
        ("write c 1 NE", ""),
        ("read e/b", "oNEtwo"),
        ("cut c 2", ""),
        ("write c 4 x", ""),
        ("read e/b", "oN\0\0x"),
        ("allocate f 70000", ""),
    ] {
        assert_eq!(shell.ask(command), answer, "{command}");
    }
    let user = nix::unistd::geteuid();
    assert_eq!(
        shell.ask("stat c"),
        format!("100640 links 2 user {user} size 5")
    );
    assert_eq!(
        shell.ask("stat f"),
        format!("100644 links 1 user {user} size 70000")
    );
    if shell.ask("chown c 1234").is_empty() {
        assert_eq!(shell.ask("stat c"), "100640 links 2 user 1234 size 5");
    }
    // A file outlives its name while it is open.
    shell.all(&["make t", "open t", "say t hidden", "remove t", "say t !"]);
    assert_eq!(shell.ask("read-open t"), "hidden!");
    assert_eq!(shell.ask("links-open t"), "0");
    assert_eq!(shell.ask("list ."), "c e f s");
    // Over the size of one request, and of one page.
    shell.all(&["fill big 3000000", "close t", "remove f"]);
    assert_eq!(shell.ask("read big").len(), 3_000_000);
}

fn a_kill_loses_nothing() {
    let node = Node::new();
    node.shell
        .all(&["append log kept", "mkdir d", "rename log d/log"]);
    node.cluster().kill("n1").unwrap();
    node.restart();
    assert_eq!(node.shell.ask("read d/log"), "kept");
    // It is still not durable: the kernel that remembers it outlived the process.
    node.lose_power();
    assert_eq!(node.shell.ask("list ."), "");
}

fn power_loss_takes_what_was_not_synced() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log one", "append b b", "sync log", "sync ."]);
    shell.all(&[
        "append log two",
        "write log 0 XX",
        "cut b 0",
        "append fresh f",
    ]);
    assert_eq!(shell.ask("read log"), "XXetwo");
    let evidence = node.lose_power();
    assert_eq!(number(&evidence, "lost_bytes"), 3 + 2 + 1 + 1);
    assert_eq!(number(&evidence, "lost_names"), 1);
    assert_eq!(gone(&evidence).len(), 1);
    let files = evidence.get("files").unwrap();
    assert_eq!(number(files, "log"), 5);
    assert_eq!(shell.ask("read log"), "one");
    // Its name was durable, what was in it was not.
    assert_eq!(shell.ask("read b"), "");
    assert_eq!(shell.ask("list ."), "b log");
    // Synchronous writes are durable without an fsync.
    shell.all(&["append log two dsync", "append log three"]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "onetwo");
    // Nothing more to lose; a node that is dead can lose what it left.
    assert_eq!(number(&node.lose_power(), "lost_bytes"), 0);
    shell.all(&["append log four"]);
    node.cluster().kill("n1").unwrap();
    let evidence = node.lose_power();
    assert_eq!(
        (number(&evidence, "lost_bytes"), gone(&evidence)),
        (4, vec![])
    );
    assert_eq!(shell.ask("read log"), "onetwo");
}

fn names_are_durable_by_their_folder() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&[
        "append log old",
        "append gone x",
        "mkdir d",
        "sync log",
        "sync .",
    ]);
    // The usual way to replace a file, without the last step.
    shell.all(&[
        "append log.new new",
        "sync log.new",
        "rename log.new log",
        "remove gone",
    ]);
    shell.all(&["make d/x", "sync d"]);
    assert_eq!(shell.ask("list ."), "d log");
    let evidence = node.lose_power();
    assert_eq!(number(&evidence, "lost_names"), 3);
    assert_eq!(shell.ask("list ."), "d gone log");
    assert_eq!(shell.ask("list d"), "x");
    assert_eq!(shell.ask("read log"), "old");
    // With it.
    shell.all(&[
        "append log.new new",
        "sync log.new",
        "rename log.new log",
        "sync .",
    ]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "new");
    // Renamed without syncing what is in it.
    shell.all(&["append log.new newer", "rename log.new log", "sync ."]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "");
    // A move is in one place or the other, never in none, whichever folder is synced.
    shell.all(&["mkdir e", "rename log e/log", "sync d", "sync e"]);
    node.lose_power();
    assert_eq!(shell.ask("list ."), "d e gone");
    assert_eq!(shell.ask("list e"), "log");
}

fn crash(operation: DiskOperation, path: &str, nth: u64, after: bool, crash: Crash) -> DiskRule {
    let path = path.into();
    DiskRule::Crash {
        operation,
        path,
        nth,
        after,
        crash,
    }
}

fn a_crash_comes_at_the_operation_it_was_told() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log old", "sync log", "sync ."]);

    node.impose(
        1,
        crash(DiskOperation::Rename, "log", 1, true, Crash::PowerLoss),
    );
    shell.all(&["append log.new new", "sync log.new", "rename log.new other"]);
    node.dies_of("rename other log");
    let evidence = node.lift(1);
    node.restart();
    assert_eq!(number(&evidence, "hits"), 1);
    assert_eq!(number(evidence.get("crash").unwrap(), "lost_names"), 3);
    assert_eq!(shell.ask("list ."), "log");

    node.impose(2, crash(DiskOperation::Write, "l?g", 2, false, Crash::Kill));
    shell.all(&["append log 1"]);
    node.dies_of("append log 2");
    node.restart();
    assert_eq!(number(&node.lift(2), "hits"), 1);
    assert_eq!(shell.ask("read log"), "old1");

    node.impose(3, crash(DiskOperation::Write, "log", 1, true, Crash::Kill));
    node.dies_of("append log 2");
    node.restart();
    assert_eq!(shell.ask("read log"), "old12");
    node.lift(3);

    for (fault, after, expected) in [(4, false, "old"), (5, true, "old12")] {
        node.impose(
            fault,
            crash(DiskOperation::Fsync, "log", 1, after, Crash::PowerLoss),
        );
        if fault == 5 {
            shell.all(&["append log 12"]);
        }
        node.dies_of("sync log");
        node.lift(fault);
        node.restart();
        assert_eq!(shell.ask("read log"), expected);
    }

    // One that never fires has no hits.
    node.impose(6, crash(DiskOperation::Rename, "*", 9, true, Crash::Kill));
    shell.all(&["rename log log2"]);
    assert_eq!(number(&node.lift(6), "hits"), 0);
}

fn a_torn_write_leaves_a_first_part() {
    let node = Node::new();
    let shell = &node.shell;
    for (fault, keep_permille, boundary_bytes, kept) in [
        (1, 500, 512, 1024),
        (2, 500, 1, 1500),
        (3, 100, 512, 0),
        (4, 1000, 512, 3000),
    ] {
        shell.all(&["make log", "sync ."]);
        let torn = Crash::TornWrite {
            keep_permille,
            boundary_bytes,
        };
        node.impose(fault, crash(DiskOperation::Write, "log", 1, true, torn));
        node.dies_of("fill log 3000");
        node.restart();
        assert_eq!(shell.ask("read log").len(), kept);
        assert_eq!(number(&node.lift(fault), "hits"), 1);
        shell.all(&["remove log", "sync ."]);
    }
}

fn fail(operation: DiskOperation, path: &str, once: bool) -> DiskRule {
    let path = path.into();
    DiskRule::Fail {
        operation,
        path,
        once,
    }
}

fn operations_fail_as_told_and_heal() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log one", "append b b"]);
    node.impose(1, fail(DiskOperation::Write, "log", true));
    shell.all(&["append b b"]);
    assert_eq!(shell.ask("append log x"), "EIO");
    shell.all(&["append log two"]);
    assert_eq!(number(&node.lift(1), "hits"), 1);

    // Also of what the kernel has read before.
    assert_eq!(shell.ask("read log"), "onetwo");
    node.impose(2, fail(DiskOperation::Read, "log", false));
    node.impose(3, fail(DiskOperation::Fsync, "*", false));
    for command in ["read log", "read log", "sync log", "sync ."] {
        assert_eq!(shell.ask(command), "EIO", "{command}");
    }
    assert_eq!(shell.ask("read b"), "bb");
    node.lift(2);
    assert_eq!(shell.ask("read log"), "onetwo");
    // A rule outlives the node's processes.
    node.cluster().kill("n1").unwrap();
    node.restart();
    assert_eq!(shell.ask("sync log"), "EIO");
    assert_eq!(number(&node.lift(3), "hits"), 3);
    shell.all(&["sync log"]);
}

fn a_failed_fsync_is_not_made_good_by_the_next() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log one", "sync log", "sync ."]);
    shell.all(&["append log two"]);
    node.impose(1, fail(DiskOperation::Fsync, "log", true));
    assert_eq!(shell.ask("sync log"), "EIO");
    shell.all(&["append log three", "sync log"]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "one\0\0\0three");
}

fn a_full_disk_refuses_what_grows() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log one"]);
    assert_ne!(shell.ask("free ."), "0");
    node.impose(1, DiskRule::Full);
    for command in [
        "append log x",
        "make y",
        "mkdir y",
        "link log y",
        "allocate log 9",
        "cut log 9",
    ] {
        assert_eq!(shell.ask(command), "ENOSPC", "{command}");
    }
    assert_eq!(shell.ask("free ."), "0");
    // What takes no more space goes on.
    shell.all(&["write log 0 O", "cut log 2", "sync log", "rename log l"]);
    assert_eq!(number(&node.lift(1), "hits"), 6);
    shell.all(&["append l x"]);
    assert_eq!(shell.ask("read l"), "Onx");
}

fn an_fsync_takes_its_time_or_hangs() {
    let node = Node::new();
    let shell = &node.shell;
    let slow = |delay_ms| DiskRule::SlowFsync {
        path: "log".into(),
        delay_ms,
    };
    shell.all(&["append log one", "sync ."]);
    node.impose(1, slow(300));
    let begin = std::time::Instant::now();
    shell.all(&["sync log"]);
    assert!(begin.elapsed().as_millis() >= 300);
    node.lift(1);
    // Until it is healed, and the disk serves others meanwhile.
    node.impose(2, slow(3_600_000));
    shell.all(&["append log two"]);
    let hangs = shell.begin("sync log");
    node.awaits_fsync();
    assert_eq!(shell.answer(hangs), None);
    assert_eq!(number(&node.lift(2), "hits"), 1);
    eventually("the fsync is done", || shell.answer(hangs).is_some());
    // A process that hangs in one can be killed, and its power can fail.
    for fault in [4, 5] {
        node.impose(fault, slow(3_600_000));
        shell.all(&["append log x"]);
        let hangs = shell.begin("sync log");
        node.awaits_fsync();
        match fault {
            4 => drop(node.cluster().kill("n1").unwrap()),
            _ => drop(node.disks().lose_power("n1", 0).unwrap()),
        }
        shell.forget(hangs);
        node.restart();
        assert_eq!(
            shell.ask("read log"),
            ["onetwox", "onetwo"][fault as usize - 4]
        );
        node.lift(fault);
    }
}

fn an_fsync_can_lie() {
    let node = Node::new();
    let shell = &node.shell;
    node.impose(1, DiskRule::LyingFsync { path: "*".into() });
    shell.all(&["append log one", "sync log", "sync ."]);
    assert_eq!(number(&node.lift(1), "hits"), 2);
    node.lose_power();
    assert_eq!(shell.ask("list ."), "");
}

fn bits_flip_in_what_the_kernel_remembers_too() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append a aaaa", "append b bbbb", "append c cccc"]);
    assert_eq!(shell.ask("read b"), "bbbb");
    let spot = |file_ppm, offset_ppm, damage| Spot {
        file_ppm,
        last_bytes: 0,
        offset_ppm,
        damage,
    };
    let spots = [
        spot(500_000, 250_000, Damage::Bit(0)),
        spot(999_999, 500_000, Damage::Zeros(9)),
    ];
    let evidence = node.disks().damage("n1", "?", &spots).unwrap();
    let done = evidence.as_list().unwrap();
    assert_eq!(done[0].get("path").unwrap().as_text(), Some("b"));
    assert_eq!(
        (number(&done[0], "offset"), number(&done[0], "bit")),
        (1, 0)
    );
    assert_eq!(
        (number(&done[1], "offset"), number(&done[1], "zeros")),
        (2, 2)
    );
    assert_eq!(shell.ask("read a"), "aaaa");
    assert_eq!(shell.ask("read b"), "bcbb");
    assert_eq!(shell.ask("read c"), "cc\0\0");
    // Of a dead node, and of none that matches.
    node.cluster().kill("n1").unwrap();
    node.disks()
        .damage("n1", "a", &[spot(0, 0, Damage::Bit(1))])
        .unwrap();
    let nothing = node.disks().damage("n1", "none", &spots).unwrap();
    assert_eq!(nothing.as_list().unwrap().len(), 0);
    node.restart();
    assert_eq!(shell.ask("read a"), "caaa");
    let at_the_end = |last_bytes| Spot {
        last_bytes,
        ..spot(0, 0, Damage::Bit(1))
    };
    for (last_bytes, expected) in [(1, "caac"), (2, "cacc"), (9, "aacc")] {
        let spots = [at_the_end(last_bytes)];
        node.disks().damage("n1", "a", &spots).unwrap();
        assert_eq!(shell.ask("read a"), expected);
    }
}

fn mapped_memory_reaches_the_disk_when_told() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["append log ....", "sync log", "sync ."]);
    shell.all(&["map log one. msync"]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "one.");
    shell.all(&["map log two. leave"]);
    node.lose_power();
    assert_eq!(shell.ask("read log"), "one.");
    // A killed process loses nothing.
    shell.all(&["map log two. leave"]);
    node.cluster().kill("n1").unwrap();
    node.restart();
    assert_eq!(shell.ask("read log"), "two.");
}

fn the_real_folder_is_left_as_it_was_seen() {
    let node = Node::new();
    node.shell.all(&[
        "mkdir d",
        "append d/log one",
        "sync d/log",
        "append d/log two",
    ]);
    node.shell.all(&["append x x", "remove x"]);
    let data = node.started.folder.path().join("n1/data");
    assert_eq!(fs::read_to_string(data.join("d/log")).unwrap(), "onetwo");
    let Node { started, .. } = node;
    started.cluster.unwrap().stop().unwrap();
    assert_eq!(fs::read_to_string(data.join("d/log")).unwrap(), "onetwo");
    let left = fs::read_dir(started.folder.path().join("n1")).unwrap();
    let mut left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("out.") && !name.starts_with("cmd."))
        .collect();
    left.sort();
    assert_eq!(left, ["data", "stderr.log", "stdout.log"]);
}

fn an_armed_power_loss_waits_for_something_to_lose() {
    let node = Node::new();
    let shell = &node.shell;
    shell.all(&["make log", "sync ."]);
    node.disks().arm_power_loss("n1").unwrap();
    // Reads and fsyncs of what is durable leave nothing to lose.
    shell.all(&["read log", "sync log", "datasync log"]);
    // The append is done, and nothing is after it.
    let number = shell.begin("spin 1000000");
    let evidence = node.disks().lose_power("n1", 20_000).unwrap();
    shell.forget(number);
    node.restart();
    assert_eq!(gone(&evidence).len(), 1);
    assert_eq!(self::number(&evidence, "lost_names"), 1);
    assert_eq!(shell.ask("list ."), "log");
    // When nothing comes it is cut all the same.
    node.disks().arm_power_loss("n1").unwrap();
    let evidence = node.disks().lose_power("n1", 50).unwrap();
    assert_eq!(self::number(&evidence, "lost_bytes"), 0);
    assert_eq!(gone(&evidence).len(), 1);
    node.restart();
    shell.all(&["append log x"]);
}
