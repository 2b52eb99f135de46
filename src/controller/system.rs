//! The system under test as one run has it: its definition, filled in for the run's nodes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster::remote::{NodePlace, RemoteNode, Shell};
use cluster::{Addresses, NodeCommand, NodeSpec, Readiness, User};
use systems::{Definition, Layout, Place, Probe, Scope, Step};
use workloads::clients::{ClientOptions, Complaints, Factory, Node, Setting, over_kv};

use super::probe::Asker;
use super::view::RoleAsker;
use crate::plan::{Plan, SystemPlan};
use crate::programs::{self, Found};
use crate::store::RunFolder;

/// How long one command that starts the cluster as a whole may take, in milliseconds.
const BOOTSTRAP_LIMIT_MS: u64 = 60_000;

/// The system under test.
pub(super) struct System {
    pub definition: Arc<Definition>,
    pub program: Found,
    places: Vec<Place>,
    /// What runs commands about each node, where that is not done on this machine.
    shells: Vec<Option<Shell>>,
    plan: SystemPlan,
}

impl System {
    /// Finds the program, and gives every node its place in the run folder.
    pub fn new(plan: &Plan, folder: &RunFolder, addresses: &Addresses) -> Result<Self, String> {
        let plan = plan.system.clone();
        let definition = plan.definition().map_err(|error| error.to_string())?;
        let program = programs::find(&definition, plan.binary.as_deref(), plan.here())
            .map_err(|error| error.to_string())?;
        let place = |(name, ip): (&Arc<str>, _)| {
            let folder = folder.node_path(name);
            Place {
                name: name.to_string(),
                ip,
                data: folder.join("data"),
                folder,
            }
        };
        Ok(System {
            definition,
            program,
            places: addresses.nodes().map(place).collect(),
            shells: Vec::new(),
            plan,
        })
    }

    /// The same where every node has its place on a host or in a container. Also what the nodes' program is looked for
    /// by there; nothing for this very executable.
    pub fn apart(plan: &Plan, places: &[NodePlace]) -> Result<(Self, Vec<String>), String> {
        let plan = plan.system.clone();
        let definition = plan.definition().map_err(|error| error.to_string())?;
        let found = programs::on_hosts(&definition, plan.binary.as_deref());
        let (program, programs) = found.map_err(|error| error.to_string())?;
        let shells = places.iter().map(|place| place.shell.clone()).collect();
        let places = places.iter().map(|place| Place {
            name: place.name.to_string(),
            ip: place.address,
            data: place.folder.join("data"),
            folder: place.folder.clone(),
        });
        let system = System {
            definition,
            program,
            places: places.collect(),
            shells,
            plan,
        };
        Ok((system, programs))
    }

    /// What runs, for people.
    pub fn told(&self) -> String {
        let Found { path, version, .. } = &self.program;
        let mut text = self.definition.name.clone();
        for part in [
            version.clone(),
            path.as_ref().map(|path| format!("({})", path.display())),
        ] {
            text.extend(part.map(|part| format!(" {part}")));
        }
        if self.definition.roles.is_none() {
            text.push_str(": no leaders, so faults of the leader hit the first node drawn");
        }
        text
    }

    /// What runs as each node.
    pub fn nodes(&self) -> Result<Vec<NodeSpec>, String> {
        let numbers = 0..self.places.len();
        numbers
            .map(|at| self.node(at).map_err(|why| self.problem(&why)))
            .collect()
    }

    fn node(&self, at: usize) -> Result<NodeSpec, String> {
        let (place, scope) = (&self.places[at], self.scope(at)?);
        for path in [&place.folder, &place.data] {
            if path.to_str().is_none() {
                return Err(format!("the folder {} is not text", path.display()));
            }
        }
        let Found {
            path, subcommand, ..
        } = &self.program;
        let mut args = self.layout().args(at)?;
        if self.definition.program.embedded.is_some() {
            let bugs = self.plan.bugs.iter();
            args.extend(bugs.flat_map(|bug| ["--bug".to_owned(), bug.clone()]));
        }
        let args = subcommand.iter().chain(&args).map(Into::into);
        let mut main = NodeCommand::own(args);
        if let Some(path) = path {
            main.program.clone_from(path);
        }
        for (name, value) in &self.definition.node.env {
            main.env.push((name.into(), scope.fill(value)?.into()));
        }
        let mut commands = vec![main];
        commands.extend(self.steps(&self.definition.beside, at)?);
        let mut prepare = self.steps(&self.definition.prepare, at)?;
        if let Some(user) = &self.definition.node.user
            && self.plan.is_here()
        {
            let user = User::Mapped(user_number(user)?);
            let all = commands.iter_mut().chain(&mut prepare);
            all.for_each(|command| command.user = Some(user));
        }
        let port = self.definition.port(&self.definition.ready.port);
        let readiness = match &self.definition.ready.ask {
            None => Readiness::TcpPort(port),
            Some(ask) => {
                let asker = Asker::new(ask, self, at)?;
                Readiness::Answer(port, Arc::new(move |_| asker.ask_blocking().map(drop)))
            }
        };
        Ok(NodeSpec {
            name: place.name.as_str().into(),
            commands,
            prepare,
            readiness,
            data_dir: place.data.clone(),
            log_dir: place.folder.clone(),
        })
    }

