//! Founding a chain.

use rand_core::CryptoRng;

use super::{Body, Entry, Found, Recovery};
use crate::code::SyncCode;
use crate::error::FormError;
use crate::keys::{DeviceKeys, EpochKey, NameKey, SigningKey};
use crate::policy::Policy;
use crate::request::Description;
use crate::rotation::seal_recovery;
use crate::seal::Wrapped;
use crate::signed::{Form as _, Verified};

/// What a founder must keep: nobody seals the epoch key to it.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The founding entry.
    pub entry: Verified<Entry>,
    /// The sync code to hand out.
    pub code: SyncCode,
    /// The key of epoch 1.
    pub epoch_key: EpochKey,
}

/// Founds a chain: draws sync code, epoch key and name key, and signs `found`. `recovery` is the key on paper, if there is to be one.
///
/// # Errors
///
/// [`FormError`] if the description or the policy is refused.
pub fn found(
    keys: &DeviceKeys,
    description: &Description,
    policy: Policy,
    recovery: Option<&DeviceKeys>,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Founding, FormError> {
    let code = SyncCode::draw(rng);
    let epoch_key = EpochKey::draw(rng);
    let name_key = NameKey::draw(rng);
    let join = code.join_key();
    let anchor = join.join_key();
    let device = keys.public();
    let broken = |_| FormError::BadField { form: Entry::NAME, what: "a value could not be sealed" };
    let mut wrap = |what, anchor: &[&[u8]], value: &[u8]| epoch_key.wrap(1, what, anchor, value, rng).map_err(broken);
    let body = Found {
        device,
        join_key: anchor,
        key_id: epoch_key.key_id(1),
        description: wrap(
            Wrapped::Description,
            &[anchor.as_bytes(), device.signing.as_bytes()],
            &description.to_bytes(),
        )?,
        name_key: wrap(Wrapped::NameKey, &[anchor.as_bytes()], name_key.expose())?,
        sync_code: wrap(Wrapped::SyncCode, &[anchor.as_bytes()], code.expose())?,
        policy,
        recovery: recovery
            .map(|recovery| {
                let device = recovery.public();
                seal_recovery(&device, &anchor, &epoch_key, rng).map(|epoch_key| Recovery { device, epoch_key })
            })
            .transpose()
            .map_err(broken)?,
    };
    let form =
        Entry { version: crate::VERSION, chain: None, seq: 0, prev: None, at, body: Body::Found(Box::new(body)) };
    let provers: Vec<&SigningKey> = core::iter::once(&join).chain(recovery.map(|keys| &keys.signing)).collect();
    let entry = Verified::sign(form, &keys.signing, &provers)?;
    Ok(Founding { entry, code, epoch_key })
}
