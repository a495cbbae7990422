//! What relay and devices say to each other besides signed forms: bodies of HTTP, messages of the WebSocket.
//!
//! Nothing here is signed, so nothing here is believed by a device: it carries forms, or what the relay says it saw.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::cbor::{self, Blob, code_enum};
use crate::connect::Cursor;
use crate::error::FormError;
use crate::id::{ChainId, Hash, Random, RequestId};
use crate::limits;

const ENTRIES: u64 = limits::APPEND_ENTRIES_MAX as u64;
const RECORDS: u64 = limits::BATCH_RECORDS_MAX as u64;
const ITEMS: u64 = limits::PAGE_ITEMS_MAX as u64;
const APPROVALS: u64 = limits::APPROVALS_KEPT_MAX as u64;
const ROUNDS: u64 = limits::ROUNDS_MAX as u64;

/// The media type of every CBOR body.
pub const MEDIA_TYPE: &str = "application/cbor";

code_enum! {
    /// Why entries are appended.
    Purpose {
        /// They are new.
        New = 0 "new",
        /// The relay lost them: requests that it no longer knows, or that it counts as expired, do not stop them.
        Heal = 1 "heal",
    }
}

/// Body of `POST /v1/log`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Append {
    /// Signed entries in order, one to [`limits::APPEND_ENTRIES_MAX`]. All are taken, or none.
    #[cbor(n(0), decode_with = "cbor::some::<_, _, ENTRIES>")]
    pub entries: Vec<Blob>,
    /// Why they are appended.
    #[n(1)]
    pub purpose: Purpose,
}

/// Answer to an append: where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Appended {
    /// Hash of the last entry.
    #[n(0)]
    pub head: Hash,
    /// Its position.
    #[n(1)]
    pub seq: u64,
}

/// Answer to `GET /v1/chains/{chain}/log`, and the push of new entries.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LogPage {
    /// Signed entries in order.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, ITEMS>")]
    pub entries: Vec<Blob>,
    /// The relay's head, which may be beyond this page.
    #[n(1)]
    pub head: Hash,
    /// Its position.
    #[n(2)]
    pub seq: u64,
}

/// Answer to `GET /v1/keys/{key}`: the chain whose recovery device asked, and where its log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Whereabouts {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// Hash of its last entry.
    #[n(1)]
    pub head: Hash,
    /// Its position.
    #[n(2)]
    pub seq: u64,
}

/// Body of `POST /v1/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ask {
    /// The signed join request with its proof.
    #[n(0)]
    pub request: Blob,
    /// The sealed description that it names.
    #[n(1)]
    pub description: Blob,
}

code_enum! {
    /// What a joiner is told. A request that was denied, muted or blocked is told `waiting` until its lifetime ends.
    Stage {
        /// No code yet, or nothing that the joiner may know.
        Waiting = 0 "waiting",
        /// At least one device opened the prompt.
        Code = 1 "code",
        /// Its lifetime is over.
        Expired = 2 "expired",
        /// The log admits the device.
        Admitted = 3 "admitted",
        /// It was withdrawn.
        Withdrawn = 4 "withdrawn",
    }
}

/// What a joiner is told of its request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Standing {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Where it stands.
    #[n(1)]
    pub stage: Stage,
    /// Milliseconds until it expires, by the relay's count.
    #[n(2)]
    pub remaining: u64,
    /// Whether any member is connected.
    #[n(3)]
    pub online: bool,
    /// The signed nonces so far, in the order of their rounds.
    #[cbor(n(4), decode_with = "cbor::at_most::<_, _, ROUNDS>")]
    pub nonces: Vec<Blob>,
    /// The chain, once it admits a device that was sent no nonce, and so was never told. The joiner believes it only by the log.
    #[n(5)]
    pub chain: Option<ChainId>,
}

/// What the relay saw of a request. Shown as "seen by the relay".
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Seen {
    /// The client's address, without port.
    #[n(0)]
    pub address: String,
    /// The trusted proxy that named the address, if it is not the socket's own.
    #[n(1)]
    pub proxy: Option<String>,
    /// The relay's clock at the first sight of the request, unix milliseconds.
    #[n(2)]
    pub at: u64,
}

