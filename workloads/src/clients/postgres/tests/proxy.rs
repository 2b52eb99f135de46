//! A proxy that cuts the connection when it sees a text.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Proxy {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Passes everything on until a client sends this text outside the statement that makes the
    /// tables; then the client's connection is closed, and the text `reaches` the server or not.
    pub async fn start(server: SocketAddr, text: &str, reaches: bool) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let text = text.to_owned();
        let task = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                let text = text.clone();
                connections.push(tokio::spawn(async move {
                    pass(client, server, &text, reaches).await
                }));
            }
        });
        Proxy { address, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    text: &str,
    reaches: bool,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            length = client.read(&mut up) => {
                let bytes = &up[..length?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let contains = |text: &str| {
                    bytes.windows(text.len()).any(|window| window == text.as_bytes())
                };
                if contains(text) && !contains("CREATE TABLE") {
                    if reaches {
                        server.write_all(bytes).await?;
                        drop(client);
                        // Until the server has answered, it may not have read.
                        let _ = server.read(&mut down).await?;
                    }
                    return Ok(());
                }
                server.write_all(bytes).await?;
            }
            length = server.read(&mut down) => {
                let bytes = &down[..length?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}
