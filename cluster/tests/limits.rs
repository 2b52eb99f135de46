//! Nodes that are asked to end, and nodes that get less than they want; in either mode.

use std::fs;
use std::time::{Duration, Instant};

use cluster::{Cluster, Mode, Readiness};
use faults::{LimitShown, Resource, Target};
use histories::Value;

use crate::support::{LIMIT, Seen, Started, cgroups, eventually, gone, states};

fn node(mode: Mode, program: &str, says: &str) -> Started {
    let started = Started::new(mode, &["n1"], &[program], &Readiness::Started);
    let _ = started.cluster();
    eventually("the node has begun", || started.output("n1").contains(says));
    started
}

fn text<'a>(evidence: &'a Value, name: &str) -> &'a str {
    evidence.get(name).unwrap().as_text().unwrap()
}

fn number(evidence: &Value, name: &str) -> i64 {
    evidence.get(name).unwrap().as_int().unwrap()
}

fn limit(cluster: &Cluster, resource: Resource, amount: Option<u64>) -> LimitShown {
    let limits = cluster.limits().unwrap();
    limits.limit("n1", resource, amount).unwrap()
}

/// Inside a sandbox groups are named for whoever made that.
fn assert_no_group_is_left() {
    let token = std::env::var("WHITEWATER_CGROUPS").unwrap_or_default();
    let maker = token.split('-').next().and_then(|pid| pid.parse().ok());
    let left = cgroups(maker.unwrap_or(std::process::id()));
    assert!(left.is_empty(), "{left:?}");
}

pub fn check_graceful_end(mode: Mode) {
    let started = node(mode, "end-when-asked", "waiting");
    let cluster = started.cluster();
    let pids = cluster.node_pids("n1").unwrap();
    let ended = cluster.terminate("n1", LIMIT.as_millis() as u64).unwrap();
    assert_eq!(
        gone(&ended),
        pids.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>()
    );
    assert_eq!(text(&ended, "by"), "SIGTERM");
    assert!(started.output("n1").ends_with("asked to end\n"));
    assert!(pids.iter().all(|pid| Seen::of(*pid).is_none()));

    let again = cluster.terminate("n1", 1).unwrap();
    assert_eq!(gone(&again), [0; 0]);
    cluster.start("n1").unwrap();
    eventually("it has started again", || {
        started.output("n1").matches("waiting").count() == 2
    });
    // As soon as it can be asked, which may be too early for its own way to end, not for SIGTERM.
    for _ in 0..5 {
        cluster.kill("n1").unwrap();
        cluster.start("n1").unwrap();
        let ended = cluster.terminate("n1", LIMIT.as_millis() as u64).unwrap();
        assert_eq!(text(&ended, "by"), "SIGTERM");
    }
    assert!(
        started.exits.try_recv().is_err(),
        "ends that were asked for"
    );
}

pub fn check_refused_end(mode: Mode) {
    let started = node(mode, "refuse-to-end", "waiting");
    let cluster = started.cluster();
    let pids = cluster.node_pids("n1").unwrap();
    let ended = cluster.terminate("n1", 300).unwrap();
    assert_eq!(text(&ended, "by"), "SIGKILL");
    assert!(number(&ended, "took_ms") >= 300);
    assert_eq!(gone(&ended).len(), pids.len());
    assert!(
        started.output("n1").contains("asked to end"),
        "it was asked"
    );
    assert!(pids.iter().all(|pid| Seen::of(*pid).is_none()));
    assert!(started.exits.try_recv().is_err());
}

/// CPU time that the node's processes have used, as the kernel counts it.
fn cpu_time(cluster: &Cluster) -> Duration {
    let pids = cluster.node_pids("n1").unwrap();
    let of = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // User and system time, in ticks of 10 ms (proc_pid_stat(5), USER_HZ).
        let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        Some(Duration::from_millis(10 * ticks))
    };
    pids.iter().filter_map(of).sum()
}

