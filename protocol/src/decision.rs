//! The two ends of a decision: the approver signs an admission or a denial, the joiner accepts its admission.

use std::sync::Arc;

use rand_core::CryptoRng;

use crate::cbor::Blob;
use crate::entry::{Admit, Body, Deny, DenyReason, Entry, EntryEvidence, WelcomePlace, open_welcome, seal_welcome};
use crate::error::FormError;
use crate::id::{DeviceId, RequestId};
use crate::keyring::{Acting, Keyring, KeyringError};
use crate::keys::DeviceKeys;
use crate::policy::{How, Role};
use crate::request::{Description, JoinRequest};
use crate::roster::Roster;
use crate::round::Confirmed;
use crate::seal::Wrapped;
use crate::signed::Verified;
use crate::totp::TotpConfirmed;

/// Signs the admission of a request whose check code was typed. There is no way to call it without the typed code.
///
/// What is admitted is the exact request that the code was computed over: nothing is fetched in between.
///
/// # Errors
///
/// [`FormError`], never for a request and a description that were verified.
pub fn admit(
    acting: Acting<'_>,
    confirmed: &Confirmed,
    description: &Description,
    role: Role,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    admit_together(acting, confirmed, description, role, Vec::new(), at, rng)
}

/// The same where the policy asks for more than one approver: with the approvals of the others, ascending by signer.
///
/// # Errors
///
/// [`FormError`], never for a request, a description and approvals that were verified.
pub fn admit_together(
    acting: Acting<'_>,
    confirmed: &Confirmed,
    description: &Description,
    role: Role,
    approvals: Vec<Blob>,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let terms = Terms { role, how: How::Typed, approvals, totp_step: None };
    sign_admit(acting, confirmed.request(), description, terms, at, rng)
}

/// Signs the admission of a device by the recovery device, which needs no code: whoever holds the words made the request itself.
///
/// # Errors
///
/// [`FormError`], never for a request and a description that were verified.
pub fn admit_recovered(
    recovery: Acting<'_>,
    request: &Arc<Verified<JoinRequest>>,
    description: &Description,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let terms = Terms { role: Role::Approver, how: How::Recovery, approvals: Vec::new(), totp_step: None };
    sign_admit(recovery, request, description, terms, at, rng)
}

/// Signs the admission of a device whose one-time code was right, which needs no person: the policy allows the way.
///
/// # Errors
///
/// [`FormError`], never for a request and a description that were verified.
pub fn admit_totp(
    acting: Acting<'_>,
    confirmed: &TotpConfirmed,
    description: &Description,
    role: Role,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let terms = Terms { role, how: How::Totp, approvals: Vec::new(), totp_step: Some(confirmed.step()) };
    sign_admit(acting, confirmed.request(), description, terms, at, rng)
}

/// Signs the admission of a device of which nothing was checked: whoever has the sync code is in. The log takes it only where the
/// policy says so, and such a policy voids the promise about a stolen code.
///
/// # Errors
///
/// [`FormError`], never for a request and a description that were verified.
pub fn admit_unchecked(
    acting: Acting<'_>,
    request: &Arc<Verified<JoinRequest>>,
    description: &Description,
    role: Role,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let terms = Terms { role, how: How::None, approvals: Vec::new(), totp_step: None };
    sign_admit(acting, request, description, terms, at, rng)
}

struct Terms {
    role: Role,
    how: How,
    approvals: Vec<Blob>,
    totp_step: Option<u64>,
}

fn sign_admit(
    acting: Acting<'_>,
    request: &Arc<Verified<JoinRequest>>,
    description: &Description,
    terms: Terms,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let Acting { keys, roster, keyring } = acting;
    let broken = |_| FormError::BadField { form: "entry", what: "a value could not be sealed" };
    let chain = roster.chain();
    let place =
        WelcomePlace { chain, request: request.id(), approver: keys.id(), epoch: keyring.epoch(), prev: roster.head() };
    let admit = Admit {
        request: Blob(request.bytes().to_vec()),
        role: terms.role,
        epoch: keyring.epoch(),
        how: terms.how,
        description: keyring
            .epoch_key()
            .wrap(
                keyring.epoch(),
                Wrapped::Description,
                &[chain.as_bytes(), request.device.signing.as_bytes()],
                &description.without_totp().to_bytes(),
                rng,
            )
            .map_err(broken)?,
        welcome: seal_welcome(&request.device.sealing, &place, keyring.epoch_key(), rng).map_err(broken)?,
        approvals: terms.approvals,
        ticket: None,
        totp_step: terms.totp_step,
    };
    let known = EntryEvidence::of(Arc::clone(request));
    Verified::sign_knowing(roster.next_entry(at, Body::Admit(Box::new(admit))), &keys.signing, &[], Some(&known))
}

