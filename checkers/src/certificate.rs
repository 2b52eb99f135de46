//! Certificates: an order of the operations that anybody can check.
//!
//! A history is linearizable when its operations have an order that explains them. [`certify`]
//! finds one for each part (key), by the engines; [`verify`] checks it in linear time with nothing
//! but the model's step, so that nobody has to believe the engines. An order names operations by
//! the indexes of their invocations.
//!
//! In a file a certificate is JSON lines: the [`Header`], then one [`PartOrder`] for each part.
//!
//! ```
//! use checkers::certificate::{certify, verify};
//! use checkers::{Cancel, Limits, ModelKind, ModelOptions};
//! use histories::History;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let history = History::default(); // as it is read from a file
//! let operations = history.operations();
//! let options = ModelOptions::new(ModelKind::Register);
//! let certificate = certify(&operations, &options, &Limits::default(), &Cancel::new())?;
//! let orders = certificate.orders.iter().cloned().map(Ok::<_, std::io::Error>);
//! let accepted = verify(&operations, &options, &certificate.header, orders)?;
//! assert_eq!(accepted.placed, 0);
//! # Ok(())
//! # }
//! ```

mod checksum;
mod orders;
mod verify;

use histories::Operations;
use serde::{Deserialize, Serialize};

pub use orders::certify_of;
pub use verify::{Accepted, Refusal, Refused, Verifier, VerifyError};

use crate::models::Visitor;
use crate::{Cancel, JudgeError, Limits, Model, ModelError, ModelOptions, NilReads};

/// The name of the format, in the header.
pub const FORMAT: &str = "whitewater-certificate";
/// The version of the format.
pub const VERSION: u32 = 1;

/// What a certificate is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The model's name.
    pub model: String,
    /// The value at the start as a person reads it; `None` for the model's own.
    pub initial: Option<String>,
    /// What a read of nil means: `observe` or `any`.
    pub nil_reads: String,
    /// How many operations the history has, failed ones included.
    pub operations: u64,
    /// What tells the history from others: a checksum over all that the verdict depends on of its
    /// operations. It is no protection against forgery, and needs to be none: the orders are
    /// checked against the operations themselves.
    pub checksum: String,
}

/// An order of the operations of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOrder {
    /// The part (key) as a person reads it; `None` where the history is one whole.
    pub part: Option<String>,
    /// The operations in order, by the indexes of their invocations.
    pub order: Vec<u64>,
}

/// A whole certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it is of.
    pub header: Header,
    /// The parts, in the order in which they first appear in the history.
    pub orders: Vec<PartOrder>,
}

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertifyError {
    /// An operation or the initial value means nothing to the model.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// No order was found before a limit was reached.
    #[error("{part}{limit} was reached before an order of its {operations} operations was found")]
    Limit {
        /// The part, as messages begin that are about one.
        part: String,
        /// Which limit.
        limit: &'static str,
        /// How many operations the part has.
        operations: usize,
    },
    /// There is none: the history is not linearizable.
    #[error("{part}no order explains the operations")]
    NotLinearizable {
        /// The part, as messages begin that are about one.
        part: String,
    },
}

impl From<ModelError> for CertifyError {
    fn from(error: ModelError) -> Self {
        CertifyError::Judge(error.into())
    }
}

impl Header {
    /// The header of a certificate for these operations.
    pub fn new(operations: &Operations<'_>, options: &ModelOptions) -> Self {
        // Nil is what every model starts from by itself.
        let initial = options.initial.as_ref().filter(|value| !value.is_nil());
        Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            model: options.kind.as_str().to_owned(),
            initial: initial.map(ToString::to_string),
            nil_reads: match options.nil_reads {
                NilReads::Observe => "observe",
                NilReads::Any => "any",
            }
            .to_owned(),
            operations: operations.len() as u64,
            checksum: checksum::of(operations),
        }
    }

    /// Whether it is of these operations, and of the check asked for.
    fn fits(&self, asked: &Header) -> Result<(), Refused> {
        let none = || "none".to_owned();
        let fields = [
            ("model", Some(&self.model), Some(&asked.model)),
            (
                "initial value",
                self.initial.as_ref(),
                asked.initial.as_ref(),
            ),
            (
                "meaning of reads of nil",
                Some(&self.nil_reads),
                Some(&asked.nil_reads),
            ),
        ];
        for (what, found, asked) in fields {
            if found != asked {
                return Err(Refused::OtherCheck {
                    what,
                    found: found.cloned().unwrap_or_else(none),
                    asked: asked.cloned().unwrap_or_else(none),
                });
            }
        }
        if (self.operations, &self.checksum) != (asked.operations, &asked.checksum) {
            return Err(Refused::OtherHistory);
        }
        Ok(())
    }
}

/// Finds an order for every part of a linearizable history.
///
/// The limits count anew, as for another check.
///
/// # Errors
///
/// When an operation or the initial value means nothing to the model, a limit is reached, or the
/// history is not linearizable.
pub fn certify(
    operations: &Operations<'_>,
    options: &ModelOptions,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<Certificate, CertifyError> {
    let orders = options
        .visit(Certify {
            operations,
            limits,
            cancel,
        })
        .map_err(JudgeError::from)??;
    Ok(Certificate {
        header: Header::new(operations, options),
        orders,
    })
}

struct Certify<'a> {
    operations: &'a Operations<'a>,
    limits: &'a Limits,
    cancel: &'a Cancel,
}

impl Visitor for Certify<'_> {
    type Output = Result<Vec<PartOrder>, CertifyError>;

    fn visit<M: Model>(self, model: &M) -> Self::Output {
        certify_of(model, self.operations, self.limits, self.cancel)
    }
}

/// Checks a certificate: the header, then one order after another as they are read.
///
/// Takes linear time, apart from sorting events by time. Knows nothing of the engines: only what
/// the model says that an operation means, which part it belongs to, what a part starts from, and
/// one step.
///
/// # Errors
///
/// When the certificate is refused (with the place in it), when an order cannot be read, or when
/// an operation or the initial value means nothing to the model.
pub fn verify<E>(
    operations: &Operations<'_>,
    options: &ModelOptions,
    header: &Header,
    orders: impl IntoIterator<Item = Result<PartOrder, E>>,
) -> Result<Accepted, VerifyError<E>> {
    header
        .fits(&Header::new(operations, options))
        .map_err(|why| VerifyError::Refused(Refusal { line: 1, why }))?;
    options
        .visit(Verify { operations, orders })
        .map_err(|error| VerifyError::Judge(error.into()))?
}

struct Verify<'a, I> {
    operations: &'a Operations<'a>,
    orders: I,
}

impl<I, E> Visitor for Verify<'_, I>
where
    I: IntoIterator<Item = Result<PartOrder, E>>,
{
    type Output = Result<Accepted, VerifyError<E>>;

    fn visit<M: Model>(self, model: &M) -> Self::Output {
        let mut verifier = Verifier::new(model, self.operations)
            .map_err(|error| VerifyError::Judge(error.into()))?;
        for order in self.orders {
            let order = order.map_err(VerifyError::Read)?;
            verifier.check(&order).map_err(VerifyError::Refused)?;
        }
        verifier.finish().map_err(VerifyError::Refused)
    }
}

#[cfg(test)]
mod tests;
