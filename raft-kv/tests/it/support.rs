//! Real nodes as processes on loopback addresses, and a small HTTP client to talk to them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Each cluster of one test process gets its own addresses in 127.0.0.0/8.
static CLUSTERS: AtomicU8 = AtomicU8::new(1);

pub struct Cluster {
    pub nodes: Vec<String>,
    net: [u8; 2],
    client_port: u16,
    peer_port: u16,
    folder: TempDir,
    running: BTreeMap<String, Child>,
    options: Vec<String>,
}

impl Cluster {
    /// Starts nodes n1, n2, … with these further options.
    pub fn start(count: usize, options: &[&str]) -> Cluster {
        let mut cluster = Cluster::new(count, options);
        for node in cluster.nodes.clone() {
            cluster.start_node(&node, &[]);
        }
        cluster
    }

    fn new(count: usize, options: &[&str]) -> Cluster {
        let own = u8::try_from(std::process::id() % 200).unwrap() + 1;
        let net = [own, CLUSTERS.fetch_add(1, Ordering::Relaxed)];
        let free = |_| {
            let listener = TcpListener::bind((Ipv4Addr::new(127, net[0], net[1], 1), 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            (listener, port)
        };
        // Both held until both are known, so that they differ.
        let ports: Vec<_> = (0..2).map(free).collect();
        Cluster {
            nodes: (1..=count).map(|number| format!("n{number}")).collect(),
            net,
            client_port: ports[0].1,
            peer_port: ports[1].1,
            folder: tempfile::tempdir().unwrap(),
            running: BTreeMap::new(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        }
    }

    pub fn ip(&self, node: &str) -> IpAddr {
        let number: u8 = node[1..].parse().unwrap();
        IpAddr::V4(Ipv4Addr::new(127, self.net[0], self.net[1], number))
    }

    pub fn address(&self, node: &str) -> SocketAddr {
        SocketAddr::new(self.ip(node), self.client_port)
    }

    pub fn data(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    pub fn start_node(&mut self, node: &str, more: &[&str]) {
        let mut known = self.nodes.clone();
        if !known.iter().any(|name| name == node) {
            known.push(node.to_owned());
        }
        let cluster: Vec<String> = known
            .iter()
            .map(|name| format!("{name}={}", self.ip(name)))
            .collect();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{node}.log")))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_raft-kv"))
            .args(["--node", node, "--cluster", &cluster.join(",")])
            .args(["--client-port", &self.client_port.to_string()])
            .args(["--peer-port", &self.peer_port.to_string()])
            .arg("--data")
            .arg(self.data(node))
            .args(&self.options)
            .args(more)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.insert(node.to_owned(), child);
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: &str) {
        if let Some(mut child) = self.running.remove(node) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn log(&self, node: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{node}.log"))).unwrap()
    }

    pub fn status(&self, node: &str) -> Option<Value> {
        let mut client = Client::connect(self.address(node)).ok()?;
        client
            .send("GET", "/status", None, &[])
            .ok()
            .map(|answer| answer.body)
    }

    /// Waits until one node leads and can serve, and names it.
    pub fn leader(&self) -> String {
        self.eventually("a leader", || {
            let running = self.running.keys();
            let leads = |node: &&String| {
                let get = Client::connect(self.address(node))
                    .and_then(|mut client| client.send("GET", "/kv/probe", None, &[]));
                get.is_ok_and(|answer| answer.status == 200)
            };
            running.into_iter().find(leads).cloned()
        })
    }

    /// Waits until a condition holds.
    pub fn eventually<T>(&self, what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = holds() {
                return found;
            }
            if started.elapsed() > PATIENCE {
                let logs: Vec<_> = self
                    .running
                    .keys()
                    .map(|node| format!("{node}:\n{}", self.log(node)))
                    .collect();
                panic!("waited in vain for {what}; {}", logs.join("\n"));
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.clone() {
            self.kill(&node);
        }
        for child in self.running.values_mut() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: Value,
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, String)],
    ) -> io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send_raw(method, path, body.as_bytes(), headers)
    }

    pub fn send_raw(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        headers: &[(&str, String)],
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: node\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        let bytes = [request.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&bytes)?;
        self.read_answer()
    }

    fn read_answer(&mut self) -> io::Result<Answer> {
        let garbled = || io::Error::other("not an HTTP answer");
        let first = self.read_line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let (mut length, mut location) = (0, None);
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(garbled)?;
            match name {
                "content-length" => length = value.parse().map_err(|_| garbled())?,
                "location" => location = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let status = status.ok_or_else(garbled)?;
        Ok(Answer {
            status,
            location,
            body: serde_json::from_slice(&body)?,
        })
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
