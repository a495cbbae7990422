//! Entries of the membership log: found, admit and deny. The other kinds are reserved by number and refused by name.

use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use rand_core::CryptoRng;

use crate::cbor::{self, Blob, code_enum};
use crate::code::SyncCode;
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, JoinKey, KeyId, RequestId};
use crate::keys::{DeviceKeys, DevicePublic, EpochKey, NameKey, SealingKey, SealingSecret};
use crate::limits;
use crate::policy::{How, Policy, Role};
use crate::request::{Description, JoinRequest};
use crate::seal::{
    SEALED_KEY_BYTES, SUITE_HPKE, SUITE_XCHACHA, SealBroken, WRAPPED_KEY_BYTES, Wrapped, open_with, seal_to,
    secret_bytes,
};
use crate::signed::{Form, ProofKey, ProofKind, Verified, check_version};

/// One step of the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain; absent in `found`, whose hash it is.
    #[n(1)]
    pub chain: Option<ChainId>,
    /// Position: 0 for `found`, then one more each.
    #[n(2)]
    pub seq: u64,
    /// Hash of the entry before; absent in `found`.
    #[n(3)]
    pub prev: Option<Hash>,
    /// The signer's clock, unix milliseconds. A claim: nothing is valid or invalid by it.
    #[n(4)]
    pub at: u64,
    /// What the entry does.
    #[n(5)]
    pub body: Body,
}

/// What an entry does. On the wire `[kind, {…}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Kind 1: the chain begins.
    Found(Box<Found>),
    /// Kind 2: a device becomes a member.
    Admit(Box<Admit>),
    /// Kind 3: a request is denied for good.
    Deny(Deny),
    /// A kind that this version does not know. It decodes, so that it can be named, and never verifies.
    Unknown {
        /// Its number.
        kind: u64,
        /// Its CBOR.
        raw: Blob,
    },
}

/// The kinds that are numbered but do not exist yet.
const RESERVED: [(u64, &str); 9] = [
    (4, "remove"),
    (5, "rotate"),
    (6, "leave"),
    (7, "role"),
    (8, "policy"),
    (9, "closing"),
    (10, "veto"),
    (11, "close"),
    (12, "settle"),
];

/// The body of `found`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    /// The founder's keys. Its signing key signs the entry.
    #[n(0)]
    pub device: DevicePublic,
    /// The first join key; it proves itself.
    #[n(1)]
    pub join_key: JoinKey,
    /// Key id of the epoch key of epoch 1.
    #[n(2)]
    pub key_id: KeyId,
    /// The founder's description, wrapped by the epoch key, bound to join key and device.
    #[n(3)]
    pub description: Blob,
    /// The name key, wrapped by the epoch key, bound to the join key.
    #[n(4)]
    pub name_key: Blob,
    /// The sync code, wrapped by the epoch key, bound to the join key.
    #[n(5)]
    pub sync_code: Blob,
    /// The first policy.
    #[n(6)]
    pub policy: Policy,
    /// A recovery device, if there is one; it proves itself.
    #[n(7)]
    pub recovery: Option<Recovery>,
}

/// A recovery device as an entry brings it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recovery {
    /// Its keys.
    #[n(0)]
    pub device: DevicePublic,
    /// The epoch key, sealed to it.
    #[n(1)]
    pub epoch_key: Blob,
}

const APPROVALS: u64 = limits::MEMBERS_MAX as u64;

/// The body of `admit`: the new device's credential.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admit {
    /// The join request whole, with its proof, exactly as it was received.
    #[n(0)]
    pub request: Blob,
    /// What the device may do.
    #[n(1)]
    pub role: Role,
    /// The epoch it enters in: the current one.
    #[n(2)]
    pub epoch: u64,
    /// How the admission was checked.
    #[n(3)]
    pub how: How,
    /// The device's description, wrapped by the epoch key, bound to chain and device.
    #[n(4)]
    pub description: Blob,
    /// The epoch key, sealed to the device.
    #[n(5)]
    pub welcome: Blob,
    /// Signed approvals of other approvers, where the quorum is above one.
    #[cbor(n(6), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
    /// The signed ticket, where `how` is `ticket`.
    #[n(7)]
    pub ticket: Option<Blob>,
    /// The time step of the code, where `how` is `totp`.
    #[n(8)]
    pub totp_step: Option<u64>,
}

