//! Refills: a member vouches for records that a relay lost.

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash};
use crate::limits;
use crate::record::Record;
use crate::signed::{Form, Verified, check_version};

/// A member gives records back, of writers that may be none any more and of epochs that are over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refill {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain.
    #[n(1)]
    pub chain: ChainId,
    /// SHA-256 of the hashes of the records beside it, in their order.
    #[n(2)]
    pub records: Hash,
}

impl Form for Refill {
    type Evidence = ();
    const NAME: &'static str = "refill";
    // Without a member's word for it, a removed device could write on under an old head, as if that had been lost.
    const LABEL: &'static str = "countersign/v1/refill";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)
    }
}

/// What a refill names its records by.
#[must_use]
pub fn hash_of<'a>(records: impl IntoIterator<Item = &'a Verified<Record>>) -> Hash {
    let mut hasher = Sha256::new();
    for record in records {
        hasher.update(record.hash().as_bytes());
    }
    Hash(hasher.finalize().into())
}

/// Numbers that a feed leaves out before the first record of a refill.
///
/// A feed that lost its end counts the same numbers once more, and a reader knows only by what stands at its own number whether this is
/// the feed that it read. Given back in the order of before, behind a record that took the place of another, the last ones would come to
/// stand exactly there.
#[must_use]
pub fn leap(first: &Hash) -> u64 {
    let Hash([a, b, c, d, ..]) = *first;
    u64::from(u32::from_be_bytes([a, b, c, d]))
}
