//! Signing what changes a chain after its members are in: removals, new epochs and sync codes, roles, policy, its end.
//!
//! None of these functions asks whether the log will take the entry: [`Roster::apply`](crate::roster::Roster::apply) does, and its
//! caller runs it before the entry leaves.

use rand_core::CryptoRng;

use crate::approval::{Approval, RoleSubject, Subject};
use crate::cbor::Blob;
use crate::code::SyncCode;
use crate::cut::{Cut, Removal};
use crate::entry::{
    Body, ChangePolicy, ChangeRole, Close, Closing, Entry, Leave, Remove, RemoveReason, Rotate, Settle, Veto, VetoOf,
};
use crate::error::FormError;
use crate::id::{DeviceId, Hash};
use crate::keyring::Acting;
use crate::keys::{DeviceKeys, DevicePublic, EpochKey, SigningKey};
use crate::policy::{Policy, Role};
use crate::rotation::{Carried, Rotation, RotationPlace};
use crate::signed::Verified;

/// What becomes of the sync code in a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeChange {
    /// It goes on.
    Keep,
    /// A new one is drawn, and the old one is dead.
    Draw,
}

/// What becomes of the recovery device in a new epoch.
#[derive(Debug, Clone, Copy)]
pub enum RecoveryChange<'a> {
    /// It stays, or there is none.
    Keep,
    /// These keys are the recovery device from now on, in the place of the one before.
    Replace(&'a DeviceKeys),
}

/// A rotation with the key that proves its new sync code.
struct Drawn {
    rotation: Rotation,
    join: Option<SigningKey>,
}

