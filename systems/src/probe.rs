//! A question to one node.

use serde::{Deserialize, Serialize};

/// A question to one node, asked from a host that reaches every node whatever is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// By HTTP: answered by a status that is asked for.
    Http(HttpProbe),
    /// By a text sent over TCP: what comes back until the node closes the connection.
    Tcp(TcpProbe),
    /// By a command that ends with status 0: what it prints. Its first word is the program.
    Command(Vec<String>),
}

/// A question by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query, a template.
    pub path: String,
    /// The body, a template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The port's name in `[ports]`.
    #[serde(default = "client")]
    pub port: String,
    /// The statuses that are an answer; none for 200 to 299.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
}

/// A question over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// What is sent, a template.
    pub send: String,
    /// The port's name in `[ports]`.
    #[serde(default = "client")]
    pub port: String,
}

impl HttpProbe {
    /// Whether an answer of this status is one.
    pub fn accepts(&self, status: u16) -> bool {
        match &self.statuses[..] {
            [] => (200..300).contains(&status),
            statuses => statuses.contains(&status),
        }
    }
}

fn get() -> String {
    "GET".to_owned()
}

/// The port where clients are served.
pub(crate) fn client() -> String {
    "client".to_owned()
}