    /// Those of these commands that are for the node at this place.
    fn steps(&self, steps: &[Step], at: usize) -> Result<Vec<NodeCommand>, String> {
        let scope = self.scope(at)?;
        let steps = steps.iter().filter(|step| step.on.has(at));
        let commands = steps.map(|step| {
            let words = step.command.iter().map(|word| scope.fill(word));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            let (program, args) = words.split_first().ok_or("there is no command")?;
            let mut command = NodeCommand::own(args.iter().map(Into::into));
            command.program = match self.plan.is_here() {
                true => self.program_named(program),
                // It is looked for where the node runs.
                false => Scope::of_folder(self.plan.here()).fill(program)?.into(),
            };
            Ok(command)
        });
        commands.collect()
    }

    /// Writes the files that the definition gives every node.
    pub fn write_files(&self) -> Result<(), String> {
        for (at, place) in self.places.iter().enumerate() {
            for folder in [&place.folder, &place.data] {
                fs::create_dir_all(folder)
                    .map_err(|error| format!("failed to create {}: {error}", folder.display()))?;
            }
            for (path, text) in self.files(at)? {
                let folder = path.parent().unwrap_or(&place.folder);
                let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
                written.map_err(|error| format!("failed to write {}: {error}", path.display()))?;
            }
        }
        Ok(())
    }

    /// The files that the definition gives the node at this place, and what is in them.
    fn files(&self, at: usize) -> Result<Vec<(PathBuf, String)>, String> {
        let scope = self.scope(at)?;
        let files = self.definition.files.iter().filter(|file| file.on.has(at));
        let files = files.map(|file| Ok((scope.fill(&file.path)?.into(), scope.fill(&file.text)?)));
        files.collect()
    }

    /// What runs as each node on its host or in its container.
    pub fn remote_nodes(&self, folder: &RunFolder) -> Result<Vec<RemoteNode>, String> {
        let nodes = self.nodes()?.into_iter().enumerate().map(|(at, spec)| {
            let here = folder.node_path(&spec.name);
            let streams = ["stdout.log", "stderr.log"].map(|name| here.join(name));
            let logs = self.own_logs(at)?;
            let kept = logs.iter().map(|log| self.kept(folder, at, log));
            Ok(RemoteNode {
                fetched: streams.into_iter().chain(kept).collect(),
                spec,
                folder: self.places[at].folder.clone(),
                files: self.files(at)?,
                logs,
            })
        });
        nodes.collect()
    }

    /// The logs that the node at this place writes besides its standard streams, where it writes them.
    pub fn own_logs(&self, at: usize) -> Result<Vec<PathBuf>, String> {
        let scope = self.scope(at)?;
        let files = self.definition.logs.files.iter();
        files.map(|file| Ok(scope.fill(file)?.into())).collect()
    }

    /// Where a log of the node at this place is on this machine.
    pub fn kept(&self, folder: &RunFolder, at: usize, log: &Path) -> PathBuf {
        if self.plan.is_here() {
            return log.to_owned();
        }
        let place = &self.places[at];
        let below = log.strip_prefix(&place.folder);
        let below = below.or_else(|_| log.strip_prefix("/")).unwrap_or(log);
        folder.node_path(&place.name).join(below)
    }

    /// Runs what the definition runs once, on a thread in a network that reaches every node.
    pub fn bootstrap(&self) -> Result<(), String> {
        for words in &self.definition.start.bootstrap {
            let asker = Asker::new(&Probe::Command(words.clone()), self, 0)?;
            let done = asker.within(BOOTSTRAP_LIMIT_MS).ask_blocking();
            done.map_err(|why| format!("failed to start the cluster as a whole: {why}"))?;
        }
        Ok(())
    }

