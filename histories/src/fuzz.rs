//! What the fuzz targets run on any bytes, and the tests on the kept corpus and on mutations of it:
//! nothing that is read makes a reader panic, and what was read is a history like any other.
//!
//! Only built for tests and with the feature `fuzz`.

use crate::formats::{binary, jsonl, window};
use crate::{Format, History, read, write_binary, write_jsonl};

/// Reads the bytes in a format, and tries everything on the history if it is one.
///
/// # Panics
///
/// When a promise is broken, so that the fuzzer or the test finds it.
pub fn survive(format: Format, bytes: &[u8]) {
    // Without right checksums little of a binary history is looked at.
    for repaired in [false, true] {
        if repaired && format != Format::Binary {
            break;
        }
        let mut bytes = bytes.to_vec();
        if repaired {
            binary::repair(&mut bytes);
        }
        match read("h", &bytes, Some(format)) {
            Ok(history) => try_all(&history),
            Err(error) => assert!(error.to_string().starts_with("h:"), "{error}"),
        }
        if format == Format::Jsonl {
            assert!(
                jsonl::ways_agree(&bytes),
                "the plain and the exact reader disagree"
            );
        }
        if format == Format::Binary {
            assert!(
                binary::ways_agree(&bytes),
                "reading on one thread and on two disagree"
            );
        }
        if [Format::Edn, Format::ElleJson].contains(&format) {
            assert!(
                window::ways_agree(format, &bytes),
                "reading in pieces and as a whole disagree"
            );
        }
        // Whatever the format is recognised to be, recognising it is harmless.
        let _ = crate::detect(&bytes);
    }
}

/// All that can be done with a history that was read.
fn try_all(history: &History) {
    assert_eq!(history.validate(), Ok(()), "read, and not consistent");
    let operations = history.operations().to_vec();
    assert_eq!(operations.len(), history.operations().len());
    history.faults();
    let mut tuples = history.clone();
    if tuples.split_tuples().is_ok() {
        let _ = tuples.validate();
    }
    let mut text = Vec::new();
    write_jsonl(history, &mut text).expect("memory takes it");
    let again = read("h", &text, Some(Format::Jsonl)).expect("what was read is written");
    assert_eq!(again.events, history.events);
    let mut bytes = Vec::new();
    write_binary(history, &mut bytes).expect("memory takes it");
    let again = read("h", &bytes, Some(Format::Binary)).expect("what was read is written");
    assert_eq!(again.events, history.events);
    assert_eq!(again.header, history.header);
    for format in Format::ALL {
        let mut bytes = Vec::new();
        if crate::write(history, format, &mut bytes).is_ok()
            && let Ok(again) = read("h", &bytes, Some(format))
        {
            // It may say that it cannot be expressed; it must not panic.
            let _ = crate::compare(history, &again, format);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Mutations of each file of the corpus.
    const ROUNDS: usize = 800;

    /// Numbers by chance (splitmix64).
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
        }
    }

    /// Changes a few places of a file.
    fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
        for _ in 0..=chance.below(3) {
            let at = chance.below(bytes.len());
            let end = (at + chance.below(24)).min(bytes.len());
            match chance.below(7) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let copied = bytes[at..end].to_vec();
                    let to = chance.below(bytes.len());
                    drop(bytes.splice(to..to, copied));
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
                4 if at < bytes.len() => bytes[at] = [0, 0x7f, 0x80, 0xff][chance.below(4)],
                5 => bytes.insert(at, b"{}[]()\"\\:,;#\n\t 09-e"[chance.below(19)]),
                _ => {
                    let long = [b'[', b'(', b'{', b'"', b'9', b'#'][chance.below(6)];
                    let count = chance.below(3_000);
                    drop(bytes.splice(at..at, std::iter::repeat_n(long, count)));
                }
            }
        }
    }

    /// Goal: no bytes make a reader panic or break a promise. Method: the corpus of each target,
    /// and seeded mutations of it.
    #[test]
    fn the_corpus_and_its_mutations() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for format in Format::ALL {
            let folder = corpus.join(format.name().replace('-', "_"));
            let mut files: Vec<_> = fs::read_dir(&folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
                .map(|file| file.unwrap().path())
                .collect();
            files.sort();
            assert!(files.len() >= 2, "{}", folder.display());
            for file in files {
                let bytes = fs::read(&file).unwrap();
                survive(format, &bytes);
                let mut chance = Chance(bytes.len() as u64);
                for _ in 0..ROUNDS {
                    let mut bytes = bytes.clone();
                    mutate(&mut bytes, &mut chance);
                    survive(format, &bytes);
                }
            }
        }
    }

    /// The corpus has histories, not only what is refused.
    #[test]
    fn the_corpus_is_read() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for format in Format::ALL {
            let folder = corpus.join(format.name().replace('-', "_"));
            let files = fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().path());
            let read = files.filter(|file| {
                let history = read("h", &fs::read(file).unwrap(), Some(format));
                history.is_ok_and(|history| history.events.len() >= 2)
            });
            assert!(read.count() >= 2, "{format}");
        }
    }
}