fn draw(
    acting: Acting<'_>,
    gone: &[DeviceId],
    code: CodeChange,
    recovery: RecoveryChange<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Drawn, FormError> {
    let Acting { keys, roster, keyring } = acting;
    let place =
        RotationPlace { chain: roster.chain(), signer: keys.id(), epoch: roster.epoch() + 1, prev: roster.head() };
    let new_code = (code == CodeChange::Draw).then(|| SyncCode::draw(rng));
    let join = new_code.as_ref().map(SyncCode::join_key);
    let new_recovery = match recovery {
        RecoveryChange::Keep => None,
        RecoveryChange::Replace(keys) => Some(keys.public()),
    };
    let stays = |member: &&crate::roster::Member| {
        !gone.contains(&member.device.signing) && (new_recovery.is_none() || member.role != Role::Recovery)
    };
    let devices: Vec<DevicePublic> =
        roster.members().filter(stays).map(|member| member.device).chain(new_recovery).collect();
    let epoch_key = EpochKey::draw(rng);
    let carried = Carried {
        epoch_key: &epoch_key,
        previous: keyring.epoch_key(),
        name_key: keyring.name_key(),
        code: new_code.as_ref().unwrap_or(keyring.code()),
    };
    let join_key = join.as_ref().map(SigningKey::join_key);
    let rotation = Rotation::seal(&place, &carried, join_key, &devices, new_recovery, rng)
        .map_err(|_| FormError::BadField { form: "entry", what: "a value could not be sealed" })?;
    Ok(Drawn { rotation, join })
}

fn sign_rotation(
    acting: Acting<'_>,
    join: Option<&SigningKey>,
    recovery: RecoveryChange<'_>,
    at: u64,
    body: Body,
) -> Result<Verified<Entry>, FormError> {
    let recovery = match recovery {
        RecoveryChange::Keep => None,
        RecoveryChange::Replace(keys) => Some(&keys.signing),
    };
    let provers: Vec<&SigningKey> = join.into_iter().chain(recovery).collect();
    Verified::sign(acting.roster.next_entry(at, body), &acting.keys.signing, &provers)
}

/// Signs a removal: the devices go, their records are cut, and a new epoch begins under a new sync code.
///
/// # Errors
///
/// [`FormError`] for removals out of order.
pub fn remove(
    acting: Acting<'_>,
    removals: Vec<Removal>,
    reason: RemoveReason,
    recovery: RecoveryChange<'_>,
    approvals: Vec<Blob>,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let gone: Vec<DeviceId> = removals.iter().map(|removal| removal.device).collect();
    let Drawn { rotation, join } = draw(acting, &gone, CodeChange::Draw, recovery, rng)?;
    let body = Body::Remove(Box::new(Remove { removals, reason, rotation, approvals }));
    sign_rotation(acting, join.as_ref(), recovery, at, body)
}

/// Signs a new epoch.
///
/// # Errors
///
/// [`FormError`], never for members' keys.
pub fn rotate(
    acting: Acting<'_>,
    code: CodeChange,
    recovery: RecoveryChange<'_>,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let Drawn { rotation, join } = draw(acting, &[], code, recovery, rng)?;
    sign_rotation(acting, join.as_ref(), recovery, at, Body::Rotate(Box::new(Rotate { rotation })))
}

/// Signs the end of a fork: this branch goes on, in a new epoch under a new sync code, as devices of the other may know the old ones.
///
/// # Errors
///
/// [`FormError`], never for members' keys.
pub fn settle(
    acting: Acting<'_>,
    abandoned: Hash,
    approvals: Vec<Blob>,
    at: u64,
    rng: &mut impl CryptoRng,
) -> Result<Verified<Entry>, FormError> {
    let Drawn { rotation, join } = draw(acting, &[], CodeChange::Draw, RecoveryChange::Keep, rng)?;
    let body = Body::Settle(Box::new(Settle { abandoned, rotation, approvals }));
    sign_rotation(acting, join.as_ref(), RecoveryChange::Keep, at, body)
}

/// Signs that this device leaves.
///
/// # Errors
///
/// [`FormError`] for a cut without a hash.
pub fn leave(acting: Acting<'_>, cut: Cut, at: u64) -> Result<Verified<Entry>, FormError> {
    sign(acting, at, Body::Leave(Leave { cut }))
}

/// Signs another role for a member.
///
/// # Errors
///
/// [`FormError`] for a cut without a hash.
pub fn change_role(
    acting: Acting<'_>,
    change: RoleSubject,
    approvals: Vec<Blob>,
    at: u64,
) -> Result<Verified<Entry>, FormError> {
    let RoleSubject { device, role, cut } = change;
    sign(acting, at, Body::ChangeRole(ChangeRole { device, role, cut, approvals }))
}

/// Signs another policy.
///
/// # Errors
///
/// [`FormError`], never for approvals that were verified.
pub fn change_policy(
    acting: Acting<'_>,
    policy: Policy,
    approvals: Vec<Blob>,
    at: u64,
) -> Result<Verified<Entry>, FormError> {
    sign(acting, at, Body::ChangePolicy(Box::new(ChangePolicy { policy, approvals })))
}

/// Signs that the chain is to end.
///
/// # Errors
///
/// [`FormError`], never for approvals that were verified.
pub fn closing(acting: Acting<'_>, approvals: Vec<Blob>, at: u64) -> Result<Verified<Entry>, FormError> {
    sign(acting, at, Body::Closing(Closing { approvals }))
}

/// Signs that a closing, or a reset, is stopped.
///
/// # Errors
///
/// [`FormError`], never.
pub fn veto(acting: Acting<'_>, of: VetoOf, hash: Hash, at: u64) -> Result<Verified<Entry>, FormError> {
    sign(acting, at, Body::Veto(Veto { of, hash }))
}

/// Signs that a closing is carried out.
///
/// # Errors
///
/// [`FormError`], never.
pub fn close(acting: Acting<'_>, closing: Hash, at: u64) -> Result<Verified<Entry>, FormError> {
    sign(acting, at, Body::Close(Close { closing }))
}

/// Signs consent to what another approver will sign.
///
/// # Errors
///
/// [`FormError`] for removals out of order.
pub fn approve(acting: Acting<'_>, subject: Subject) -> Result<Verified<Approval>, FormError> {
    let form = Approval { version: crate::VERSION, chain: acting.roster.chain(), head: acting.roster.head(), subject };
    Verified::sign(form, &acting.keys.signing, &[])
}

fn sign(acting: Acting<'_>, at: u64, body: Body) -> Result<Verified<Entry>, FormError> {
    Verified::sign(acting.roster.next_entry(at, body), &acting.keys.signing, &[])
}
