//! What needs no cluster: exit codes, help, listings, the commands that the documents show.

use std::fs;
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use whitewater::cli::args::Cli;

use crate::support::{store, text, whitewater};

#[test]
fn help_and_version_are_no_mistakes() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "run"],
        &["run", "--help"],
        &["check", "--help"],
        &["convert", "--help"],
        &["replay", "--help"],
        &["runs", "--help"],
        &["campaign", "--help"],
        &["doctor", "--help"],
        &["raft-kv", "--help"],
        &["raft-kv", "--list-bugs"],
    ] {
        let output = whitewater(args).expect(0);
        let said = !output.stdout.is_empty() && output.stderr.is_empty();
        assert!(said, "{output}");
    }
    let version = whitewater(&["--version"]);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")));
    let help = whitewater(&["--help"]).stdout;
    assert!(help.contains("Exit codes: 0 valid, 1 violation"), "{help}");
}

/// One write and one read of it.
fn history(read: i32) -> String {
    format!(
        "{{\"index\":0,\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1}}\n\
         {{\"index\":1,\"time\":2,\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"value\":1}}\n\
         {{\"index\":2,\"time\":3,\"process\":1,\"type\":\"invoke\",\"f\":\"read\"}}\n\
         {{\"index\":3,\"time\":4,\"process\":1,\"type\":\"ok\",\"f\":\"read\",\"value\":{read}}}\n"
    )
}

