//! Welcomes: the epoch key for a joiner, inside its admit.

use rand_core::CryptoRng;

use crate::cbor::Blob;
use crate::id::{ChainId, DeviceId, Hash, RequestId};
use crate::keys::{EpochKey, SealingKey, SealingSecret};
use crate::seal::{SealBroken, open_with, seal_to, secret_bytes};

/// The HPKE `info` of a welcome: `countersign/v1/welcome` ‖ chain ‖ request ‖ approver ‖ epoch. Its `aad` is the entry's `prev`.
fn welcome_info(chain: &ChainId, request: &RequestId, approver: &DeviceId, epoch: u64) -> Vec<u8> {
    [
        b"countersign/v1/welcome".as_slice(),
        chain.as_bytes(),
        request.as_bytes(),
        approver.as_bytes(),
        &epoch.to_be_bytes(),
    ]
    .concat()
}

/// Seals the epoch key to a joiner, bound to the one place in the log where it may stand.
///
/// # Errors
///
/// [`SealBroken`], never for a verified request.
pub fn seal_welcome(
    to: &SealingKey,
    place: &WelcomePlace,
    epoch_key: &EpochKey,
    rng: &mut impl CryptoRng,
) -> Result<Blob, SealBroken> {
    let info = welcome_info(&place.chain, &place.request, &place.approver, place.epoch);
    seal_to(to, &info, place.prev.as_bytes(), epoch_key.expose(), rng)
}

/// Opens a welcome.
///
/// # Errors
///
/// [`SealBroken`] if it was made for another device or another place. The caller compares the key id.
pub fn open_welcome(secret: &SealingSecret, place: &WelcomePlace, blob: &[u8]) -> Result<EpochKey, SealBroken> {
    let info = welcome_info(&place.chain, &place.request, &place.approver, place.epoch);
    let opened = open_with(secret, &info, place.prev.as_bytes(), blob)?;
    secret_bytes(&opened).map(EpochKey::from_bytes)
}

/// Where a welcome stands: everything it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WelcomePlace {
    /// The chain.
    pub chain: ChainId,
    /// The request that is admitted.
    pub request: RequestId,
    /// Who signs the admit.
    pub approver: DeviceId,
    /// The epoch whose key it holds.
    pub epoch: u64,
    /// The admit's `prev`.
    pub prev: Hash,
}
