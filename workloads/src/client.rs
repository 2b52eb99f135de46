//! The seam to a system under test.

use std::pin::Pin;
use std::sync::Arc;

use histories::Value;

use crate::Invocation;

/// One client: one connection, one operation in flight, nothing repeated in secret.
///
/// # What an implementation promises
/// - [`Outcome::Fail`] only when the operation certainly did not and never will take effect.
///   Whatever is not certain, a timeout, a reset connection, an answer it does not understand, is
///   [`Outcome::Info`].
/// - A negative answer (another value found, key missing) is an observation: [`Outcome::Ok`].
/// - Every node tried stands in the completion's path.
/// - An operation ends within a limit of its own.
pub trait Client: Send {
    /// Goes on as this process: a fresh session, nothing left of the one before. Called before
    /// the first operation, and again after every operation of unknown outcome. Connects when an
    /// operation needs it, not before.
    fn open(&mut self, process: u64);

    /// Does one operation. The caller stamps the invocation before the call and the completion
    /// after the future is ready.
    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>>;
}

/// How an operation ended, and what it went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// The node spoken to last.
    pub node: Option<Arc<str>>,
    /// Every node tried in order, redirects and repeated attempts included; empty when there was
    /// only one.
    pub path: Vec<Arc<str>>,
    /// Why it failed or is unknown.
    pub error: Option<Arc<str>>,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, with this result.
    Ok(Value),
    /// It did not and never will take effect.
    Fail,
    /// Unknown.
    Info,
}
