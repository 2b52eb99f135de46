//! How many messages there were.

use std::collections::BTreeMap;

use histories::Value;

use crate::link::Dropped;
use crate::message::Message;

/// Types of messages that are counted apart, at most.
const TYPES_MAX: usize = 100;

/// How many messages there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stats {
    /// Those between nodes and services.
    servers: Counts,
    /// Those to and from clients.
    clients: Counts,
    dropped: BTreeMap<Dropped, u64>,
    duplicated: u64,
    overtaken: u64,
    /// Of those between nodes and services, how many were sent of each type.
    types: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: u64,
    received: u64,
}

impl Stats {
    pub fn sent(&mut self, message: &Message) {
        self.counts(message).sent += 1;
        if message.is_of_client() {
            return;
        }
        let kind = message.kind();
        if let Some(count) = self.types.get_mut(kind) {
            *count += 1;
        } else if self.types.len() < TYPES_MAX {
            self.types.insert(kind.to_owned(), 1);
        }
    }

    pub fn received(&mut self, message: &Message) {
        self.counts(message).received += 1;
    }

    pub fn dropped(&mut self, why: Dropped) {
        *self.dropped.entry(why).or_default() += 1;
    }

    pub fn duplicated(&mut self, copies: u64) {
        self.duplicated += copies;
    }

    pub fn overtaken(&mut self) {
        self.overtaken += 1;
    }

    fn counts(&mut self, message: &Message) -> &mut Counts {
        match message.is_of_client() {
            true => &mut self.clients,
            false => &mut self.servers,
        }
    }

    /// As a history records it, for so many operations: what was sent and received in all, by
    /// clients, and by servers, and how many messages that is for an operation, as text of two
    /// places.
    pub fn to_value(&self, operations: u64) -> Value {
        let all = Counts {
            sent: self.servers.sent + self.clients.sent,
            received: self.servers.received + self.clients.received,
        };
        let count = |name: &str, counts: Counts| {
            let entries = vec![
                ("sent".into(), int(counts.sent)),
                ("received".into(), int(counts.received)),
                (
                    "per_operation".into(),
                    hundredths(counts.sent, operations).into(),
                ),
            ];
            (Value::from(name), Value::Map(entries))
        };
        let named = |(name, count): (&str, u64)| (Value::from(name), int(count));
        let dropped = self.dropped.iter().map(|(why, count)| (why.name(), *count));
        let types = self
            .types
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count));
        Value::Map(vec![
            ("operations".into(), int(operations)),
            count("all", all),
            count("clients", self.clients),
            count("servers", self.servers),
            ("dropped".into(), Value::Map(dropped.map(named).collect())),
            ("duplicated".into(), int(self.duplicated)),
            ("overtaken".into(), int(self.overtaken)),
            (
                "server_types".into(),
                Value::Map(types.map(named).collect()),
            ),
        ])
    }
}

fn int(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A quotient with two places.
fn hundredths(count: u64, of: u64) -> String {
    let hundredths = u128::from(count) * 100 / u128::from(of.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_who_is_involved() {
        let message = |src: &str, dest: &str, kind: &str| {
            let line = format!(r#"{{"src":"{src}","dest":"{dest}","body":{{"type":"{kind}"}}}}"#);
            Message::parse(&line).expect("a message")
        };
        let mut stats = Stats::default();
        for message in [
            message("c1", "n0", "read"),
            message("n0", "n1", "gossip"),
            message("n0", "lin-kv", "read"),
            message("n0", "c1", "read_ok"),
        ] {
            stats.sent(&message);
            stats.received(&message);
        }
        stats.sent(&message("n1", "n0", "gossip"));
        stats.dropped(Dropped::Lost);
        let value = stats.to_value(2);
        let at = |path: [&str; 2]| {
            let found = value.get(path[0]).and_then(|inner| inner.get(path[1]));
            found.map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(at(["all", "sent"]), "5");
        assert_eq!(at(["clients", "received"]), "2");
        assert_eq!(at(["servers", "sent"]), "3");
        assert_eq!(at(["servers", "per_operation"]), "\"1.50\"");
        assert_eq!(at(["dropped", "lost"]), "1");
        assert_eq!(at(["server_types", "gossip"]), "2");
    }
}
