//! A TCP connection with limits, for protocols of our own speaking.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Bytes of an answer that are read, at most.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A connection to one node, and what was read from it and not understood yet.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The node's address.
    pub address: SocketAddr,
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection: nothing was sent then.
    pub async fn open(address: SocketAddr, until: Instant) -> Result<Self, String> {
        let stream = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("cannot connect: {error}")),
            Err(_) => return Err("cannot connect: no answer in time".to_owned()),
        };
        stream
            .set_nodelay(true)
            .map_err(|error| format!("cannot connect: {error}"))?;
        Ok(Wire {
            address,
            stream,
            buffer: BytesMut::new(),
        })
    }

    /// Whether it is still open and nothing came that nobody asked for.
    pub fn is_idle(&self) -> bool {
        let mut byte = [0];
        let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.buffer.is_empty() && self.stream.try_read(&mut byte).is_err_and(would_block)
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// Why not; some may have been sent.
    pub async fn send(&mut self, bytes: &[u8], until: Instant) -> Result<(), String> {
        match timeout_at(until, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("not sent in time".to_owned()),
        }
    }

    /// Reads until `parse` finds a whole answer in what came: it is given all, and says how many
    /// bytes the answer has.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn receive<T>(
        &mut self,
        until: Instant,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, String>,
    ) -> Result<T, String> {
        loop {
            if let Some((answer, length)) = parse(&self.buffer)? {
                // What lies behind it stays for the next.
                let _ = self.buffer.split_to(length.min(self.buffer.len()));
                return Ok(answer);
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
            }
            match timeout_at(until, self.stream.read_buf(&mut self.buffer)).await {
                Ok(Ok(0)) => return Err("connection closed".to_owned()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err("no answer in time".to_owned()),
            }
        }
    }
}