/// The body of `deny`. It holds nothing that a joiner could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Deny {
    /// The request that is denied.
    #[n(0)]
    pub request: RequestId,
    /// The key that asked; it can never be admitted.
    #[n(1)]
    pub device: DeviceId,
    /// Why.
    #[n(2)]
    pub reason: DenyReason,
    /// Seconds for which requests from the address range that the relay saw are shown to nobody; 0 for none.
    #[n(3)]
    pub block: u32,
}

code_enum! {
    /// Why a request was denied.
    DenyReason {
        /// A person said no.
        Denied = 0 "denied",
        /// Three wrong check codes.
        WrongCode = 1 "wrong-code",
        /// Nobody here asked: the sync code has leaked.
        NotMe = 2 "not-me",
    }
}

impl<C> Encode<C> for Body {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Found(found) => e.u64(1)?.encode_with(found.as_ref(), ctx)?.ok(),
            Self::Admit(admit) => e.u64(2)?.encode_with(admit.as_ref(), ctx)?.ok(),
            Self::Deny(deny) => e.u64(3)?.encode_with(deny, ctx)?.ok(),
            Self::Unknown { kind, raw } => {
                e.u64(*kind)?;
                e.writer_mut().write_all(raw).map_err(encode::Error::write)
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for Body {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode::Error::message("expected a body of [kind, {…}]"));
        }
        Ok(match d.u64()? {
            1 => Self::Found(Box::new(d.decode_with(ctx)?)),
            2 => Self::Admit(Box::new(d.decode_with(ctx)?)),
            3 => Self::Deny(d.decode_with(ctx)?),
            kind => {
                let start = d.position();
                d.skip()?;
                let raw = d.input().get(start..d.position()).unwrap_or_default();
                Self::Unknown { kind, raw: raw.into() }
            }
        })
    }
}

impl Body {
    /// The kind by name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Admit(_) => "admit",
            Self::Deny(_) => "deny",
            Self::Unknown { kind, .. } => reserved_name(*kind),
        }
    }
}

fn reserved_name(kind: u64) -> &'static str {
    RESERVED.iter().find(|(number, _)| *number == kind).map_or("unknown", |(_, name)| name)
}

/// The forms inside an entry, verified with it.
#[derive(Debug, Clone)]
pub enum EntryEvidence {
    /// The entry holds no other form.
    Nothing,
    /// The join request of an admit.
    Request(Arc<Verified<JoinRequest>>),
}

impl Form for Entry {
    type Evidence = EntryEvidence;
    const NAME: &'static str = "entry";
    const LABEL: &'static str = "countersign/v1/entry";
    const BYTES_MAX: usize = limits::ENTRY_BYTES_MAX;

    fn proofs(&self) -> Vec<ProofKey> {
        let Body::Found(found) = &self.body else {
            return Vec::new();
        };
        let join = ProofKey { kind: ProofKind::Join, key: found.join_key.0 };
        let recovery = found
            .recovery
            .iter()
            .map(|recovery| ProofKey { kind: ProofKind::Recovery, key: recovery.device.signing.0 });
        core::iter::once(join).chain(recovery).collect()
    }

