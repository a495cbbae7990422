//! Approvals: what further approvers sign where the policy asks for more than one.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::cbor;
use crate::cut::{Cut, Removal};
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, RequestId};
use crate::limits;
use crate::policy::{Policy, Role};
use crate::signed::{Form, check_version};

/// What an approver agrees to. It counts in an entry about exactly this, and in no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Kind 2: a request is admitted in a role.
    Admit(AdmitSubject),
    /// Kind 4: devices are removed, each with its cut, ascending by device.
    Remove(Vec<Removal>),
    /// Kind 7: a member's role changes.
    Role(RoleSubject),
    /// Kind 8: this policy replaces the one in force.
    Policy(Box<Policy>),
    /// Kind 9: the chain is to be closed.
    Closing,
    /// Kind 12: the branch that begins with this entry is abandoned.
    Settle(SettleSubject),
}

/// Which request is admitted, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AdmitSubject {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// The role.
    #[n(1)]
    pub role: Role,
}

/// Whose role changes to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RoleSubject {
    /// The member.
    #[n(0)]
    pub device: DeviceId,
    /// Its role from then on.
    #[n(1)]
    pub role: Role,
    /// What of its records counts, where writing is taken away.
    #[n(2)]
    pub cut: Option<Cut>,
}

/// Which branch of a fork is abandoned. The one that goes on is that of the approval's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SettleSubject {
    /// Hash of its first entry.
    #[n(0)]
    pub abandoned: Hash,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Empty {}

pub(crate) const REMOVALS: u64 = limits::MEMBERS_MAX as u64;

impl Subject {
    /// The devices that it is about: they have no voice in it.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceId> {
        match self {
            Self::Remove(removals) => removals.iter().map(|removal| removal.device).collect(),
            Self::Role(change) => vec![change.device],
            Self::Admit(_) | Self::Policy(_) | Self::Closing | Self::Settle(_) => Vec::new(),
        }
    }
}

impl<C> Encode<C> for Subject {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Admit(subject) => e.u64(2)?.encode_with(subject, ctx)?.ok(),
            Self::Remove(removals) => e.u64(4)?.encode_with(removals, ctx)?.ok(),
            Self::Role(subject) => e.u64(7)?.encode_with(subject, ctx)?.ok(),
            Self::Policy(policy) => e.u64(8)?.encode_with(policy.as_ref(), ctx)?.ok(),
            Self::Closing => e.u64(9)?.encode_with(Empty {}, ctx)?.ok(),
            Self::Settle(subject) => e.u64(12)?.encode_with(subject, ctx)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Subject {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode::Error::message("expected a subject of [kind, …]"));
        }
        Ok(match d.u64()? {
            2 => Self::Admit(d.decode_with(ctx)?),
            4 => Self::Remove(cbor::some::<_, _, REMOVALS>(d, ctx)?),
            7 => Self::Role(d.decode_with(ctx)?),
            8 => Self::Policy(Box::new(d.decode_with(ctx)?)),
            9 => d.decode_with(ctx).map(|Empty {}| Self::Closing)?,
            12 => Self::Settle(d.decode_with(ctx)?),
            _ => return Err(decode::Error::message("a subject of an unknown kind")),
        })
    }
}

/// One approver's consent, to be put into another's entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approval {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain.
    #[n(1)]
    pub chain: ChainId,
    /// The head that its signer had pinned: it does not outlive a change of membership or policy.
    #[n(2)]
    pub head: Hash,
    /// What is agreed to.
    #[n(3)]
    pub subject: Subject,
}

impl Form for Approval {
    type Evidence = ();
    const NAME: &'static str = "approval";
    // Without a label of its own an approval could be passed off as the entry that it only supports.
    const LABEL: &'static str = "countersign/v1/approval";
    const BYTES_MAX: usize = limits::APPROVAL_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        let bad = |what| Err(FormError::BadField { form: Self::NAME, what });
        match &self.subject {
            Subject::Remove(removals) if !ascend(removals) => bad("devices ascend, none twice"),
            Subject::Remove(removals) if !removals.iter().all(|removal| removal.cut.is_well_formed()) => {
                bad("a cut has a hash unless its counter is 0")
            }
            Subject::Role(RoleSubject { cut: Some(cut), .. }) if !cut.is_well_formed() => {
                bad("a cut has a hash unless its counter is 0")
            }
            _ => Ok(()),
        }
    }
}

/// Whether removals stand in the one order that is allowed.
pub(crate) fn ascend(removals: &[Removal]) -> bool {
    removals.windows(2).all(|pair| matches!(pair, [a, b] if a.device < b.device))
}
