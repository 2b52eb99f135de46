//! Definitions of systems as files: what their schema says of them, and those that are refused or
//! cannot run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::schema::assert_fits;
use crate::support::{
    Output, assert_nothing_left, cluster_lock, command, run_in, store, text, whitewater,
};
use crate::systems::example;

#[test]
fn definitions_are_as_their_schema_says() {
    let folder = store();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in [root.join("systems"), example("python-kv")] {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| {
            let is_toml = path.extension().is_some_and(|end| end == "toml");
            is_toml && path.file_name().is_some_and(|name| name != "Cargo.toml")
        }));
    }
    for (name, client) in [("mine", "http"), ("yours", "program")] {
        let to = ["init", name, "--client", client, "--dir"];
        whitewater(&[&to[..], &[text(folder.path())]].concat()).expect(0);
        files.push(folder.path().join(format!("{name}.toml")));
    }
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let definition: serde_json::Value =
            toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_fits(&definition, "system.schema.json");
    }
    // All fields there are, as the page shows them.
    let page = fs::read_to_string(root.join("docs/systems.md")).unwrap();
    let whole = page
        .split("```toml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let whole = whole.replace("[client.NAME]", "[client.raft-kv]");
    let file = folder.path().join("whole.toml");
    fs::write(&file, &whole).unwrap();
    whitewater(&["systems", text(&file)])
        .expect(0)
        .says(&["no   mine"]);
    assert_fits(&toml::from_str(&whole).unwrap(), "system.schema.json");
}

/// A system whose node is this shell script.
fn shell(script: &str, more: &str) -> String {
    format!(
        "name = \"mine\"\nworkloads = [\"register\"]\nnodes = 2\nports = {{ client = 8123 }}\n\
         client = {{ raft-kv = {{}} }}\n{more}\n[node]\nargs = [\"-c\", {script:?}]\n"
    )
}

const SHELL: &str = "program = { candidates = [\"sh\"] }";

/// Runs a definition, which must be refused or fail.
#[track_caller]
fn check(definition: &str, args: &[&str], code: i32, said: &[&str]) -> Output {
    let folder = store();
    let file = folder.path().join("mine.toml");
    fs::write(&file, definition).unwrap();
    let args = [&["--system", text(&file), "--time", "1s"], args].concat();
    let output = run_in(&folder.path().join("runs"), &args)
        .expect(code)
        .says(said);
    assert_nothing_left(folder.path());
    output
}

#[test]
fn what_cannot_run_says_why_and_leaves_nothing() {
    let _lock = cluster_lock();
    let missing =
        "program = { candidates = [\"no-such-server\"], install = \"apt-get install it\" }";
    check(
        &shell("", missing),
        &[],
        4,
        &["no program no-such-server", "hint: apt-get install it"],
    );
    let old = "program = { candidates = [\"sh\"], version = { args = [\"-c\", \"echo v1.2\"], \
               pattern = 'v([0-9.]+)', minimum = \"1.10\" } }";
    check(
        &shell("", old),
        &[],
        4,
        &["has version 1.2, and at least 1.10 is needed"],
    );
    let dies = shell("echo no disk >&2; exit 3", SHELL);
    check(
        &dies,
        &[],
        4,
        &["node n1 ended unexpectedly with exit status 3", "no disk"],
    );
    let prepare =
        format!("{SHELL}\nprepare = [{{ command = [\"sh\", \"-c\", \"echo why; exit 9\"] }}]");
    check(
        &shell("", &prepare),
        &[],
        4,
        &["cannot prepare node n1", "exit status: 9", "why"],
    );
    let user = shell("", SHELL).replace("[node]", "[node]\nuser = \"no-such-user\"");
    check(&user, &[], 4, &["there is no user no-such-user"]);
    let hangs = shell(
        "sleep 600",
        &format!("{SHELL}\nready = {{ limit_ms = 300 }}"),
    );
    check(&hangs, &[], 4, &["node n1 was not ready within 300 ms"]);
}

#[test]
fn a_port_in_use_is_named() {
    let _lock = cluster_lock();
    let taken = TcpListener::bind("127.77.0.1:8123");
    let _taken = taken.expect("nobody else is there");
    let said = ["127.77.0.1:8123 is in use by another program"];
    check(&shell("sleep 600", SHELL), &["--plain"], 4, &said);
}

#[test]
fn a_definition_that_is_wrong_is_refused_with_file_line_and_field() {
    let wrong = shell("", SHELL).replace("[node]", "[node]\nargz = 1");
    check(
        &wrong,
        &[],
        2,
        &["mine.toml:8: ", "`argz`", "did you mean `args`?"],
    );
    let wrong = shell("{node.nam}", SHELL);
    check(
        &wrong,
        &[],
        2,
        &["mine.toml:8: `node.args.1`", "did you mean {node.name}?"],
    );
    check(
        &shell("", SHELL),
        &["--workload", "kv"],
        2,
        &["no workload `kv`"],
    );
    check(
        &shell("", SHELL),
        &["--bug", "stale-read"],
        2,
        &["has no bugs"],
    );
    let option = ["--system-option", "size=3"];
    check(
        &shell("", SHELL),
        &option,
        2,
        &["unknown option of mine `size`"],
    );
    let option = ["--client-option", "attempt=3"];
    check(
        &shell("", SHELL),
        &option,
        2,
        &["`attempt`", "did you mean `attempts`?"],
    );
    let excluded = shell(
        "",
        &format!("{SHELL}\nfaults.exclude = {{ kill = \"it must not\" }}"),
    );
    check(
        &excluded,
        &["--faults", "kill"],
        2,
        &["takes no fault kill: it must not"],
    );
}

#[test]
fn systems_lists_what_can_run_and_what_is_missing() {
    whitewater(&["systems"])
        .expect(0)
        .says(&["yes  raft-kv", "etcd"]);
    let folder = store();
    let file = folder.path().join("mine.toml");
    let missing =
        "program = { candidates = [\"no-such-server\"], install = \"apt-get install it\" }";
    fs::write(&file, shell("", missing)).unwrap();
    let output = whitewater(&["systems", "--json", "raft-kv", text(&file)]).expect(0);
    let listed = output.json();
    assert_eq!(listed[0]["available"], true, "{listed}");
    assert_eq!(listed[1]["available"], false, "{listed}");
    assert_eq!(listed[1]["remedy"], "apt-get install it", "{listed}");
    let mut unknown = command(&["systems", "etdc"]);
    let output = unknown.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean `etcd`?"), "{said}");
}
