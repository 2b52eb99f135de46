//! A few hosts to run on by ssh: each is a network namespace with an sshd of its own, all on one
//! bridge, with one more namespace for the controller. All of it ends with the test.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{BINARY, Output, Running, eventually, skip, text};

/// Where hosts listen for ssh.
const SSH_PORT: u16 = 2222;

/// Programs that a lab is made of.
const PROGRAMS: [&str; 6] = [
    "/usr/sbin/sshd",
    "/usr/bin/ssh",
    "/usr/bin/ssh-keygen",
    "/usr/bin/unshare",
    "/usr/bin/nsenter",
    "/usr/sbin/nft",
];

/// Hosts `h1`, `h2`… as an ssh of the test's own knows them.
pub struct Lab {
    folder: TempDir,
    /// The controller's namespace, then those of the hosts.
    holders: Vec<Holder>,
}

/// A process that holds a namespace, until its input ends.
struct Holder(Child);

impl Holder {
    /// Starts a shell in network and mount namespaces of its own, and awaits its first word.
    fn start(script: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "{script}");
        Holder(child)
    }

    /// A command in its namespace.
    fn inside(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let pid = self.0.id().to_string();
        command.args(["--target", &pid, "--net", "--mount", program]);
        command.args(args);
        command
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Lab {
    /// A lab of so many hosts, or why there can be none here.
    #[track_caller]
    pub fn new(count: u8) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("a lab of hosts needs root");
            return None;
        }
        let missing = PROGRAMS.iter().find(|program| !Path::new(program).exists());
        if let Some(program) = missing {
            skip(&format!("a lab of hosts needs {program}"));
            return None;
        }
        let tried = Command::new("unshare").args(["--net", "true"]).output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            skip("a lab of hosts needs network namespaces");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab {
            folder,
            holders: Vec::new(),
        };
        lab.write_keys();
        lab.holders.push(Holder::start(
            "set -e; ip link set lo up; ip link add bridge0 type bridge; \
             ip address add 10.99.0.254/24 dev bridge0; ip link set bridge0 up; \
             echo ready; exec cat > /dev/null",
        ));
        let mut config = String::new();
        for number in 1..=count {
            lab.add_host(number);
            let _ = write!(
                config,
                "Host h{number}\n    HostName 10.99.0.{number}\n    Port {SSH_PORT}\n"
            );
        }
        // One that is on the network and has no sshd.
        config.push_str("Host nobody\n    HostName 10.99.0.254\n    Port 9\n");
        let key = lab.path("key");
        let key = text(&key);
        let _ = write!(
            config,
            "Host *\n    User root\n    IdentityFile {key}\n    IdentitiesOnly yes\n    \
             StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n"
        );
        fs::write(lab.path("ssh_config"), config).unwrap();
        let config = lab.path("ssh_config");
        let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", text(&config));
        fs::create_dir(lab.path("bin")).unwrap();
        let file = lab.path("bin/ssh");
        fs::write(&file, ssh).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Some(lab)
    }

    fn write_keys(&self) {
        for name in ["key", "host_key"] {
            let path = self.path(name);
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f", text(&path)]);
            run(command);
        }
        fs::copy(self.path("key.pub"), self.path("authorized_keys")).unwrap();
        // Where sshd keeps the part of it that has no rights.
        fs::create_dir_all("/run/sshd").unwrap();
    }

    fn add_host(&mut self, number: u8) {
        let tmp = self.tmp(number);
        fs::create_dir(&tmp).unwrap();
        let config = self.path(&format!("sshd{number}.conf"));
        let of = |name: &str| self.path(name).display().to_string();
        fs::write(
            &config,
            format!(
                "Port {SSH_PORT}\nListenAddress 0.0.0.0\nHostKey {}\nAuthorizedKeysFile {}\n\
                 PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
                 PasswordAuthentication no\nSetEnv TMPDIR={}\n",
                of("host_key"),
                of("authorized_keys"),
                text(&tmp)
            ),
        )
        .unwrap();
        let log = self.path(&format!("sshd{number}.log"));
        let holder = Holder::start(&format!(
            "set -e; ip link set lo up; /usr/sbin/sshd -D -f {} -E {} > /dev/null & \
             echo ready; cat > /dev/null; kill $!",
            text(&config),
            text(&log)
        ));
        let pid = holder.0.id().to_string();
        let cable = format!("cable{number}");
        let bridge = &self.holders[0];
        let words = [
            "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ];
        run(bridge.inside("ip", &words));
        run(bridge.inside("ip", &["link", "set", &cable, "master", "bridge0", "up"]));
        let address = format!("10.99.0.{number}/24");
        run(holder.inside("ip", &["address", "add", &address, "dev", "eth0"]));
        run(holder.inside("ip", &["link", "set", "eth0", "up"]));
        self.holders.push(holder);
        eventually("sshd listens", || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("Server listening"))
        });
    }

    /// Something in the lab's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder for temporary files of a host.
    pub fn tmp(&self, number: u8) -> PathBuf {
        self.path(&format!("tmp{number}"))
    }

    /// The binary on the controller's side.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.holders[0].inside(BINARY, args);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command
    }

    /// Runs the binary there to its end.
    pub fn whitewater(&self, args: &[&str]) -> Output {
        Running::start(self.command(args)).finish()
    }

    /// Gives a host a file system of its own for temporary files, with these options.
    pub fn mount_tmp(&self, number: u8, options: &str) {
        let tmp = self.tmp(number);
        let words = ["-t", "tmpfs", "-o", options, "tmpfs", text(&tmp)];
        run(self.holders[usize::from(number)].inside("mount", &words));
    }

    /// What nf_tables has on a host.
    pub fn tables(&self, number: u8) -> String {
        run(self.holders[usize::from(number)].inside("nft", &["list", "tables"]))
    }

    /// The folders that are left on a host.
    pub fn folders(&self, number: u8) -> Vec<String> {
        let host = &self.holders[usize::from(number)];
        let listed = run(host.inside("ls", &["-A", text(&self.tmp(number))]));
        listed.lines().map(str::to_owned).collect()
    }

    /// Every process of an agent or a node on a host, as `pid command line`.
    pub fn processes(&self, number: u8) -> Vec<(i32, String)> {
        crate::support::processes_with(&self.tmp(number))
    }

    /// Requires that nothing of any run is left on any host.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        for number in 1..self.holders.len() {
            let number = u8::try_from(number).unwrap();
            eventually("no process is left on a host", || {
                self.processes(number).is_empty()
            });
            eventually("no folder is left on a host", || {
                self.folders(number).is_empty()
            });
            eventually("no table is left on a host", || {
                self.tables(number).is_empty()
            });
        }
    }
}
