//! Countersign's values, signatures and rules.
//!
//! This crate does no I/O, reads no clock and knows no async runtime: times and random numbers are handed in. The relay, the
//! agent and an outside verifier call the same functions, so there is one verifier, one [`roster::Roster::apply`] and one rule
//! for records.
//!
//! The way of a claim is always the same: bytes become a [`Signed`] (well-formed, not believed), [`Signed::verify`] makes of it
//! a [`Verified`] (every signature on it holds), and only a `Verified` changes state anywhere.
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
pub mod entry;
pub mod roster;
pub mod keyring;
pub mod decision;
pub mod record;
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
