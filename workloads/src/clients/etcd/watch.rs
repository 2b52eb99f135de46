//! Watches that go on from operation to operation.
//!
//! To etcd a watch is a stream without an end; an operation is a piece of it. Who asks for the
//! revision after the last one that a stream has shown gets the next piece of that stream, from the
//! same node; whoever asks for another gets a stream of its own from there.
//!
//! A piece ends when it shows what the key had when the operation began, which a linearizable read
//! at the same node says. A node that cannot say so, for it hears of no majority, is no place for a
//! new stream. To one that it had before it may still have something to show: if it answers a
//! serializable read, the piece lasts until its time is over. Either way all that came is the result.
//! A stream that did not show in time what the node has is given up, as the connection may be half
//! open, and so is one of a node that answers nothing.

use std::collections::VecDeque;

use histories::Value;
use tokio::time::Instant;

use super::{Call, Step, answer, request};
use crate::clients::Class;
use crate::clients::http::{Next, Stream};

/// Streams that a client keeps, at most: those of the keys that it watched last.
const STREAMS_MAX: usize = 16;

/// The streams of one process.
#[derive(Debug, Default)]
pub(super) struct Watches(VecDeque<Watch>);

/// A stream with the events of one key.
#[derive(Debug)]
pub(super) struct Watch {
    key: String,
    /// The place of its node.
    pub place: usize,
    /// The revision to go on with.
    next: i64,
    stream: Stream,
}

impl Watches {
    /// The place of the node at which the key is watched from this revision on.
    pub fn place(&self, key: &str, from: Option<i64>) -> Option<usize> {
        let mut fitting = self.0.iter().filter(|watch| watch.fits(key, from));
        fitting.next().map(|watch| watch.place)
    }

    /// The next piece of the events of a key from this revision on, or from where the last ended,
    /// at the node of this place.
    pub async fn piece(
        &mut self,
        call: &mut Call<'_>,
        key: &str,
        from: Option<i64>,
        place: usize,
    ) -> Step<Value> {
        let kept = self.0.iter().position(|watch| watch.fits(key, from));
        let kept = kept.and_then(|kept| self.0.remove(kept));
        // Nobody goes on with the others.
        self.0.retain(|watch| watch.key != key);
        let (mut watch, newest) = match kept {
            Some(watch) => (watch, call.newest_if_known(key).await?),
            None => {
                let watch = Watch::begin(call, key, from.unwrap_or(1), place).await?;
                (watch, Some(call.newest(key, call.until).await?))
            }
        };
        let mut events = Vec::new();
        match watch.follow(newest, call.until, &mut events).await {
            Ok(true) => {
                self.0.push_back(watch);
                if self.0.len() > STREAMS_MAX {
                    self.0.pop_front();
                }
            }
            Ok(false) => {}
            // What it showed before it ended stands.
            Err(_) if !events.is_empty() => {}
            Err(class) => return Err(class),
        }
        Ok(Value::List(events))
    }
}

impl Call<'_> {
    /// The revision at which a key was changed last; none where the node answers, but does not know
    /// within half the time that is left.
    async fn newest_if_known(&mut self, key: &str) -> Step<Option<i64>> {
        let now = Instant::now();
        let half = now + self.until.saturating_duration_since(now) / 2;
        match self.newest(key, half).await {
            Ok(newest) => Ok(Some(newest)),
            Err(_) => self.read(key, true).await.map(|_| None),
        }
    }
}

impl Watch {
    async fn begin(call: &mut Call<'_>, key: &str, from: i64, place: usize) -> Step<Self> {
        let request = request::post("watch", &request::watch(key, from));
        match Stream::open(call.node.address, &request, call.until).await {
            Ok(stream) => Ok(Watch {
                key: key.to_owned(),
                place,
                next: from,
                stream,
            }),
            Err(reply) => Err(match answer::understand(reply) {
                Ok(answer) => Class::NotDone(format!("no stream: {answer}")),
                Err(class) => class.of_a_read(),
            }),
        }
    }

    fn fits(&self, key: &str, from: Option<i64>) -> bool {
        self.key == key && from.is_none_or(|from| from == self.next)
    }

    /// Takes what comes, until the newest revision is there, if that is known, or time is over;
    /// whether the stream is worth keeping.
    async fn follow(
        &mut self,
        newest: Option<i64>,
        until: Instant,
        events: &mut Vec<Value>,
    ) -> Step<bool> {
        while newest.is_none_or(|newest| self.next <= newest) {
            match self.stream.next(until).await {
                Next::Line(line) => {
                    for (revision, value) in answer::events(&line).map_err(Class::of_a_read)? {
                        self.next = self.next.max(revision.saturating_add(1));
                        events.push(Value::List(vec![revision.into(), value]));
                    }
                }
                Next::Nothing => return Ok(newest.is_none()),
                Next::Ended(why) => return Err(Class::NotDone(format!("the watch: {why}"))),
            }
        }
        Ok(true)
    }
}
