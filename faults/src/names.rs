//! Closed sets of names, as a plan or a command line has them.

/// A name that is not in the set it should be from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?} (hint: {}known: {})", nearest(name, known), known.join(", "))]
pub struct UnknownName {
    /// What is being named: `fault`, `target` or `shape`.
    pub what: &'static str,
    /// The name as it was given.
    pub name: String,
    /// Every name there is.
    pub known: Vec<&'static str>,
}

/// Edits beyond which a name is no longer taken for a mistyped one.
const EDITS_MAX: usize = 3;

fn nearest(name: &str, known: &[&'static str]) -> String {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= EDITS_MAX.min(candidate.len() / 2))
        .min()
        .map_or_else(String::new, |(_, candidate)| {
            format!("did you mean {candidate}? ")
        })
}

/// Declares an enum whose variants have names: in plans, on command lines and in histories.
macro_rules! named {
    (
        $(#[$about:meta])*
        $type:ident, $what:literal {
            $($(#[$variant_about:meta])* $variant:ident = $name:literal),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $type {
            $($(#[$variant_about])* $variant),+
        }

        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                $type::ALL.iter().copied().find(|known| known.name() == name).ok_or_else(|| {
                    $crate::UnknownName {
                        what: $what,
                        name: name.to_owned(),
                        known: $type::ALL.iter().map(|known| known.name()).collect(),
                    }
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::UnknownName;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(named: $type) -> String {
                named.name().to_owned()
            }
        }
    };
}
pub(crate) use named;
