//! Systems by their definitions: those that come with Whitewater, and the tutorial's.

use std::fs;
use std::path::{Path, PathBuf};

use crate::schema::assert_fits;
use crate::support::{
    assert_nothing_left, cluster_lock, only_run, run_in, store, text, there_is, whitewater,
};

/// What is in the folder of examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

#[test]
fn the_tutorials_server_is_correct_alone_though_it_is_killed_and_paused() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let definition = example("python-kv/single.toml");
    let args = ["--system", text(&definition), "--time", "4s", "--seed", "3"];
    let rhythm = ["--fault-interval", "900ms", "--fault-duration", "300ms"];
    let faults = [&rhythm[..], &["--fault-overlap", "1"]].concat();
    run_in(store.path(), &[&args[..], &faults].concat())
        .expect(0)
        .says(&["VALID", "1 node of python-kv", "kill", "pause"]);
    let plan = fs::read_to_string(only_run(store.path()).join("plan.toml")).unwrap();
    assert!(plan.contains("[system.definition.client.http"), "{plan}");
    let drawn = plan.contains("[faults.kinds]\nkill = 1\npause = 1\n");
    assert!(drawn, "partitions are excluded by the definition: {plan}");
    assert_nothing_left(store.path());
}

#[test]
fn the_tutorials_replication_loses_freshness_and_the_replay_needs_no_definition() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    // Somewhere else, so that it can be gone when the run is made again.
    let here = folder.path().join("mine");
    fs::create_dir(&here).unwrap();
    for file in ["replicated.toml", "server.py"] {
        fs::copy(example("python-kv").join(file), here.join(file)).unwrap();
    }
    let (definition, runs) = (here.join("replicated.toml"), folder.path().join("runs"));
    let args = [
        "--system",
        text(&definition),
        "--time",
        "20s",
        "--seed",
        "5",
    ];
    run_in(&runs, &[&args[..], &["--faults", "partition"]].concat())
        .expect(1)
        .says(&["INVALID", "linearizability"]);
    fs::remove_file(&definition).unwrap();
    let again = folder.path().join("again");
    let run = only_run(&runs);
    whitewater(&["replay", text(&run), "--store", text(&again)])
        .expect(1)
        .says(&["INVALID"]);
    assert_nothing_left(folder.path());
}

#[test]
fn etcd_is_linearizable_under_kills_pauses_and_partitions() {
    if !there_is("etcd", "--version") {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--system", "etcd", "--nodes", "3", "--time", "8s", "--seed", "34",
    ];
    let faults = [
        "--fault-interval",
        "1s",
        "--fault-duration",
        "400ms",
        "--recovery-limit",
        "30s",
    ];
    let output = run_in(store.path(), &[&args[..], &faults].concat());
    let output = output.expect(0).says(&["VALID", "3 nodes of etcd"]);
    assert!(
        !output.stderr.contains("left out of the workload"),
        "{output}"
    );
    assert_nothing_left(store.path());
}

#[test]
fn nodes_are_prepared_once_as_the_user_they_ask_for_and_started_in_order() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let here = folder.path();
    fs::copy(example("python-kv/server.py"), here.join("server.py")).unwrap();
    let single = fs::read_to_string(example("python-kv/single.toml")).unwrap();
    let more = r#"
[[files]]
path = "{data}/id"
text = "{node.id} of {list.all}\n"
[[prepare]]
command = ["sh", "-c", "id -u >> {data}/prepared"]
[[prepare]]
command = ["sh", "-c", "test -e {data}/../../n1/data/log.jsonl || exit 9"]
on = "others"
[[beside]]
command = ["sh", "-c", "echo $$ >> {data}/beside; exec sleep 600"]
on = "first"
[start]
one_by_one = true
bootstrap = [["sh", "-c", "echo {first.ip} >> {data}/bootstrapped"]]
[lists.all]
each = "{node.name}"
"#;
    let single = single.replace("[node]", "[node]\nuser = \"1234\"");
    let definition = here.join("mine.toml");
    fs::write(&definition, format!("{single}{more}")).unwrap();
    let args = [
        "--system",
        text(&definition),
        "--nodes",
        "2",
        "--time",
        "3s",
        "--seed",
        "3",
    ];
    let faults = [
        "--faults",
        "kill",
        "--fault-interval",
        "700ms",
        "--fault-duration",
        "200ms",
    ];
    // Two servers that know nothing of each other: never linearizable, which is not the point.
    run_in(
        &here.join("runs"),
        &[&args[..], &faults, &["--keep-going"]].concat(),
    )
    .expect(1);
    let nodes = only_run(&here.join("runs")).join("nodes");
    let read = |path: &str| fs::read_to_string(nodes.join(path)).unwrap();
    assert_eq!(
        (read("n1/data/id"), read("n2/data/id")),
        ("1 of n1,n2\n".into(), "2 of n1,n2\n".into())
    );
    assert_eq!(
        (read("n1/data/prepared"), read("n2/data/prepared")),
        ("1234\n".into(), "1234\n".into())
    );
    assert!(read("n1/data/bootstrapped").starts_with("1"), "once");
    assert_eq!(read("n1/data/bootstrapped").lines().count(), 1);
    assert!(
        read("n1/data/beside").lines().count() >= 2,
        "at every start"
    );
    assert!(!nodes.join("n2/data/beside").exists());
    assert_nothing_left(here);
}

