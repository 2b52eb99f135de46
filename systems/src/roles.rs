//! Who leads, out of what nodes say of themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::fill::Scope;
use crate::probe::Probe;
use workloads::Pattern;

/// How nodes are asked who leads: `[roles]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The question.
    pub ask: Probe,
    /// Whether the node that answers leads.
    pub leads: Test,
    /// The term, epoch or the like: a whole number that grows with every new leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<Extract>,
    /// Whom the node that answers takes for the leader; where a leader says this of itself, a
    /// majority must say the same before the run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Extract>,
    /// Whether the run starts without a leader. Else it waits for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_lack: bool,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extract {
    /// What stands here in the JSON of the answer, such as `/header/raft_term`.
    Pointer(String),
    /// What the expression's first group matches in the text of the answer, or else the whole.
    Pattern(Pattern),
}

/// Whether an answer says something: a piece of it is found, and is what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The piece, in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The piece, in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// What it is to be, with the node's placeholders; where this is not said, it is enough that it
    /// is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// Where in the JSON the same is to stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
}

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it leads.
    pub leads: bool,
    /// Its term.
    pub term: Option<u64>,
    /// Whom it takes for the leader, in the system's own words.
    pub follows: Option<String>,
}

impl Roles {
    /// The same, filled in for one node.
    ///
    /// # Errors
    /// A placeholder that nothing is known of.
    pub fn filled(&self, scope: &Scope) -> Result<Self, String> {
        let mut filled = self.clone();
        let equals = self.leads.equals.as_ref();
        filled.leads.equals = equals.map(|equals| scope.fill(equals)).transpose()?;
        Ok(filled)
    }

    /// What an answer to [`Roles::ask`] says.
    pub fn judge(&self, answer: &str) -> Standing {
        let answer = Answer::new(answer);
        let extract = |extract: &Option<Extract>| extract.as_ref()?.of(&answer);
        Standing {
            leads: self.leads.holds(&answer),
            term: extract(&self.term).and_then(|term| term.parse().ok()),
            follows: extract(&self.follows),
        }
    }
}

/// An answer as text, and as JSON where it is some.
struct Answer<'a> {
    text: &'a str,
    json: Option<Json>,
}

impl<'a> Answer<'a> {
    fn new(text: &'a str) -> Self {
        let json = serde_json::from_str(text).ok();
        Answer { text, json }
    }

    /// The scalar that stands here, as text.
    fn at(&self, pointer: &str) -> Option<String> {
        match self.json.as_ref()?.pointer(pointer)? {
            Json::String(text) => Some(text.clone()),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
            scalar => Some(scalar.to_string()),
        }
    }
}

impl Extract {
    fn of(&self, answer: &Answer<'_>) -> Option<String> {
        match self {
            Extract::Pointer(pointer) => answer.at(pointer),
            Extract::Pattern(pattern) => pattern.find(answer.text).map(str::to_owned),
        }
    }
}

impl Test {
    fn holds(&self, answer: &Answer<'_>) -> bool {
        let piece = match (&self.pointer, &self.pattern) {
            (Some(pointer), _) => answer.at(pointer),
            (None, Some(pattern)) => pattern.find(answer.text).map(str::to_owned),
            (None, None) => None,
        };
        let Some(piece) = piece else { return false };
        let equals = self.equals.as_ref().is_none_or(|wanted| *wanted == piece);
        let same = |pointer: &String| answer.at(pointer).is_some_and(|other| other == piece);
        equals && self.same_as.as_ref().is_none_or(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn check(roles: &str, answer: &str, expected: (bool, Option<u64>, Option<&str>)) {
        let text = format!("ask = {{ http = {{ path = \"/\" }} }}\n{roles}");
        let roles: Roles = parse::toml(&text).expect("sound roles");
        let (leads, term, follows) = expected;
        let follows = follows.map(str::to_owned);
        let expected = Standing {
            leads,
            term,
            follows,
        };
        assert_eq!(roles.judge(answer), expected, "{answer}");
    }

    #[test]
    fn what_leads_may_be_the_node_itself() {
        let roles = "ask = { tcp = { send = \"who?\" } }\n\
                     leads = { pattern = 'leader ([0-9.]+)', equals = \"{node.ip}\" }";
        let roles: Roles = parse::toml(roles).expect("sound roles");
        for (ip, leads) in [("10.77.0.1", true), ("10.77.0.2", false)] {
            let mut scope = Scope::of_folder(std::path::Path::new("/"));
            scope.set("node.ip".to_owned(), ip.to_owned());
            let filled = roles.filled(&scope).expect("it is known");
            assert_eq!(filled.judge("leader 10.77.0.1").leads, leads, "{ip}");
        }
        let nothing = Scope::of_folder(std::path::Path::new("/"));
        assert!(roles.filled(&nothing).is_err());
    }

    #[test]
    fn what_a_node_says_of_itself_is_read_from_json() {
        let roles = "leads = { pointer = \"/role\", equals = \"leader\" }\n\
                     term = { pointer = \"/term\" }\nfollows = { pointer = \"/leader\" }";
        let leader = r#"{"role":"leader","term":7,"leader":"n1"}"#;
        check(roles, leader, (true, Some(7), Some("n1")));
        let candidate = r#"{"role":"candidate","term":8,"leader":null}"#;
        check(roles, candidate, (false, Some(8), None));
        check(roles, "not JSON", (false, None, None));
        check(roles, "{}", (false, None, None));
        let member = "leads = { pointer = \"/leader\", same_as = \"/header/member_id\" }";
        check(
            member,
            r#"{"header":{"member_id":"5"},"leader":"5"}"#,
            (true, None, None),
        );
        check(
            member,
            r#"{"header":{"member_id":"5"},"leader":"6"}"#,
            (false, None, None),
        );
        check(member, r#"{"leader":"6"}"#, (false, None, None));
    }

    #[test]
    fn what_a_node_says_of_itself_is_read_from_text() {
        let roles = "leads = { pattern = \"(?m)^role:(\\\\w+)\", equals = \"master\" }\n\
                     term = { pattern = \"epoch:(\\\\d+)\" }";
        check(
            roles,
            "# Replication\r\nrole:master\r\nepoch:3\r\n",
            (true, Some(3), None),
        );
        check(
            roles,
            "# Replication\r\nrole:slave\r\n",
            (false, None, None),
        );
    }
}
