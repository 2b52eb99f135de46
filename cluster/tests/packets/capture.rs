//! What is written of every frame.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use cluster::{CaptureSpec, NetworkSpec};
use faults::Target;

use super::probe::Probe;
use super::{CUT, n1_to_n2, rule, seeded};
use crate::support::{Started, eventually};

pub fn a_capture_has_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcapng");
    let spec = NetworkSpec {
        capture: Some(CaptureSpec {
            path: path.clone(),
            frame_bytes_max: 60,
        }),
        ..seeded(12)
    };
    let started = Started::on(spec, &["n1", "n2"]);
    let cluster = started.cluster();
    let network = cluster.network().unwrap();
    let mut probe = Probe::new(cluster, "n1", "n2");
    probe.send(3, 100);
    probe.receive(3);
    network.set_rules(&[rule(1, &n1_to_n2(), CUT)]).unwrap();
    probe.send(2, 100);
    eventually("they are dropped", || network.counts(1).affected == 2);
    // The address that nobody else sends to.
    let port = probe.to.port();
    let needle = port.to_be_bytes();
    let frames = |bytes: &[u8]| {
        let mut blocks = Vec::new();
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + 8) {
            let length = u32::from_ne_bytes(head[4..8].try_into().unwrap()) as usize;
            let Some(block) = bytes.get(at..at + length) else {
                break;
            };
            // A frame, with the port where UDP has its destination.
            if head[0] == 6 && block.get(28 + 36..28 + 38) == Some(&needle) {
                let text = String::from_utf8_lossy(block);
                blocks.push((block[8], text.contains("cut n1 to n2")));
            }
            at += length;
        }
        blocks
    };
    let is_written = || frames(&fs::read(&path).unwrap()).len() == 5;
    eventually("all is written", is_written);
    let bytes = fs::read(&path).unwrap();
    let mut expected = vec![(0, false); 3];
    expected.extend([(1, true); 2]);
    assert_eq!(frames(&bytes), expected);
    // A torn tail costs the torn frame.
    assert!(frames(&bytes[..bytes.len() - 5]).len() >= 4);

    match Command::new("tcpdump")
        .args(["-nn", "-r"])
        .arg(&path)
        .arg(format!("udp port {port}"))
        .output()
    {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("Couldn't change to") {
                // It wants to give up privileges that root of a user namespace cannot.
                println!("skipped what tcpdump reads: {said}");
                return;
            }
            assert_eq!(text.lines().count(), 5, "{text}{said}");
            let address = Ipv4Addr::new(10, 77, 0, 2);
            assert!(
                text.lines()
                    .all(|line| line.contains(&format!("> {address}.{port}")))
            );
        }
        Err(error) => println!("skipped what tcpdump reads: {error}"),
    }
}