#[test]
fn a_failure_in_a_log_is_a_violation_with_its_file_and_line() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let here = folder.path();
    fs::copy(example("python-kv/server.py"), here.join("server.py")).unwrap();
    let single = fs::read_to_string(example("python-kv/single.toml")).unwrap();
    let more = r#"
[[prepare]]
command = ["sh", "-c", "echo 'panic: only a test'; echo 'panic: oh no' >&2; echo fine >&2"]
[logs]
failures = ["^panic: "]
except = ["only a test"]
"#;
    let definition = here.join("mine.toml");
    fs::write(&definition, format!("{single}{more}")).unwrap();
    let args = [
        "--system",
        text(&definition),
        "--time",
        "1s",
        "--faults",
        "none",
        "--seed",
        "3",
    ];
    let output = run_in(&here.join("runs"), &args).expect(1);
    output.says(&["INVALID", "logs", "n1/stderr.log:1: panic: oh no"]);
    // Once more from the run folder alone.
    let output = whitewater(&["check", text(&only_run(&here.join("runs")))]).expect(1);
    output.says(&["n1/stderr.log:1: panic: oh no"]);
}

#[test]
fn what_init_writes_runs() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let here = folder.path();
    fs::copy(example("python-kv/server.py"), here.join("server.py")).unwrap();
    // Quoted as for a shell.
    let command = "python3 \"server.py\" --listen '{node.ip}:{port.client}' --data {data}";
    let args = [
        "init",
        "my-kv",
        "--dir",
        text(here),
        "--command",
        command,
        "--port",
        "8000",
    ];
    let init = [&args[..], &["--nodes", "1"]].concat();
    whitewater(&init)
        .expect(0)
        .says(&["wrote", "my-kv.toml", "whitewater run --system"]);
    whitewater(&init)
        .expect(2)
        .says(&["my-kv.toml is there already", "--force"]);
    let definition = here.join("my-kv.toml");
    let args = [
        "--system",
        text(&definition),
        "--time",
        "2s",
        "--faults",
        "none",
        "--seed",
        "3",
    ];
    run_in(&here.join("runs"), &args).expect(0).says(&["VALID"]);
    let wrong = ["init", "my kv", "--dir", text(here)];
    whitewater(&wrong)
        .expect(2)
        .says(&["`name`", "letters, digits or dashes"]);
}

#[test]
fn the_program_that_init_writes_is_a_client_of_the_tutorials_server() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let here = folder.path().join("a {folder}");
    fs::create_dir(&here).unwrap();
    fs::copy(example("python-kv/server.py"), here.join("server.py")).unwrap();
    let command = "python3 server.py --listen {node.ip}:{port.client} --data {data}";
    let init = [
        "init",
        "my-kv",
        "--dir",
        text(&here),
        "--command",
        command,
        "--nodes",
        "1",
        "--client",
        "program",
    ];
    let wrote = ["my-kv.toml", "my-kv-client.py"];
    whitewater(&init).expect(0).says(&wrote);
    let (definition, client) = (here.join(wrote[0]), here.join(wrote[1]));
    // Neither is written where one is there.
    fs::remove_file(&definition).unwrap();
    whitewater(&init)
        .expect(2)
        .says(&["my-kv-client.py is there already", "--force"]);
    assert!(!definition.exists());
    whitewater(&[&init[..], &["--force"]].concat()).expect(0);
    let args = [
        "--system",
        text(&definition),
        "--clients",
        "3",
        "--seed",
        "3",
    ];
    let faults = ["--time", "3s", "--faults", "kill", "--fault-interval", "1s"];
    let runs = folder.path().join("runs");
    let run = [&args[..], &faults, &["--fault-duration", "200ms"]].concat();
    let output = run_in(&runs, &run)
        .expect(0)
        .says(&["VALID", "inject kill"]);
    assert!(!output.stderr.contains("left out"), "{output}");
    // What it cannot do ends the run, and is no verdict on the system.
    let text_of = fs::read_to_string(&client).unwrap();
    fs::write(&client, text_of.replace("\"write\"", "\"put\"")).unwrap();
    let cannot = ["my-kv-client.py does no operation write"];
    run_in(&folder.path().join("broken"), &run)
        .expect(4)
        .says(&cannot);
    // Nor is one that hangs evidence against it, be it found out when the driving is over.
    fs::write(&client, "import time\ntime.sleep(1000)\n").unwrap();
    let waits = fs::read_to_string(&definition).unwrap();
    let waits = waits.replace("# open_timeout_ms = 10000", "open_timeout_ms = 3000");
    fs::write(&definition, waits).unwrap();
    let hangs = ["my-kv-client.py: no answer within 3000 ms (at open)"];
    let short = ["--time", "1s", "--faults", "none"];
    run_in(
        &folder.path().join("hanging"),
        &[&args[..], &short].concat(),
    )
    .expect(4)
    .says(&hangs);
    assert_nothing_left(folder.path());
}

