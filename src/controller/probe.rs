//! Questions to nodes, asked.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use cluster::remote::Shell;
use systems::{HttpProbe, Probe, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};
use workloads::clients::http::{Line, Reply, Request};

use super::system::System;

/// How long a node is given to answer, in milliseconds.
const ANSWER_LIMIT_MS: u64 = 300;
/// The same for a command, which must be started first.
const COMMAND_LIMIT_MS: u64 = 2_000;
/// How much of an answer is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// One question to one node, filled in. Asked on a thread in a network that reaches the node.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    question: Question,
    limit_ms: u64,
}

#[derive(Debug, Clone)]
enum Question {
    Http(SocketAddr, HttpProbe, Request),
    Tcp(SocketAddr, String),
    Command(Vec<String>),
    /// A command that is run where the node is.
    There(Shell, Vec<String>),
}

impl Asker {
    /// The question to the node at this place; in words what of it cannot be filled in.
    pub fn new(probe: &Probe, system: &System, at: usize) -> Result<Self, String> {
        Asker::about(probe, system, at, &system.scope(at)?)
    }

    /// A question to the node at this place about whatever the placeholders stand for.
    pub fn about(probe: &Probe, system: &System, at: usize, scope: &Scope) -> Result<Self, String> {
        let address = |port: &str| {
            let port = system.definition.port(port);
            SocketAddr::from((system.place(at).ip, port))
        };
        let question = match probe {
            Probe::Http(http) => {
                let method = http.method.parse();
                let request = Request {
                    method: method.map_err(|_| format!("{:?} is no HTTP method", http.method))?,
                    path: scope.fill(&http.path)?,
                    headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                    body: scope.fill(&http.body)?.into(),
                };
                Question::Http(address(&http.port), http.clone(), request)
            }
            Probe::Tcp(tcp) => Question::Tcp(address(&tcp.port), scope.fill(&tcp.send)?),
            Probe::Command(words) => {
                let mut words: Vec<String> = words
                    .iter()
                    .map(|word| scope.fill(word))
                    .collect::<Result<_, _>>()?;
                if let Some(shell) = system.shell(at) {
                    Question::There(shell.clone(), words)
                } else {
                    if let Some(program) = words.first_mut() {
                        *program = system.program_named(program).display().to_string();
                    }
                    Question::Command(words)
                }
            }
        };
        let limit_ms = match question {
            Question::Command(_) | Question::There(..) => COMMAND_LIMIT_MS,
            _ => ANSWER_LIMIT_MS,
        };
        Ok(Asker { question, limit_ms })
    }

    /// The same, with so much time for the answer.
    pub fn within(self, limit_ms: u64) -> Self {
        Asker { limit_ms, ..self }
    }

    /// Asks, on a runtime of its own.
    pub fn ask_blocking(&self) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("failed to start a runtime: {error}"))?;
        runtime.block_on(self.ask())
    }

    /// What the node answers; in words why it does not.
    pub async fn ask(&self) -> Result<String, String> {
        let limit_ms = self.limit_ms;
        let until = Instant::now() + Duration::from_millis(limit_ms);
        let late = |_| format!("no answer within {limit_ms} ms");
        match &self.question {
            Question::Http(address, http, request) => {
                match Line::default().exchange(*address, request, until).await {
                    Reply::Answer { status, body, .. } if http.accepts(status) => {
                        Ok(String::from_utf8_lossy(&body).into_owned())
                    }
                    Reply::Answer { status, .. } => Err(format!("answer {status}")),
                    Reply::NotSent(why) | Reply::Lost(why) => Err(why),
                }
            }
            Question::Tcp(address, text) => timeout_at(until, exchange(*address, text))
                .await
                .map_err(late)?,
            Question::Command(words) => timeout_at(until, output(words)).await.map_err(late)?,
            Question::There(shell, words) => {
                let (shell, words) = (shell.clone(), words.clone());
                let run = move || shell.run(&words, limit_ms);
                let said = tokio::task::spawn_blocking(run).await;
                said.map_err(|error| format!("failed to ask: {error}"))?
            }
        }
    }
}

/// Sends a text and reads until the connection is closed.
async fn exchange(address: SocketAddr, text: &str) -> Result<String, String> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = talk.await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What a command prints that ends with status 0.
async fn output(words: &[String]) -> Result<String, String> {
    let (program, args) = words.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    cluster::end_with_parent(command.as_std_mut());
    let output = command.output().await;
    let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} ended with {}: {}",
        output.status,
        said.trim()
    ))
}
