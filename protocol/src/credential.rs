//! Credentials: what a device shows to somebody outside its chain, who checks it without asking anybody.
//!
//! A device is a member because an approver signed its admission, whom another approver had admitted, and so on to the founder.
//! A [`Credential`] carries all of that: the log, whole, from `found` to a head. [`verify`] runs the same law over it as every
//! device and relay does.
//!
//! ```
//! use countersign_protocol as protocol;
//! use protocol::credential::{Credential, Known, verify};
//! use protocol::{entry, keys::DeviceKeys, policy::{Policy, Role}, request::Description};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
//! let laptop = DeviceKeys::draw(rng);
//! let description = Description { name: "laptop".into(), platform: "Linux".into(), version: "1".into(), totp: None };
//! let founding = entry::found(&laptop, &description, Policy::default(), None, 0, rng)?;
//!
//! // The device hands this out.
//! let bytes = Credential::of(laptop.id(), &[founding.entry])?.to_bytes();
//!
//! // Whoever gets it checks it, and keeps what is to be known the next time.
//! let proven = verify(&bytes, &Known::default())?;
//! assert_eq!((proven.device().signing, proven.role()), (laptop.id(), Role::Approver));
//! let known = proven.newest();
//! assert!(verify(&bytes, &known).is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/gate.rs` is a whole server that gates its own writes in this way.
//!
//! What it does not prove:
//!
//! - **Possession.** A credential is no secret: whoever saw it can show it. The device must besides sign something of the
//!   verifier's own making, under a label of the verifier's own, with the key that is proven here. Implement
//!   [`Form`](crate::signed::Form) for that.
//! - **Freshness**, beyond the head that the verifier knew before. A device that was removed can show the log as it was before
//!   that, until the verifier learns a later head from anybody: keep [`Proven::newest`], or that of the error, and hand it in the next time.
//! - **What the approvers saw.** `how` in an admission is the claim of its signer.

use std::collections::HashMap;

use minicbor::{Decode, Encode};

use crate::cbor::{self, Blob};
use crate::entry::Entry;
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash};
use crate::keys::{DevicePublic, LastKey};
use crate::limits;
use crate::policy::{How, Role};
use crate::roster::{Departure, Refusal, Roster, Why};
use crate::signed::{Verified, check_version};

const NAME: &str = "credential";
const ENTRIES: u64 = limits::CREDENTIAL_ENTRIES_MAX as u64;

/// The log's proof for one device. It can only be made of a log that bears it out, and is believed by nobody before [`verify`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credential {
    #[n(0)]
    version: u8,
    #[n(1)]
    device: DeviceId,
    /// Every entry from `found` on, exactly as it was received.
    #[cbor(n(2), decode_with = "cbor::some::<_, _, ENTRIES>")]
    entries: Vec<Blob>,
}

impl Credential {
    /// Makes the credential of a device from a log, whole from `found` on. Its head is the log's last entry.
    ///
    /// # Errors
    ///
    /// The same as for a received one: nobody hands out by accident what others would refuse.
    pub fn of(device: DeviceId, log: &[Verified<Entry>]) -> Result<Self, CredentialError> {
        let entries = log.iter().map(|entry| Blob(entry.bytes().to_vec())).collect();
        let credential = Self { version: crate::VERSION, device, entries };
        let got = credential.to_bytes().len();
        let limit = limits::CREDENTIAL_BYTES_MAX;
        if got > limit {
            return Err(FormError::TooLarge { form: NAME, got, limit }.into());
        }
        judge(device, log.iter().cloned().map(Ok), &Known::default())?;
        Ok(credential)
    }

    /// The one encoding of it, to hand out. It holds no secret; it shows which devices the chain has and had.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

/// What a verifier knows of a chain before it is shown a credential. Nothing, the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The chain that it must be. Without it, a credential of any chain is proven: everybody can found one.
    pub chain: Option<ChainId>,
    /// The newest head that was proven, and its position. Without it, a device that was removed can show the log as it was before.
    pub head: Option<(Hash, u64)>,
}

impl Known {
    /// A chain of which no head is known yet.
    #[must_use]
    pub const fn of(chain: ChainId) -> Self {
        Self { chain: Some(chain), head: None }
    }

    fn expects(&self, got: ChainId) -> Result<(), CredentialError> {
        match self.chain {
            Some(expected) if expected != got => Err(CredentialError::OtherChain { expected, got }),
            _ => Ok(()),
        }
    }

