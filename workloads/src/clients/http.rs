//! HTTP, as every client that speaks it needs it ([`Line`], [`Stream`]), and a client for any system that does
//! ([`Http`]), by what its definition says of requests and answers ([`HttpOptions`]).

mod answer;
mod client;
mod line;
mod options;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub use client::Http;
pub use line::{Line, Reply, Request};
pub use options::{Answer, HttpOptions, Meaning, NodeChoice, Operation, ResultKind, Source};
pub use stream::{Next, Stream};
