use std::fs;
use std::net::IpAddr;

use tempfile::TempDir;

use super::*;
use crate::raft::{Entry, Payload};

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Arc<Entry>> {
    indexes
        .map(|index| {
            Arc::new(Entry {
                index,
                term,
                time_ms: 0,
                payload: Payload::Noop,
            })
        })
        .collect()
}

fn hard_state(term: u64) -> HardState {
    HardState {
        term,
        vote: Some("n2".into()),
    }
}

fn members() -> Members {
    Members::from([
        ("n1".into(), IpAddr::from([10, 0, 0, 1]).into()),
        ("n2".into(), IpAddr::from([10, 0, 0, 2]).into()),
    ])
}

fn open(folder: &Path) -> Result<(Storage, Recovered), StorageError> {
    Storage::open(folder, &members(), Bugs::default())
}

/// A folder whose log has three batches after the first record, and where each of them ends.
fn filled() -> (TempDir, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = open(folder.path()).unwrap();
    let log = folder.path().join(LOG);
    let mut ends = vec![fs::read(&log).unwrap().len()];
    let batches = [
        vec![
            Write::HardState(hard_state(1)),
            Write::Append(entries(1..=3, 1)),
        ],
        vec![
            Write::Truncate(3),
            Write::HardState(hard_state(2)),
            Write::Append(entries(3..=4, 2)),
        ],
        vec![Write::Append(entries(5..=5, 2))],
    ];
    for batch in batches {
        storage.write(batch).unwrap();
        ends.push(fs::read(&log).unwrap().len());
    }
    (folder, ends)
}

/// What the log of [`filled`] holds after so many batches.
fn expected(batches: usize) -> LogImage {
    let (term, entries) = match batches {
        0 => (0, Vec::new()),
        1 => (1, entries(1..=3, 1)),
        2 => (2, [entries(1..=2, 1), entries(3..=4, 2)].concat()),
        _ => (2, [entries(1..=2, 1), entries(3..=5, 2)].concat()),
    };
    let hard_state = if term == 0 {
        HardState::default()
    } else {
        hard_state(term)
    };
    LogImage {
        hard_state,
        start: (0, 0),
        members: members(),
        entries,
    }
}

#[test]
fn a_fresh_folder_begins_with_the_members_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).unwrap().1.log, expected(0));
    let (_, recovered) = Storage::open(folder.path(), &Members::new(), Bugs::default()).unwrap();
    assert_eq!((recovered.log, recovered.snapshot), (expected(0), None));
}

/// Goal: a crash in the middle of a write loses that batch and no other. Method: cut the log at
/// every byte; then the node must go on from there.
#[test]
fn a_tail_torn_at_any_byte_loses_only_the_last_batch() {
    let (folder, ends) = filled();
    let log = folder.path().join(LOG);
    let whole = fs::read(&log).unwrap();
    for cut in ends[0]..=whole.len() {
        fs::write(&log, &whole[..cut]).unwrap();
        let batches = ends.iter().filter(|end| **end <= cut).count() - 1;
        let (mut storage, recovered) = open(folder.path()).unwrap();
        assert_eq!(recovered.log, expected(batches), "cut at {cut}");
        storage
            .write(vec![Write::HardState(hard_state(9))])
            .unwrap();
        drop(storage);
        let again = open(folder.path()).unwrap().1.log;
        assert_eq!(
            again,
            LogImage {
                hard_state: hard_state(9),
                ..expected(batches)
            }
        );
    }
}

/// Goal: damage before the last batch is never taken for a torn tail. Method: flip every bit of
/// all records but the last; the last one's damage is like a torn write.
#[test]
fn a_flipped_bit_is_refused_anywhere_but_in_the_last_batch() {
    let (folder, ends) = filled();
    let log = folder.path().join(LOG);
    let whole = fs::read(&log).unwrap();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            fs::write(&log, &flipped).unwrap();
            let opened = open(folder.path()).map(|(_, recovered)| recovered.log);
            if place < ends[2] {
                let error = opened.unwrap_err();
                assert!(
                    matches!(error, StorageError::Damaged { .. }),
                    "{place}: {error}"
                );
            } else {
                assert_eq!(opened.unwrap(), expected(2), "{place}");
            }
        }
    }
}

#[test]
fn zeros_behind_the_log_are_a_torn_tail_and_an_empty_log_is_damage() {
    let (folder, _) = filled();
    let log = folder.path().join(LOG);
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend([0; 4096]);
    fs::write(&log, bytes).unwrap();
    assert_eq!(open(folder.path()).unwrap().1.log, expected(3));
    fs::write(&log, []).unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(StorageError::Damaged { .. })
    ));
}

#[test]
fn a_snapshot_replaces_the_log_and_what_follows_is_kept() {
    let (folder, _) = filled();
    let (mut storage, _) = open(folder.path()).unwrap();
    let snapshot = Arc::new(Snapshot {
        index: 4,
        term: 2,
        time_ms: 0,
        members: members(),
        data: vec![1, 2, 3],
    });
    let image = LogImage {
        start: (3, 2),
        entries: entries(4..=5, 2),
        ..expected(3)
    };
    storage
        .write(vec![
            Write::Append(entries(6..=6, 2)),
            Write::Snapshot(Arc::clone(&snapshot), image.clone()),
            Write::Append(entries(6..=7, 2)),
        ])
        .unwrap();
    let (_, recovered) = open(folder.path()).unwrap();
    let followed = LogImage {
        entries: entries(4..=7, 2),
        ..image
    };
    assert_eq!(
        (recovered.log, recovered.snapshot),
        (followed, Some(snapshot))
    );
}

#[test]
fn a_damaged_snapshot_is_refused_and_a_half_written_one_is_ignored() {
    let (folder, _) = filled();
    fs::write(folder.path().join("snapshot.new"), b"half").unwrap();
    assert_eq!(open(folder.path()).unwrap().1.log, expected(3));
    fs::write(folder.path().join(SNAPSHOT), b"not a snapshot at all").unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(StorageError::Damaged { .. })
    ));
}

#[test]
fn a_folder_that_cannot_be_made_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open(&file.join("data")).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot create") && error.contains("file/data"),
        "{error}"
    );
}