/// What part of one processor the node uses while this long goes by.
fn part_used(cluster: &Cluster, wall: Duration) -> f64 {
    let (begin, before) = (Instant::now(), cpu_time(cluster));
    std::thread::sleep(wall);
    (cpu_time(cluster) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

pub fn check_cpu(mode: Mode) {
    let started = node(mode, "spin", "spinning");
    let cluster = started.cluster();
    let announced = limit(cluster, Resource::CpuPercent, Some(20));
    assert!(!announced.was_reached && !announced.is_reached);
    println!("  limited by {}", text(&announced.evidence, "by"));
    // On a busy machine it may get less, but never more.
    let part = part_used(cluster, Duration::from_secs(2));
    assert!(part < 0.3, "{part}");
    let lower = limit(cluster, Resource::CpuPercent, Some(5));
    assert!(lower.was_reached);
    assert_eq!(number(&lower.evidence, "percent"), 20);
    let part = part_used(cluster, Duration::from_secs(2));
    assert!(part < 0.1, "{part}");

    let lifted = limit(cluster, Resource::CpuPercent, None);
    assert!(lifted.was_reached, "{lifted:?}");
    let evidence = &lifted.evidence;
    assert_eq!(number(evidence, "percent"), 5);
    assert!(number(evidence, "cpu_ms") > 0, "{evidence}");
    assert!(number(evidence, "wall_ms") >= 2_000, "{evidence}");
    assert!(number(evidence, "times_held_up") > 0, "{evidence}");
    assert!(
        number(evidence, "cpu_ms") * 10 < number(evidence, "wall_ms"),
        "{evidence}"
    );
    // More in one go than a whole second of five percent would allow.
    let before = cpu_time(cluster);
    eventually("it has all it wants", || {
        let (begin, before) = (Instant::now(), cpu_time(cluster));
        std::thread::sleep(Duration::from_millis(200));
        cpu_time(cluster) - before > begin.elapsed() / 5
    });
    assert!(cpu_time(cluster) > before);
    assert_no_group_is_left();
}

pub fn check_pause_under_quota(mode: Mode) {
    let started = node(mode, "spin", "spinning");
    let cluster = started.cluster();
    limit(cluster, Resource::CpuPercent, Some(30));
    for _ in 0..5 {
        let paused = states(&cluster.pause("n1").unwrap());
        assert!(paused.iter().all(|(_, state)| state == "T"), "{paused:?}");
        let used = cpu_time(cluster);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(cpu_time(cluster), used, "nobody lets it go on");
        for pid in cluster.node_pids("n1").unwrap() {
            assert_eq!(Seen::of(pid).unwrap().state, "T");
        }
        cluster.resume("n1").unwrap();
        eventually("it goes on", || cpu_time(cluster) > used);
    }
    // Lifted while paused, it stays paused.
    cluster.pause("n1").unwrap();
    limit(cluster, Resource::CpuPercent, None);
    let pid = cluster.node_pids("n1").unwrap()[0];
    assert_eq!(Seen::of(pid).unwrap().state, "T");
    cluster.resume("n1").unwrap();
    let used = cpu_time(cluster);
    eventually("it goes on", || cpu_time(cluster) > used);
}

/// The limit is there before the node is, and again for the node after.
pub fn check_slow_start(mode: Mode) {
    let started = node(mode, "spin", "spinning");
    let cluster = started.cluster();
    cluster.kill("n1").unwrap();
    limit(cluster, Resource::CpuPercent, Some(10));
    for _ in 0..2 {
        let begin = Instant::now();
        cluster.start("n1").unwrap();
        eventually("it spins", || begin.elapsed() > Duration::from_secs(1));
        let part = cpu_time(cluster).as_secs_f64() / begin.elapsed().as_secs_f64();
        assert!(part < 0.2, "{part}");
        assert_eq!(gone(&cluster.kill("n1").unwrap()).len(), 1);
    }
    cluster.start("n1").unwrap();
    eventually("it has used some", || {
        cpu_time(cluster) > Duration::from_millis(50)
    });
    let lifted = limit(cluster, Resource::CpuPercent, None);
    assert!(lifted.was_reached, "{lifted:?}");
    assert_no_group_is_left();
}

pub fn check_files(mode: Mode) {
    let started = node(mode, "open", "opened");
    let cluster = started.cluster();
    let emfile = format!("error {}", nix::errno::Errno::EMFILE as i32);
    let last = || started.output("n1").lines().last().unwrap().to_owned();

    // One more than the program may have open at this moment: it needs one, and gets it.
    let spare = limit(cluster, Resource::SpareFiles, Some(2));
    assert!(!spare.is_reached, "{spare:?}");
    let before = started.output("n1").lines().count();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(started.output("n1").lines().count(), before);

    let lifted = limit(cluster, Resource::SpareFiles, None);
    assert!(!lifted.was_reached, "{lifted:?}");
    // The file may be open just then, so that its place is free for the next.
    eventually("no file can be opened", || {
        limit(cluster, Resource::SpareFiles, None);
        limit(cluster, Resource::SpareFiles, Some(0));
        std::thread::sleep(Duration::from_millis(10));
        last() == emfile
    });
    let lifted = limit(cluster, Resource::SpareFiles, None);
    assert!(lifted.was_reached, "{lifted:?}");
    let process = &lifted.evidence.get("processes").unwrap().as_list().unwrap()[0];
    assert_eq!(
        number(process, "limit"),
        number(process, "open"),
        "{process}"
    );
    eventually("files can be opened again", || last() == "opened");

    // The next process is none of those that were limited.
    limit(cluster, Resource::SpareFiles, Some(0));
    cluster.kill("n1").unwrap();
    cluster.start("n1").unwrap();
    let opened = started.output("n1").matches("opened").count();
    eventually("the next process opens files", || {
        started.output("n1").matches("opened").count() > opened || last() == "opened"
    });
    limit(cluster, Resource::SpareFiles, None);
    assert!(started.exits.try_recv().is_err());
}

pub fn check_memory(mode: Mode) {
    let started = node(mode, "allocate", "begin");
    let cluster = started.cluster();
    let imposed = limit(cluster, Resource::SpareMemoryKib, Some(4096));
    println!("  limited by {}", text(&imposed.evidence, "by"));
    let exit = started.exits.recv_timeout(LIMIT).unwrap();
    // It cannot go on without: it gives up (SIGABRT), or the kernel ends it (SIGKILL).
    let code = exit.status.code().unwrap_or(128 + 9);
    assert!([128 + 6, 128 + 9].contains(&code), "{exit}");
    let lifted = limit(cluster, Resource::SpareMemoryKib, None);
    assert!(lifted.was_reached, "{lifted:?}");
    assert_eq!(lifted.evidence.get("ended"), Some(&true.into()));

    cluster.start("n1").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(cluster.node_pids("n1").unwrap().len(), 1);
    assert!(started.exits.try_recv().is_err(), "nothing limits it now");
    assert_no_group_is_left();
}
