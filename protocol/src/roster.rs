//! The roster: who may do what, as it follows from the log up to a head.
//!
//! [`Roster::found`] and [`Roster::apply`] are the whole law of the log. They are pure: the relay, every agent and any outside
//! verifier run the same code over the same bytes and come to the same members. Validity follows from position, never from a clock.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::cbor::Blob;
use crate::entry::{Admit, Body, Deny, DenyReason, Entry, EntryEvidence, Found};
use crate::id::{ChainId, DeviceId, Hash, JoinKey, KeyId, RequestId};
use crate::keys::DevicePublic;
use crate::policy::{How, Policy, PolicyError, Role};
use crate::request::JoinRequest;
use crate::signed::Verified;

/// A device that the log admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub device: DevicePublic,
    /// What it may do.
    pub role: Role,
    /// How it came in.
    pub admission: Admission,
    /// Its description, wrapped under the epoch key of its admission.
    pub description: Blob,
}

/// How a member came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Position of the entry that admitted it.
    pub seq: u64,
    /// Its signer: the approver, or the founder itself.
    pub by: DeviceId,
    /// What the signer claims to have checked; absent for the founder and its recovery device.
    pub how: Option<How>,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
}

/// How a request ended. The first decision is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// Which device had asked.
    pub device: DeviceId,
    /// Who decided.
    pub by: DeviceId,
    /// Position of the entry.
    pub seq: u64,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
}

/// What was decided on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The device is a member.
    Admitted,
    /// The device was denied.
    Denied(DenyReason),
}

/// A place in the log that a record or a nonce may cite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its seq.
    pub seq: u64,
    /// The epoch at it.
    pub epoch: u64,
}

/// Why the log refuses an entry that is validly signed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to another chain, or founds one where one exists.
    #[error("the entry belongs to another chain")]
    OtherChain,
    /// It does not follow the head.
    #[error("the entry does not follow the head (seq {expected} is next): fetch the log and sign again")]
    NotNext {
        /// The next position.
        expected: u64,
    },
    /// Its signer is not a member.
    #[error("the signer is not a member")]
    NotAMember,
    /// Its signer may not decide.
    #[error("the signer is no approver")]
    NotAnApprover,
    /// The request was decided before.
    #[error("the request was already decided")]
    AlreadyDecided,
    /// One of the device's keys was in this log before.
    #[error("a key of the device was in this log before: it must ask with new keys")]
    KeyKnown,
    /// The key that a deny names belongs to a member.
    #[error("the key that is denied belongs to a member")]
    KeyIsMember,
    /// The request was made with a join key that is not current.
    #[error("the request was made with an old sync code")]
    StaleJoinKey,
    /// The admit is for another epoch.
    #[error("the admit is for another epoch than the current one")]
    StaleEpoch,
    /// The way of the admission is not one that the policy names.
    #[error("the policy does not name this way of admission")]
    WayNotAllowed,
    /// The role is not one that an admission can give.
    #[error("a joiner cannot be admitted in this role")]
    RoleNotAllowed,
    /// More approvals than exist, or approvals where none are asked for.
    #[error("the approvals are not those that the policy asks for")]
    Quorum,
    /// The chain has as many members as its policy allows.
    #[error("the chain has as many members as its policy allows")]
    ChainFull,
    /// The policy cannot be in force.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Refusal {
    /// The stable code of this refusal, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherChain => "other-chain",
            Self::NotNext { .. } => "head-moved",
            Self::NotAMember => "not-a-member",
            Self::NotAnApprover => "not-an-approver",
            Self::AlreadyDecided => "already-decided",
            Self::KeyKnown => "key-known",
            Self::KeyIsMember => "key-is-member",
            Self::StaleJoinKey => "stale-join-key",
            Self::StaleEpoch => "stale-epoch",
            Self::WayNotAllowed => "way-not-allowed",
            Self::RoleNotAllowed => "role-not-allowed",
            Self::Quorum => "quorum",
            Self::ChainFull => "chain-full",
            Self::Policy(PolicyError::Invalid(_)) => "bad-policy",
            Self::Policy(PolicyError::Unsupported(_)) => "not-supported",
        }
    }
}

