//! What a definition must hold besides its form.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::definition::{Definition, MemberRequests, Members};
use crate::fill::{Layout, Place, Scope};
use crate::parse::Problem;
use crate::probe::Probe;
use crate::roles::Test;
use workloads::clients::ClientOptions;

/// What is wrong, and with which field.
pub(crate) struct Invalid {
    pub field: String,
    pub problem: Problem,
}

type Check = Result<(), Invalid>;

fn invalid(field: impl Into<String>, message: impl Into<String>) -> Invalid {
    Invalid {
        field: field.into(),
        problem: Problem::new(message),
    }
}

impl Definition {
    /// Refuses what cannot be run, naming the field.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        self.validate_head()?;
        self.validate_program()?;
        self.validate_ports()?;
        self.validate_templates()?;
        if let Some(roles) = &self.roles {
            validate_test("roles.leads", &roles.leads)?;
        }
        self.validate_client()
    }

    /// The client's options are sound, and it can read and change in every workload.
    fn validate_client(&self) -> Check {
        let client = &self.client;
        let table = format!("client.{}", client.name());
        let checked = client.validate();
        checked.map_err(|(field, why)| invalid(format!("{table}.{field}"), why))?;
        if let ClientOptions::Program(options) = client {
            let scope = Scope::of_folder(Path::new("/definition"));
            let command = options.command.iter().enumerate();
            let words = command.map(|(at, word)| (format!("command.{at}"), word));
            let folder = options
                .folder
                .iter()
                .map(|word| ("folder".to_owned(), word));
            for (field, word) in words.chain(folder) {
                let filled = scope.fill(word);
                filled.map_err(|why| invalid(format!("{table}.{field}"), why))?;
            }
        }
        for (at, name) in self.workloads.iter().enumerate() {
            let Ok(workload) = workloads::by_name(name) else {
                continue;
            };
            if !client.serves(name) {
                let mut needed = workload.operations();
                needed.retain(|f| !workload.optional().contains(f));
                let why = format!(
                    "the client has to do {} for the workload {name}",
                    needed.join(" and ")
                );
                return Err(invalid(format!("workloads.{at}"), why));
            }
        }
        Ok(())
    }

    fn validate_head(&self) -> Check {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(1..=32).contains(&self.name.len()) || !self.name.bytes().all(sound) {
            let found = &self.name;
            return Err(invalid(
                "name",
                format!("found {found:?}, expected 1 to 32 letters, digits or dashes"),
            ));
        }
        let known = workloads::ALL.map(|workload| workload.name());
        if self.workloads.is_empty() {
            return Err(invalid(
                "workloads",
                format!("expected at least one of {}", known.join(", ")),
            ));
        }
        for (at, name) in self.workloads.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Invalid {
                    field: format!("workloads.{at}"),
                    problem: Problem::unknown("workload", name, known),
                });
            }
        }
        if !(1..=31).contains(&self.nodes) {
            let found = self.nodes;
            return Err(invalid("nodes", format!("found {found}, expected 1 to 31")));
        }
        Ok(())
    }

    fn validate_program(&self) -> Check {
        let program = &self.program;
        if program.embedded.is_some() != program.candidates.is_empty() {
            return Err(invalid(
                "program",
                "expected `candidates`, the program's names or paths (hint: `candidates = [\"etcd\"]`)",
            ));
        }
        let scope = Scope::of_folder(Path::new("/definition"));
        for (at, candidate) in program.candidates.iter().enumerate() {
            let filled = scope.fill(candidate);
            filled.map_err(|why| invalid(format!("program.candidates.{at}"), why))?;
        }
        Ok(())
    }

    fn validate_ports(&self) -> Check {
        if !self.ports.contains_key("client") {
            return Err(invalid(
                "ports",
                "expected a port `client`, where clients are served (hint: `client = 8080`)",
            ));
        }
        let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
        for (name, port) in &self.ports {
            let field = format!("ports.{name}");
            if *port == 0 {
                return Err(invalid(field, "found 0, expected 1 to 65535"));
            }
            if let Some(other) = taken.insert(*port, name) {
                return Err(invalid(
                    field,
                    format!("{port} is the port of {other} already"),
                ));
            }
        }
        self.validate_port("ready.port", &self.ready.port)?;
        if !(1..=3_600_000).contains(&self.ready.limit_ms) {
            let found = self.ready.limit_ms;
            let message = format!("found {found}, expected 1 to 3600000");
            return Err(invalid("ready.limit_ms", message));
        }
        Ok(())
    }

    fn validate_port(&self, field: &str, name: &str) -> Check {
        if self.ports.contains_key(name) {
            return Ok(());
        }
        let known: Vec<&str> = self.ports.keys().map(String::as_str).collect();
        Err(Invalid {
            field: field.to_owned(),
            problem: Problem::unknown("port", name, known),
        })
    }

    /// Fills everything in for nodes as they could be.
    fn validate_templates(&self) -> Check {
        let place = |n: u8| Place {
            name: format!("n{n}"),
            ip: Ipv4Addr::new(10, 0, 0, n),
            folder: format!("/nodes/n{n}").into(),
            data: format!("/nodes/n{n}/data").into(),
        };
        let nodes = [place(1), place(2)];
        let layout = Layout {
            definition: self,
            nodes: &nodes,
            here: Path::new("/definition"),
            options: &BTreeMap::new(),
        };
        let plain = layout.plain_scope(0);
        for (name, list) in &self.lists {
            let filled = plain.fill(&list.each);
            filled.map_err(|why| invalid(format!("lists.{name}.each"), why))?;
        }
        let scope = layout.scope(0).map_err(|why| invalid("lists", why))?;
        let fill = |field: &str, template: &str| -> Check {
            let filled = scope.fill(template);
            filled.map(drop).map_err(|why| invalid(field, why))
        };
        let node = &self.node;
        for (field, templates) in [
            ("node.args", &node.args),
            ("node.args_of_first", &node.args_of_first),
            ("node.args_of_others", &node.args_of_others),
        ] {
            for (at, template) in templates.iter().enumerate() {
                fill(&format!("{field}.{at}"), template)?;
            }
        }
        for (name, template) in &node.env {
            fill(&format!("node.env.{name}"), template)?;
        }
        for (at, file) in self.files.iter().enumerate() {
            fill(&format!("files.{at}.path"), &file.path)?;
            fill(&format!("files.{at}.text"), &file.text)?;
            let path = scope.fill(&file.path).unwrap_or_default();
            if !path.starts_with("/nodes/") || path.contains("/../") {
                let why = "expected a path that begins with {folder} or {data}";
                return Err(invalid(format!("files.{at}.path"), why));
            }
        }
        for (at, file) in self.logs.files.iter().enumerate() {
            fill(&format!("logs.files.{at}"), file)?;
        }
        for (name, command) in &self.commands {
            let field = format!("commands.{name}");
            validate_words(&format!("{field}.command"), &command.command, &fill)?;
            if !(1..=600_000).contains(&command.limit_ms) {
                let found = command.limit_ms;
                let why = format!("found {found}, expected 1 to 600000");
                return Err(invalid(format!("{field}.limit_ms"), why));
            }
        }
        if let Some(Members::Requests(requests)) = &self.members {
            self.validate_members(requests, scope.clone().asking(&nodes[1]))?;
        }
        let prepare = self.prepare.iter().map(|step| &step.command);
        let beside = self.beside.iter().map(|step| &step.command);
        for (field, commands) in [
            ("prepare", prepare.collect::<Vec<_>>()),
            ("beside", beside.collect()),
            ("start.bootstrap", self.start.bootstrap.iter().collect()),
        ] {
            for (at, words) in commands.into_iter().enumerate() {
                let field = match field {
                    "start.bootstrap" => format!("{field}.{at}"),
                    _ => format!("{field}.{at}.command"),
                };
                validate_words(&field, words, &fill)?;
            }
        }
        let mut passing = scope.clone();
        passing.set("option.name".to_owned(), "name".to_owned());
        passing.set("option.value".to_owned(), "value".to_owned());
        for (at, template) in node.pass_option.iter().enumerate() {
            let filled = passing.fill(template);
            filled.map_err(|why| invalid(format!("node.pass_option.{at}"), why))?;
        }
        let ready = self.ready.ask.as_ref().map(|ask| ("ready.ask", ask));
        let roles = self.roles.as_ref().map(|roles| ("roles.ask", &roles.ask));
        for (field, probe) in ready.into_iter().chain(roles) {
            self.validate_probe(field, probe, &fill)?;
        }
        let equals = self
            .roles
            .as_ref()
            .and_then(|roles| roles.leads.equals.as_ref());
        equals.map_or(Ok(()), |equals| fill("roles.leads.equals", equals))
    }

    fn validate_members(&self, requests: &MemberRequests, scope: Scope) -> Check {
        const TABLE: &str = "members.requests";
        let fill = |field: &str, template: &str| -> Check {
            let filled = scope.fill(template);
            filled.map(drop).map_err(|why| invalid(field, why))
        };
        let MemberRequests {
            add, remove, list, ..
        } = requests;
        let learner = requests.learner.as_ref().map(|probe| ("learner", probe));
        let probes = [("add", add), ("remove", remove), ("list", list)];
        for (name, probe) in probes.into_iter().chain(learner) {
            self.validate_probe(&format!("{TABLE}.{name}"), probe, &fill)?;
        }
        let is_learner = requests.is_learner.as_ref();
        let patterns = [
            ("is_member", Some(&requests.is_member)),
            ("is_learner", is_learner),
        ];
        for (name, template) in patterns {
            let sound = template.map(|template| scope.pattern(template)).transpose();
            sound.map_err(|why| invalid(format!("{TABLE}.{name}"), why))?;
        }
        if requests.learner.is_some() != is_learner.is_some() {
            let why = "`learner` and `is_learner` go together: how a node loses its vote, and how that is seen";
            return Err(invalid(format!("{TABLE}.learner"), why));
        }
        Ok(())
    }

    fn validate_probe(
        &self,
        field: &str,
        probe: &Probe,
        fill: &dyn Fn(&str, &str) -> Check,
    ) -> Check {
        match probe {
            Probe::Http(http) => {
                self.validate_port(&format!("{field}.http.port"), &http.port)?;
                if !http.path.starts_with('/') {
                    let found = &http.path;
                    return Err(invalid(
                        format!("{field}.http.path"),
                        format!("found {found:?}, expected a path that begins with a slash"),
                    ));
                }
                fill(&format!("{field}.http.path"), &http.path)?;
                fill(&format!("{field}.http.body"), &http.body)
            }
            Probe::Tcp(tcp) => {
                self.validate_port(&format!("{field}.tcp.port"), &tcp.port)?;
                fill(&format!("{field}.tcp.send"), &tcp.send)
            }
            Probe::Command(words) => validate_words(&format!("{field}.command"), words, fill),
        }
    }
}

