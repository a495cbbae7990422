//! The protocol crate seen from outside: the vectors and how they are made, broken bytes, properties, and oracles that share no code with it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise, and shows it"
)]

// The name that every other crate of the workspace knows it by.
extern crate countersign_protocol as protocol;

mod support;
mod world;
mod life;
mod forks;
mod forms;
mod broken;
mod vectors;
mod admission;
mod roles;
mod rounds;
mod records;
mod credentials;
mod reads;
mod codes;
mod sealing;
mod wire;
mod limits;
mod bounds;
mod shown;
mod oracle;
mod properties;
mod secrets;
mod totp;
mod machine;
