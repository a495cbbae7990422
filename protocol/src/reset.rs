//! Resets: whoever has only the sync code ends a chain at its relay, after a wait in which any member can stop it.

use minicbor::{Decode, Encode};

use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, JoinKey};
use crate::limits;
use crate::signed::{Form, Verified, check_version};

/// The wish that a relay deletes a chain, signed by the chain's join key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reset {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain.
    #[n(1)]
    pub chain: ChainId,
    /// A head of its log at which the policy was the one in force: the terms that its signer knew.
    #[n(2)]
    pub head: Hash,
    /// Seconds that members have to stop it.
    #[n(3)]
    pub wait: u64,
}

impl Form for Reset {
    type Evidence = ();
    const NAME: &'static str = "reset";
    // Without a label of its own the join proof of a request could be passed off as the wish to delete the chain.
    const LABEL: &'static str = "countersign/v1/reset";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        if self.wait > limits::DELAY_MAX.as_secs() {
            return Err(FormError::BadField { form: Self::NAME, what: "wait is above 365 days" });
        }
        Ok(())
    }
}

impl Verified<Reset> {
    /// The join key that signed. Whether it is the chain's, the log says.
    #[must_use]
    pub fn join_key(&self) -> JoinKey {
        JoinKey(self.signer().0)
    }
}
