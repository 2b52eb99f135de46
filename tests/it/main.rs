//! End to end: the real binary, real clusters of real processes, on loopback and in namespaces.
//!
//! `cargo test --test it` runs them. What a machine does not allow is skipped with its reason, and
//! fails where the environment has `CI`.

#![allow(clippy::unwrap_used)]

mod basics;
mod campaigns;
mod certificates;
mod clients;
mod clocks;
mod convert;
mod definitions;
mod disks;
mod docker;
mod engine;
mod hosts;
mod input;
mod known;
mod lab;
mod machine;
mod maelstrom;
mod network;
mod online;
mod processes;
mod runs;
mod schema;
mod stops;
mod support;
mod systems;
mod workloads;
mod zoo;
