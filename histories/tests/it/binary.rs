//! The binary format: what a file looks like, what is read of a damaged one.

use histories::{
    CHUNK_EVENTS_MAX, Event, EventType, Format, Header, History, Process, RunInfo, Value,
    write_binary,
};

/// How long the magic number and the version are, and what stands before a frame's payload.
const BEGINNING: usize = 12;
const FRAME: usize = 20;

/// Reads and writes of two clients, with all there can be in an event.
fn history(events: usize) -> History {
    let event = |position: usize| Event {
        index: position as u64,
        time_ns: position as u64 * 1_000,
        process: Process::Client((position / 2 % 2) as u64),
        kind: [EventType::Invoke, EventType::Ok][position % 2],
        f: "read".into(),
        key: Some(Value::from("k")),
        value: Value::from(format!("value {}", position / 100)),
        node: position.is_multiple_of(3).then(|| "n1".into()),
        error: position.is_multiple_of(7).then(|| "slow".into()),
        path: match position % 5 {
            0 => vec!["n1".into(), "n2".into()],
            _ => Vec::new(),
        },
    };
    History {
        header: Header {
            run: Some(RunInfo {
                seed: 7,
                ..RunInfo::default()
            }),
        },
        events: (0..events).map(event).collect(),
        ..History::default()
    }
}

fn written(history: &History) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_binary(history, &mut bytes).expect("memory takes it");
    bytes
}

/// Where the frames begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut frames = vec![BEGINNING];
    loop {
        let at = frames[frames.len() - 1];
        let length = bytes[at + 8..].first_chunk::<4>().expect("a frame");
        let next = at + FRAME + u32::from_le_bytes(*length) as usize;
        if next >= bytes.len() {
            assert_eq!(next, bytes.len());
            return frames;
        }
        frames.push(next);
    }
}

#[track_caller]
fn refused(bytes: &[u8], message: &str) {
    match histories::read("h", bytes, Some(Format::Binary)) {
        Ok(history) => panic!("read {} events", history.events.len()),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

#[test]
fn several_chunks() {
    let history = history(CHUNK_EVENTS_MAX * 2 + 10);
    let bytes = written(&history);
    assert_eq!(frames(&bytes).len(), 4, "a header and three chunks");
    let again = histories::read("h", &bytes, None).expect("our own");
    assert_eq!(again, history);
    assert_eq!(again.events.line(0), None);
}

/// Torn anywhere, the chunks before are read; torn between chunks, nothing shows it.
#[test]
fn torn() {
    let history = history(CHUNK_EVENTS_MAX + 10);
    let bytes = written(&history);
    let frames = frames(&bytes);
    for (end, events) in [(frames[1], 0), (frames[2], CHUNK_EVENTS_MAX)] {
        for (cut, torn) in [
            (end, false),
            (end + 1, true),
            (end + FRAME, true),
            (end + 90, true),
        ] {
            let read = histories::read("h", &bytes[..cut], None).expect("a beginning");
            assert_eq!(
                (read.events.len(), read.torn),
                (events, torn),
                "{cut} of {end}"
            );
            assert_eq!(read.header, history.header);
        }
    }
    for cut in 1..frames[1] {
        let read = histories::read("h", &bytes[..cut], Some(Format::Binary)).expect("nothing");
        assert!(read.events.is_empty() && read.torn, "{cut}");
    }
    refused(b"", "h: is empty: expected a history");
}

#[test]
fn damaged() {
    let history = history(CHUNK_EVENTS_MAX + 10);
    let bytes = written(&history);
    let frames = frames(&bytes);
    let damage = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    refused(
        &damage(frames[1] + FRAME + 5_000),
        "h: chunk 0, events 0 to 65535, is damaged: its checksum is wrong",
    );
    refused(
        &damage(bytes.len() - 1),
        "h: chunk 1, events 65536 to 65545, is damaged: its checksum is wrong",
    );
    // The length of a frame is not trusted: a wrong one would make the rest look torn.
    refused(
        &damage(frames[2] + 10),
        "h: chunk 1, events 65536 to ?, is damaged: its checksum is wrong",
    );
    refused(
        &damage(3),
        "h: expected a binary history, found other bytes",
    );
    refused(
        &damage(9),
        "h: has format version 4097, and only version 1 is known here \
         (hint: use the Whitewater that recorded it, or a newer one)",
    );
    let garbage = [&bytes[..], &[0; FRAME]].concat();
    refused(
        &garbage,
        "h: chunk 2, events 65546 to ?, is damaged: its checksum is wrong",
    );
}

/// A frame with right checksums and these contents, after a good header.
fn forged(events: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = written(&History::default());
    let begin = bytes.len();
    bytes.extend_from_slice(&[2, flags, 0, 0]);
    bytes.extend_from_slice(&events.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let crc = crc32fast::hash(&bytes[begin..]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Right checksums prove nothing: what a chunk claims is checked before memory is asked for.
#[test]
fn forged_chunks() {
    refused(
        &forged(u32::MAX, 0, &[]),
        "h: chunk 0 is of a kind or size that is unknown here \
         (hint: use the Whitewater that recorded it, or a newer one)",
    );
    refused(
        &forged(1, 1, &[]),
        "h: chunk 0 is written in a way that is unknown here, perhaps compressed \
         (hint: use the Whitewater that recorded it, or a newer one)",
    );
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let rows: [(u32, &[u8], &str); 7] = [
        (60_000, &[0, 0, 0], "more bytes"),
        (0, &[0, 0, 0], "a chunk of one event at least"),
        (1, &huge, "more bytes"),
        (1, &[0xff; 10], "a number of 64 bits"),
        (1, &[1, 9, b'x'], "more bytes"),
        (1, &[1, 1, 0xff], "UTF-8 text"),
        (1, &[0, 0, 0, 4], "a type of event"),
    ];
    for (events, payload, expected) in rows {
        let message =
            format!("h: chunk 0, events 0 to {events}: expected {expected}, found something else");
        refused(&forged(events, 0, payload), &message);
    }
    // One event whose operation is a name that the chunk does not have.
    let mut payload = vec![0, 0, 0, 0];
    payload.extend_from_slice(&[0; 8]);
    payload.push(0);
    payload.extend_from_slice(&[0; 8]);
    payload.extend_from_slice(&[0; 6]);
    payload.extend_from_slice(&[0, 0]);
    let expected = "a number of what the chunk holds";
    let message = format!("h: chunk 0, events 0 to 1: expected {expected}, found something else");
    refused(&forged(1, 0, &payload), &message);
}
