use std::io;

use super::*;
use crate::Format;
use crate::formats::read_source;

/// What is read of a text until it ends or somebody has had enough.
struct Counted<'a> {
    text: &'a [u8],
    read: &'a mut usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // Never more than a little at once, as from a pipe.
        let most = out.len().min(4_096);
        let count = self.text.read(&mut out[..most])?;
        *self.read += count;
        Ok(count)
    }
}

/// So many operations, between what is before the first, between two, and after the last.
fn history(format: Format, operations: usize, [before, between, after]: [&str; 3]) -> String {
    let row = |number: usize| {
        let (process, kind) = (number % 5, if number % 10 < 5 { "invoke" } else { "ok" });
        match format {
            Format::Edn => format!(
                "{{:process {process}, :type :{kind}, :f :write, :value \"é{}\"}}",
                number % 5
            ),
            _ => format!(
                r#"{{"process":{process},"type":"{kind}","f":"write","value":"é{}"}}"#,
                number % 5
            ),
        }
    };
    let rows: Vec<String> = (0..operations).map(row).collect();
    format!("{before}{}{after}", rows.join(between))
}

/// The shapes that histories come in.
const SHAPES: [(Format, [&str; 3]); 7] = [
    (Format::Edn, ["", "\n", "\n"]),
    (Format::Edn, ["[", ", ", "]\n"]),
    (
        Format::Edn,
        ["\u{feff}; é\n(", " #_{:a 1} ; é }\n", " ) ; end"],
    ),
    (Format::Edn, ["#tag ^{:a 1} [", "\n\n", "]"]),
    (Format::ElleJson, ["[", ",", "]"]),
    (Format::ElleJson, ["\u{feff} [\n", " ,\n", "\n]\n"]),
    (Format::ElleJson, ["", "\n", "\n"]),
];

#[test]
fn however_it_is_cut_a_text_says_the_same() {
    for (format, around) in SHAPES {
        for operations in [0, 1, 2, 7] {
            let text = history(format, operations, around);
            let read = read_source(text.as_bytes(), 0, format);
            let read = read.unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.events.len(), operations, "{text}");
            for end in 0..=text.len() {
                let bytes = &text.as_bytes()[..end];
                assert!(ways_agree(format, bytes), "{text} cut at {end}");
                let wrong = [bytes, b" }\xff ", bytes].concat();
                assert!(ways_agree(format, &wrong), "{text} wrong at {end}");
            }
        }
    }
}

#[test]
fn errors_say_where_they_are_however_far_into_a_text() {
    for (format, around) in SHAPES {
        let good = history(format, 30_000, around);
        let (rest, end) = good.split_at(good.len() - around[2].len());
        let bad = match format {
            Format::Edn => "\n{:process x}",
            _ if around[0].is_empty() => "\n{\"process\": x}",
            _ => ",\n{\"process\": x}",
        };
        let text = format!("{rest}{bad}{end}");
        let error = read_source(text.as_bytes(), 0, format).expect_err("it is wrong");
        let line = 2 + rest.matches('\n').count();
        assert_eq!(error.line, Some(line as u32), "{format}: {error}");
        assert!(error.column.is_some_and(|column| column < 15), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_before_all_is_read() {
    for (format, around) in SHAPES {
        let text = history(format, 30_000, around);
        let wrong = text.replacen("write", "\" \"", 1);
        let mut read = 0;
        let source = Counted {
            text: wrong.as_bytes(),
            read: &mut read,
        };
        assert!(read_source(source, 0, format).is_err());
        assert!(read <= BLOCK_BYTES, "{format}: {read} of {}", wrong.len());
    }
}

#[test]
fn no_more_than_a_block_is_kept_of_a_text_without_lines() {
    let text = history(Format::ElleJson, 60_000, ["[", ",", "]"]);
    let mut window = Window::new(text.as_bytes());
    let mut taken = 0;
    while taken < text.len() {
        let length = 1_000.min(text.len() - taken);
        let some = |rest: &str| match rest.char_indices().find(|(at, _)| *at >= length) {
            Some((at, _)) => Ok((at, at)),
            None => Ok((rest.len(), rest.len())),
        };
        taken += window.take(some).expect("it is text");
        assert!(window.text.capacity() <= 4 * BLOCK_BYTES);
    }
}
