//! Connect: how a device proves on a WebSocket who it is.

use minicbor::{Decode, Encode};

use crate::cbor::{self, code_enum};
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, Random, RequestId};
use crate::limits;
use crate::signed::{Form, check_version};

const OFFERED: u64 = limits::VERSIONS_OFFERED_MAX as u64;

code_enum! {
    /// As what a device connects.
    Standing {
        /// As a member of the chain it names.
        Member = 0 "member",
        /// As the joiner of the request it names.
        Joiner = 1 "joiner",
    }
}

/// Where a device stands in a relay's feed of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cursor {
    /// Which store the number counts in: a relay that was restored or replaced has another, and the feed starts anew.
    #[n(0)]
    pub store: u64,
    /// Number of the last record received, counted by chain.
    #[n(1)]
    pub number: u64,
}

/// A device's answer to the relay's challenge. It is signed over both nonces and the relay's origin, so it can be neither replayed nor
/// carried to another relay; and over the versions offered, so nobody between can take the better one away.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Connect {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// Subprotocols that the device offered in the handshake, in its order.
    #[cbor(n(1), decode_with = "cbor::at_most::<_, _, OFFERED>")]
    pub offered: Vec<String>,
    /// Origin of the relay as the device dialled it (RFC 6454 §6.2, ASCII, default port omitted).
    #[n(2)]
    pub origin: String,
    /// The relay's challenge.
    #[n(3)]
    pub relay_nonce: Random,
    /// The device's own nonce.
    #[n(4)]
    pub own_nonce: Random,
    /// The chain; absent for a joiner.
    #[n(5)]
    pub chain: Option<ChainId>,
    /// The device. It signs.
    #[n(6)]
    pub device: DeviceId,
    /// As what it connects.
    #[n(7)]
    pub standing: Standing,
    /// The joiner's request; absent for a member.
    #[n(8)]
    pub request: Option<RequestId>,
    /// The member's pinned head.
    #[n(9)]
    pub head: Option<Hash>,
    /// Where the member stands in the feed; absent to begin at the beginning.
    #[n(10)]
    pub cursor: Option<Cursor>,
}

impl Form for Connect {
    type Evidence = ();
    const NAME: &'static str = "connect";
    const LABEL: &'static str = "countersign/v1/connect";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        if *signer != self.device {
            return Err(FormError::WrongSigner { form: Self::NAME });
        }
        let bad = |what| Err(FormError::BadField { form: Self::NAME, what });
        if self.offered.len() > limits::VERSIONS_OFFERED_MAX || self.origin.len() > limits::ORIGIN_CHARS_MAX {
            return bad("too many versions, or an origin that is too long");
        }
        let member = self.standing == Standing::Member;
        if member != self.chain.is_some() || member != self.head.is_some() || member == self.request.is_some() {
            return bad("a member names chain and head, a joiner its request");
        }
        if !member && self.cursor.is_some() {
            return bad("a joiner has no cursor");
        }
        Ok(())
    }
}
