//! A definition filled in for the nodes of one run.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use workloads::Pattern;
use workloads::template::{self, TemplateError};

use crate::definition::Definition;
use crate::parse::nearest;

/// A node's place in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its folder: logs and configuration files.
    pub folder: PathBuf,
    /// Its data, inside its folder.
    pub data: PathBuf,
}

/// A definition and the nodes it is filled in for.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The definition.
    pub definition: &'a Definition,
    /// The nodes, in the plan's order.
    pub nodes: &'a [Place],
    /// The folder of the definition's file; empty for one that comes with Whitewater.
    pub here: &'a Path,
    /// What the user set.
    pub options: &'a BTreeMap<String, String>,
}

/// What placeholders stand for, for one node.
///
/// | placeholder | stands for |
/// |---|---|
/// | `{node.name}`, `{node.id}`, `{node.ip}` | the node's name, its number from 1, its address |
/// | `{first.name}`, `{first.ip}` | those of the first node |
/// | `{folder}`, `{data}` | the node's folder, and in it that of its data |
/// | `{here}` | the folder of the definition's file |
/// | `{port.NAME}` | a port of `[ports]` |
/// | `{list.NAME}` | a list of `[lists]` |
/// | `{asked.name}`, `{asked.ip}` | where one node is asked about another, the one asked |
/// | `{option.NAME}` | an option of `[options]`, as the user set it |
/// | `{{`, `}}` | braces |
#[derive(Debug, Clone)]
pub struct Scope {
    known: BTreeMap<String, String>,
}

impl Layout<'_> {
    /// What placeholders stand for, for the node at this place.
    ///
    /// # Errors
    /// A list's template has a placeholder that nothing is known of.
    pub fn scope(&self, at: usize) -> Result<Scope, String> {
        let mut scope = self.plain_scope(at);
        for (name, list) in &self.definition.lists {
            let items: Vec<String> = (0..self.nodes.len())
                .filter(|other| !list.others || *other != at)
                .map(|other| self.plain_scope(other).fill(&list.each))
                .collect::<Result<_, _>>()?;
            scope.set(format!("list.{name}"), items.join(&list.separator));
        }
        Ok(scope)
    }

    /// The program's arguments for the node at this place.
    ///
    /// # Errors
    /// A placeholder that nothing is known of.
    pub fn args(&self, at: usize) -> Result<Vec<String>, String> {
        let scope = self.scope(at)?;
        let node = &self.definition.node;
        let besides = match at {
            0 => &node.args_of_first,
            _ => &node.args_of_others,
        };
        let templates = node.args.iter().chain(besides);
        let mut args: Vec<String> = templates
            .map(|template| scope.fill(template))
            .collect::<Result<_, _>>()?;
        let undeclared = self
            .options
            .iter()
            .filter(|(name, _)| !self.definition.options.contains_key(*name));
        for (name, value) in undeclared {
            let mut scope = scope.clone();
            scope.set("option.name".to_owned(), name.clone());
            scope.set("option.value".to_owned(), value.clone());
            for template in &node.pass_option {
                args.push(scope.fill(template)?);
            }
        }
        Ok(args)
    }

    /// All but lists, which are made of it.
    pub(crate) fn plain_scope(&self, at: usize) -> Scope {
        let mut scope = Scope {
            known: BTreeMap::new(),
        };
        if let Some(first) = self.nodes.first() {
            scope.set("first.name".to_owned(), first.name.clone());
            scope.set("first.ip".to_owned(), first.ip.to_string());
        }
        if let Some(node) = self.nodes.get(at) {
            scope.set("node.name".to_owned(), node.name.clone());
            scope.set("node.id".to_owned(), (at + 1).to_string());
            scope.set("node.ip".to_owned(), node.ip.to_string());
            scope.set("folder".to_owned(), node.folder.display().to_string());
            scope.set("data".to_owned(), node.data.display().to_string());
        }
        scope.set("here".to_owned(), self.here.display().to_string());
        for (name, port) in &self.definition.ports {
            scope.set(format!("port.{name}"), port.to_string());
        }
        for (name, option) in &self.definition.options {
            let value = self.options.get(name).unwrap_or(&option.default);
            scope.set(format!("option.{name}"), value.clone());
        }
        scope
    }
}

impl Scope {
    /// Only the folder of the definition's file.
    pub fn of_folder(here: &Path) -> Self {
        let here = ("here".to_owned(), here.display().to_string());
        Scope {
            known: BTreeMap::from([here]),
        }
    }

