//! The recorder: order, counts, and what it leaves behind when things go wrong.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use histories::{
    Completion, Encoding, Event, Fault, FaultPhase, Header, Invocation, Outcome,
    RECORDED_CHUNK_EVENTS_MAX, RecordError, Recorded, Recorder, RunInfo, Value,
};

/// Where a recorder writes to: memory, with room for so many bytes.
#[derive(Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Disk {
    fn new(room: usize) -> Self {
        Disk {
            bytes: Arc::default(),
            room,
        }
    }

    fn contents(&self) -> Vec<u8> {
        self.bytes.lock().expect("no writer panics").clone()
    }
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().expect("no reader panics");
        let taken = data.len().min(self.room - bytes.len());
        if taken == 0 {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space left on device",
            ));
        }
        bytes.extend_from_slice(&data[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A clock that goes one nanosecond further each time it is read.
fn clock() -> impl Fn() -> u64 + Send + Sync {
    let time = AtomicU64::new(0);
    move || time.fetch_add(1, Ordering::Relaxed)
}

fn invocation(process: u64, value: i64) -> Invocation {
    Invocation {
        process,
        f: "write".into(),
        key: None,
        value: value.into(),
        node: None,
    }
}

fn completion(process: u64, outcome: Outcome) -> Completion {
    Completion {
        process,
        f: "write".into(),
        key: None,
        outcome,
        value: Value::Nil,
        node: Some("n1".into()),
        error: None,
        path: Vec::new(),
    }
}

/// Ten callers at once: what they were told is what the file says, in one order, and every
/// operation's interval in the file lies around the time in which it was really under way.
#[test]
fn one_order() {
    let disk = Disk::new(usize::MAX);
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let watcher = seen.clone();
    let header = Header {
        run: Some(RunInfo {
            seed: 7,
            ..RunInfo::default()
        }),
    };
    let observer = move |event: &Event| watcher.lock().expect("one watcher").push(event.clone());
    let time = Arc::new(AtomicU64::new(0));
    let tick = {
        let time = time.clone();
        move || time.fetch_add(1, Ordering::SeqCst)
    };
    let recorder = Recorder::start(disk.clone(), &header, tick, Some(Box::new(observer)))
        .expect("memory takes it");
    thread::scope(|scope| {
        for process in 0..10 {
            let (recorder, time) = (&recorder, &time);
            scope.spawn(move || {
                for value in 0..500 {
                    let began = recorder
                        .invoke(invocation(process, value))
                        .expect("recorded");
                    let under_way = time.fetch_add(1, Ordering::SeqCst);
                    let outcome = [Outcome::Ok, Outcome::Fail][value as usize % 2];
                    let ended = recorder
                        .complete(completion(process, outcome))
                        .expect("recorded");
                    assert!(began.time_ns < under_way && under_way < ended.time_ns);
                    assert!(began.index < ended.index);
                }
            });
        }
    });
    let recorded = recorder.finish().expect("all written");
    assert_eq!((recorded.events, recorded.invoked), (10_000, 5_000));
    assert_eq!(
        (recorded.ok, recorded.fail, recorded.info),
        (2_500, 2_500, 0)
    );
    assert_eq!(recorded.bytes as usize, disk.contents().len());

    let history = histories::read("memory", &disk.contents(), None).expect("consistent");
    assert_eq!(history.header, header);
    assert_eq!(history.events, *seen.lock().expect("no watcher left"));
    let indexes: Vec<u64> = history.events.iter().map(|event| event.index).collect();
    assert_eq!(indexes, (0..10_000).collect::<Vec<_>>());
    assert!(history.events.times_ns().is_sorted());
}

/// A clock that goes back does not make time go back.
#[test]
fn a_clock_that_goes_back() {
    let disk = Disk::new(usize::MAX);
    let calls = AtomicUsize::new(0);
    let clock = move || [5, 3, 9][calls.fetch_add(1, Ordering::Relaxed) % 3];
    let recorder = Recorder::start(disk.clone(), &Header::default(), clock, None).expect("started");
    let times = [(); 3].map(|()| {
        let process = recorder.invoke(invocation(0, 1)).expect("recorded");
        process.time_ns
    });
    assert_eq!(times, [5, 5, 9]);
}

#[test]
fn faults_and_the_end() {
    let disk = Disk::new(usize::MAX);
    let recorder =
        Recorder::start(disk.clone(), &Header::default(), clock(), None).expect("started");
    let fault = Fault {
        id: 3,
        kind: "pause".into(),
        phase: FaultPhase::Inject,
        targets: vec!["n2".into()],
        parameters: Value::Nil,
        evidence: Value::from("T"),
        effective: Some(true),
    };
    recorder.fault(&fault).expect("recorded");
    recorder.invoke(invocation(0, 1)).expect("recorded");
    recorder.invoke(invocation(1, 1)).expect("recorded");
    recorder
        .complete(completion(1, Outcome::Info))
        .expect("recorded");
    let recorded = recorder.finish().expect("all written");
    let bytes = disk.contents().len() as u64;
    let counts = Recorded {
        events: 4,
        invoked: 2,
        ok: 0,
        fail: 0,
        info: 1,
        faults: 1,
        bytes,
    };
    assert_eq!(recorded, counts);
    assert_eq!(recorder.finish(), Ok(counts), "to finish twice is harmless");
    assert_eq!(
        recorder.invoke(invocation(2, 1)),
        Err(RecordError::Finished)
    );
    assert_eq!(
        disk.contents().len() as u64,
        bytes,
        "nothing is written for who is late"
    );

    let history = histories::read("memory", &disk.contents(), None).expect("consistent");
    assert_eq!(Fault::try_from(&history.events.get(0)), Ok(fault));
    assert_eq!(
        history.operations().get(0).ended,
        None,
        "an abandoned operation stays open"
    );
}

/// What is recorded in chunks is what would be recorded in lines, however it comes.
#[test]
fn chunks() {
    let disk = Disk::new(usize::MAX);
    let recorder = Recorder::start_as(
        Encoding::Binary,
        disk.clone(),
        &Header::default(),
        clock(),
        None,
    )
    .expect("started");
    let seen = histories::read("memory", &disk.contents(), None).expect("a header");
    assert!(seen.events.is_empty() && !seen.torn);
    let count = RECORDED_CHUNK_EVENTS_MAX as u64 + 10;
    for process in 0..count {
        recorder.invoke(invocation(process, 7)).expect("recorded");
    }
    let mut waits_left = 60_000;
    let written = |disk: &Disk| {
        let history = histories::read("memory", &disk.contents(), None).expect("whole chunks");
        history.events.len() as u64
    };
    // The last chunk is not full, and is written all the same while the recorder goes on.
    while written(&disk) < count && waits_left > 0 {
        waits_left -= 1;
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(written(&disk), count);
    recorder
        .complete(completion(0, Outcome::Ok))
        .expect("recorded");
    let recorded = recorder.finish().expect("all written");
    assert_eq!(recorded.events, count + 1);
    assert_eq!(recorded.bytes as usize, disk.contents().len());
    let history = histories::read("memory", &disk.contents(), None).expect("consistent");
    assert_eq!(history.events.len() as u64, count + 1);
    assert_eq!(history.operations().get(0).outcome, Outcome::Ok);
}

/// A recorder that nobody finishes still writes what it was given.
#[test]
fn dropped() {
    let disk = Disk::new(usize::MAX);
    let recorder =
        Recorder::start(disk.clone(), &Header::default(), clock(), None).expect("started");
    recorder.invoke(invocation(0, 1)).expect("recorded");
    drop(recorder);
    let history = histories::read("memory", &disk.contents(), None).expect("consistent");
    assert_eq!(history.events.len(), 1);
}

/// A disk with room for any number of bytes: the failure is told, and told again, and what was
/// written before is a readable beginning of the history.
#[test]
fn a_full_disk() {
    let whole = {
        let disk = Disk::new(usize::MAX);
        assert!(record_some(&disk).is_ok());
        disk.contents()
    };
    let header = whole
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a header")
        + 1;
    for room in 0..whole.len() {
        let disk = Disk::new(room);
        let error = record_some(&disk).expect_err("a full disk");
        assert_eq!(
            error.to_string(),
            "the history cannot be written: no space left on device"
        );
        assert_eq!(disk.contents(), whole[..room]);
        if room >= header {
            let history = histories::read("memory", &disk.contents(), None).expect("a beginning");
            let lines = disk.contents()[header..]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            let closed = whole[room..].starts_with(b"\n");
            assert_eq!(history.events.len(), lines + usize::from(closed));
        }
    }
}

/// Records ten operations; the error is what `finish` and every later call say.
fn record_some(disk: &Disk) -> Result<Recorded, RecordError> {
    let recorder = Recorder::start(disk.clone(), &Header::default(), clock(), None)?;
    let record = || {
        for value in 0..10 {
            recorder.invoke(invocation(0, value))?;
            recorder.complete(completion(0, Outcome::Ok))?;
        }
        Ok(())
    };
    let early: Result<(), RecordError> = record();
    let finished = recorder.finish();
    if let Err(error) = &finished {
        assert_eq!(recorder.finish().as_ref(), Err(error));
        assert_eq!(recorder.invoke(invocation(1, 1)).as_ref(), Err(error));
        assert_eq!(
            recorder.complete(completion(1, Outcome::Ok)).as_ref(),
            Err(error)
        );
    }
    early.and(finished)
}

/// An observer that panics ends the recording, and everybody is told.
#[test]
fn a_broken_observer() {
    let disk = Disk::new(usize::MAX);
    let observer = |_: &Event| panic!("a broken observer, on purpose");
    let recorder = Recorder::start(
        disk.clone(),
        &Header::default(),
        clock(),
        Some(Box::new(observer)),
    )
    .expect("started");
    recorder.invoke(invocation(0, 1)).expect("recorded");
    assert_eq!(recorder.finish(), Err(RecordError::Stopped));
    let history = histories::read("memory", &disk.contents(), None).expect("consistent");
    assert_eq!(
        history.events.len(),
        1,
        "it was written before it was shown"
    );
}

/// Names the file that a process of its own records to, for [`killed`].
const RECORD_TO: &str = "HISTORIES_TEST_RECORD_TO";

/// A process that records is killed in the middle of it, several times at another moment: at most
/// the last line or chunk is torn, and what is left is a beginning of the history.
#[test]
fn killed() {
    if let Some(path) = std::env::var_os(RECORD_TO) {
        record_until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder");
    for round in 1..=10 {
        let ending = if round > 8 { "bin" } else { "jsonl" };
        let path = folder.path().join(format!("{round}.{ending}"));
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "recorder::killed"])
            .env(RECORD_TO, &path)
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        let wanted = round * 30_000;
        let grown = || std::fs::metadata(&path).is_ok_and(|file| file.len() >= wanted);
        let mut waits_left = 60_000;
        while !grown() && waits_left > 0 {
            waits_left -= 1;
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        let history = histories::read_file(&path, None).expect("readable");
        let indexes = history.events.iter().map(|event| event.index);
        assert!(indexes.eq(0..history.events.len() as u64));
        assert!(
            history.events.len() > 100,
            "{} events",
            history.events.len()
        );
        for (index, event) in history.events.iter().enumerate() {
            assert_eq!(event.f.len(), "write".len() + index % 50, "event {index}");
        }
    }
}

/// How many events a process of its own records when nobody ends it.
const EVENTS_MAX: usize = 500_000;

/// Records operations to a file until somebody ends this process.
fn record_until_killed(path: &Path) -> ! {
    let file = std::fs::File::create(path).expect("a file");
    let encoding = match path.extension().and_then(|ending| ending.to_str()) {
        Some("bin") => Encoding::Binary,
        _ => Encoding::Jsonl,
    };
    let recorder = Recorder::start_as(encoding, file, &Header::default(), clock(), None);
    let recorder = recorder.expect("started");
    for index in 0..EVENTS_MAX {
        // Names of all lengths, so that lines end at all places.
        let f = format!("write{}", "e".repeat(index % 50)).into();
        let invocation = Invocation {
            f,
            ..invocation(index as u64, 0)
        };
        recorder.invoke(invocation).expect("recorded");
    }
    std::process::exit(0);
}