    /// Where clients reach the nodes.
    pub fn client_nodes(&self) -> Arc<[Node]> {
        let port = self.definition.client_port();
        let nodes = self.places.iter().map(|place| Node {
            name: place.name.as_str().into(),
            address: SocketAddr::from((place.ip, port)),
        });
        nodes.collect()
    }

    /// What makes the clients, and where they add what is wrong with themselves.
    pub fn clients(
        &self,
        plan: &Plan,
        folder: &RunFolder,
    ) -> Result<(Box<dyn Factory>, Complaints), String> {
        let client = self.client()?;
        let complaints = Complaints::default();
        let log_folder = folder.path().join("clients");
        if matches!(client, ClientOptions::Program(_)) {
            std::fs::create_dir_all(&log_folder)
                .map_err(|error| format!("failed to create {}: {error}", log_folder.display()))?;
        }
        let setting = Setting {
            seed: plan.seed,
            nodes: self.client_nodes(),
            workload: plan.workload.name.as_str().into(),
            timeout_ms: plan.workload.timeout_ms,
            complaints: complaints.clone(),
            log_folder,
        };
        let stores = client
            .factory(setting)
            .map_err(|error| self.problem(&error.to_string()))?;
        let workload = plan.workload.name.as_str();
        if client.speaks(workload) {
            return Ok((stores, complaints));
        }
        let factory = over_kv::factory(workload, stores).ok_or_else(|| {
            let client = client.name();
            self.problem(&format!(
                "the client {client} cannot do the workload {workload}"
            ))
        })?;
        Ok((factory, complaints))
    }

    /// The client's options, with the definition's folder where a program's command names it.
    fn client(&self) -> Result<ClientOptions, String> {
        let mut client = self.plan.client().map_err(|error| error.to_string())?;
        if let ClientOptions::Program(options) = &mut client {
            let scope = Scope::of_folder(self.plan.here());
            let fill = |text: &str| scope.fill(text).map_err(|why| self.problem(&why));
            for word in &mut options.command {
                *word = fill(word)?;
            }
            if let Some(folder) = &mut options.folder {
                *folder = fill(folder)?;
            }
        }
        Ok(client)
    }

    /// How each node is asked who leads; none where the system has no leaders.
    pub fn role_askers(&self) -> Result<Vec<RoleAsker>, String> {
        let Some(roles) = &self.definition.roles else {
            return Ok(Vec::new());
        };
        let numbers = 0..self.places.len();
        numbers
            .map(|at| {
                let asker = Asker::new(&roles.ask, self, at);
                let filled = self.scope(at).and_then(|scope| roles.filled(&scope));
                let one = asker.and_then(|asker| {
                    Ok(RoleAsker {
                        asker,
                        roles: filled?,
                    })
                });
                one.map_err(|why| self.problem(&why))
            })
            .collect()
    }

    /// How many nodes there are.
    pub fn nodes_count(&self) -> usize {
        self.places.len()
    }

    /// A node's place.
    pub fn place(&self, at: usize) -> &Place {
        &self.places[at]
    }

    /// What runs commands about the node at this place; none where this machine does.
    pub fn shell(&self, at: usize) -> Option<&Shell> {
        self.shells.get(at)?.as_ref()
    }

    /// What placeholders stand for, for the node at this place.
    pub fn scope(&self, at: usize) -> Result<Scope, String> {
        self.layout().scope(at)
    }

    /// A program that the definition names, as it is to be started.
    pub fn program_named(&self, name: &str) -> PathBuf {
        let here = self.plan.here();
        programs::first_of(&[name.to_owned()], here).unwrap_or_else(|| name.into())
    }

    fn layout(&self) -> Layout<'_> {
        Layout {
            definition: &self.definition,
            nodes: &self.places,
            here: self.plan.here(),
            options: &self.plan.options,
        }
    }

    fn problem(&self, why: &str) -> String {
        format!(
            "cannot use the definition of {}: {why}",
            self.definition.name
        )
    }
}

/// The number of a user that is given by name or number.
fn user_number(user: &str) -> Result<u32, String> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    match nix::unistd::User::from_name(user) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("there is no user {user} on this machine")),
        Err(error) => Err(format!("cannot look up the user {user}: {error}")),
    }
}