/// Signs the denial of a request. It holds no key material at all.
///
/// # Errors
///
/// [`FormError`] if `block` is above [`crate::limits::BLOCK_MAX`].
pub fn deny(
    roster: &Roster,
    keys: &DeviceKeys,
    request: (RequestId, DeviceId),
    reason: DenyReason,
    block: u32,
    at: u64,
) -> Result<Verified<Entry>, FormError> {
    let deny = Deny { request: request.0, device: request.1, reason, block };
    Verified::sign(roster.next_entry(at, Body::Deny(deny)), &keys.signing, &[])
}

/// What a joiner takes as the reason why it was let in. Nothing else is one, whatever the policy of the log says: a relay with the sync
/// code can show it a log with a policy of its own making.
#[derive(Clone, Copy)]
pub enum Accepts<'a> {
    /// The signer typed a code that was shown here. Named are the devices for which one was.
    TypedBy(&'a dyn Fn(&DeviceId) -> bool),
    /// The signer checked the one-time code that was sent from here.
    Totp,
    /// Nothing was checked: the person at this device takes the risk that anybody with the sync code let it in.
    Unchecked,
}

impl Accepts<'_> {
    fn takes(&self, how: How, signer: &DeviceId) -> bool {
        match self {
            Self::TypedBy(showed_code_for) => how == How::Typed && showed_code_for(signer),
            Self::Totp => how == How::Totp,
            Self::Unchecked => how == How::None,
        }
    }
}

impl core::fmt::Debug for Accepts<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TypedBy(_) => "TypedBy",
            Self::Totp => "Totp",
            Self::Unchecked => "Unchecked",
        })
    }
}

/// What a joiner requires of the log before it believes that it was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The log's join key is not the one that the joiner's sync code yields: it is another chain.
    #[error("this log belongs to a chain with another sync code")]
    OtherJoinKey,
    /// The log does not admit this device.
    #[error("the log does not admit this device")]
    NotAdmitted,
    /// The admit names other keys than this device's.
    #[error("the log admits this device with a key that is not its own")]
    OtherKeys,
    /// The admit was not signed by a device whose code was shown here, or its way is not one that the joiner accepts.
    #[error(
        "the admission was not signed by a device that was shown a code, nor made in another way that is accepted here"
    )]
    NotTheApprover,
    /// The welcome does not open, or yields a key that the log does not name.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl AdmissionError {
    /// The stable code of this error, as it stands in the test vectors. It never travels.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherJoinKey => "other-join-key",
            Self::NotAdmitted => "not-admitted",
            Self::OtherKeys => "other-keys",
            Self::NotTheApprover => "not-the-approver",
            Self::Keyring(error) => error.code(),
        }
    }
}

/// A joiner's last step: checks the verified log against what it did itself, and opens the welcome.
///
/// # Errors
///
/// [`AdmissionError`]: the relay, or the signer of the admit, lied.
pub fn accept_admission(
    roster: &Roster,
    admitting: &Verified<Entry>,
    keys: &DeviceKeys,
    own_request: &Verified<JoinRequest>,
    accepts: &[Accepts<'_>],
) -> Result<Keyring, AdmissionError> {
    // It may have been rotated since: that the admit was made under it, the log asks.
    if !roster.was_join_key(&own_request.join_key) {
        return Err(AdmissionError::OtherJoinKey);
    }
    let member = roster.member(&keys.id()).ok_or(AdmissionError::NotAdmitted)?;
    if member.device != keys.public() {
        return Err(AdmissionError::OtherKeys);
    }
    let (Body::Admit(admit), Some(prev)) = (&admitting.body, admitting.prev) else {
        return Err(AdmissionError::NotAdmitted);
    };
    if roster.position(&admitting.hash()).map(|position| position.seq) != Some(member.admission.seq) {
        return Err(AdmissionError::NotAdmitted);
    }
    // By id, not by bytes: whoever has the sync code can make a second valid proof for the same request, and a relay that swaps it
    // in must not turn an honest admission into a ghost.
    let admitted = admitting.evidence().request().ok_or(AdmissionError::NotAdmitted)?;
    if admitted.id() != own_request.id() {
        return Err(AdmissionError::OtherKeys);
    }
    if !accepts.iter().any(|accepts| accepts.takes(admit.how, &admitting.signer())) {
        return Err(AdmissionError::NotTheApprover);
    }
    let place = WelcomePlace {
        chain: roster.chain(),
        request: own_request.id(),
        approver: admitting.signer(),
        epoch: admit.epoch,
        prev,
    };
    let epoch_key = open_welcome(&keys.sealing, &place, &admit.welcome).map_err(KeyringError::from)?;
    if roster.key_id_of(admit.epoch) != Some(epoch_key.key_id(admit.epoch)) {
        return Err(KeyringError::OtherKey.into());
    }
    Ok(Keyring::follow(roster, keys, &epoch_key)?)
}
