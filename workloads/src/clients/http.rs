//! HTTP as every client that speaks it needs it: one request, one answer, nothing in secret.

mod line;

pub use line::{Line, Reply, Request};
