//! The plain reader and the exact one: the same history, or the same error.

use std::io::Cursor;

use super::*;

/// Reads text in both ways and compares all there is.
#[track_caller]
fn same(text: &[u8]) {
    let both = read(Cursor::new(text), text.len() as u64);
    let exact = lines::read(text).and_then(|history| {
        history.validate()?;
        Ok(history)
    });
    let shown = String::from_utf8_lossy(text);
    match (both, exact) {
        (Ok(both), Ok(exact)) => {
            assert_eq!(both, exact, "{shown}");
            for position in 0..both.events.len() {
                assert_eq!(
                    both.events.line(position),
                    exact.events.line(position),
                    "{shown}"
                );
            }
        }
        (Err(both), Err(exact)) => assert_eq!(both.to_string(), exact.to_string(), "{shown}"),
        (both, exact) => panic!("{both:?}\n{exact:?}\n{shown}"),
    }
    // What the plain reader makes of it alone is right, or it says nothing.
    let plain = threads::read(text, text.len() as u64).expect("memory is readable");
    if let Some(plain) = plain {
        let exact = lines::read(text).expect("the plain reader read it");
        assert_eq!(plain, exact, "{shown}");
    }
}

const HEADER: &str = "{\"format\":\"whitewater-history\",\"version\":1}\n";

/// Members of a line by field, plain ones and odd ones.
const MEMBERS: [(&str, &[&str]); 10] = [
    (
        "index",
        &[
            "0",
            "1",
            "7",
            "null",
            "00",
            "-1",
            "1.0",
            "1e3",
            "\"3\"",
            "12345678",
            "123456789",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "0.5",
            "",
        ],
    ),
    (
        "time",
        &[
            "5",
            "5",
            "6",
            "99999999999",
            "1e9",
            "null",
            "012345678901",
            "true",
        ],
    ),
    (
        "process",
        &[
            "0",
            "1",
            "\"nemesis\"",
            "\"logger\"",
            "65536",
            "18446744073709551615",
            "-0",
            "null",
            "123456789012345678",
        ],
    ),
    (
        "type",
        &[
            "\"invoke\"",
            "\"ok\"",
            "\"fail\"",
            "\"info\"",
            "\"okay\"",
            "\"o\\u006b\"",
            "7",
        ],
    ),
    (
        "f",
        &[
            "\"w\"",
            "\"read\"",
            "\"\"",
            "\"a-longer-name\"",
            "\"é\"",
            "\"w\\n\"",
            "7",
            "\"kill\"",
        ],
    ),
    (
        "key",
        &[
            "\"k\"",
            "\"k\"",
            "null",
            "3",
            "\"k4-0\"",
            "\"a key of many bytes\"",
            "[1,2]",
            "{}",
        ],
    ),
    (
        "value",
        &[
            "1",
            "-1",
            "0",
            "-0",
            "01",
            "--1",
            "1.5",
            "1e5",
            "1E+5",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "4611686018427387904",
            "12345678901234567890123",
            "\"x\"",
            "\"x\\\"y\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"é\"",
            "\"tab\there\"",
            "[1,2]",
            "[1, 2]",
            "[536870911,-536870912]",
            "[536870912,0]",
            "[1,2,3]",
            "[]",
            "[1,]",
            "[[\"r\",1,null],[\"append\",2,3]]",
            "{\"a\":{\"b\":[null]}}",
            "{\"id\":0,\"phase\":\"heal\",\"targets\":[]}",
            "{\"id\":0,\"phase\":\"other\"}",
            "{\"$map\":[[1,2]]}",
            "nul",
            "nulll",
            "true",
            "false",
            "truefalse",
            "tru",
            "\"\\u12\"",
            "\"",
            "\u{7f}",
            "[",
            "{",
            "",
        ],
    ),
    (
        "node",
        &["\"n1\"", "\"n1\"", "null", "7", "\"a node of many bytes\""],
    ),
    (
        "error",
        &[
            "\"refused\"",
            "null",
            "[1]",
            "\"a much longer reason\"",
            ":x",
        ],
    ),
    (
        "path",
        &[
            "[\"n1\",\"n2\"]",
            "[]",
            "[1]",
            "null",
            "\"n1\"",
            "[\"n1\" , \"n2\"]",
            "[\"n1\",]",
        ],
    ),
];

