//! The client against ZooKeeper itself, on loopback.

use super::*;
use crate::clients::testing::{Daemon, free_ports, program};

/// Where Debian puts ZooKeeper, with what it needs.
const CLASSES: &str = "/usr/share/java/zookeeper.jar";

/// A server of its own; nothing where ZooKeeper is not installed.
fn start() -> Option<(Daemon, SocketAddr)> {
    let java = program("java", "zookeeper")?;
    if !std::path::Path::new(CLASSES).is_file() {
        return program("zookeeper", "zookeeper").and(None);
    }
    let [port] = free_ports();
    let daemon = Daemon::start(&java, |folder| {
        let settings = format!(
            "tickTime=500\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n",
            folder.join("data").display()
        );
        let file = folder.join("zoo.cfg");
        std::fs::write(&file, settings).expect("the folder can be written");
        let file = file.display().to_string();
        // With a logger, so that a server that does not start says why.
        let classes = format!("{CLASSES}:/usr/share/java/slf4j-simple.jar");
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        ["-Xmx128m", "-cp", &classes, main, &file]
            .map(str::to_owned)
            .into()
    });
    Some((daemon, SocketAddr::from(([127, 0, 0, 1], port))))
}

async fn say(client: &mut Zookeeper, f: &str, value: impl Into<Value>) -> String {
    short(&client.invoke(&invocation(f, value)).await)
}

async fn steps(client: &mut Zookeeper, steps: &[(&str, Value, &str)]) {
    for (f, value, expected) in steps {
        assert_eq!(say(client, f, value.clone()).await, *expected, "{f}");
    }
}

#[tokio::test]
async fn zookeeper_does_what_it_is_asked() {
    let Some((daemon, address)) = start() else {
        return;
    };
    let client = |data| {
        let options = ZookeeperOptions {
            sync: true,
            session_timeout_ms: 1_000,
            // A server that is starting may take a connection and never answer on it.
            timeout_ms: 5_000,
            ..patient(data)
        };
        client(&[address], options)
    };
    let mut register = client(Data::Register);
    daemon
        .until(async || say(&mut register, "read", Value::Nil).await == "ok nil")
        .await;
    let rows = [
        ("cas", pair(Value::Nil, 7), "ok true"),
        ("cas", pair(Value::Nil, 8), "ok false"),
        ("cas", pair(8, 9), "ok false"),
        ("cas", pair(7, 9), "ok true"),
        ("read", Value::Nil, "ok 9"),
        ("write", 5.into(), "ok nil"),
        ("read", Value::Nil, "ok 5"),
    ];
    steps(&mut register, &rows).await;
    let rows = [
        ("append", "6".into(), "ok nil"),
        ("get", Value::Nil, "ok \"56\""),
        ("delete", Value::Nil, "ok true"),
        ("delete", Value::Nil, "ok false"),
        ("put", "a ".into(), "ok nil"),
        ("delete", Value::Nil, "ok true"),
    ];
    steps(&mut client(Data::Kv), &rows).await;
    let mut set = client(Data::Set);
    let rows = [
        ("read", Value::Nil, "ok []"),
        ("add", "a/b".into(), "ok nil"),
        ("add", "a/b".into(), "ok nil"),
        ("read", Value::Nil, "ok [\"a/b\"]"),
    ];
    steps(&mut set, &rows).await;
    let (mut holder, mut other) = (client(Data::Lock), client(Data::Lock));
    let key = |f: &str| Invocation {
        key: Some("lock".into()),
        ..invocation(f, Value::Nil)
    };
    for (who, f, expected) in [
        (0, "acquire", "ok true"),
        (1, "acquire", "ok false"),
        (1, "release", "ok false"),
        (0, "release", "ok true"),
        (0, "acquire", "ok true"),
    ] {
        let client = if who == 0 { &mut holder } else { &mut other };
        assert_eq!(short(&client.invoke(&key(f)).await), expected, "{who} {f}");
    }
    // A holder that is gone holds until its session ends.
    drop(holder);
    daemon
        .until(async || short(&other.invoke(&key("acquire")).await) == "ok true")
        .await;
}