/// Every exit code but 4, which takes a run, and in each case the JSON document says the same.
#[test]
fn exit_codes_of_check_are_the_documented_ones() {
    let folder = store();
    let file = folder.path().join("history.jsonl");
    for (contents, code, verdict) in [
        (history(1), 0, "valid"),
        (history(2), 1, "invalid"),
        ("{\"index\":0}\n".to_owned(), 2, ""),
        (String::new(), 3, "unknown"),
    ] {
        fs::write(&file, &contents).unwrap();
        let check = [
            "check",
            text(&file),
            "--model",
            "register",
            "--format",
            "jsonl",
        ];
        whitewater(&check).expect(code);
        let output = whitewater(&[&check[..], &["--json"]].concat()).expect(code);
        if verdict.is_empty() {
            assert_eq!(output.stdout, "", "{output}");
        } else {
            assert_eq!(output.json()["verdict"], verdict, "{output}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), contents, "only read");
    }
}

#[test]
fn a_violation_names_its_operations_by_index() {
    let folder = store();
    let file = folder.path().join("history.jsonl");
    fs::write(&file, history(2)).unwrap();
    let output = whitewater(&["check", text(&file), "--model", "register", "--json"]).expect(1);
    let document = output.json();
    let counterexample = &document["counterexample"];
    let operations = counterexample["operations"].as_array().unwrap();
    let culprit =
        &operations[usize::try_from(counterexample["culprit"].as_u64().unwrap()).unwrap()];
    assert_eq!(
        (&culprit["index"], &culprit["f"]),
        (&2.into(), &"read".into()),
        "{output}"
    );
    assert_eq!(
        (document["operations"].as_u64(), document["keys"].as_u64()),
        (Some(2), Some(1))
    );
    whitewater(&["check", text(&file), "--model", "register"])
        .expect(1)
        .says(&["INVALID", "this operation cannot have happened", "read → 2"]);
}

#[test]
fn a_store_without_runs_is_no_mistake() {
    let store = store();
    let nowhere = store.path().join("nowhere");
    for folder in [store.path(), &nowhere] {
        whitewater(&["runs", "--store", text(folder)])
            .expect(0)
            .says(&["no runs in", text(folder)]);
    }
}

/// Folders as a crash, a full disk or an editor may leave them.
#[test]
fn runs_without_a_readable_verdict_or_plan_are_listed_as_such() {
    let store = store();
    for (name, plan, verdict) in [
        ("1-killed", "seed = 1\n", None),
        ("2-garbled", "seed = 1\n", Some("{\"verdict\": \"val")),
        ("3-planless", "sede = \0\n", Some("[]")),
        (
            "4-good",
            "",
            Some(r#"{"verdict": "invalid", "reason": "so", "operations": 7}"#),
        ),
    ] {
        let run = store.path().join(name);
        fs::create_dir(&run).unwrap();
        fs::write(run.join("plan.toml"), plan).unwrap();
        if let Some(verdict) = verdict {
            fs::write(run.join("verdict.json"), verdict).unwrap();
        }
    }
    fs::create_dir(store.path().join("no-run")).unwrap();
    let output = whitewater(&["runs", "--store", text(store.path())]).expect(0);
    let lines: Vec<&str> = output.stdout.lines().skip(1).collect();
    for (line, starts, holds) in [
        (0, "none ", "1-killed"),
        (1, "  ", "it never came to a verdict"),
        (2, "none ", "2-garbled"),
        (3, "  ", "its verdict.json cannot be read"),
        (4, "none ", "3-planless"),
        (6, "invalid  ", "4-good"),
    ] {
        let line: &str = lines[line];
        assert!(line.starts_with(starts) && line.contains(holds), "{output}");
    }
    assert_eq!(lines.len(), 8, "{output}");
}

#[test]
fn doctor_says_what_there_is_for_people_and_programs() {
    let output = whitewater(&["doctor"]).expect(0);
    assert!(output.stdout.contains("Runs here are "), "{output}");
    let output = whitewater(&["doctor", "--json"]).expect(0);
    let abilities = output.json();
    let abilities = abilities.as_array().unwrap();
    assert!(!abilities.is_empty());
    for ability in abilities {
        let available = ability["available"].as_bool().unwrap();
        assert_eq!(ability["cause"].is_null(), available, "{ability}");
        assert_eq!(ability["remedy"].is_null(), available, "{ability}");
    }
}

/// The commands in a document: lines of shell blocks, and what is between backticks.
fn commands(document: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_shell = false;
    for line in document.lines() {
        if line.starts_with("```") {
            in_shell = line == "```sh";
        } else if in_shell {
            commands.push(line.to_owned());
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    commands
        .iter()
        .filter_map(|command| {
            let command = command.split(" #").next()?.trim();
            command
                .strip_prefix("whitewater ")
                .or_else(|| command.strip_prefix("cargo run --release -- "))
                .map(str::to_owned)
        })
        // Any command's help is meant, as tried above.
        .filter(|command| !command.starts_with("COMMAND"))
        .collect()
}

#[test]
fn every_command_that_the_documents_show_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs")).unwrap();
    let documents = documents.map(|entry| entry.unwrap().path());
    let mut shown = 0;
    for document in documents.chain([root.join("README.md"), root.join("ARCHITECTURE.md")]) {
        for command in commands(&fs::read_to_string(&document).unwrap()) {
            shown += 1;
            let args = ["whitewater"].into_iter().chain(command.split_whitespace());
            let error = match Cli::try_parse_from(args) {
                Ok(_) => continue,
                Err(error) => error,
            };
            // A command named without what it needs is no example; help is no mistake.
            let named = [
                ErrorKind::DisplayHelp,
                ErrorKind::DisplayVersion,
                ErrorKind::MissingRequiredArgument,
            ];
            let known = named.contains(&error.kind());
            assert!(known, "{}: {command}: {error}", document.display());
        }
    }
    assert!(shown >= 8, "only {shown} commands found in the documents");
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs")).unwrap();
    let documents = documents.map(|entry| entry.unwrap().path());
    let top = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name));
    let mut links = 0;
    for document in documents
        .chain(top)
        .filter(|path| path.extension() == Some("md".as_ref()))
    {
        let text = fs::read_to_string(&document).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            links += 1;
            let file = document.parent().unwrap().join(target);
            assert!(file.exists(), "{}: no file {target}", document.display());
        }
    }
    assert!(links >= 8, "only {links} links found in the documents");
}
