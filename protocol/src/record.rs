//! Records: signed headers, sealed content, and the one rule by which relay and reader accept them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::cbor::{self, Blob, code_enum};
use crate::cut::CutAt;
use crate::error::FormError;
use crate::id::{BlindedCollection, BlindedId, ChainId, DeviceId, Hash};
use crate::keyring::{Acting, Keyring};
use crate::keys::NameKey;
use crate::limits;
use crate::roster::{Cited, Roster};
use crate::seal::{SealBroken, open_under, seal_under};
use crate::signed::{Form, Verified, check_version};

code_enum! {
    /// What a record does to its item.
    Kind {
        /// The item has this content now.
        Put = 0 "put",
        /// The item is gone. The tombstone lives as long as the chain.
        Delete = 1 "delete",
    }
}

/// The signed header of a record. The ciphertext travels beside it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Record {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain.
    #[n(1)]
    pub chain: ChainId,
    /// The collection, blinded.
    #[n(2)]
    pub collection: BlindedCollection,
    /// The name within the collection, blinded.
    #[n(3)]
    pub id: BlindedId,
    /// The epoch whose key sealed the content.
    #[n(4)]
    pub epoch: u64,
    /// The writer's last counter plus one; begins at 1.
    #[n(5)]
    pub counter: u64,
    /// Hash of the writer's previous record; absent at counter 1.
    #[n(6)]
    pub last: Option<Hash>,
    /// Hash of the version that this one replaces, a tombstone included; absent for a new name.
    #[n(7)]
    pub base: Option<Hash>,
    /// The head of the log that the writer acts on.
    #[n(8)]
    pub head: Hash,
    /// The writer's clock, unix milliseconds. A claim.
    #[n(9)]
    pub at: u64,
    /// Put or delete.
    #[n(10)]
    pub kind: Kind,
    /// SHA-256 of the ciphertext; absent in a delete, and in the associated data of the ciphertext itself.
    #[n(11)]
    pub ciphertext_hash: Option<Hash>,
}

impl Form for Record {
    type Evidence = ();
    const NAME: &'static str = "record";
    const LABEL: &'static str = "countersign/v1/record";
    const BYTES_MAX: usize = limits::RECORD_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        let bad = |what| Err(FormError::BadField { form: Self::NAME, what });
        if self.counter == 0 || (self.counter == 1) != self.last.is_none() {
            return bad("counter begins at 1, and only there last is absent");
        }
        if (self.kind == Kind::Put) != self.ciphertext_hash.is_some() {
            return bad("a put, and only a put, has a ciphertext");
        }
        Ok(())
    }
}

impl Verified<Record> {
    /// Whether the ciphertext that came with this header, or its absence, is the one that was signed.
    #[must_use]
    pub fn carries(&self, ciphertext: Option<&[u8]>) -> bool {
        ciphertext.is_none_or(|bytes| bytes.len() <= limits::CIPHERTEXT_BYTES_MAX)
            && ciphertext.map(|bytes| Hash(Sha256::digest(bytes).into())) == self.ciphertext_hash
    }
}

/// Why a record that is validly signed is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRefusal {
    /// It belongs to another chain.
    #[error("the record belongs to another chain")]
    OtherChain,
    /// It cites a head that is not in the log. Not a fork by itself: the log may be behind.
    #[error("the record cites a head that is not in the log: fetch the log, or append what is missing")]
    UnknownHead,
    /// The signer may not write: not at the head it cites, or not now.
    #[error("the signer may not write in this chain")]
    NotAMember,
    /// It lies past the cut that ended its writer's line.
    #[error("the record lies past the end of its writer's line")]
    PastCut,
    /// Its epoch is not the one of its head, or not the current one.
    #[error("the record's epoch is not the current one: fetch the log and seal it anew")]
    StaleEpoch,
    /// Its counter was used for another record.
    #[error("counter {counter} was used for another record")]
    Replayed {
        /// The counter.
        counter: u64,
    },
    /// It does not continue the signer's line.
    #[error("the record does not continue its writer's line: counter {expected} is next")]
    BrokenLine {
        /// The next counter.
        expected: u64,
    },
    /// It replaces another version than the current one.
    #[error("the item has changed since: read it and write again")]
    Conflict,
    /// The ciphertext is not the one that was signed, missing, or too long.
    #[error("the ciphertext is not the one that the record names")]
    OtherCiphertext,
}

