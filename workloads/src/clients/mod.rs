//! Clients, one for each system under test.

pub mod raft_kv;
