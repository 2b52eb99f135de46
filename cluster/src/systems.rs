//! What is under test, as data: how to start a node of a system, and how to know that it serves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};

use serde::{Deserialize, Serialize};

use crate::error::ClusterError;
use crate::network::Addresses;
use crate::node::{NodeCommand, NodeSpec, Readiness};

/// The definition of a system.
///
/// Arguments and environment may contain placeholders: `{node}` is the node's name, `{address}` its
/// address, `{cluster}` all of them as `n1=10.77.0.1,n2=10.77.0.2`, `{data}` the node's data folder,
/// `{client_port}` and `{peer_port}` the ports, `{{` and `}}` braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name.
    pub name: String,
    /// The program of a node; none for this very executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// The program's arguments.
    pub args: Vec<String>,
    /// What is added to the program's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The port where clients are served. A node that accepts connections there is ready.
    pub client_port: u16,
    /// The port where nodes talk to each other.
    pub peer_port: u16,
}

impl System {
    /// The embedded system: this executable's own subcommand `raft-kv`.
    pub fn raft_kv() -> Self {
        let args = "raft-kv --node {node} --cluster {cluster} --client-port {client_port} \
                    --peer-port {peer_port} --data {data}";
        Self {
            name: "raft-kv".into(),
            program: None,
            args: args.split_whitespace().map(Into::into).collect(),
            env: BTreeMap::new(),
            client_port: 8080,
            peer_port: 8081,
        }
    }

    /// Switches bugs of the embedded system on: `--bug NAME` for each.
    #[must_use]
    pub fn with_bugs<S: AsRef<str>>(mut self, bugs: &[S]) -> Self {
        for bug in bugs {
            self.args.extend(["--bug".into(), escape(bug.as_ref())]);
        }
        self
    }

    /// Adds arguments, taken literally.
    #[must_use]
    pub fn with_args<S: AsRef<str>>(mut self, args: &[S]) -> Self {
        self.args
            .extend(args.iter().map(|arg| escape(arg.as_ref())));
        self
    }

    /// What runs as each node. Data are kept in `NODE/data` below the folder, logs in `NODE`.
    pub fn nodes(
        &self,
        addresses: &Addresses,
        folder: &Path,
    ) -> Result<Vec<NodeSpec>, ClusterError> {
        // A node gets a working directory of its own, so its paths must not depend on ours.
        let folder = absolute(folder).map_err(|error| ClusterError::File {
            path: folder.display().to_string(),
            error,
        })?;
        let cluster: Vec<String> = addresses
            .nodes()
            .map(|(name, address)| format!("{name}={address}"))
            .collect();
        let cluster = cluster.join(",");
        addresses
            .nodes()
            .map(|(name, address)| {
                let log_dir = folder.join(&**name);
                let data_dir = log_dir.join("data");
                let data = data_dir.to_str().ok_or_else(|| {
                    self.problem(format!("the folder {} is not text", data_dir.display()))
                })?;
                let known = [
                    ("node", name.to_string()),
                    ("address", address.to_string()),
                    ("cluster", cluster.clone()),
                    ("data", data.to_owned()),
                    ("client_port", self.client_port.to_string()),
                    ("peer_port", self.peer_port.to_string()),
                ];
                Ok(NodeSpec {
                    name: name.clone(),
                    command: self.command(&known)?,
                    readiness: Readiness::TcpPort(self.client_port),
                    data_dir,
                    log_dir,
                })
            })
            .collect()
    }

    fn command(&self, known: &[(&str, String)]) -> Result<NodeCommand, ClusterError> {
        let fill = |template: &String| {
            let filled = fill(template, known).map_err(|problem| self.problem(problem))?;
            Ok::<_, ClusterError>(OsString::from(filled))
        };
        let args: Vec<OsString> = self.args.iter().map(fill).collect::<Result<_, _>>()?;
        let mut command = NodeCommand::own(args);
        if let Some(program) = &self.program {
            command.program.clone_from(program);
        }
        for (name, value) in &self.env {
            command.env.push((name.into(), fill(value)?));
        }
        Ok(command)
    }

    fn problem(&self, problem: String) -> ClusterError {
        ClusterError::System {
            system: self.name.clone(),
            problem,
        }
    }
}

/// Text that a template gives back as it is.
fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Puts what is known in the place of placeholders.
fn fill(template: &str, known: &[(&str, String)]) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{") {
            filled.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            filled.push('}');
            rest = after;
        } else {
            let (name, after) = rest
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'))
                .ok_or_else(|| format!("{template:?} has a brace without its partner"))?;
            let (_, value) = known.iter().find(|(key, _)| *key == name).ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
                format!("{{{name}}} in {template:?} is none of {}", names.join(", "))
            })?;
            filled.push_str(value);
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;

    #[test]
    fn templates_are_filled_or_refused() {
        let known = [("node", "n1".to_owned()), ("x", "{node}".to_owned())];
        let rows = [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("{node}", Ok("n1")),
            ("a{node}b{node}", Ok("an1bn1")),
            ("{x}", Ok("{node}")),
            ("{{node}}", Ok("{node}")),
            ("{{{node}}}", Ok("{n1}")),
            ("{nod}", Err("{nod} in \"{nod}\" is none of node, x")),
            ("{node", Err("without its partner")),
            ("node}", Err("without its partner")),
        ];
        for (template, expected) in rows {
            match (fill(template, &known), expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{template}"),
                (Err(problem), Err(expected)) => {
                    assert!(problem.contains(expected), "{template}: {problem}");
                }
                (filled, expected) => panic!("{template}: {filled:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn raft_kv_is_started_as_this_executable() {
        let addresses = Addresses::plan(Mode::Sandbox, &["n1", "n2"]).unwrap();
        let system = System::raft_kv()
            .with_bugs(&["stale-read"])
            .with_args(&["--x", "{y}"]);
        let nodes = system.nodes(&addresses, Path::new("/run")).unwrap();
        let args: Vec<_> = nodes[1]
            .command
            .args
            .iter()
            .map(|arg| arg.to_str().unwrap())
            .collect();
        assert_eq!(
            args.join(" "),
            "raft-kv --node n2 --cluster n1=10.77.0.1,n2=10.77.0.2 --client-port 8080 \
             --peer-port 8081 --data /run/n2/data --bug stale-read --x {y}"
        );
        assert_eq!(nodes[1].command.program, NodeCommand::own([]).program);
        assert_eq!(nodes[1].log_dir, Path::new("/run/n2"));
    }

    #[test]
    fn a_definition_is_a_file() {
        let system = System::raft_kv();
        let text = toml::to_string(&system).unwrap();
        assert_eq!(toml::from_str::<System>(&text).unwrap(), system);
        let typo = text.replace("client_port", "client_prot");
        let error = toml::from_str::<System>(&typo).unwrap_err().to_string();
        assert!(error.contains("client_prot"), "{error}");
    }
}