    /// The same where a node is asked about another: `{asked.name}` and `{asked.ip}`.
    pub fn asking(mut self, asked: &Place) -> Self {
        self.set("asked.name".to_owned(), asked.name.clone());
        self.set("asked.ip".to_owned(), asked.ip.to_string());
        self
    }

    /// A regular expression out of its template, in which what is filled in stands for itself.
    ///
    /// # Errors
    /// In words: a placeholder of which nothing is known, or what is no regular expression.
    pub fn pattern(&self, template: &str) -> Result<Pattern, String> {
        let escaped = |(name, value): (&String, &String)| (name.clone(), regex::escape(value));
        let escaped = Scope {
            known: self.known.iter().map(escaped).collect(),
        };
        Pattern::try_from(escaped.fill(template)?)
    }

    pub(crate) fn set(&mut self, name: String, value: String) {
        self.known.insert(name, value);
    }

    /// Puts what is known in the place of placeholders.
    ///
    /// # Errors
    /// In words: a placeholder of which nothing is known, or a brace without its partner.
    pub fn fill(&self, template: &str) -> Result<String, String> {
        template::fill(template, |name| self.known.get(name).cloned()).map_err(
            |error| match error {
                TemplateError::Unknown(name) => self.unknown(&name),
                error => error.to_string(),
            },
        )
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<String> = self
            .known
            .keys()
            .map(|name| format!("{{{name}}}"))
            .collect();
        let hint = match nearest(name, self.known.keys().map(String::as_str)) {
            Some(nearest) => format!(" (hint: did you mean {{{nearest}}}?)"),
            None => String::new(),
        };
        format!(
            "unknown placeholder {{{name}}}, expected one of {}{hint}",
            known.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_placeholder_is_refused_with_the_nearest() {
        let known = [("node.name".to_owned(), "n1".to_owned())].into();
        let problem = Scope { known }.fill("{nod.name}").expect_err("unknown");
        assert!(problem.contains("did you mean {node.name}?"), "{problem}");
    }

    #[test]
    fn what_is_filled_into_a_pattern_stands_for_itself() {
        let known = [("node.ip".to_owned(), "10.0.0.1".to_owned())].into();
        let scope = Scope { known };
        let pattern = scope.pattern(r"^\w+={node.ip}\b").expect("sound");
        assert!(pattern.regex().is_match("n1=10.0.0.1"));
        assert!(!pattern.regex().is_match("n1=10x0.0.1"));
        assert!(!pattern.regex().is_match("n1=10.0.0.11"));
        let problem = scope.pattern("({node.ip}").expect_err("unclosed");
        assert!(problem.contains("no regular expression"), "{problem}");
    }

    fn places() -> Vec<Place> {
        let place = |n: u8| Place {
            name: format!("n{n}"),
            ip: Ipv4Addr::new(10, 77, 0, n),
            folder: format!("/run/n{n}").into(),
            data: format!("/run/n{n}/data").into(),
        };
        vec![place(1), place(2)]
    }

    #[test]
    fn the_embedded_system_gets_its_arguments() {
        let definition = crate::builtin("raft-kv").expect("it is built in");
        let options = [("reads".to_owned(), "{lease}".to_owned())].into();
        let layout = Layout {
            definition: &definition,
            nodes: &places(),
            here: Path::new(""),
            options: &options,
        };
        assert_eq!(
            layout.args(1).expect("sound").join(" "),
            "--node n2 --cluster n1=10.77.0.1,n2=10.77.0.2 --client-port 8080 --peer-port 8081 \
             --data /run/n2/data --reads {lease}"
        );
    }

    #[test]
    fn the_first_node_and_the_others_differ_where_they_are_to() {
        let mut definition = (*crate::builtin("raft-kv").expect("it is built in")).clone();
        definition.node.args = vec!["{list.others}".into()];
        definition.node.args_of_first = vec!["first".into()];
        definition.node.args_of_others = vec!["after".into(), "{first.ip}".into()];
        definition.lists = BTreeMap::from([(
            "others".to_owned(),
            crate::List {
                each: "{node.id}@{node.ip}".to_owned(),
                separator: " ".to_owned(),
                others: true,
            },
        )]);
        let layout = Layout {
            definition: &definition,
            nodes: &places(),
            here: Path::new(""),
            options: &BTreeMap::new(),
        };
        assert_eq!(
            layout.args(0),
            Ok(vec!["2@10.77.0.2".into(), "first".into()])
        );
        let after = ["1@10.77.0.1", "after", "10.77.0.1"].map(str::to_owned);
        assert_eq!(layout.args(1), Ok(after.to_vec()));
    }
}
