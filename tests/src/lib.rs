//! The harness: real binaries, real sockets, and the words of the domain.
//!
//! [`relay::Relay`] runs the relay's binary, [`home::Home`] the agent's, both as child processes that end with their handle.
//! [`actor`] is a device written from the protocol crate alone: it puts bytes on the wire that an honest agent would not.
//! [`liar::Liar`] stands between an agent and a relay and changes what passes.
//!
//! There are no sleeps: everything waits for an event, with one bound, [`wait::PATIENCE`].

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise, and shows it"
)]

pub mod wait;
pub mod trace;
pub mod binaries;
pub mod scan;
pub mod process;
pub mod http;
pub mod relay;
pub mod actor;
pub mod socket;
pub mod home;
pub mod liar;
// A relay that is built for the simulation listens on no real address.
#[cfg(not(feature = "simulation"))]
pub mod fuzz;
pub mod bench;
