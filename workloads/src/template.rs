//! Texts with placeholders in braces.

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing is known by this name.
    #[error("unknown placeholder {{{0}}}")]
    Unknown(String),
    /// A brace without its partner.
    #[error("{0:?} has a brace without its partner (hint: {{{{ and }}}} stand for braces)")]
    Brace(String),
}

/// Puts what is known in the place of placeholders; `{{` and `}}` stand for braces.
///
/// # Errors
/// A placeholder of which nothing is known, or a brace without its partner.
pub fn fill(
    template: &str,
    known: impl Fn(&str) -> Option<String>,
) -> Result<String, TemplateError> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{") {
            filled.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            filled.push('}');
            rest = after;
        } else {
            let (name, after) = rest
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'))
                .ok_or_else(|| TemplateError::Brace(template.to_owned()))?;
            let value = known(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            filled.push_str(&value);
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_or_refused() {
        let known = |name: &str| match name {
            "node" => Some("n1".to_owned()),
            "x" => Some("{node}".to_owned()),
            _ => None,
        };
        let rows = [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("{node}", Ok("n1")),
            ("a{node}b{node}", Ok("an1bn1")),
            ("{x}", Ok("{node}")),
            ("{{node}}", Ok("{node}")),
            ("{{{node}}}", Ok("{n1}")),
            ("{nod}", Err("unknown placeholder {nod}")),
            ("{node", Err("without its partner")),
            ("node}", Err("without its partner")),
        ];
        for (template, expected) in rows {
            match (fill(template, known), expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{template}"),
                (Err(error), Err(expected)) => {
                    let error = error.to_string();
                    assert!(error.contains(expected), "{template}: {error}");
                }
                (filled, expected) => panic!("{template}: {filled:?}, not {expected:?}"),
            }
        }
    }
}