/// One round of a request, as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Round {
    /// The signed nonce.
    #[n(0)]
    pub nonce: Blob,
    /// The signed reveal, once the joiner answered.
    #[n(1)]
    pub reveal: Option<Blob>,
}

/// An open request, as a member sees it. Sent anew whenever a round changes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OpenRequest {
    /// The signed join request with its proof.
    #[n(0)]
    pub request: Blob,
    /// Its sealed description.
    #[n(1)]
    pub description: Blob,
    /// What the relay saw.
    #[n(2)]
    pub seen: Seen,
    /// Milliseconds until it expires, by the relay's count.
    #[n(3)]
    pub remaining: u64,
    /// Its rounds so far.
    #[cbor(n(4), decode_with = "cbor::at_most::<_, _, ROUNDS>")]
    pub rounds: Vec<Round>,
}

/// Answer to `GET /v1/chains/{chain}/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OpenRequests {
    /// Every open request of the chain's join key, oldest first.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, ITEMS>")]
    pub requests: Vec<OpenRequest>,
}

/// Answer to `GET /v1/chains/{chain}/approvals`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approvals {
    /// Every signed approval that would count in the next entry, oldest first.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}

/// Answer to `GET /v1/join-keys/{key}`: what whoever has only the sync code must know to sign a [`Reset`](crate::reset::Reset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChainOfKey {
    /// The chain whose join key it is, now.
    #[n(0)]
    pub chain: ChainId,
    /// The entry that brought the policy in force.
    #[n(1)]
    pub head: Hash,
    /// Its position.
    #[n(2)]
    pub seq: u64,
    /// Wait of a reset by that policy, seconds.
    #[n(3)]
    pub reset_delay: u32,
}

/// A reset that stands: the answer to its announcement, and what members are told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ResetStanding {
    /// The signed reset.
    #[n(0)]
    pub reset: Blob,
    /// Milliseconds until it is carried out, by the relay's count.
    #[n(1)]
    pub remaining: u64,
}

/// An approval that would count in the next entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approved {
    /// The signed approval.
    #[n(0)]
    pub approval: Blob,
}

/// A signed record with its ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedRecord {
    /// The signed header.
    #[n(0)]
    pub record: Blob,
    /// The ciphertext; absent for a delete, and for a version that was replaced.
    #[n(1)]
    pub ciphertext: Option<Blob>,
}

/// Body of `POST /v1/records`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Put {
    /// Records in order, of one chain and one signer, one to [`limits::BATCH_RECORDS_MAX`]. All are taken, or none.
    #[cbor(n(0), decode_with = "cbor::some::<_, _, RECORDS>")]
    pub records: Vec<SealedRecord>,
    /// A signed [`Refill`](crate::refill::Refill) of a member that gives back what the relay lost. Absent where the writer writes.
    #[n(1)]
    pub refill: Option<Blob>,
}

/// Answer to a put.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// The place of each record in the chain's feed, in the order of the put.
    #[cbor(n(0), decode_with = "cbor::some::<_, _, RECORDS>")]
    pub numbers: Vec<u64>,
}

/// A record in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecordRow {
    /// Its place in the chain's feed.
    #[n(0)]
    pub number: u64,
    /// The record.
    #[n(1)]
    pub sealed: SealedRecord,
}

/// Answer to `GET /v1/chains/{chain}/records`, and the push of new records.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecordPage {
    /// Records in the order of their arrival, those that were replaced without their ciphertext.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, ITEMS>")]
    pub rows: Vec<RecordRow>,
    /// Where the reader stands after this page.
    #[n(1)]
    pub cursor: Cursor,
    /// Number of the last record that the relay has.
    #[n(2)]
    pub last: u64,
}

/// First message on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    /// Serves this socket once, within [`limits::CHALLENGE_LIFETIME`].
    #[n(0)]
    pub nonce: Random,
    /// The relay's clock, unix milliseconds.
    #[n(1)]
    pub at: u64,
}

