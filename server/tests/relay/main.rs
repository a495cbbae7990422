//! The relay over real sockets, spoken to with the protocol's own types.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test a wrong answer ends the test"
)]

mod harness;
mod members;
mod straight_line;
mod denied;
mod decisions;
mod reads;
mod sockets;
mod strangers;
mod restart;
mod tls;
mod announced;
mod removed;
mod refill;
mod approvals;
mod untold;
mod ending;
mod reset;
mod settle;
