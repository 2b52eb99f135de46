//! A real server, started for a test on loopback.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a server is given, in seconds: much longer than it needs on a busy machine.
const PATIENCE_S: u64 = 60;

/// Where Debian puts programs that an ordinary user's path may lack.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/sbin"];

/// The program of this name. Where it is missing the test is left out, with the reason; in CI it
/// must not be missing.
pub fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let why = format!("{name} is not installed (hint: apt-get install {package})");
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("left out: {why}");
    }
    found
}

/// Ports that were free a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// A server in a folder of its own; it ends, and the folder goes, when this is dropped.
pub struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    /// Starts a program with the arguments that it needs for a folder.
    pub fn start(program: &Path, arguments: impl FnOnce(&Path) -> Vec<String>) -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let errors = log.try_clone().expect("the same log");
        let child = Command::new(program)
            .args(arguments(folder.path()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("it can be started");
        Daemon { child, folder }
    }

    /// Waits until this is true; with what the server said if it never is.
    pub async fn until(&self, mut ready: impl AsyncFnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(PATIENCE_S);
        while !ready().await {
            if Instant::now() > end {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                panic!("not ready: {}", log.unwrap_or_default());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
