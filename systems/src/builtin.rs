//! The definitions that come with Whitewater.

use std::sync::{Arc, OnceLock};

use crate::definition::Definition;
use crate::parse::Problem;

/// Every definition that comes with Whitewater: its name and its text.
pub const BUILTIN: [(&str, &str); 5] = [
    ("raft-kv", include_str!("../raft-kv.toml")),
    ("etcd", include_str!("../etcd.toml")),
    ("redis", include_str!("../redis.toml")),
    ("zookeeper", include_str!("../zookeeper.toml")),
    ("postgresql", include_str!("../postgresql.toml")),
];

/// The definition of this name that comes with Whitewater.
///
/// # Errors
/// There is none; the message names the nearest.
pub fn builtin(name: &str) -> Result<Arc<Definition>, Problem> {
    static READ: OnceLock<Vec<Result<Arc<Definition>, Problem>>> = OnceLock::new();
    let read = READ.get_or_init(|| {
        let texts = BUILTIN.iter();
        let read = texts.map(|(_, text)| Definition::parse(text).map(Arc::new));
        read.collect()
    });
    match BUILTIN.iter().position(|(known, _)| *known == name) {
        Some(at) => read[at].clone(),
        None => {
            let names = BUILTIN.iter().map(|(name, _)| *name);
            let problem = Problem::unknown("system", name, names);
            Err(problem.or_hint(
                "`whitewater systems` lists them; a file's name has a `/` or ends in .toml",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_sound_and_has_the_name_it_is_found_by() {
        for (name, text) in BUILTIN {
            match Definition::parse(text) {
                Ok(definition) => assert_eq!(definition.name, name),
                Err(problem) => panic!("systems/{name}.toml: {problem}"),
            }
        }
    }

    #[test]
    fn a_definition_survives_being_written() {
        for (name, text) in BUILTIN {
            let definition = Definition::parse(text).expect("sound");
            let written = toml::to_string(&definition).expect("plain data");
            assert_eq!(
                Definition::parse(&written),
                Ok(definition),
                "{name}: {written}"
            );
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_nearest() {
        let problem = builtin("raftkv").expect_err("there is none").to_string();
        assert!(problem.contains("did you mean `raft-kv`?"), "{problem}");
    }
}
