//! Countersign's relay: it forwards and enforces, it never decides.
//!
//! The relay stores public keys, signatures and ciphertext. Every action reaches it as a POST of a signed form, is verified, checked
//! against the log inside the transaction that stores it, answered once it is durable, and only then pushed.
//!
//! Modules stand lowest first; each uses only what stands above it.

pub mod clock;
pub mod recent;
pub mod address;
pub mod failure;
pub mod rates;
pub mod store;
pub mod origins;
pub mod config;
pub mod registry;
pub mod problem;
pub mod relay;
mod signed_read;
pub mod routes;
pub mod stream;
mod socket;
mod gate;
mod announced;
pub mod tls;
mod service;
mod accept;
pub mod run;
pub mod cli;