/// Members, roles, policy, join key and epoch at a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    chain: ChainId,
    head: Hash,
    seq: u64,
    epoch: u64,
    key_id: KeyId,
    join_key: JoinKey,
    founding_join_key: JoinKey,
    name_key: Blob,
    sync_code: Blob,
    policy: Policy,
    members: BTreeMap<DeviceId, Member>,
    decisions: HashMap<RequestId, Decision>,
    /// Every device key, signing or sealing, that was ever admitted or denied here.
    known_keys: HashSet<[u8; 32]>,
    positions: HashMap<Hash, Position>,
    founded_at: u64,
}

impl Roster {
    /// Begins a roster from a founding entry.
    ///
    /// # Errors
    ///
    /// [`Refusal::OtherChain`] for any other kind of entry, [`Refusal::Policy`] for a policy that cannot be in force.
    pub fn found(entry: &Verified<Entry>) -> Result<Self, Refusal> {
        let Body::Found(found) = &entry.body else {
            return Err(Refusal::OtherChain);
        };
        found.policy.check()?;
        let admission = Admission { seq: 0, by: entry.signer(), how: None, at: entry.at };
        let founder =
            Member { device: found.device, role: Role::Approver, admission, description: found.description.clone() };
        let recovery = found.recovery.as_ref().map(|recovery| Member {
            device: recovery.device,
            role: Role::Recovery,
            admission,
            description: Blob::default(),
        });
        let mut roster = Self::begin(entry, found);
        for member in core::iter::once(founder).chain(recovery) {
            roster.add(member);
        }
        Ok(roster)
    }

    fn begin(entry: &Verified<Entry>, found: &Found) -> Self {
        Self {
            chain: entry.hash().into(),
            head: entry.hash(),
            seq: 0,
            epoch: 1,
            key_id: found.key_id,
            join_key: found.join_key,
            founding_join_key: found.join_key,
            name_key: found.name_key.clone(),
            sync_code: found.sync_code.clone(),
            policy: found.policy.clone(),
            members: BTreeMap::new(),
            decisions: HashMap::new(),
            known_keys: HashSet::new(),
            positions: HashMap::from([(entry.hash(), Position { seq: 0, epoch: 1 })]),
            founded_at: entry.at,
        }
    }

    /// Applies the next entry: the roster after it, or why the log refuses it.
    ///
    /// # Errors
    ///
    /// [`Refusal`]. The roster is consumed either way; keep a clone (or an `Arc`) of one that must survive.
    pub fn apply(mut self, entry: &Verified<Entry>) -> Result<Self, Refusal> {
        if entry.chain != Some(self.chain) {
            return Err(Refusal::OtherChain);
        }
        let expected = self.seq + 1;
        if entry.seq != expected || entry.prev != Some(self.head) {
            return Err(Refusal::NotNext { expected });
        }
        let signer = self.members.get(&entry.signer()).ok_or(Refusal::NotAMember)?;
        match (&entry.body, entry.evidence()) {
            (Body::Admit(admit), EntryEvidence::Request(request)) => {
                self.check_admit(signer, admit, request)?;
                self.admit(entry, admit, request);
            }
            (Body::Deny(deny), EntryEvidence::Nothing) => {
                self.check_deny(signer, deny)?;
                self.deny(entry, deny);
            }
            // `Entry::check` lets none of these through at seq > 0. They are named, so that a new kind does not compile without a rule.
            (Body::Found(_) | Body::Admit(_) | Body::Deny(_) | Body::Unknown { .. }, _) => {
                return Err(Refusal::OtherChain);
            }
        }
        self.head = entry.hash();
        self.seq = expected;
        self.positions.insert(self.head, Position { seq: self.seq, epoch: self.epoch });
        Ok(self)
    }

