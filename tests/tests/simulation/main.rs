//! The agent and the relay as they are, on simulated machines in a simulated network, by random steps.
//!
//! Each seed plays a chain: people found, invite, type check codes, deny, remove, leave, rotate, change roles and policy, agree, close, write and
//! read, several at a time. The network holds messages back and loses them; the relay and the devices crash and come back from their disks;
//! the relay comes back with an older disk, or with one that went another way. After each step the disks of all machines are compared with
//! a reference that knows no signatures, and the invariants are asked; at the end the network is whole again, and so must the chain be.
//!
//! A seed fixes the steps, the faults and the network. Keys and nonces are drawn from the system all the same, so what follows from their
//! order may differ from run to run. `COUNTERSIGN_SEEDS` sets how many seeds are played, `COUNTERSIGN_SEED` plays one, and says what it
//! does; a failure names its seed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and shows it"
)]

mod dice;
mod machines;
mod people;
mod observed;
#[path = "../../../protocol/tests/protocol/machine/reference.rs"]
mod reference;
mod world;
mod steps;
mod invariants;
mod ends;
mod straight;
mod restored;
mod random;