/// A command has a program, and its templates can be filled in.
fn validate_words(field: &str, words: &[String], fill: &dyn Fn(&str, &str) -> Check) -> Check {
    if words.is_empty() {
        return Err(invalid(field, "expected a program and its arguments"));
    }
    let mut templates = words.iter().enumerate();
    templates.try_for_each(|(at, template)| fill(&format!("{field}.{at}"), template))
}

fn validate_test(field: &str, test: &Test) -> Check {
    if test.pointer.is_some() == test.pattern.is_some() {
        return Err(invalid(
            field,
            "expected either `pointer` (into JSON) or `pattern` (a regular expression)",
        ));
    }
    for (name, pointer) in [("pointer", &test.pointer), ("same_as", &test.same_as)] {
        if let Some(pointer) = pointer
            && !pointer.is_empty()
            && !pointer.starts_with('/')
        {
            return Err(invalid(
                format!("{field}.{name}"),
                format!("found {pointer:?}, expected a JSON pointer such as \"/leader\""),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"name = "mine"
workloads = ["register"]
[program]
candidates = ["mine"]
[ports]
client = 80
[node]
args = ["{data}"]
[client.raft-kv]
"#;

    /// The definition with a line replaced (or added, where there is none to replace), and what is
    /// said of it: `line: text`.
    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        let text = match old {
            "" => format!("{SOUND}{new}\n"),
            old => SOUND.replace(old, new),
        };
        let problem = Definition::parse(&text).expect_err(new);
        let line = problem.line.map_or("?".to_owned(), |line| line.to_string());
        let told = format!("{line}: {problem}");
        for part in expected.split('|') {
            assert!(told.contains(part), "{new}: {told}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_line_field_and_what_was_meant() {
        assert!(Definition::parse(SOUND).is_ok());
        check("name = \"mine\"", "name = \"a b\"", "1: `name`|\"a b\"");
        check(
            "name =",
            "nam =",
            "1: |unknown field `nam`|did you mean `name`?",
        );
        check(
            "[\"register\"]",
            "[\"regster\"]",
            "2: `workloads.0`|did you mean `register`?",
        );
        check("[\"register\"]", "[]", "2: `workloads`|at least one of");
        check("candidates = [\"mine\"]", "", "3: `program`|candidates");
        check("client = 80", "clients = 80", "5: `ports`|`client`");
        check(
            "client = 80",
            "client = 80\nother = 80",
            "7: `ports.other`|the port of client",
        );
        check("client = 80", "client = 0", "6: `ports.client`|found 0");
        check("client = 80", "client = 70000", "6: `client`|70000");
        check("{data}", "{dat}", "8: `node.args.0`|did you mean {data}?");
        check("{data}", "{data", "8: `node.args.0`|without its partner");
        check(
            "[client.raft-kv]",
            "[client.raftkv]",
            "9: |did you mean `raft-kv`?",
        );
        check("", "attempt = 3", "10: |did you mean `attempts`?");
        check(
            "",
            "[ready]\nport = \"clint\"",
            "11: `ready.port`|did you mean `client`?",
        );
        check("", "[ready]\nlimit_ms = 0", "11: `ready.limit_ms`|found 0");
        check(
            "",
            "[ready]\nask = { command = [] }",
            "11: `ready.ask.command`|a program",
        );
        check(
            "[client.raft-kv]",
            "[client.http.operations.read]\npath = \"/{ke}\"",
            "9: `client.http.operations.read.answers`|no answer is a success",
        );
        check(
            "[client.raft-kv]",
            "[client.program]\ncommand = [\"python3\", \"{her}/client.py\"]",
            "10: `client.program.command.1`|did you mean {here}?",
        );
        let requests = |last: &str| {
            let ask = "{ command = [\"ctl\", \"{node.name}\"] }";
            format!("[members.requests]\nadd = {ask}\nremove = {ask}\nlist = {ask}\n{last}")
        };
        let seen = "is_member = '\"{node.name}\"'";
        assert!(Definition::parse(&format!("{SOUND}{}", requests(seen))).is_ok());
        check(
            "",
            &requests("is_member = \"{node.nam}\""),
            "14: `members.requests.is_member`|did you mean {node.name}?",
        );
        check(
            "",
            &requests("is_member = \"{node.name}(\""),
            "14: `members.requests.is_member`|no regular expression",
        );
        check(
            "",
            &requests(&format!("{seen}\nis_learner = \"a\"")),
            "`members.requests.learner`|go together",
        );
        check("", &requests(""), "missing field `is_member`");
        let reads = "[client.http.operations.read]\npath = \"/{key}\"\nanswers = [{ status = 200, ok = \"body\" }]";
        check(
            "[client.raft-kv]",
            reads,
            "2: `workloads.0`|has to do read and write for the workload register",
        );
        check(
            "[client.raft-kv]",
            &reads.replace("{key}", "{ke}"),
            "10: `client.http.operations.read.path`|unknown placeholder {ke}",
        );
        check(
            "[client.raft-kv]",
            &reads.replace("ok =", "okay ="),
            "11: |did you mean `ok`?",
        );
        let roles = "[roles]\nask = { http = { path = \"status\" } }\nleads = { pointer = \"/a\" }";
        check("", roles, "11: `roles.ask.http.path`|begins with a slash");
        let roles = "[roles]\nask = { http = { path = \"/\" } }\nleads = { equals = \"a\" }";
        check("", roles, "12: `roles.leads`|either `pointer`");
        let roles = "[roles]\nask = { http = { path = \"/\" } }\nleads = { pattern = \"(\" }";
        check(
            "",
            roles,
            "12: |`(` is no regular expression: unclosed group",
        );
        check(
            "",
            "[lists.a]\neach = \"{list.a}\"",
            "11: `lists.a.each`|unknown placeholder",
        );
    }
}
