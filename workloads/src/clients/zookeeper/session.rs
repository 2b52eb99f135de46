//! A session, the connection it is on, and its requests.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::jute::{self, Reader, Writer};
use crate::clients::Class;
use crate::clients::tcp::Wire;

/// Errors by which ZooKeeper says that a request did nothing.
pub(super) const NO_NODE: i32 = -101;
pub(super) const BAD_VERSION: i32 = -103;
pub(super) const NODE_EXISTS: i32 = -110;
pub(super) const SESSION_EXPIRED: i32 = -112;

/// ZooKeeper's errors: the code, its name, and whether it says that the request did not take effect
/// and never will.
const ERRORS: [(i32, &str, bool); 26] = [
    (-1, "system error", false),
    (-2, "runtime inconsistency", false),
    (-3, "data inconsistency", false),
    (-4, "connection loss", false),
    (-5, "marshalling error", true),
    (-6, "unimplemented", true),
    (-7, "operation timeout", false),
    (-8, "bad arguments", true),
    (-9, "invalid state", false),
    (-13, "no quorum of new config", false),
    (-100, "API error", false),
    (NO_NODE, "no node", true),
    (-102, "no auth", true),
    (BAD_VERSION, "bad version", true),
    (-108, "no children for ephemerals", true),
    (NODE_EXISTS, "node exists", true),
    (-111, "not empty", true),
    (SESSION_EXPIRED, "session expired", true),
    (-113, "invalid callback", true),
    (-114, "invalid ACL", true),
    (-115, "auth failed", true),
    (-118, "session moved", true),
    (-119, "not read only", true),
    (-120, "ephemeral on local session", true),
    (-125, "quota exceeded", true),
    (-127, "throttled", true),
];

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server answered with this error.
    Error(i32),
    /// There was no connection or session to send it on.
    NotSent(String),
    /// It was sent, perhaps in part, and no answer came that could be understood.
    Lost(String),
}

impl From<Trouble> for Class {
    fn from(trouble: Trouble) -> Class {
        match trouble {
            Trouble::NotSent(why) => Class::NotDone(why),
            Trouble::Lost(why) => Class::Unknown(why),
            Trouble::Error(code) => match ERRORS.iter().find(|(known, ..)| *known == code) {
                Some((_, name, true)) => Class::NotDone((*name).to_owned()),
                Some((_, name, false)) => Class::Unknown((*name).to_owned()),
                None => Class::Unknown(format!("error {code}")),
            },
        }
    }
}

/// A request's kind, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Kind {
    Create = 1,
    Delete = 2,
    GetData = 4,
    SetData = 5,
    GetChildren = 8,
    Sync = 9,
}

/// The number of messages that are no answers: what a watch saw.
const NOTIFICATION: i32 = -1;

/// A session: it outlives a broken connection, and ends when no server hears of it for its time.
#[derive(Debug)]
pub(super) struct Session {
    id: i64,
    password: Vec<u8>,
    timeout_ms: i32,
    /// The highest transaction seen: no server that is behind it takes the session on.
    last_zxid: i64,
    xid: i32,
    wire: Option<Wire>,
}

/// A reply: the transaction it was served at, and what follows its head.
pub(super) struct Reply {
    pub zxid: i64,
    pub body: Vec<u8>,
}

impl Session {
    /// A session that is yet to be made, which ends after so long without a sign of life.
    pub fn new(timeout_ms: i32) -> Self {
        Session {
            id: 0,
            password: vec![0; 16],
            timeout_ms,
            last_zxid: 0,
            xid: 0,
            wire: None,
        }
    }

    /// Its number; 0 before it is made.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Whether it is on a connection that is still open.
    #[cfg(test)]
    pub fn is_connected(&self) -> bool {
        self.wire.as_ref().is_some_and(Wire::is_idle)
    }

    /// Sends one request to the server at this address, once, and awaits the answer. The connection
    /// is kept only after a whole answer.
    pub async fn ask(
        &mut self,
        address: SocketAddr,
        kind: Kind,
        fields: impl FnOnce(Writer) -> Writer,
        until: Instant,
    ) -> Result<Reply, Trouble> {
        let kept = self.wire.take();
        let kept = kept.filter(|wire| wire.address == address && wire.is_idle());
        let mut wire = match kept {
            Some(wire) => wire,
            None => self
                .connect(address, until)
                .await
                .map_err(Trouble::NotSent)?,
        };
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        let head = Writer::default().int(self.xid).int(kind as i32);
        wire.send(&fields(head).frame(), until)
            .await
            .map_err(Trouble::Lost)?;
        let (zxid, error, body) = loop {
            let message = wire.receive(until, jute::frame).await;
            let message = message.map_err(Trouble::Lost)?;
            let mut reader = Reader(&message);
            let head = (reader.int(), reader.long(), reader.int());
            match head {
                (Some(NOTIFICATION), ..) => {}
                (Some(xid), Some(zxid), Some(error)) if xid == self.xid => {
                    break (zxid, error, reader.0.to_vec());
                }
                _ => {
                    let why = format!("an unexpected answer of {} bytes", message.len());
                    return Err(Trouble::Lost(why));
                }
            }
        };
        self.last_zxid = self.last_zxid.max(zxid);
        self.wire = Some(wire);
        match error {
            0 => Ok(Reply { zxid, body }),
            error => Err(Trouble::Error(error)),
        }
    }

    /// Connects, and makes the session or goes on with it. Nothing is asked of the data by that.
    async fn connect(&mut self, address: SocketAddr, until: Instant) -> Result<Wire, String> {
        let mut wire = Wire::open(address, until).await?;
        let hello = Writer::default()
            .int(0)
            .long(self.last_zxid)
            .int(self.timeout_ms)
            .long(self.id)
            .buffer(&self.password)
            .bool(false);
        wire.send(&hello.frame(), until).await?;
        let message = wire
            .receive(until, jute::frame)
            .await
            .map_err(|why| format!("no session: {why}"))?;
        let mut reader = Reader(&message);
        let fields = (reader.int(), reader.int(), reader.long(), reader.buffer());
        let (Some(_), Some(timeout_ms), Some(id), Some(password)) = fields else {
            return Err("no session: an unexpected answer".to_owned());
        };
        if id == 0 || timeout_ms <= 0 {
            // The next operation makes another.
            *self = Session::new(self.timeout_ms);
            return Err("the session has expired".to_owned());
        }
        self.id = id;
        self.password = password.to_vec();
        Ok(wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_certain_only_where_nothing_was_proposed_or_all_refused_alike() {
        let class = |code| Class::from(Trouble::Error(code));
        for code in [-4, -7, -1, -9, -999, -13] {
            assert!(matches!(class(code), Class::Unknown(_)), "{code}");
        }
        for code in [
            NO_NODE,
            BAD_VERSION,
            NODE_EXISTS,
            SESSION_EXPIRED,
            -118,
            -127,
        ] {
            assert!(matches!(class(code), Class::NotDone(_)), "{code}");
        }
        assert_eq!(class(-999), Class::Unknown("error -999".to_owned()));
    }
}