    fn check(&self, signer: &DeviceId, known: Option<&EntryEvidence>) -> Result<EntryEvidence, FormError> {
        check_version(Self::NAME, self.version)?;
        let bad = |what| Err(FormError::BadField { form: Self::NAME, what });
        let founding = matches!(self.body, Body::Found(_));
        let placed = founding == (self.seq == 0) && founding == self.chain.is_none() && founding == self.prev.is_none();
        // A kind of later may stand where none of these does: what its person must hear is "update me".
        if !placed && !matches!(self.body, Body::Unknown { .. }) {
            return bad("only found stands at seq 0, without chain and prev");
        }
        match &self.body {
            Body::Found(found) if found.device.signing != *signer => Err(FormError::WrongSigner { form: Self::NAME }),
            Body::Found(found) => {
                let recovery = found.recovery.as_ref().map(|recovery| recovery.device);
                let same = |other: DevicePublic| {
                    other.signing == found.device.signing || other.sealing == found.device.sealing
                };
                if recovery.is_some_and(same) || found.join_key.0 == signer.0 {
                    return bad("founder, join key and recovery device must have keys of their own");
                }
                if recovery.is_some_and(|recovery| recovery.signing.0 == found.join_key.0) {
                    return bad("founder, join key and recovery device must have keys of their own");
                }
                check_wrapped(&found.description)?;
                check_sealed(&found.name_key, SUITE_XCHACHA)?;
                check_sealed(&found.sync_code, SUITE_XCHACHA)?;
                if let Some(recovery) = &found.recovery {
                    check_sealed(&recovery.epoch_key, SUITE_HPKE)?;
                }
                Ok(EntryEvidence::Nothing)
            }
            Body::Admit(admit) => {
                check_wrapped(&admit.description)?;
                check_sealed(&admit.welcome, SUITE_HPKE)?;
                if admit.totp_step.is_some() != (admit.how == How::Totp)
                    || admit.ticket.is_some() != (admit.how == How::Ticket)
                {
                    return bad("ticket and TOTP step stand where, and only where, how asks for them");
                }
                match known {
                    Some(EntryEvidence::Request(known)) if known.bytes()[..] == admit.request[..] => {
                        Ok(EntryEvidence::Request(Arc::clone(known)))
                    }
                    _ => Ok(EntryEvidence::Request(Arc::new(Verified::from_bytes(&admit.request)?))),
                }
            }
            Body::Deny(deny) if u64::from(deny.block) > limits::BLOCK_MAX.as_secs() => bad("block is above seven days"),
            Body::Deny(_) => Ok(EntryEvidence::Nothing),
            Body::Unknown { kind, .. } => Err(FormError::UnknownKind { kind: *kind, name: reserved_name(*kind) }),
        }
    }
}

/// A wrapped description is no longer than a description and its seal.
fn check_wrapped(description: &Blob) -> Result<(), FormError> {
    if description.len() > limits::DESCRIPTION_BYTES_MAX {
        return Err(FormError::BadField { form: Entry::NAME, what: "description is too long" });
    }
    Ok(())
}

/// A sealed key has one size. Without this anybody could keep 64 KiB of anything in each founding that a relay takes.
fn check_sealed(key: &Blob, suite: u8) -> Result<(), FormError> {
    let bytes = if suite == SUITE_HPKE { SEALED_KEY_BYTES } else { WRAPPED_KEY_BYTES };
    if key.first() == Some(&suite) && key.len() == bytes {
        return Ok(());
    }
    Err(FormError::BadField { form: Entry::NAME, what: "a sealed key has another suite or size" })
}

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

/// Founds a chain: draws sync code, epoch key and name key, and signs `found`.
///
/// # Errors
///
/// [`FormError`] if the description or the policy is refused.
pub fn found(
    keys: &DeviceKeys,
    description: &Description,
    policy: Policy,
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
        recovery: None,
    };
    let form =
        Entry { version: crate::VERSION, chain: None, seq: 0, prev: None, at, body: Body::Found(Box::new(body)) };
    let entry = Verified::sign(form, &keys.signing, &[&join])?;
    Ok(Founding { entry, code, epoch_key })
}

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
