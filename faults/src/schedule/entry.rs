//! A planned fault as a plan file writes it: times in milliseconds, or with their unit.

use serde::{Deserialize, Serialize};

use super::Planned;
use crate::{Action, Condition, Name};

/// A table of `[[schedule]]`. The fault's own parameters stand beside these fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(default, skip_serializing_if = "is_zero")]
    id: u64,
    at_ms: Option<u64>,
    #[serde(skip_serializing)]
    at: Option<String>,
    #[serde(skip_serializing)]
    when: Option<OneOrMore>,
    after: Option<OneOrMore>,
    delay_ms: Option<u64>,
    #[serde(skip_serializing)]
    delay: Option<String>,
    for_ms: Option<u64>,
    #[serde(rename = "for", skip_serializing)]
    length: Option<String>,
    until: Option<OneOrMore>,
    #[serde(flatten)]
    action: Action,
    #[serde(default)]
    order: Vec<Name>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `"leader elected"`, or a list of such.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    /// `None` for none.
    fn of(conditions: &[Condition]) -> Option<Self> {
        let texts: Vec<String> = conditions.iter().map(Condition::to_string).collect();
        (!texts.is_empty()).then_some(OneOrMore::More(texts))
    }

    fn conditions(self) -> Result<Vec<Condition>, String> {
        let texts = match self {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        let read = |text: String| text.parse::<Condition>().map_err(|error| error.to_string());
        texts.into_iter().map(read).collect()
    }
}

impl TryFrom<Entry> for Planned {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let kind = entry.action.kind();
        let name = match entry.id {
            0 => format!("a {kind}"),
            id => format!("fault {id}, a {kind}"),
        };
        let about = |why: String| format!("{name}: {why}");
        let at_ms = one_time(("at_ms", entry.at_ms), ("at", entry.at)).map_err(about)?;
        let delay_ms =
            one_time(("delay_ms", entry.delay_ms), ("delay", entry.delay)).map_err(about)?;
        let for_ms = one_time(("for_ms", entry.for_ms), ("for", entry.length)).map_err(about)?;
        let mut after = Vec::new();
        for conditions in [entry.when, entry.after].into_iter().flatten() {
            after.extend(conditions.conditions().map_err(about)?);
        }
        if at_ms.is_none() && after.is_empty() {
            return Err(about(
                "when it begins is not said (hint: `at = \"3s\"` or `when = \"leader elected\"`)"
                    .to_owned(),
            ));
        }
        let for_ms = for_ms.ok_or_else(|| {
            about("how long it lasts is not said (hint: `for = \"2s\"`)".to_owned())
        })?;
        let until = entry.until.map_or(Ok(Vec::new()), OneOrMore::conditions);
        Ok(Planned {
            id: entry.id,
            at_ms: at_ms.unwrap_or(0),
            after,
            delay_ms: delay_ms.unwrap_or(0),
            for_ms,
            until: until.map_err(about)?,
            action: entry.action,
            order: entry.order,
        })
    }
}

/// A time given as a number of milliseconds or as a text with its unit, and not as both.
fn one_time(
    (name_ms, number_ms): (&str, Option<u64>),
    (name, text): (&str, Option<String>),
) -> Result<Option<u64>, String> {
    match (number_ms, text) {
        (Some(_), Some(_)) => Err(format!("`{name_ms}` and `{name}` say the same twice")),
        (Some(number_ms), None) => Ok(Some(number_ms)),
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let time = humantime::parse_duration(&text).map_err(|error| {
                format!("`{name}` is {text:?}: {error} (hint: e.g. \"3s\", \"1500ms\")")
            })?;
            let time_ms = u64::try_from(time.as_millis());
            time_ms
                .map(Some)
                .map_err(|_| format!("`{name}` is {text:?}: too long"))
        }
    }
}

impl From<Planned> for Entry {
    fn from(planned: Planned) -> Entry {
        Entry {
            id: planned.id,
            at_ms: Some(planned.at_ms),
            at: None,
            when: None,
            after: OneOrMore::of(&planned.after),
            delay_ms: (planned.delay_ms > 0).then_some(planned.delay_ms),
            delay: None,
            for_ms: Some(planned.for_ms),
            length: None,
            until: OneOrMore::of(&planned.until),
            action: planned.action,
            order: planned.order,
        }
    }
}
