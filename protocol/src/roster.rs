//! The roster: who may do what, as it follows from the log up to a head.
//!
//! [`Roster::found`] and [`Roster::apply`] are the whole law of the log. They are pure: the relay, every agent and any outside
//! verifier run the same code over the same bytes and come to the same members. Validity follows from position, never from a clock.

mod facts;
mod refusal;
mod quorum;
mod membership;
mod terms;
mod fork;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::cbor::Blob;
use crate::cut::Cut;
use crate::entry::{Body, Entry, Found};
use crate::id::{ChainId, DeviceId, Hash, JoinKey, KeyId, RequestId};
use crate::policy::{Policy, Role};
use crate::rotation::{Rotation, RotationPlace};
use crate::signed::Verified;

pub use facts::{Admission, Cited, ClosingTerms, Decision, Departure, Epoch, Former, Member, Outcome, Position, Why};
pub use refusal::Refusal;

/// A time in which a device could write: from a position to the one where writing was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Writing {
    from: u64,
    until: Option<(u64, Cut)>,
}

/// Positions of the last entries that approvals do not outlive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lapses {
    /// Of a removal: neither the device that is to go, nor any other single approver, could else put it off for ever.
    removal: u64,
    /// Of anything else.
    other: u64,
}

/// Members, roles, policy, join key and epoch at a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    chain: ChainId,
    head: Hash,
    seq: u64,
    epochs: Vec<Epoch>,
    /// The entry that began the current epoch, if it is not the first.
    rotation: Option<(RotationPlace, Arc<Rotation>)>,
    rotation_owed: bool,
    join_key: JoinKey,
    founding_join_key: JoinKey,
    /// Every join key that was ever current here.
    join_keys: HashSet<JoinKey>,
    /// Name key and sync code as `found` brought them. Later ones stand in the rotation.
    founding_name_key: Blob,
    founding_sync_code: Blob,
    policy: Policy,
    /// The epoch at the entry that brought the policy.
    policy_epoch: u64,
    policy_seq: u64,
    members: BTreeMap<DeviceId, Member>,
    former: BTreeMap<DeviceId, Former>,
    writing: BTreeMap<DeviceId, Vec<Writing>>,
    decisions: HashMap<RequestId, Decision>,
    /// Every device key, signing or sealing, that was ever admitted or denied here.
    known_keys: HashSet<[u8; 32]>,
    positions: HashMap<Hash, Position>,
    lapses: Lapses,
    /// First entries of the branches that a settle of this log abandoned: who signed it, and then who agreed.
    abandoned: HashMap<Hash, Vec<DeviceId>>,
    totp_step: Option<u64>,
    closing: Option<ClosingTerms>,
    closed: bool,
    founding_recovery: Option<(DeviceId, Blob)>,
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
        let needed = usize::from(found.policy.quorums.most());
        if needed > 1 {
            return Err(Refusal::TooFewApprovers { left: 1, needed });
        }
        let admission = Admission { seq: 0, by: entry.signer(), how: None, at: entry.at, epoch: 1 };
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
            epochs: vec![Epoch { key_id: found.key_id, previous: None }],
            rotation: None,
            rotation_owed: false,
            join_key: found.join_key,
            founding_join_key: found.join_key,
            join_keys: HashSet::from([found.join_key]),
            founding_name_key: found.name_key.clone(),
            founding_sync_code: found.sync_code.clone(),
            policy: found.policy.clone(),
            policy_epoch: 1,
            policy_seq: 0,
            members: BTreeMap::new(),
            former: BTreeMap::new(),
            writing: BTreeMap::new(),
            decisions: HashMap::new(),
            known_keys: HashSet::new(),
            positions: HashMap::from([(entry.hash(), Position { seq: 0, epoch: 1 })]),
            lapses: Lapses::default(),
            abandoned: HashMap::new(),
            totp_step: None,
            closing: None,
            closed: false,
            founding_recovery: found
                .recovery
                .as_ref()
                .map(|recovery| (recovery.device.signing, recovery.epoch_key.clone())),
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
        if self.closed {
            return Err(Refusal::ChainClosed);
        }
        let signer = self.members.get(&entry.signer()).ok_or(Refusal::NotAMember)?;
        if !may_sign(signer.role, &entry.body) {
            return Err(Refusal::NotAnApprover);
        }
        match &entry.body {
            Body::Admit(admit) => self.admit(entry, admit)?,
            Body::Deny(deny) => self.deny(entry, deny)?,
            Body::Remove(remove) => self.remove(entry, remove)?,
            Body::Rotate(rotate) => self.rotate(entry, &rotate.rotation)?,
            Body::Leave(leave) => self.leave(entry, leave)?,
            Body::ChangeRole(change) => self.change_role(entry, change)?,
            Body::ChangePolicy(change) => self.change_policy(entry, change)?,
            Body::Closing(_) => self.announce_closing(entry)?,
            Body::Veto(veto) => self.veto(veto)?,
            Body::Close(close) => self.close(close)?,
            Body::Settle(settle) => self.settle(entry, settle)?,
            // `Entry::check` lets neither through at seq > 0. They are named, so that a new kind does not compile without a rule.
            Body::Found(_) | Body::Unknown { .. } => return Err(Refusal::OtherChain),
        }
        // A closing does not come back with its signer's role.
        self.closing = self.closing().copied();
        self.head = entry.hash();
        self.seq = expected;
        self.lapse(&entry.body);
        self.positions.insert(self.head, Position { seq: self.seq, epoch: self.epoch() });
        Ok(self)
    }

    /// The entry that comes next, unsigned.
    pub(crate) fn next_entry(&self, at: u64, body: Body) -> Entry {
        Entry { version: crate::VERSION, chain: Some(self.chain), seq: self.seq + 1, prev: Some(self.head), at, body }
    }

    fn add(&mut self, member: Member) {
        self.known_keys.insert(member.device.signing.0);
        self.known_keys.insert(*member.device.sealing.as_bytes());
        if member.role.writes() {
            self.writes_from(member.device.signing, member.admission.seq);
        }
        self.members.insert(member.device.signing, member);
    }

    fn writes_from(&mut self, device: DeviceId, seq: u64) {
        self.writing.entry(device).or_default().push(Writing { from: seq, until: None });
    }

    fn stops_writing(&mut self, device: &DeviceId, seq: u64, cut: Cut) {
        let last = self.writing.get_mut(device).and_then(|spans| spans.last_mut());
        if let Some(writing) = last.filter(|writing| writing.until.is_none()) {
            writing.until = Some((seq, cut));
        }
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
        self.epochs.len() as u64
    }

    /// The key id of the current epoch's key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.epochs.last().map_or(KeyId([0; 32]), |epoch| epoch.key_id)
    }

    /// The key id of an epoch's key.
    #[must_use]
    pub fn key_id_of(&self, epoch: u64) -> Option<KeyId> {
        let index = usize::try_from(epoch.checked_sub(1)?).ok()?;
        self.epochs.get(index).map(|epoch| epoch.key_id)
    }

    /// Whether a join key is current, or was once.
    #[must_use]
    pub fn was_join_key(&self, key: &JoinKey) -> bool {
        self.join_keys.contains(key)
    }

    /// All epochs, the first one first.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// What began the current epoch, and where; nothing in the first.
    #[must_use]
    pub fn rotation(&self) -> Option<(&RotationPlace, &Rotation)> {
        self.rotation.as_ref().map(|(place, rotation)| (place, &**rotation))
    }

    /// Whether a device left that still knows the current epoch key: the next approver rotates.
    #[must_use]
    pub fn is_rotation_owed(&self) -> bool {
        self.rotation_owed
    }

    /// The recovery device of `found`, with the key of epoch 1 sealed to it.
    #[must_use]
    pub fn founding_recovery(&self) -> Option<&(DeviceId, Blob)> {
        self.founding_recovery.as_ref()
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

    /// What binds a value that an entry wraps: the founding join key in `found`, where the chain has no id yet, the chain later.
    pub(crate) fn anchor(&self, seq: u64) -> &[u8] {
        if seq == 0 { self.founding_join_key.as_bytes() } else { self.chain.as_bytes() }
    }

    /// The founder's clock at `found`, unix milliseconds. A claim.
    #[must_use]
    pub fn founded_at(&self) -> u64 {
        self.founded_at
    }

    /// The name key, wrapped under the current epoch's key.
    #[must_use]
    pub fn wrapped_name_key(&self) -> &Blob {
        self.rotation().map_or(&self.founding_name_key, |(_, rotation)| &rotation.name_key)
    }

    /// The name key as `found` brought it, wrapped under the key of epoch 1.
    #[must_use]
    pub fn founding_name_key(&self) -> &Blob {
        &self.founding_name_key
    }

    /// The sync code, wrapped under the current epoch's key.
    #[must_use]
    pub fn wrapped_sync_code(&self) -> &Blob {
        self.rotation().map_or(&self.founding_sync_code, |(_, rotation)| &rotation.sync_code)
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

    /// A member that may decide.
    #[must_use]
    pub fn approver(&self, device: &DeviceId) -> Option<&Member> {
        self.members.get(device).filter(|member| member.role == Role::Approver)
    }

    /// Members that may decide.
    #[must_use]
    pub fn approver_count(&self) -> usize {
        self.members.values().filter(|member| member.role == Role::Approver).count()
    }

    /// The recovery device, if there is one.
    #[must_use]
    pub fn recovery(&self) -> Option<&Member> {
        self.members.values().find(|member| member.role == Role::Recovery)
    }

    /// A device that was a member.
    #[must_use]
    pub fn former(&self, device: &DeviceId) -> Option<&Former> {
        self.former.get(device)
    }

    /// All devices that were members, by id.
    pub fn former_members(&self) -> impl Iterator<Item = &Former> {
        self.former.values()
    }

    /// A device that is a member or was one, as it was last.
    #[must_use]
    pub fn known(&self, device: &DeviceId) -> Option<&Member> {
        self.members.get(device).or_else(|| self.former.get(device).map(|former| &former.member))
    }

    /// What the log says of a record that a device signed at a position.
    #[must_use]
    pub fn cited(&self, writer: &DeviceId, seq: u64, counter: u64, hash: Hash) -> Cited {
        let spans = self.writing.get(writer).map(Vec::as_slice).unwrap_or_default();
        let span = spans.iter().rev().find(|span| span.from <= seq);
        match span {
            None => Cited::NoWriter,
            Some(Writing { until: None, .. }) => Cited::Counts,
            Some(Writing { until: Some((end, _)), .. }) if *end <= seq => Cited::NoWriter,
            Some(Writing { until: Some((_, cut)), .. }) if cut.is_passed_by(counter, hash) => Cited::PastCut(cut.at),
            Some(_) => Cited::Counts,
        }
    }

    /// The epoch whose key wraps what the policy in force carries.
    #[must_use]
    pub fn policy_epoch(&self) -> u64 {
        self.policy_epoch
    }

    /// Position of the entry that brought the policy in force.
    #[must_use]
    pub fn policy_seq(&self) -> u64 {
        self.policy_seq
    }

    /// The time step of the last one-time code that admitted a device.
    #[must_use]
    pub fn totp_step(&self) -> Option<u64> {
        self.totp_step
    }

    /// The closing that stands: announced, not stopped, and its signer may still decide.
    #[must_use]
    pub fn closing(&self) -> Option<&ClosingTerms> {
        self.closing.as_ref().filter(|closing| self.approver(&closing.by).is_some())
    }

    /// Whether the chain was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Who may sign what. A leave is its own device's; the recovery device admits, removes, and names the one that follows it.
fn may_sign(role: Role, body: &Body) -> bool {
    let decides = matches!(role, Role::Approver | Role::Recovery);
    match body {
        Body::Leave(_) => role != Role::Recovery,
        Body::Admit(_) | Body::Remove(_) => decides,
        Body::Rotate(rotate) if rotate.rotation.recovery.is_some() => decides,
        _ => role == Role::Approver,
    }
}
