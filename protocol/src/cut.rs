//! Cuts: how much of a writer's line counts after writing was taken from it.

use minicbor::{Decode, Encode};

use crate::cbor::code_enum;
use crate::id::{DeviceId, Hash};

code_enum! {
    /// Why a line ends where it does.
    CutAt {
        /// At the last record that the relay has. The relay refuses another.
        Last = 0 "last",
        /// Earlier, on purpose: what came after it is distrusted.
        Earlier = 1 "earlier",
    }
}

/// The last record of a writer that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cut {
    /// Its counter; 0 if none counts.
    #[n(0)]
    pub counter: u64,
    /// Its hash; absent at counter 0.
    #[n(1)]
    pub last: Option<Hash>,
    /// Whether it is the last that there is.
    #[n(2)]
    pub at: CutAt,
}

impl Cut {
    /// Whether the form is one: a hash wherever there is a record.
    pub(crate) const fn is_well_formed(&self) -> bool {
        (self.counter == 0) == self.last.is_none()
    }

    /// Whether a record, by counter and hash, lies past the cut.
    #[must_use]
    pub fn is_passed_by(&self, counter: u64, hash: Hash) -> bool {
        counter > self.counter || (counter == self.counter && self.last != Some(hash))
    }
}

/// A device that is removed, with the end of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Removal {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// What of its records counts.
    #[n(1)]
    pub cut: Cut,
}