impl RecordRefusal {
    /// The stable code of this refusal, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherChain => "other-chain",
            Self::UnknownHead => "unknown-head",
            Self::NotAMember => "not-a-member",
            Self::PastCut => "past-cut",
            Self::StaleEpoch => "stale-epoch",
            Self::Replayed { .. } => "replayed",
            Self::BrokenLine { .. } => "broken-line",
            Self::Conflict => "conflict",
            Self::OtherCiphertext => "other-ciphertext",
        }
    }
}

/// Where a writer's line of records ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// Counter of its last record; 0 before the first.
    pub counter: u64,
    /// Hash of its last record.
    pub last: Option<Hash>,
}

impl Line {
    /// Follows the line by one record.
    ///
    /// # Errors
    ///
    /// [`RecordRefusal::Replayed`] for a counter that was passed (look up whether it is the same record first),
    /// [`RecordRefusal::BrokenLine`] for a gap or another `last`.
    pub fn follow(self, record: &Verified<Record>) -> Result<Self, RecordRefusal> {
        if record.counter <= self.counter {
            return Err(RecordRefusal::Replayed { counter: record.counter });
        }
        if record.counter != self.counter + 1 || record.last != self.last {
            return Err(RecordRefusal::BrokenLine { expected: self.counter + 1 });
        }
        Ok(Self { counter: record.counter, last: Some(record.hash()) })
    }
}

/// Whether a record that a reader takes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It does.
    Counts,
    /// Its writer was cut off before it, on purpose: kept, since others may stand on it, and shown as disputed.
    Disputed,
}

/// The rule that relay and reader share: the head is in the log, its epoch is the record's, the signer may write there, and the
/// record is not past a cut. Of one that an *earlier* cut left behind a reader keeps the place; the relay takes no such record, unless it
/// [lost it](check_given_back).
///
/// # Errors
///
/// [`RecordRefusal`].
pub fn check_cited(roster: &Roster, record: &Verified<Record>) -> Result<Trust, RecordRefusal> {
    check_cited_of(roster, record, record.signer(), record.hash())
}

pub(crate) fn check_cited_of(
    roster: &Roster,
    record: &Record,
    signer: DeviceId,
    hash: Hash,
) -> Result<Trust, RecordRefusal> {
    if record.chain != roster.chain() {
        return Err(RecordRefusal::OtherChain);
    }
    let position = roster.position(&record.head).ok_or(RecordRefusal::UnknownHead)?;
    if position.epoch != record.epoch {
        return Err(RecordRefusal::StaleEpoch);
    }
    match roster.cited(&signer, position.seq, record.counter, hash) {
        Cited::Counts => Ok(Trust::Counts),
        Cited::PastCut(CutAt::Earlier) => Ok(Trust::Disputed),
        Cited::PastCut(CutAt::Last) => Err(RecordRefusal::PastCut),
        Cited::NoWriter => Err(RecordRefusal::NotAMember),
    }
}

/// Whether a record that was taken before still counts at this head.
#[must_use]
pub fn trust(roster: &Roster, record: &Verified<Record>) -> Trust {
    let position = roster.position(&record.head);
    let cited = position.map(|position| roster.cited(&record.signer(), position.seq, record.counter, record.hash()));
    if cited == Some(Cited::Counts) { Trust::Counts } else { Trust::Disputed }
}

