//! The command line: one command per file. Only this module prints, and only it decides how the
//! program ends.

pub mod args;
pub mod exit;

mod campaign;
mod check;
mod convert;
mod doctor;
mod heal;
mod init;
mod input;
mod known;
pub mod maelstrom;
mod replay;
mod run;
mod runs;
mod systems;
mod zoo;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::controller::{self, CONDUCTOR};
use crate::reports::progress::say;
use crate::reports::terminal::harmless;
use args::{Cli, Command};
use exit::Exit;

/// What a program that ends by a command returns from `main`.
#[derive(Debug)]
pub enum End {
    /// One of our own commands.
    Command(Exit),
    /// A stage of the sandbox, or a node: whatever that stage says.
    Stage(ExitCode),
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Command(exit) => exit.into(),
            End::Stage(code) => code,
        }
    }
}

/// Runs the command that these arguments (program name first) ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> End {
    let args: Vec<OsString> = args.into_iter().collect();
    // First thing, while there is no thread yet: this program may be a stage of its own sandbox.
    if let Some(code) = cluster::hidden::run(args.iter().cloned()) {
        return End::Stage(code);
    }
    if let [_, first, folder] = &args[..]
        && first == CONDUCTOR
    {
        return End::Stage(controller::conduct_inside(&PathBuf::from(folder)));
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are printed the same way, and are no mistakes.
            let _ = error.print();
            return End::Command(if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Valid
            });
        }
    };
    End::Command(match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Convert(args) => convert::convert(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Campaign(args) => campaign::campaign(&args),
        Command::Maelstrom(args) => maelstrom::maelstrom(&args),
        Command::Zoo(args) => zoo::zoo(&args),
        Command::Known(args) => known::known(&args),
        Command::Systems(args) => systems::systems(&args),
        Command::Init(args) => init::init(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Heal(args) => heal::heal(&args),
        Command::RaftKv(args) => return End::Stage(raft_kv::cli::run(args)),
    })
}

/// Tells a person that the command cannot go on.
fn fail(exit: Exit, problem: impl std::fmt::Display) -> Exit {
    say(format_args!("whitewater: {problem}"));
    exit
}

/// Writes the JUnit XML of a command that ends so, if it was asked for. A job that finds none must not
/// be told that all is well.
fn write_junit<E: std::fmt::Display>(
    path: Option<&std::path::Path>,
    exit: Exit,
    render: impl FnOnce() -> Result<String, E>,
) -> Exit {
    let Some(path) = path else {
        return exit;
    };
    let xml = render().map_err(|error| error.to_string());
    let written = xml.and_then(|xml| std::fs::write(path, xml).map_err(|error| error.to_string()));
    match written {
        Ok(()) => exit,
        Err(error) => {
            let path = path.display();
            say(format_args!("whitewater: failed to write {path}: {error}"));
            exit.worse(Exit::NotRun)
        }
    }
}

/// Prints to standard output, nothing that a terminal would obey; a reader that went away (as in
/// `| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout()
        .lock()
        .write_all(harmless(text).as_bytes());
}
