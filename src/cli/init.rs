//! `whitewater init`: a definition of a new system, with comments, and where it is wanted a program that is
//! its client.

use std::fs::File;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use systems::Definition;

use super::args::{InitArgs, InitClient};
use super::exit::Exit;
use super::{fail, print};
use crate::reports::progress::say;

const HEAD: &str = include_str!("init/head.toml");
const ALONE: &str = "\
[faults.exclude]
partition = \"there is one node, and nobody it could be cut off from\"

";
const HTTP: &str = include_str!("init/http.toml");
const PROGRAM: &str = include_str!("init/program.toml");
const CLIENT: &str = include_str!("init/client.py");

/// A server as it could be, where nobody says how it is started.
const USUAL_COMMAND: &str = "./server --listen {node.ip}:{port.client} --data {data}";

/// What the files are made of.
struct Answers {
    name: String,
    command: String,
    port: u16,
    nodes: u64,
    workload: String,
    client: InitClient,
}

/// Writes the files; asks on a terminal for what no option says.
pub fn init(args: &InitArgs) -> Exit {
    let answers = match ask(args) {
        Ok(answers) => answers,
        Err(error) => return fail(Exit::Usage, format!("failed to read an answer: {error}")),
    };
    let Some(words) = shlex::split(&answers.command).filter(|words| !words.is_empty()) else {
        let command = &answers.command;
        let why = format!("the command {command:?} is empty, or a quote in it is not closed");
        return fail(Exit::Usage, why);
    };
    let text = definition(&answers, &words, &args.dir);
    if let Err(problem) = Definition::parse(&text) {
        return fail(Exit::Usage, problem);
    }
    let path = args.dir.join(format!("{}.toml", answers.name));
    let mut files = vec![(path.clone(), text)];
    if answers.client == InitClient::Program {
        let client = args.dir.join(format!("{}-client.py", answers.name));
        files.push((client, filled(CLIENT, &answers)));
    }
    if let Err(problem) = write(&files, args.force) {
        return fail(Exit::Usage, problem);
    }
    let shown = match path.has_root() || path.components().count() > 1 {
        true => path.display().to_string(),
        false => format!("./{}", path.display()),
    };
    print(&format!(
        "Look through what the comments say, then:\n  whitewater systems {shown}\n  whitewater run --system {shown}\n"
    ));
    Exit::Valid
}

/// Writes these files, none of them if one is there already that is not to be written over.
fn write(files: &[(PathBuf, String)], over: bool) -> Result<(), String> {
    let there = |path: &Path| {
        let path = path.display();
        format!("{path} is there already (hint: --force writes over it)")
    };
    let taken = files.iter().find(|(path, _)| !over && path.exists());
    if let Some((path, _)) = taken {
        return Err(there(path));
    }
    for (path, text) in files {
        let file = match over {
            true => File::create(path),
            false => File::create_new(path),
        };
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => there(path),
            _ => format!("failed to write {}: {error}", path.display()),
        })?;
        print(&format!("wrote {}\n", path.display()));
    }
    Ok(())
}

fn ask(args: &InitArgs) -> std::io::Result<Answers> {
    let name = args.name.clone();
    let name = name.map_or_else(|| question("What is the system's name?", "mine"), Ok)?;
    let command = args.command.clone();
    let command = command.map_or_else(
        || question("How is a node started? ({node.ip}, {node.id}, {data}, {port.client} and {list.peers} are filled in)", USUAL_COMMAND),
        Ok,
    )?;
    let port = match args.port {
        Some(port) => port,
        None => typed("On which port are clients served?", 8080)?,
    };
    let nodes = match args.nodes {
        Some(nodes) => nodes,
        None => typed("How many nodes?", 3)?,
    };
    let client = match args.client {
        Some(client) => client,
        None => typed(
            "What do clients speak? (http, or program: one in any language)",
            InitClient::Http,
        )?,
    };
    Ok(Answers {
        name,
        command,
        port,
        nodes,
        workload: args.workload.clone(),
        client,
    })
}

/// What is typed at a question; without a terminal, or for an empty line, what is usual.
fn question(text: &str, usual: &str) -> std::io::Result<String> {
    if !std::io::stdin().is_terminal() {
        return Ok(usual.to_owned());
    }
    say(format_args!("{text} [{usual}]"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(match line.trim() {
        "" => usual.to_owned(),
        line => line.to_owned(),
    })
}

/// The same for something that not every text is; asked again until it is one.
fn typed<T: std::str::FromStr + ToString + Copy>(text: &str, usual: T) -> std::io::Result<T> {
    loop {
        match question(text, &usual.to_string())?.parse() {
            Ok(answer) => return Ok(answer),
            Err(_) => say(format_args!("that will not do")),
        }
    }
}

fn definition(answers: &Answers, words: &[String], dir: &Path) -> String {
    let alone = if answers.nodes == 1 { ALONE } else { "" };
    let client = match answers.client {
        InitClient::Http => HTTP,
        InitClient::Program => PROGRAM,
    };
    filled(&format!("{HEAD}{alone}{client}"), answers)
        .replace("PROGRAM", &quoted(words[..1].iter(), dir))
        .replace("ARGS", &quoted(words[1..].iter(), dir))
}

fn filled(text: &str, answers: &Answers) -> String {
    text.replace("NAME", &answers.name)
        .replace("WORKLOAD", &answers.workload)
        .replace("NODES", &answers.nodes.to_string())
        .replace("PORT", &answers.port.to_string())
}

/// Strings of TOML, separated by commas.
fn quoted<'a>(words: impl Iterator<Item = &'a String>, dir: &Path) -> String {
    let quoted = words.map(|word| toml::Value::String(placed(word, dir)).to_string());
    quoted.collect::<Vec<_>>().join(", ")
}

/// A word that names a file beside the definition is made independent of where Whitewater is started.
fn placed(word: &str, dir: &Path) -> String {
    let path = word.strip_prefix("./").unwrap_or(word);
    let is_beside = !word.starts_with(['/', '-', '{']) && dir.join(path).is_file();
    match is_beside || word.starts_with("./") {
        true => format!("{{here}}/{path}"),
        false => word.to_owned(),
    }
}