    fn is_in(&self, roster: &Roster) -> Result<(), CredentialError> {
        match self.head {
            None => Ok(()),
            // By hash: where it stands follows from the log.
            Some((head, _)) if roster.position(&head).is_some() => Ok(()),
            Some((_, known)) if roster.seq() < known => Err(CredentialError::Behind { seq: roster.seq(), known }),
            Some((_, known)) => Err(CredentialError::OtherBranch { seq: roster.seq(), known }),
        }
    }
}

/// How a device came in: one step of the way to the founder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The device.
    pub device: DeviceId,
    /// Position of the entry that admitted it.
    pub seq: u64,
    /// Its signer: an approver, or the recovery device; the founder for itself and for what `found` brought.
    pub by: DeviceId,
    /// Further approvers whose consent the entry carries, where the chain asked for more than one.
    pub with: Vec<DeviceId>,
    /// What the signer claims to have checked; absent for the founder, and for a recovery device.
    pub how: Option<How>,
    /// How its own membership ended since, if it did. Whom it admitted are members all the same, until they are removed.
    pub ended: Option<Departure>,
}

/// A device that a log proves to be a member, at a head. It cannot be made in any other way than by [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    chain: ChainId,
    founder: DeviceId,
    device: DevicePublic,
    role: Role,
    links: Vec<Link>,
    epoch: u64,
    head: Hash,
    seq: u64,
}

impl Proven {
    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The device that founded it.
    #[must_use]
    pub fn founder(&self) -> DeviceId {
        self.founder
    }

    /// The keys of the device. What it is to prove that it holds them by must be signed by the first.
    #[must_use]
    pub fn device(&self) -> DevicePublic {
        self.device
    }

    /// What it may do in its chain at the head.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// How the device came in, then how the one that admitted it did, and so on; the founder comes last.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The epoch at the head.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The hash of the last entry of the log that was shown.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Its position.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What to know the next time: this chain, and this head, which is never behind the one that was known before.
    #[must_use = "without it, a device that is removed later can go on to show this log"]
    pub fn newest(&self) -> Known {
        Known { chain: Some(self.chain), head: Some((self.head, self.seq)) }
    }
}

/// Why a credential proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The bytes are no credential.
    #[error(transparent)]
    Form(#[from] FormError),
    /// An entry in it is none, or not signed as it must be.
    #[error("entry {index} of the log: {error}")]
    Entry {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        error: FormError,
    },
    /// The rules of the log refuse an entry.
    #[error("entry {index} of the log: {refusal}")]
    Refused {
        /// Its place, from 0.
        index: usize,
        /// The rule.
        refusal: Refusal,
    },
    /// It is of another chain than the one that is known.
    #[error("it is of chain {}, not of {}", got.short(), expected.short())]
    OtherChain {
        /// The chain that is known.
        expected: ChainId,
        /// The chain of the credential.
        got: ChainId,
    },
    /// Its log ends before the head that is known: what happened since it does not show.
    #[error("its log ends at entry {seq}, and entry {known} is known: a newer one must be shown")]
    Behind {
        /// Position of its head.
        seq: u64,
        /// Position of the head that is known.
        known: u64,
    },
    /// Its log is long enough and does not have the head that is known: there are two branches.
    #[error("its log reaches entry {seq} and does not have the head that is known at {known}: the chain is forked")]
    OtherBranch {
        /// Position of its head.
        seq: u64,
        /// Position of the head that is known.
        known: u64,
    },
    /// The chain was closed: it vouches for nobody any more.
    #[error("the chain is closed")]
    ChainClosed {
        /// What to know the next time: the log was proven.
        newest: Box<Known>,
    },
    /// The device is not a member at the head.
    #[error("{}", not_a_member(former.as_ref()))]
    NotAMember {
        /// How its membership ended, if it was one.
        former: Option<Departure>,
        /// What to know the next time: the log was proven, though not for this device.
        newest: Box<Known>,
    },
}

impl CredentialError {
    /// The stable code of this error, as it stands in vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(error) | Self::Entry { error, .. } => error.code(),
            Self::Refused { refusal, .. } => refusal.code(),
            Self::OtherChain { .. } => "other-chain",
            Self::Behind { .. } => "behind",
            Self::OtherBranch { .. } => "other-branch",
            Self::ChainClosed { .. } => "chain-closed",
            Self::NotAMember { .. } => "not-a-member",
        }
    }

    /// What to know the next time, where the log was proven all the same: that it is closed, or has not this device as a member, must not
    /// be forgotten for an older log.
    #[must_use]
    pub fn newest(&self) -> Option<Known> {
        match self {
            Self::ChainClosed { newest } | Self::NotAMember { newest, .. } => Some(**newest),
            _ => None,
        }
    }
}

