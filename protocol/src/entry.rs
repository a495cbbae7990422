//! Entries of the membership log: the twelve things that can happen to a chain.

mod bodies;
mod welcome;
mod founding;

use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::approval::{Approval, ascend};
use crate::cbor::Blob;
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash};
use crate::keys::DevicePublic;
use crate::limits;
use crate::policy::How;
use crate::request::JoinRequest;
use crate::rotation::{Rotation, check_sealed};
use crate::seal::{SUITE_HPKE, SUITE_XCHACHA};
use crate::signed::{Form, ProofKey, ProofKind, Verified, check_version};

pub use bodies::{
    Admit, ChangePolicy, ChangeRole, Close, Closing, Deny, DenyReason, Found, Leave, Recovery, Remove, RemoveReason,
    Rotate, Settle, Veto, VetoOf,
};
pub use founding::{Founding, found};
pub use welcome::{WelcomePlace, open_welcome, seal_welcome};

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
    /// Kind 4: devices are removed.
    Remove(Box<Remove>),
    /// Kind 5: a new epoch begins.
    Rotate(Box<Rotate>),
    /// Kind 6: a member removes itself.
    Leave(Leave),
    /// Kind 7: a member's role changes.
    ChangeRole(ChangeRole),
    /// Kind 8: the policy changes.
    ChangePolicy(Box<ChangePolicy>),
    /// Kind 9: the end of the chain is announced.
    Closing(Closing),
    /// Kind 10: the end of the chain is stopped.
    Veto(Veto),
    /// Kind 11: the chain ends.
    Close(Close),
    /// Kind 12: a fork ends.
    Settle(Box<Settle>),
    /// A kind that this version does not know. It decodes, so that it can be named, and never verifies.
    Unknown {
        /// Its number.
        kind: u64,
        /// Its CBOR.
        raw: Blob,
    },
}

impl<C> Encode<C> for Body {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Found(found) => e.u64(1)?.encode_with(found.as_ref(), ctx)?.ok(),
            Self::Admit(admit) => e.u64(2)?.encode_with(admit.as_ref(), ctx)?.ok(),
            Self::Deny(deny) => e.u64(3)?.encode_with(deny, ctx)?.ok(),
            Self::Remove(remove) => e.u64(4)?.encode_with(remove.as_ref(), ctx)?.ok(),
            Self::Rotate(rotate) => e.u64(5)?.encode_with(rotate.as_ref(), ctx)?.ok(),
            Self::Leave(leave) => e.u64(6)?.encode_with(leave, ctx)?.ok(),
            Self::ChangeRole(change) => e.u64(7)?.encode_with(change, ctx)?.ok(),
            Self::ChangePolicy(change) => e.u64(8)?.encode_with(change.as_ref(), ctx)?.ok(),
            Self::Closing(closing) => e.u64(9)?.encode_with(closing, ctx)?.ok(),
            Self::Veto(veto) => e.u64(10)?.encode_with(veto, ctx)?.ok(),
            Self::Close(close) => e.u64(11)?.encode_with(close, ctx)?.ok(),
            Self::Settle(settle) => e.u64(12)?.encode_with(settle.as_ref(), ctx)?.ok(),
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
            4 => Self::Remove(Box::new(d.decode_with(ctx)?)),
            5 => Self::Rotate(Box::new(d.decode_with(ctx)?)),
            6 => Self::Leave(d.decode_with(ctx)?),
            7 => Self::ChangeRole(d.decode_with(ctx)?),
            8 => Self::ChangePolicy(Box::new(d.decode_with(ctx)?)),
            9 => Self::Closing(d.decode_with(ctx)?),
            10 => Self::Veto(d.decode_with(ctx)?),
            11 => Self::Close(d.decode_with(ctx)?),
            12 => Self::Settle(Box::new(d.decode_with(ctx)?)),
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
            Self::Remove(_) => "remove",
            Self::Rotate(_) => "rotate",
            Self::Leave(_) => "leave",
            Self::ChangeRole(_) => "change-role",
            Self::ChangePolicy(_) => "change-policy",
            Self::Closing(_) => "closing",
            Self::Veto(_) => "veto",
            Self::Close(_) => "close",
            Self::Settle(_) => "settle",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The new epoch that it begins, if it does.
    #[must_use]
    pub fn rotation(&self) -> Option<&Rotation> {
        match self {
            Self::Remove(remove) => Some(&remove.rotation),
            Self::Rotate(rotate) => Some(&rotate.rotation),
            Self::Settle(settle) => Some(&settle.rotation),
            _ => None,
        }
    }

    /// The approvals that it carries.
    #[must_use]
    pub fn approvals(&self) -> &[Blob] {
        match self {
            Self::Admit(admit) => &admit.approvals,
            Self::Remove(remove) => &remove.approvals,
            Self::ChangeRole(change) => &change.approvals,
            Self::ChangePolicy(change) => &change.approvals,
            Self::Closing(closing) => &closing.approvals,
            Self::Settle(settle) => &settle.approvals,
            _ => &[],
        }
    }
}

