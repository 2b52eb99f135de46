//! Reading on two threads and on one: the same history, the same words.

use super::*;
use crate::{Event, EventType, Process, Value};

/// Numbers by chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn value(&mut self) -> Value {
        match self.below(7) {
            0 => Value::Nil,
            1 => Value::Bool(true),
            2 => Value::from(format!("text {}", self.below(4))),
            3 => Value::List(vec![Value::Int(1), Value::from("x")]),
            4 => Value::Int(-(self.below(1 << 40) as i64)),
            _ => Value::Int(self.below(300) as i64),
        }
    }
}

/// A history of so many events, of which those from `keyed` on have keys.
fn history(events: usize, keyed: usize, chance: &mut Chance) -> History {
    let mut open: Vec<Option<(String, Option<Value>)>> = vec![None; 5];
    let (mut index, mut time_ns) = (chance.below(3), 0);
    let mut made = Vec::new();
    while made.len() < events {
        index += 1 + chance.below(20) / 19;
        let bits = 4 * chance.below(10);
        time_ns += chance.below(1 << bits);
        let client = chance.below(5);
        let nemesis = chance.below(12) == 0;
        let (kind, (f, key)) = match (nemesis, &mut open[client as usize]) {
            (true, _) => (EventType::Info, ("kill".to_owned(), None)),
            (false, open @ None) => {
                let key = (made.len() >= keyed).then(|| Value::Int(chance.below(3) as i64));
                let f = format!("f{}", chance.below(3));
                *open = Some((f.clone(), key.clone()));
                (EventType::Invoke, (f, key))
            }
            (false, open) => {
                let kind = [EventType::Ok, EventType::Fail, EventType::Info];
                (kind[chance.below(3) as usize], open.take().unwrap())
            }
        };
        made.push(Event {
            index,
            time_ns,
            process: match nemesis {
                true => Process::Nemesis,
                false => Process::Client(client * 1_000_000),
            },
            kind,
            f: f.into(),
            key,
            value: chance.value(),
            node: (chance.below(3) == 0).then(|| format!("n{}", chance.below(3)).into()),
            error: (chance.below(9) == 0).then(|| "slow".into()),
            path: vec!["n1".into(); (chance.below(8) / 6) as usize],
        });
    }
    History {
        events: made.into(),
        ..History::default()
    }
}

/// The history in chunks that end after these numbers of events, and one with the rest.
fn in_chunks(history: &History, ends: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_beginning(&history.header, history.failed_cas, &mut bytes).unwrap();
    let mut chunk = Chunk::default();
    for (position, event) in history.events.iter().enumerate() {
        if ends.contains(&position) {
            chunk.write(&mut bytes).unwrap();
        }
        chunk.push(&event);
    }
    chunk.write(&mut bytes).unwrap();
    bytes
}

/// Both ways of reading; what they agree on, or the words of the error.
#[track_caller]
fn read_both_ways(bytes: &[u8]) -> Result<History, String> {
    let [one, two] = [false, true]
        .map(|two| read_with(bytes, bytes.len() as u64, two).map_err(|error| error.to_string()));
    assert_eq!(one, two);
    let torn = |history: &Result<History, String>| history.as_ref().is_ok_and(|it| it.torn);
    assert_eq!(torn(&one), torn(&two));
    two
}

/// Goal: wherever chunks end, the same events are read, on one thread and on two.
#[test]
fn chunks_may_end_anywhere() {
    for seed in 0..60 {
        let mut chance = Chance(seed);
        let (events, keyed) = (chance.below(40) as usize, chance.below(60) as usize);
        let history = history(events, keyed, &mut chance);
        let ends: Vec<usize> = (0..events).filter(|_| chance.below(4) == 0).collect();
        for ends in [vec![], ends, (0..events).collect()] {
            let read = read_both_ways(&in_chunks(&history, &ends)).expect("our own");
            assert_eq!(read.events, history.events, "{ends:?}");
            assert!(!read.torn);
        }
    }
}

/// Goal: cut at every byte, what is read are the events of the whole chunks before, without a word.
#[test]
fn torn_at_every_byte() {
    let history = history(30, 9, &mut Chance(7));
    let ends = [3, 4, 11, 20];
    let bytes = in_chunks(&history, &ends);
    let mut whole = Vec::new();
    let mut at = MAGIC.len() + 4;
    while let Some(length) = bytes.get(at + 8..).and_then(|rest| rest.first_chunk::<4>()) {
        at += FRAME_BYTES + u32::from_le_bytes(*length) as usize;
        whole.push(at);
    }
    assert_eq!(whole.len(), 1 + ends.len() + 1, "a header and the chunks");
    for cut in 1..=bytes.len() {
        let read = read_both_ways(&bytes[..cut]).expect("a torn tail is no error");
        let chunks = whole.iter().filter(|end| **end <= cut).count();
        let events = match chunks {
            0 | 1 => 0,
            _ => *ends.get(chunks - 2).unwrap_or(&30),
        };
        let expected: Vec<Event> = history.events.iter().take(events).collect();
        assert_eq!(read.events, expected, "cut at {cut}");
        assert_eq!(read.torn, !whole.contains(&cut), "cut at {cut}");
    }
}

/// Goal: a byte that was changed is an error with the same place both ways, and one that the
/// checksums were made to fit is read alike or refused alike. Method: every byte, several changes.
#[test]
fn damaged_at_every_byte() {
    let history = history(24, 5, &mut Chance(3));
    let bytes = in_chunks(&history, &[2, 9, 10, 17]);
    let (mut refused, mut read) = (0, 0);
    for at in MAGIC.len() + 4..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            assert!(read_both_ways(&bytes).is_err(), "{at}");
            repair(&mut bytes);
            match read_both_ways(&bytes) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100 && read > 100, "{refused} {read}");
}

/// Goal: of two chunks that are wrong the first is named, whichever thread comes upon it: one has a
/// type of event that there is none of, the other a name. Method: in both orders.
#[test]
fn the_first_wrong_chunk_is_named() {
    let payload = |kind: u8, name: u8| {
        let mut payload = vec![1, 1, b'r', 0, 1, 0, kind];
        payload.extend_from_slice(&[0; 8]);
        payload.push(0);
        payload.extend_from_slice(&[0; 8]);
        payload.extend_from_slice(&[0, 1, 1, 1, name]);
        payload.extend_from_slice(&[1, 1, 1, 1, 0, 0, 0]);
        payload
    };
    let mut beginning = Vec::new();
    write_beginning(&Header::default(), FailedCas::default(), &mut beginning).unwrap();
    let words = |payloads: &[Vec<u8>]| {
        let mut bytes = beginning.clone();
        for payload in payloads {
            write_frame(CHUNK_FRAME, 1, payload, &mut bytes).unwrap();
        }
        let error = read_both_ways(&bytes).expect_err("one is wrong");
        error[..error.find(", found").unwrap_or(error.len())].to_owned()
    };
    let (bad_kind, bad_name) = (payload(9, 0), payload(0, 7));
    let kind = "expected a type of event";
    let name = "expected a number of what the chunk holds";
    for (first, second, expected) in [
        (&bad_kind, &bad_name, kind),
        (&bad_name, &bad_kind, name),
        (&payload(9, 7), &bad_name, kind),
    ] {
        for good in [0, 1, 20] {
            let mut payloads = vec![payload(0, 0); good];
            payloads.extend([first.clone(), second.clone()]);
            let words = words(&payloads);
            let place = format!("chunk {good}, events {good} to {}: {expected}", good + 1);
            assert!(words.ends_with(&place), "{words}");
        }
    }
}
