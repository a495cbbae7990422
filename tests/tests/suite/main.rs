//! The suite: what the crates promise together, over real sockets and the real binaries.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise, and shows it")]

mod layers;