/// The write gate: what the relay asks besides, in the transaction that stores the record. Returns the line after it.
///
/// `line` is the signer's as stored, `current` the hash of the stored version of this item.
///
/// # Errors
///
/// [`RecordRefusal`] naming the first thing that does not hold. Whoever may not write learns nothing but that.
pub fn gate(
    roster: &Roster,
    line: Line,
    current: Option<Hash>,
    record: &Verified<Record>,
    ciphertext: Option<&[u8]>,
) -> Result<Line, RecordRefusal> {
    if record.chain != roster.chain() {
        return Err(RecordRefusal::OtherChain);
    }
    if !roster.member(&record.signer()).is_some_and(|member| member.role.writes()) {
        return Err(RecordRefusal::NotAMember);
    }
    if check_cited(roster, record)? == Trust::Disputed {
        return Err(RecordRefusal::PastCut);
    }
    if record.epoch != roster.epoch() {
        return Err(RecordRefusal::StaleEpoch);
    }
    let after = follow(line, current, record)?;
    if record.carries(ciphertext) { Ok(after) } else { Err(RecordRefusal::OtherCiphertext) }
}

/// Whether a member's word brings a record back to a relay that lost it. One that an *earlier* cut left behind comes back by another
/// device only, and by one that may write: else whoever wrote it could go on to sign such records under an old head, with any reader's help
/// or, made a reader, with its own.
///
/// # Errors
///
/// [`RecordRefusal`].
pub fn check_given_back(roster: &Roster, by: &DeviceId, record: &Verified<Record>) -> Result<(), RecordRefusal> {
    let may = || *by != record.signer() && roster.member(by).is_some_and(|member| member.role.writes());
    match check_cited(roster, record)? {
        Trust::Disputed if !may() => Err(RecordRefusal::PastCut),
        Trust::Counts | Trust::Disputed => Ok(()),
    }
}

/// The gate for a record that a relay lost, and a member gives back. Its writer may be none any more, its epoch long over: what held
/// where it was written is asked, and that it fits where it goes. The relay asks besides for a [`Refill`](crate::refill) by that member, or
/// a removed device could go on under its old epochs.
///
/// # Errors
///
/// [`RecordRefusal`] naming the first thing that does not hold.
pub fn gate_refill(
    (roster, by): (&Roster, &DeviceId),
    line: Line,
    current: Option<Hash>,
    record: &Verified<Record>,
    ciphertext: Option<&[u8]>,
) -> Result<Line, RecordRefusal> {
    check_given_back(roster, by, record)?;
    let after = follow(line, current, record)?;
    // A relay keeps no content of versions that were replaced, so a member that came later never had it. Without such a version the
    // writer's line, and the versions that replaced it, could never be given back.
    if ciphertext.is_some() && !record.carries(ciphertext) {
        return Err(RecordRefusal::OtherCiphertext);
    }
    Ok(after)
}

fn follow(line: Line, current: Option<Hash>, record: &Verified<Record>) -> Result<Line, RecordRefusal> {
    let after = line.follow(record)?;
    if record.base == current { Ok(after) } else { Err(RecordRefusal::Conflict) }
}

/// What is sealed in a put: the names, which the header only carries blinded, and the content.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Content {
    /// Name of the collection.
    #[n(0)]
    pub collection: String,
    /// Name within the collection.
    #[n(1)]
    pub id: String,
    /// The content itself.
    #[n(2)]
    pub value: Blob,
}

impl core::fmt::Debug for Content {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Content(secret, {} bytes)", self.value.len())
    }
}

/// A record that a device is about to write.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// Name of the collection.
    pub collection: &'a str,
    /// Name within it.
    pub id: &'a str,
    /// The content, or `None` to delete.
    pub value: Option<&'a [u8]>,
    /// The version that this one replaces.
    pub base: Option<Hash>,
    /// The writer's clock, unix milliseconds.
    pub at: u64,
}