/// Numbers by chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A line; in `oddity` members about one is odd, missing, in another place or written with spaces.
fn line(chance: &mut Chance, position: usize, oddity: usize) -> String {
    let mut members = Vec::new();
    for (name, values) in MEMBERS {
        let odd = chance.one_in(oddity);
        let optional = !["index", "time", "process", "type", "f"].contains(&name);
        if (optional && chance.below(3) > 0) || (odd && chance.one_in(4)) {
            continue;
        }
        let value = match name {
            _ if odd => values[chance.below(values.len())].to_owned(),
            "index" => position.to_string(),
            "time" => (position * 1_000_003).to_string(),
            "process" => (position / 2 % 3).to_string(),
            "type" => ["\"invoke\"", "\"ok\""][position % 2].to_owned(),
            "f" => "\"read\"".to_owned(),
            "key" => "\"k\"".to_owned(),
            "path" => "[\"n1\",\"n2\"]".to_owned(),
            _ => values[chance.below(2)].to_owned(),
        };
        let (before, after) = match chance.one_in(oddity * 4) {
            true => (
                ["", " "][chance.below(2)],
                ["", " ", "\t", "  "][chance.below(4)],
            ),
            false => ("", ""),
        };
        members.push(format!("\"{name}\"{before}:{after}{value}{before}"));
    }
    if chance.one_in(oddity) && !members.is_empty() {
        let (one, other) = (chance.below(members.len()), chance.below(members.len()));
        members.swap(one, other);
    }
    if chance.one_in(oddity * 3) && !members.is_empty() {
        members.push(members[chance.below(members.len())].clone());
    }
    if chance.one_in(oddity * 2) {
        members.push("\"other\":[1]".to_owned());
    }
    let ends = [
        "\n", "\n", "\r\n", " \n", "\n\n", "\n \n", "}\n", ",\n", "\u{c}\n",
    ];
    let end = if chance.one_in(oddity * 2) {
        ends[chance.below(ends.len())]
    } else {
        "\n"
    };
    format!("{{{}}}{end}", members.join(","))
}

/// Goal: whatever the line, the fast way says what the exact way says. Method: lines of every
/// degree of oddity, with and without header, cut off anywhere, joined, damaged.
#[test]
fn both_ways_read_the_same() {
    let mut chance = Chance(11);
    for round in 0..2_500 {
        let oddity = [4, 12, 60, 1_000_000][round % 4];
        let mut text = if chance.one_in(2) {
            HEADER.to_owned()
        } else {
            String::new()
        };
        for position in 0..chance.below(12) {
            text += &line(&mut chance, position, oddity);
        }
        let mut bytes = text.into_bytes();
        match chance.below(8) {
            0 => bytes.truncate(chance.below(bytes.len() + 1)),
            1 if !bytes.is_empty() => {
                let at = chance.below(bytes.len());
                bytes[at] = chance.below(256) as u8;
            }
            2 if !bytes.is_empty() => {
                let at = chance.below(bytes.len());
                bytes.remove(at);
            }
            _ => {}
        }
        same(&bytes);
    }
}

/// The same without index, without time, and without both, in all lines or in some.
#[test]
fn both_ways_stamp_the_same() {
    let mut chance = Chance(5);
    for round in 0..400 {
        let mut text = if chance.one_in(4) {
            HEADER.to_owned()
        } else {
            String::new()
        };
        let stamp = [true, false].map(|_| chance.one_in(2));
        for position in 0..8 {
            let odd = round % 2 == 1 && chance.one_in(8);
            let names = ["index", "time"].iter().zip(stamp);
            let stamps = names.filter(|(_, wanted)| *wanted != odd);
            let stamps: String = stamps
                .map(|(name, _)| format!("\"{name}\":{position},"))
                .collect();
            let kind = ["invoke", "ok"][position % 2];
            text += &format!("{{{stamps}\"process\":0,\"type\":\"{kind}\",\"f\":\"w\"}}\n");
        }
        same(text.as_bytes());
    }
}

/// Histories of several blocks: lines, indexes and tables go on over their borders, whatever is
/// wrong is said of its line, and the end may be torn.
#[test]
fn both_ways_read_the_same_over_blocks() {
    let mut text = HEADER.to_owned();
    for position in 0..30_000_usize {
        let process = position / 2 % 7 + position / 9_000 * 70_000;
        let kind = ["invoke", "ok"][position % 2];
        let value = match position % 5 {
            0 => format!("\"value {}\"", position / 700),
            1 => format!("[[\"r\",{position},null]]"),
            2 => format!("\"\\u00e9{}\"", position % 3),
            3 => format!("[{position},{position}]"),
            _ => position.to_string(),
        };
        text += &format!(
            "{{\"index\":{position},\"time\":{},\"process\":{process},\"type\":\"{kind}\",\
             \"f\":\"f{}\",\"key\":\"k{}\",\"value\":{value},\"node\":\"n{}\",\"path\":[\"n{}\"]}}\n",
            position * 10,
            position / 2 % 3,
            position / 2 / 500,
            position % 5,
            position / 4_000,
        );
    }
    assert!(text.len() > 3 << 20, "several blocks");
    same(text.as_bytes());
    same(&text.as_bytes()[..text.len() - 9]);
    let bare = text
        .replace("\"index\":", "\"was\":")
        .replace("\"time\":", "\"when\":");
    same(bare.strip_prefix(HEADER).expect("a header").as_bytes());
    for at in [1, text.len() / 2, text.len() - 200] {
        let line = text[at..].find("\"type\"").expect("a line") + at;
        let mut broken = text.clone();
        broken.replace_range(line..line + 6, "\"tipe\"");
        same(broken.as_bytes());
    }
    let first_of_later = text.match_indices("\"time\":").nth(20_000).expect("many").0;
    let mut partly = text.clone();
    partly.replace_range(first_of_later..first_of_later + 7, "\"tame\":");
    same(partly.as_bytes());
}
