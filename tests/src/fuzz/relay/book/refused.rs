//! Why something is refused, as its sender is told.

use protocol::error::FormError;
use protocol::record::RecordRefusal;
use protocol::roster;
use protocol::round::RoundError;
use serde_json::Value;

/// The code of a problem, and what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fuzz::relay) struct Refused {
    pub(in crate::fuzz::relay) code: &'static str,
    pub(in crate::fuzz::relay) more: Vec<(&'static str, Value)>,
}

/// What is taken, or why it is not.
pub(in crate::fuzz::relay) type Taken<T> = Result<T, Refused>;

impl Refused {
    /// Says besides what somebody needs who tries again.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }
}

impl From<&'static str> for Refused {
    fn from(code: &'static str) -> Self {
        Self { code, more: Vec::new() }
    }
}

impl From<FormError> for Refused {
    fn from(error: FormError) -> Self {
        error.code().into()
    }
}

impl From<roster::Refusal> for Refused {
    fn from(refusal: roster::Refusal) -> Self {
        refusal.code().into()
    }
}

impl From<RecordRefusal> for Refused {
    fn from(refusal: RecordRefusal) -> Self {
        refusal.code().into()
    }
}

impl From<RoundError> for Refused {
    fn from(error: RoundError) -> Self {
        error.code().into()
    }
}

/// Refuses what does not hold.
pub(super) fn ask(holds: bool, code: &'static str) -> Taken<()> {
    if holds { Ok(()) } else { Err(code.into()) }
}
