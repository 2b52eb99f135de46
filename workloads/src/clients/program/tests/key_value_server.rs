//! A key-value server that speaks HTTP as the examples expect it: `GET`, `PUT` and `POST …/cas`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Starts it; it ends with the test.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut store = BTreeMap::new();
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, &mut store).await;
        }
    });
    address
}

/// Serves one request and closes the connection.
async fn serve(stream: TcpStream, store: &mut BTreeMap<String, Json>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body: Json = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let answer = match (method, path.strip_suffix("/cas")) {
        ("GET", _) => json!({ "value": store.get(path) }),
        ("PUT", _) => {
            store.insert(path.to_owned(), body["value"].clone());
            json!({})
        }
        (_, Some(key)) => {
            let swaps = store.get(key).unwrap_or(&Json::Null) == &body["old"];
            if swaps {
                store.insert(key.to_owned(), body["new"].clone());
            }
            json!({ "swapped": swaps })
        }
        _ => return None,
    };
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all((head + &text).as_bytes()).await.ok()
}