/// HMAC-SHA256(name key, `countersign/v1/collection` ‖ name).
#[must_use]
pub fn blind_collection(key: &NameKey, collection: &str) -> BlindedCollection {
    BlindedCollection(mac(key, &[b"countersign/v1/collection", collection.as_bytes()]))
}

/// HMAC-SHA256(name key, `countersign/v1/record-id` ‖ blinded collection ‖ name).
#[must_use]
pub fn blind_id(key: &NameKey, collection: &BlindedCollection, id: &str) -> BlindedId {
    BlindedId(mac(key, &[b"countersign/v1/record-id", &collection.0, id.as_bytes()]))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac(key: &NameKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Seals and signs a record as the next of the device's line. Its driver stores it before it is sent.
///
/// # Errors
///
/// [`FormError`] if a name or the content is too long.
pub fn write(
    acting: Acting<'_>,
    line: Line,
    draft: &Draft<'_>,
    rng: &mut impl CryptoRng,
) -> Result<(Verified<Record>, Option<Blob>), FormError> {
    let Acting { keys, roster, keyring } = acting;
    let bad = |what| FormError::BadField { form: Record::NAME, what };
    for name in [draft.collection, draft.id] {
        if name.is_empty() || name.chars().count() > limits::NAME_CHARS_MAX {
            return Err(bad("collection and name have 1 to 256 characters"));
        }
    }
    let collection = blind_collection(keyring.name_key(), draft.collection);
    let mut header = Record {
        version: crate::VERSION,
        chain: roster.chain(),
        collection,
        id: blind_id(keyring.name_key(), &collection, draft.id),
        epoch: keyring.epoch(),
        counter: line.counter + 1,
        last: line.last,
        base: draft.base,
        head: roster.head(),
        at: draft.at,
        kind: if draft.value.is_some() { Kind::Put } else { Kind::Delete },
        ciphertext_hash: None,
    };
    let ciphertext = match draft.value {
        None => None,
        Some(value) => {
            let content =
                Content { collection: draft.collection.to_owned(), id: draft.id.to_owned(), value: value.into() };
            let plaintext = zeroize::Zeroizing::new(cbor::encode(&content));
            let key = keyring.epoch_key().record_key(header.epoch);
            let sealed = seal_under(&key, &cbor::encode(&header), &plaintext, rng)
                .map_err(|_| bad("the content could not be sealed"))?;
            if sealed.len() > limits::CIPHERTEXT_BYTES_MAX {
                return Err(FormError::TooLarge {
                    form: "ciphertext",
                    got: sealed.len(),
                    limit: limits::CIPHERTEXT_BYTES_MAX,
                });
            }
            header.ciphertext_hash = Some(Hash(Sha256::digest(&*sealed).into()));
            Some(sealed)
        }
    };
    Ok((Verified::sign(header, &keys.signing, &[])?, ciphertext))
}

/// Opens the content of a put.
///
/// # Errors
///
/// [`SealBroken`] also if the names inside are not the ones that the header blinds: a writer with the key could move content.
pub fn open(keyring: &Keyring, record: &Verified<Record>, ciphertext: &[u8]) -> Result<Content, SealBroken> {
    if !record.carries(Some(ciphertext)) {
        return Err(SealBroken);
    }
    let mut aad = (**record).clone();
    aad.ciphertext_hash = None;
    let key = keyring.epoch_key_of(record.epoch).ok_or(SealBroken)?.record_key(record.epoch);
    let opened = open_under(&key, &cbor::encode(&aad), ciphertext)?;
    let content: Content = cbor::decode("content", &opened, limits::CIPHERTEXT_BYTES_MAX).map_err(|_| SealBroken)?;
    let collection = blind_collection(keyring.name_key(), &content.collection);
    let id = blind_id(keyring.name_key(), &collection, &content.id);
    if collection != record.collection || id != record.id { Err(SealBroken) } else { Ok(content) }
}
