//! Countersign's values, signatures and rules.
//!
//! This crate does no I/O, reads no clock and knows no async runtime: times and random numbers are handed in. The relay, the
//! agent and an outside verifier call the same functions, so there is one verifier, one [`roster::Roster::apply`] and one rule
//! for records.
//!
//! The way of a claim is always the same: bytes become a [`Signed`] (well-formed, not believed), [`Signed::verify`] makes of it
//! a [`Verified`] (every signature on it holds), and only a `Verified` changes state anywhere.
//!
//! A whole join, with both devices and no relay in between:
//!
//! ```
//! use countersign_protocol as protocol;
//! use protocol::{Verified, decision, entry, keyring::{Acting, Keyring}, keys::DeviceKeys, policy::{Policy, Role}};
//! use protocol::record::{self, Draft, Line};
//! use protocol::request::{Description, JoinRequest};
//! use protocol::roster::Roster;
//! use protocol::round::{Attempt, Commitments, JoinerRounds, Nonce, Prompt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
//! let description = |name: &str| Description { name: name.into(), platform: "Linux".into(), version: "1".into(), totp: None };
//!
//! // The laptop founds a chain.
//! let laptop = DeviceKeys::draw(rng);
//! let founding = entry::found(&laptop, &description("laptop"), Policy::default(), None, 0, rng)?;
//! let roster = Roster::found(&founding.entry)?;
//! let keyring = Keyring::open(&roster, founding.epoch_key)?;
//!
//! // The phone knows the sync code, and asks.
//! let phone = DeviceKeys::draw(rng);
//! let commitments = Commitments::draw(rng);
//! let sealed = description("phone").seal(&founding.code, &phone.id(), rng)?;
//! let request = JoinRequest::sign(&founding.code, &phone, &sealed, commitments.public(), 0)?;
//!
//! // A person opens the prompt on the laptop; the phone answers and shows a code.
//! let nonce = Nonce {
//!     version: protocol::VERSION, chain: roster.chain(), request: request.id(), round: 1, head: roster.head(),
//!     epoch: roster.epoch(), nonce: protocol::id::Random::draw(rng),
//! };
//! let nonce = Verified::sign(nonce, &laptop.signing, &[])?;
//! let mut rounds = JoinerRounds::new(request.clone(), commitments);
//! let answer = rounds.answer(nonce.clone(), &phone.signing)?;
//!
//! // The person types it, and only that lets the laptop sign the admission.
//! let prompt = Prompt::new(request.clone(), nonce, &answer.reveal)?;
//! let Attempt::Right(confirmed) = prompt.type_code(&answer.code.digits()) else { panic!("the code was typed as shown") };
//! let acting = Acting { keys: &laptop, roster: &roster, keyring: &keyring };
//! let admit = decision::admit(acting, &confirmed, &description("phone"), Role::Approver, 0, rng)?;
//!
//! // Everybody applies the entry. The phone checks the log against what it did itself, and opens its welcome.
//! let roster = roster.apply(&admit)?;
//! let showed = |approver: &protocol::DeviceId| rounds.showed_code_for(approver);
//! let keyring = decision::accept_admission(&roster, &admit, &phone, &request, &[decision::Accepts::TypedBy(&showed)])?;
//!
//! // Its first write passes the relay's gate.
//! let acting = Acting { keys: &phone, roster: &roster, keyring: &keyring };
//! let draft = Draft { collection: "notes", id: "first", value: Some(b"hello"), base: None, at: 0 };
//! let (record, ciphertext) = record::write(acting, Line::default(), &draft, rng)?;
//! record::gate(&roster, Line::default(), None, &record, ciphertext.as_deref())?;
//! assert_eq!(record::open(&keyring, &record, &ciphertext.unwrap())?.value.0, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! Modules stand lowest first; each uses only what stands above it.

pub mod limits;
pub mod error;
pub mod cbor;
pub mod id;
pub mod keys;
mod cose;
pub mod signed;
pub mod seal;
pub mod code;
pub mod request;
pub mod round;
pub mod policy;
pub mod cut;
pub mod approval;
pub mod rotation;
pub mod entry;
pub mod roster;
pub mod keyring;
pub mod totp;
pub mod decision;
pub mod change;
pub mod record;
pub mod carried;
pub mod refill;
pub mod credential;
pub mod reset;
pub mod connect;
pub mod http_signature;
pub mod wire;
#[cfg(test)]
mod edge_vectors;

pub use error::FormError;
pub use id::{ChainId, DeviceId, Hash, JoinKey, RequestId};
pub use signed::{Form, Signed, Verified};

/// The version that every signed form carries. A form of another version is refused, never guessed at.
pub const VERSION: u8 = 1;

/// The WebSocket subprotocol (RFC 6455 §1.9) that this crate's [`wire`] messages belong to.
pub const SUBPROTOCOL: &str = "countersign.v1";
