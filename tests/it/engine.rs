//! A Docker engine to run containers on: one of the test's own in namespaces, with everything that it
//! makes in a temporary folder; or else one that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{BINARY, Output, Running, eventually, processes_with, skip, text};

/// Programs that an engine of our own needs.
const PROGRAMS: [&str; 4] = ["dockerd", "docker", "unshare", "nsenter"];

/// What images of ours are called before they have names.
const IMAGE: &str = "whitewater-test";

/// An engine, ended and gone when it is dropped.
pub struct Engine {
    folder: TempDir,
    /// Holds the namespaces in which our own engine runs, until its input ends.
    own: Option<Child>,
}

impl Engine {
    /// An engine, or why there is none here.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let has = |program: &&str| in_path(program).is_some();
        let missing = PROGRAMS.iter().find(|program| !has(program));
        let is_root = nix::unistd::geteuid().is_root();
        if missing.is_none() && is_root {
            return Self::start_own();
        }
        let tried = Command::new("docker").arg("info").output();
        if tried.is_ok_and(|tried| tried.status.success()) {
            let folder = tempfile::tempdir().unwrap();
            return Some(Engine { folder, own: None });
        }
        skip(&match missing {
            Some(program) => format!("no Docker engine answers, and there is no program {program}"),
            None => "no Docker engine answers, and one of the test's own needs root".to_owned(),
        });
        None
    }

    #[track_caller]
    fn start_own() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (data, exec, log) = (path("data"), path("exec"), path("log"));
        let script = format!(
            "ip link set lo up; dockerd --data-root {} --exec-root {} --host unix://{} --pidfile {} \
             > {} 2>&1 & cat > /dev/null; kill $!; wait $!",
            text(&data),
            text(&exec),
            text(&path("socket")),
            text(&path("pid")),
            text(&log),
        );
        let own = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let engine = Engine {
            folder,
            own: Some(own),
        };
        let (mut answers, mut ended) = (false, false);
        eventually("an engine answers or ends", || {
            answers = engine.docker(&["info"]).is_ok();
            let said = fs::read_to_string(&log).unwrap_or_default();
            ended = said.contains("failed to start daemon") || said.contains("unshare failed");
            answers || ended
        });
        if answers {
            return Some(engine);
        }
        let said = fs::read_to_string(&log).unwrap_or_default();
        // That everything needed is installed does not mean that this machine lets an engine run.
        let last = said.lines().last().unwrap_or_default();
        eprintln!("skipped: an engine of the test's own does not start here: {last}");
        None
    }

    /// A command where containers are reached, with our engine as the one that it asks.
    fn inside(&self, program: &str, args: &[&str]) -> Command {
        let Some(own) = &self.own else {
            let mut command = Command::new(program);
            command.args(args);
            return command;
        };
        let mut command = Command::new("nsenter");
        let pid = own.id().to_string();
        command.args(["--target", &pid, "--net", "--mount", program]);
        command.args(args);
        let socket = self.folder.path().join("socket");
        command.env("DOCKER_HOST", format!("unix://{}", text(&socket)));
        command
    }

    /// The binary where our engine answers and containers are not reached; none of an engine that is not
    /// ours.
    pub fn elsewhere(&self, args: &[&str]) -> Option<Command> {
        self.own.as_ref()?;
        let mut command = Command::new("unshare");
        command.args(["--net", BINARY]).args(args);
        let socket = self.folder.path().join("socket");
        command.env("DOCKER_HOST", format!("unix://{}", text(&socket)));
        Some(command)
    }

    /// What `docker` prints; what it says where it fails.
    pub fn docker(&self, args: &[&str]) -> Result<String, String> {
        let output = self.inside("docker", args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// The binary with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        self.inside(BINARY, args)
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn whitewater(&self, args: &[&str]) -> Output {
        Running::start(self.command(args)).finish()
    }

    /// An image with nothing in it.
    pub fn empty(&self) -> String {
        let nothing = self.folder.path().join("nothing");
        fs::write(&nothing, "").unwrap();
        self.import("empty", &[&nothing])
    }

    /// An image with nothing but these programs and their libraries; none where one of them is not
    /// here, with the package that has it.
    #[track_caller]
    pub fn image_of(&self, name: &str, programs: &[&str], package: &str) -> Option<String> {
        let missing = programs.iter().find(|program| !Path::new(program).exists());
        if let Some(program) = missing {
            skip(&format!("{program} is not here (package {package})"));
            return None;
        }
        let listed = Command::new("ldd").args(programs).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let words = listed.split_whitespace();
        // With a colon, it is one of the programs.
        let libraries = words.filter(|word| word.starts_with('/') && !word.ends_with(':'));
        let mut files: Vec<&str> = libraries.chain(programs.iter().copied()).collect();
        files.sort_unstable();
        files.dedup();
        let files: Vec<&Path> = files.into_iter().map(Path::new).collect();
        Some(self.import(name, &files))
    }

    /// The same image with this line of a Dockerfile besides.
    pub fn with(&self, image: &str, line: &str) -> String {
        let name = format!("{image}-changed");
        let container = self.docker(&["create", image, "none"]).unwrap();
        let changed = self.docker(&["commit", "--change", line, &container, &name]);
        self.docker(&["rm", &container]).unwrap();
        changed.unwrap();
        name
    }

    /// Makes an image of these files of this machine.
    fn import(&self, name: &str, files: &[&Path]) -> String {
        let tag = format!("{IMAGE}:{name}-{}", std::process::id());
        if self.docker(&["image", "inspect", &tag]).is_ok() {
            return tag;
        }
        let archive = self.folder.path().join("image.tar");
        let made = Command::new("tar")
            .args(["--create", "--dereference", "--absolute-names", "--file"])
            .arg(&archive)
            .args(files)
            .status();
        assert!(made.unwrap().success(), "{files:?}");
        self.docker(&["import", text(&archive), &tag]).unwrap();
        tag
    }

    fn labelled(&self, list: &[&str]) -> Vec<String> {
        let filter = ["--quiet", "--filter", "label=whitewater.run"];
        let listed = self.docker(&[list, &filter].concat()).unwrap();
        listed.lines().map(str::to_owned).collect()
    }

    /// The containers of runs.
    pub fn containers(&self) -> Vec<String> {
        self.labelled(&["ps", "--all"])
    }

    /// The networks of runs.
    pub fn networks(&self) -> Vec<String> {
        self.labelled(&["network", "ls"])
    }

    /// Every process in containers of runs, as `pid command line`, with the machine's pids.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let tops = self.containers().into_iter().map(|container| {
            // It may have ended by now.
            let top = self.docker(&["top", &container, "-eo", "pid,args"]);
            top.unwrap_or_default()
        });
        let tops: Vec<String> = tops.collect();
        let process = |line: &str| {
            let (pid, line) = line.trim().split_once(' ')?;
            Some((pid.parse().ok()?, line.trim().to_owned()))
        };
        let lines = tops.iter().flat_map(|top| top.lines());
        lines.filter_map(process).collect()
    }

    /// The processes of the binary under test that guard runs in containers.
    pub fn guardians(&self) -> Vec<(i32, String)> {
        let mut all = processes_with(Path::new("__cluster container-guardian"));
        all.retain(|(_, line)| line.starts_with(BINARY));
        all
    }

    /// What nf_tables has where this process is.
    pub fn tables(&self, pid: i32) -> String {
        let output = Command::new("nsenter")
            .args([
                "--target",
                &pid.to_string(),
                "--net",
                "nft",
                "list",
                "tables",
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Requires that nothing of any run is left on the engine, nor what guards one.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let kinds: [&[&str]; 4] = [
            &["ps", "--all"],
            &["network", "ls"],
            &["volume", "ls"],
            &["image", "ls"],
        ];
        for list in kinds {
            eventually(&format!("{list:?} lists nothing of a run"), || {
                self.labelled(list).is_empty()
            });
        }
        eventually("nothing guards a run that is over", || {
            self.guardians().is_empty()
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        match &mut self.own {
            Some(own) => {
                // The end of its input ends it, and the engine with it.
                drop(own.stdin.take());
                let _ = own.wait();
            }
            None => {
                let filter = format!("reference={IMAGE}");
                let listed = self.docker(&["image", "ls", "--quiet", "--filter", &filter]);
                for image in listed.unwrap_or_default().lines() {
                    let _ = self.docker(&["image", "rm", "--force", image]);
                }
            }
        }
    }
}

/// Where a program is.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
