//! Jepsen's text log, and its `history.txt`: process, type, operation and value, divided by tabs.
//!
//! ```text
//! INFO  jepsen.util - 0   :invoke :write  4
//! 2015-01-01 12:00:00,123{GMT}    INFO    [jepsen worker 3] jepsen.util: 3    :ok :read   nil
//! INFO [2023-10-08 18:08:39,970] jepsen worker nemesis - jepsen.util :nemesis :info :pause :all
//! ```
//!
//! Between them are lines about other things. A line counts as an operation as soon as it looks
//! like one, so that a damaged one is an error and not passed over. The log has no times worth
//! keeping: the order of its lines is the order of events.

use std::io::Read;

use super::blocks::each_line;
use super::error::{ReadError, ReadErrorKind, column};
use super::fields::{Assembly, Fields, Style};
use crate::edn::Reader;
use crate::scanner::SyntaxError;
use crate::{EventType, FailedCas, History};

/// The part of Jepsen that logs operations.
const LOGGER: &str = "jepsen.util";

/// How the process is called that injects faults.
const NEMESIS: &str = ":nemesis";

/// Reads the operations of a log. In it, a failed `cas` found another value.
pub(super) fn read(source: impl Read) -> Result<History, ReadError> {
    let mut assembly = Assembly::new(Style::Edn);
    let mut operations = 0;
    each_line(source, |number, line| {
        let start = operation_start(line);
        let fields = match start {
            Some(start) => Some(operation(line, start, number)?),
            None => None,
        };
        if !line.ends_with('\n') && !start.is_some_and(|start| is_closed(&line[start..])) {
            let what = "the last line has no newline at its end, so that its value may be \
                        incomplete (hint: append a newline if the file is whole)";
            return Err(ReadErrorKind::CutOff(what.to_owned()).at_line(number as usize));
        }
        if let Some(fields) = fields {
            operations += 1;
            assembly.push(fields)?;
        }
        Ok(())
    })?;
    if operations == 0 {
        let what = "expected lines of operations, such as `INFO  jepsen.util - 0\\t:invoke\\t:read\
                    \\tnil`, found none";
        return Err(ReadErrorKind::Malformed(what.to_owned()).nowhere());
    }
    Ok(History {
        failed_cas: FailedCas::Observed,
        ..assembly.finish(false)?
    })
}

/// Whether one of the first lines is an operation.
pub(crate) fn is_log(bytes: &[u8], lines_max: usize) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').take(lines_max);
    lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .any(|line| {
            let typed = tokens(line).zip(tokens(line).skip(1));
            typed
                .into_iter()
                .any(|((_, process), (_, kind))| is_process(process) && is_type(kind))
        })
}

/// Where in a line the operation begins, if it looks like one: with its process.
fn operation_start(line: &str) -> Option<usize> {
    let tabbed = |at: usize, token: &str| {
        line[..at].ends_with('\t') || line[at + token.len()..].starts_with('\t')
    };
    let typed = tokens(line)
        .zip(tokens(line).skip(1))
        .find(|((_, process), (at, kind))| {
            is_type(kind) && (is_process(process) || tabbed(*at, kind))
        });
    if let Some(((start, _), _)) = typed {
        return Some(start);
    }
    // No type that we know. It is an operation all the same when the logger of operations wrote
    // it, or when it begins with a process, and a tab follows.
    let logged = tokens(line)
        .skip_while(|(_, token)| token.trim_end_matches(':') != LOGGER)
        .skip(1)
        .find(|(_, token)| *token != "-");
    let (start, first) = logged.or_else(|| tokens(line).next())?;
    let followed_by_tab = line[start + first.len()..].starts_with('\t');
    let looks_like_one = match logged {
        Some(_) => is_process(first) || followed_by_tab,
        None => is_process(first) && followed_by_tab,
    };
    looks_like_one.then_some(start)
}

/// Reads the operation that begins at `start` in a line.
fn operation(line: &str, start: usize, number: u32) -> Result<Fields, ReadError> {
    let text = line[start..].trim_ascii_end();
    let malformed = |what: String, offset: usize| {
        ReadErrorKind::Malformed(what).at((number, column(line, start + offset)))
    };
    let failed = |error: SyntaxError| malformed(error.to_string(), error.offset);
    let mut fields = Fields {
        line: number,
        ..Fields::default()
    };
    let mut reader = Reader::new(text);
    fields.process = Some(reader.value().map_err(failed)?);
    fields.kind = Some(reader.value().map_err(failed)?);
    fields.f = Some(reader.value().map_err(failed)?);
    let at = reader.offset();
    fields.value_is_keyword = reader.peek().map_err(failed)? == Some(b':');
    if text.starts_with(NEMESIS) && reader.peek().map_err(failed)?.is_some() {
        // What the nemesis says is for people, and not always EDN.
        let said = &text[at..];
        fields.value =
            Some(crate::edn::parse_value(said).unwrap_or_else(|_| said.trim_ascii().into()));
        return Ok(fields);
    }
    fields.value = Some(reader.value().map_err(failed)?);
    let rest = &text[reader.offset()..];
    if rest.trim_ascii().is_empty() {
        return Ok(fields);
    }
    if !rest.starts_with('\t') {
        return Err(malformed(
            format!(
                "expected a tab or the end of the line, found {:?}",
                rest.trim_ascii()
            ),
            reader.offset(),
        ));
    }
    let reason = crate::edn::parse_value(rest).unwrap_or_else(|_| rest.trim_ascii().into());
    fields.error = Some(reason);
    Ok(fields)
}

/// Whether an operation that is the last thing in a file is surely complete: more text could have
/// made another value of `1` or `:time`, but not of `[1 2]` or `nil`; and to a failure, a reason
/// could have been added.
fn is_closed(operation: &str) -> bool {
    let last = tokens(operation).last().map_or("", |(_, token)| token);
    let kind = tokens(operation).nth(1).map_or("", |(_, token)| token);
    let value_is_closed =
        last.ends_with([']', ')', '}', '"']) || ["nil", "true", "false"].contains(&last);
    last == ":timed-out" || (value_is_closed && [":invoke", ":ok"].contains(&kind))
}

/// The words of a line, with their offsets.
fn tokens(line: &str) -> impl Iterator<Item = (usize, &str)> + Clone {
    let base = line.as_ptr() as usize;
    line.split_ascii_whitespace()
        .map(move |token| (token.as_ptr() as usize - base, token))
}

fn is_process(token: &str) -> bool {
    token == NEMESIS || token.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_type(token: &str) -> bool {
    token
        .strip_prefix(':')
        .is_some_and(|name| EventType::from_name(name).is_some())
}