/// The forms inside an entry, verified with it.
#[derive(Debug, Clone, Default)]
pub struct EntryEvidence {
    request: Option<Arc<Verified<JoinRequest>>>,
    approvals: Vec<Arc<Verified<Approval>>>,
}

impl EntryEvidence {
    /// What an admit leaves that carries this request and no approvals.
    #[must_use]
    pub fn of(request: Arc<Verified<JoinRequest>>) -> Self {
        Self { request: Some(request), approvals: Vec::new() }
    }

    /// The join request of an admit.
    #[must_use]
    pub fn request(&self) -> Option<&Arc<Verified<JoinRequest>>> {
        self.request.as_ref()
    }

    /// The approvals of further approvers.
    #[must_use]
    pub fn approvals(&self) -> &[Arc<Verified<Approval>>] {
        &self.approvals
    }
}

impl Form for Entry {
    type Evidence = EntryEvidence;
    const NAME: &'static str = "entry";
    const LABEL: &'static str = "countersign/v1/entry";
    const BYTES_MAX: usize = limits::ENTRY_BYTES_MAX;

    fn proofs(&self) -> Vec<ProofKey> {
        let Body::Found(found) = &self.body else {
            return self.body.rotation().map(Rotation::proofs).unwrap_or_default();
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
        if let Some(rotation) = self.body.rotation() {
            rotation.check(signer)?;
        }
        let cut_is_bad = "a cut has a hash unless its counter is 0";
        let request = match &self.body {
            Body::Found(found) => {
                check_found(found, signer)?;
                None
            }
            Body::Admit(admit) => {
                check_wrapped(&admit.description)?;
                check_sealed(&admit.welcome, SUITE_HPKE)?;
                if admit.totp_step.is_some() != (admit.how == How::Totp)
                    || admit.ticket.is_some() != (admit.how == How::Ticket)
                {
                    return bad("ticket and TOTP step stand where, and only where, how asks for them");
                }
                match known.and_then(EntryEvidence::request) {
                    Some(known) if known.bytes()[..] == admit.request[..] => Some(Arc::clone(known)),
                    _ => Some(Arc::new(Verified::from_bytes(&admit.request)?)),
                }
            }
            Body::Deny(deny) if u64::from(deny.block) > limits::BLOCK_MAX.as_secs() => {
                return bad("block is above seven days");
            }
            Body::Remove(remove) if !ascend(&remove.removals) => return bad("removed devices ascend, none twice"),
            Body::Remove(remove) if !remove.removals.iter().all(|removal| removal.cut.is_well_formed()) => {
                return bad(cut_is_bad);
            }
            Body::Remove(remove) if remove.rotation.join_key.is_none() => {
                return bad("a removal brings a new join key: the removed device knew the sync code");
            }
            Body::Leave(leave) if !leave.cut.is_well_formed() => return bad(cut_is_bad),
            Body::ChangeRole(ChangeRole { cut: Some(cut), .. }) if !cut.is_well_formed() => return bad(cut_is_bad),
            Body::Unknown { kind, .. } => return Err(FormError::UnknownKind { kind: *kind, name: self.body.name() }),
            _ => None,
        };
        let approvals = self.body.approvals().iter().map(|bytes| Verified::from_bytes(bytes).map(Arc::new));
        Ok(EntryEvidence { request, approvals: approvals.collect::<Result<_, _>>()? })
    }
}

/// What `found` alone can show.
fn check_found(found: &Found, signer: &DeviceId) -> Result<(), FormError> {
    let own = || FormError::BadField {
        form: Entry::NAME,
        what: "founder, join key and recovery device must have keys of their own",
    };
    if found.device.signing != *signer {
        return Err(FormError::WrongSigner { form: Entry::NAME });
    }
    let recovery = found.recovery.as_ref().map(|recovery| recovery.device);
    let same = |other: DevicePublic| other.signing == found.device.signing || other.sealing == found.device.sealing;
    if recovery.is_some_and(same) || found.join_key.0 == signer.0 {
        return Err(own());
    }
    if recovery.is_some_and(|recovery| recovery.signing.0 == found.join_key.0) {
        return Err(own());
    }
    check_wrapped(&found.description)?;
    check_sealed(&found.name_key, SUITE_XCHACHA)?;
    check_sealed(&found.sync_code, SUITE_XCHACHA)?;
    match &found.recovery {
        Some(recovery) => check_sealed(&recovery.epoch_key, SUITE_HPKE),
        None => Ok(()),
    }
}

/// A wrapped description is no longer than a description and its seal.
fn check_wrapped(description: &Blob) -> Result<(), FormError> {
    if description.len() > limits::DESCRIPTION_BYTES_MAX {
        return Err(FormError::BadField { form: Entry::NAME, what: "description is too long" });
    }
    Ok(())
}