fn not_a_member(former: Option<&Departure>) -> String {
    let Some(Departure { seq, by, why, .. }) = former else {
        return "the device is not a member of the chain".to_owned();
    };
    match why {
        Why::Removed(reason) => format!("the device was removed by device {} at entry {seq} ({reason})", by.short()),
        Why::Left => format!("the device left at entry {seq}"),
        Why::Replaced => format!("the recovery device was replaced by device {} at entry {seq}", by.short()),
    }
}

/// Verifies a credential: its bytes, every entry of its log, that nothing newer is known, and that its device is a member at its head.
///
/// In this order, and the first that does not hold is named: the bytes; entry by entry the form and the rules, and after the first
/// entry the chain; the head that is known; whether the chain is closed; the member. Costs about 35 µs for each signature of the log;
/// of another chain than the one that is known no more than the first entry is verified.
///
/// # Errors
///
/// [`CredentialError`] naming what does not hold. Nothing of the credential is to be believed then, but the head of a log that was
/// proven and does not bear its device out: [`CredentialError::newest`].
pub fn verify(bytes: &[u8], known: &Known) -> Result<Proven, CredentialError> {
    let credential: Credential = cbor::decode(NAME, bytes, limits::CREDENTIAL_BYTES_MAX)?;
    check_version(NAME, credential.version)?;
    let mut key = LastKey::default();
    let entries = credential.entries.iter().map(|entry| Verified::from_bytes_after(entry, &mut key));
    judge(credential.device, entries, known)
}

fn judge(
    device: DeviceId,
    log: impl Iterator<Item = Result<Verified<Entry>, FormError>>,
    known: &Known,
) -> Result<Proven, CredentialError> {
    let mut log = log.enumerate().map(|(index, entry)| {
        entry.map(|entry| (index, entry)).map_err(|error| CredentialError::Entry { index, error })
    });
    let nothing = || FormError::Malformed { form: NAME, what: "a log has an entry".to_owned() };
    let (index, found) = log.next().ok_or_else(nothing)??;
    let mut roster = Roster::found(&found).map_err(|refusal| CredentialError::Refused { index, refusal })?;
    // Here, and not at the end: else anybody could have a long log of their own verified, again and again.
    known.expects(roster.chain())?;
    let mut consents: HashMap<DeviceId, Vec<DeviceId>> = HashMap::new();
    for step in log {
        let (index, entry) = step?;
        roster = roster.apply(&entry).map_err(|refusal| CredentialError::Refused { index, refusal })?;
        if let Some(request) = entry.evidence().request() {
            let approvals = entry.evidence().approvals();
            consents.insert(request.device.signing, approvals.iter().map(|approval| approval.signer()).collect());
        }
    }
    known.is_in(&roster)?;
    let newest = || Box::new(Known { chain: Some(roster.chain()), head: Some((roster.head(), roster.seq())) });
    if roster.is_closed() {
        return Err(CredentialError::ChainClosed { newest: newest() });
    }
    let Some(member) = roster.member(&device) else {
        let former = roster.former(&device).map(|former| former.departure);
        return Err(CredentialError::NotAMember { former, newest: newest() });
    };
    Ok(Proven {
        chain: roster.chain(),
        founder: found.signer(),
        device: member.device,
        role: member.role,
        links: links(&roster, device, found.signer(), &mut consents),
        epoch: roster.epoch(),
        head: roster.head(),
        seq: roster.seq(),
    })
}

/// The way from a member to the founder. It ends: whoever signs an admission came in before it.
fn links(
    roster: &Roster,
    device: DeviceId,
    founder: DeviceId,
    consents: &mut HashMap<DeviceId, Vec<DeviceId>>,
) -> Vec<Link> {
    let mut links = Vec::new();
    let mut next = Some(device);
    while let Some(known) = next.and_then(|device| roster.known(&device)) {
        let (device, admission) = (known.device.signing, known.admission);
        links.push(Link {
            device,
            seq: admission.seq,
            by: admission.by,
            with: consents.remove(&device).unwrap_or_default(),
            how: admission.how,
            ended: roster.former(&device).map(|former| former.departure),
        });
        next = (device != founder).then_some(admission.by);
    }
    links
}