#[test]
fn members_come_and_go_by_the_requests_of_a_definition() {
    if !there_is("python3", "--version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let raft_kv = Path::new(env!("CARGO_MANIFEST_DIR")).join("systems/raft-kv.toml");
    let by_requests = r#"[members.requests]
add = { http = { method = "POST", path = "/members", body = '{{"add":"{node.name}={node.ip}"}}' } }
remove = { http = { method = "POST", path = "/members", body = '{{"remove":"{node.name}"}}' } }
learner = { http = { method = "POST", path = "/members", body = '{{"learner":"{node.name}={node.ip}"}}' } }
list = { command = ["python3", "-c", "import urllib.request as r; print(r.urlopen('http://{asked.ip}:{port.client}/members').read().decode())"] }
is_member = '"{node.name}":"{node.ip}"'
is_learner = '"learners":\[[^]]*"{node.name}"'
"#;
    let definition = fs::read_to_string(raft_kv).unwrap();
    let definition = definition.replace("[members.raft-kv]\n", by_requests);
    let file = folder.path().join("mine.toml");
    fs::write(&file, &definition).unwrap();
    assert_fits(&toml::from_str(&definition).unwrap(), "system.schema.json");
    let schedule = folder.path().join("schedule.toml");
    let faults = r#"
        [[schedule]]
        at = "500ms"
        fault = "member-change"
        target = "leader"
        for = "1s"

        [[schedule]]
        after = "fault 1 healed"
        fault = "member-change"
        learner = true
        for = "1s"
    "#;
    fs::write(&schedule, faults).unwrap();
    let runs = folder.path().join("runs");
    let system = ["--system", text(&file), "--nodes", "3", "--seed", "3"];
    let faults = ["--time", "6s", "--schedule", text(&schedule)];
    run_in(&runs, &[&system[..], &faults].concat()).expect(0);
    let history = fs::read_to_string(only_run(&runs).join("history.jsonl")).unwrap();
    let changes: Vec<serde_json::Value> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["f"] == "member-change")
        .map(|event| event["value"].clone())
        .filter(|value| {
            ["inject", "heal"]
                .map(Some)
                .contains(&value["phase"].as_str())
        })
        .collect();
    let part = |change: &serde_json::Value| {
        let node = change["targets"][0].clone();
        let evidence = &change["evidence"][node.as_str().unwrap()];
        assert_eq!(evidence["agreed"], true, "{change}");
        ["members", "learners"].map(|list| evidence[list].as_array().unwrap().contains(&node))
    };
    let parts: Vec<[bool; 2]> = changes.iter().map(part).collect();
    let (outside, voter, learner) = ([false, false], [true, false], [true, true]);
    assert_eq!(parts, [outside, voter, learner, voter], "{history}");
}

#[test]
fn etcd_is_told_to_compact_and_to_move_its_leader_meanwhile() {
    if !there_is("etcd", "--version") || !there_is("etcdctl", "version") {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let schedule = folder.path().join("schedule.toml");
    let told = |at: &str, name: &str| {
        format!(
            "[[schedule]]\nat = \"{at}\"\nfor = \"100ms\"\nfault = \"command\"\n\
             name = \"{name}\"\ntarget = \"follower\"\n"
        )
    };
    let all = [
        told("1s", "compact"),
        told("2s", "move-leader"),
        told("3s", "defrag"),
    ];
    fs::write(&schedule, all.concat()).unwrap();
    let runs = folder.path().join("runs");
    let args = [
        "--system",
        "etcd",
        "--time",
        "5s",
        "--seed",
        "3",
        "--schedule",
        text(&schedule),
    ];
    let output = run_in(&runs, &args)
        .expect(0)
        .says(&["VALID", "inject command"]);
    assert!(!output.stderr.contains("could not go on"), "{output}");
    let history = fs::read_to_string(only_run(&runs).join("history.jsonl")).unwrap();
    for said in [
        "compacted revision",
        "Leadership transferred",
        "Finished defragmenting",
    ] {
        assert!(history.contains(said), "{said}");
    }
}