    fn check_admit(&self, signer: &Member, admit: &Admit, request: &Verified<JoinRequest>) -> Result<(), Refusal> {
        if signer.role != Role::Approver {
            return Err(Refusal::NotAnApprover);
        }
        if self.decisions.contains_key(&request.id()) {
            return Err(Refusal::AlreadyDecided);
        }
        let keys = [request.device.signing.0, *request.device.sealing.as_bytes()];
        if keys.iter().any(|key| self.known_keys.contains(key)) {
            return Err(Refusal::KeyKnown);
        }
        if request.join_key != self.join_key {
            return Err(Refusal::StaleJoinKey);
        }
        if admit.epoch != self.epoch {
            return Err(Refusal::StaleEpoch);
        }
        if !self.policy.ways.contains(&admit.how) {
            return Err(Refusal::WayNotAllowed);
        }
        if admit.role == Role::Recovery {
            return Err(Refusal::RoleNotAllowed);
        }
        // The signer is one approval; further ones belong to quorums above one, which no policy in force has yet.
        if self.policy.quorums.admit != 1 || !admit.approvals.is_empty() {
            return Err(Refusal::Quorum);
        }
        if self.people_count() >= usize::from(self.policy.members_max) {
            return Err(Refusal::ChainFull);
        }
        Ok(())
    }

    fn check_deny(&self, signer: &Member, deny: &Deny) -> Result<(), Refusal> {
        if signer.role != Role::Approver {
            return Err(Refusal::NotAnApprover);
        }
        if self.decisions.contains_key(&deny.request) {
            return Err(Refusal::AlreadyDecided);
        }
        if self.members.contains_key(&deny.device) {
            return Err(Refusal::KeyIsMember);
        }
        Ok(())
    }

    fn admit(&mut self, entry: &Verified<Entry>, admit: &Admit, request: &Verified<JoinRequest>) {
        self.decide(entry, request.id(), request.device.signing, Outcome::Admitted);
        self.add(Member {
            device: request.device,
            role: admit.role,
            admission: Admission { seq: entry.seq, by: entry.signer(), how: Some(admit.how), at: entry.at },
            description: admit.description.clone(),
        });
    }

    fn deny(&mut self, entry: &Verified<Entry>, deny: &Deny) {
        self.decide(entry, deny.request, deny.device, Outcome::Denied(deny.reason));
        self.known_keys.insert(deny.device.0);
    }

    fn decide(&mut self, entry: &Verified<Entry>, request: RequestId, device: DeviceId, outcome: Outcome) {
        let decision = Decision { outcome, device, by: entry.signer(), seq: entry.seq, at: entry.at };
        self.decisions.insert(request, decision);
    }

    fn add(&mut self, member: Member) {
        self.known_keys.insert(member.device.signing.0);
        self.known_keys.insert(*member.device.sealing.as_bytes());
        self.members.insert(member.device.signing, member);
    }

    /// Members, the recovery device aside.
    #[must_use]
    pub fn people_count(&self) -> usize {
        self.members.values().filter(|member| member.role != Role::Recovery).count()
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The hash of the last entry.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.head
    }

    /// The position of the last entry.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key id of the current epoch's key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The current join key, proven in the entry that brought it.
    #[must_use]
    pub fn join_key(&self) -> JoinKey {
        self.join_key
    }

    /// The join key of `found`, to which the values sealed there are bound.
    #[must_use]
    pub fn founding_join_key(&self) -> JoinKey {
        self.founding_join_key
    }

    /// The founder's clock at `found`, unix milliseconds. A claim.
    #[must_use]
    pub fn founded_at(&self) -> u64 {
        self.founded_at
    }

    /// The name key, wrapped under the current epoch's key.
    #[must_use]
    pub fn wrapped_name_key(&self) -> &Blob {
        &self.name_key
    }

    /// The sync code, wrapped under the current epoch's key.
    #[must_use]
    pub fn wrapped_sync_code(&self) -> &Blob {
        &self.sync_code
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A member by its id.
    #[must_use]
    pub fn member(&self, device: &DeviceId) -> Option<&Member> {
        self.members.get(device)
    }

    /// All members, the recovery device included, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// How a request ended.
    #[must_use]
    pub fn decision(&self, request: &RequestId) -> Option<&Decision> {
        self.decisions.get(request)
    }

    /// Where a hash stands in this log.
    #[must_use]
    pub fn position(&self, head: &Hash) -> Option<Position> {
        self.positions.get(head).copied()
    }

    /// A member as it was at a position, if it was one there.
    #[must_use]
    pub fn member_at(&self, device: &DeviceId, seq: u64) -> Option<&Member> {
        self.members.get(device).filter(|member| member.admission.seq <= seq)
    }
}
