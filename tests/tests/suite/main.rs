//! The suite: what the crates promise together, over real sockets and the real binaries.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and shows it"
)]

mod layers;
mod argument;
mod joining;
mod refused;
mod address;
mod proxies;
mod doctor;
mod systemd;
mod plain;
mod strangers;
mod crashes;
mod durability;
mod corpora;
mod sockets;
mod people;
mod policy;
mod totp;
mod losing;
mod lies;
mod queue;
mod export;
mod credentials;
mod hooks;
mod moving;
mod lost;
mod ending;
mod resets;
mod recovery;
mod forks;