/// Answer to a member's Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ready {
    /// The relay's head.
    #[n(0)]
    pub head: Hash,
    /// Its position.
    #[n(1)]
    pub seq: u64,
    /// Whether the relay's log has the head that the device named. If not, one of the two is behind, or there is a fork.
    #[n(2)]
    pub knows_your_head: bool,
}

code_enum! {
    /// Why a request left the list of open ones without a decision.
    Ending {
        /// Its lifetime is over.
        Expired = 0 "expired",
        /// Its device took it back.
        Withdrawn = 1 "withdrawn",
        /// The log decides it; the entry comes as a push of its own.
        Decided = 2 "decided",
    }
}

/// A request left the list of open ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ended {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Why.
    #[n(1)]
    pub ending: Ending,
}

/// A message of the relay on a socket. On the wire `[kind, {…}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToDevice {
    /// Kind 0.
    Challenge(Challenge),
    /// Kind 1, to members.
    Ready(Ready),
    /// Kind 2, to members: entries after the position that the device has.
    Entries(LogPage),
    /// Kind 3, to members: records after the device's cursor.
    Records(RecordPage),
    /// Kind 4, to members: a request is open, or one of its rounds changed.
    Requested(OpenRequest),
    /// Kind 5, to members: a request is no longer open.
    Ended(Ended),
    /// Kind 6, to joiners: where the request stands.
    Standing(Standing),
    /// Kind 7, to members: an approver agreed to something.
    Approved(Approved),
    /// Kind 8, to members: whoever has the sync code wants the chain deleted.
    Reset(ResetStanding),
}

/// A message of a device on a socket, after its Connect (which is the bare signed form). On the wire `[kind, {…}]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromDevice {
    /// Kind 0: the device has stored everything up to here.
    Ack(Ack),
}

/// How far a device has stored what it was sent. Each data message (kinds 2 and 3) is acknowledged by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ack {
    /// Position of its head.
    #[n(0)]
    pub seq: u64,
    /// Number of its last record.
    #[n(1)]
    pub number: u64,
}

macro_rules! message {
    ($name:ident { $($value:literal => $variant:ident,)+ }, $limit:expr) => {
        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.array(2)?;
                match self { $(Self::$variant(body) => e.u8($value)?.encode_with(body, ctx)?.ok(),)+ }
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
                if d.array()? != Some(2) {
                    return Err(decode::Error::message("expected a message of [kind, {…}]"));
                }
                match d.u8()? {
                    $($value => Ok(Self::$variant(d.decode_with(ctx)?)),)+
                    _ => Err(decode::Error::message("unknown kind of message")),
                }
            }
        }

        impl $name {
            /// The bytes of one binary message.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                cbor::encode(self)
            }

            /// Reads one binary message.
            ///
            /// # Errors
            ///
            /// [`FormError`] naming what is wrong with it.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
                cbor::decode("message", bytes, $limit)
            }
        }
    };
}

message!(ToDevice {
    0 => Challenge,
    1 => Ready,
    2 => Entries,
    3 => Records,
    4 => Requested,
    5 => Ended,
    6 => Standing,
    7 => Approved,
    8 => Reset,
}, limits::FRAME_TO_DEVICE_BYTES_MAX);

message!(FromDevice {
    0 => Ack,
}, limits::FRAME_FROM_DEVICE_BYTES_MAX);

/// Close codes of the WebSocket (RFC 6455 §7.4.2: 4000 to 4999 are for applications).
pub mod close {
    /// RFC 6455: the relay restarts; come back after the hint in the reason, in milliseconds.
    pub const RESTART: u16 = 1012;
    /// The device sent something that no device sends.
    pub const PROTOCOL: u16 = 4400;
    /// The Connect was refused.
    pub const REFUSED: u16 = 4401;
    /// The device is not, or no longer, a member.
    pub const NOT_A_MEMBER: u16 = 4403;
    /// The device did not read or acknowledge in time; it resumes by cursor.
    pub const TOO_SLOW: u16 = 4408;
    /// The chain was reset: it is never served here again.
    pub const RESET: u16 = 4410;
}
