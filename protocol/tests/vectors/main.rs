//! The files of `docs/vectors` as somebody else's program would use them: nothing is read but the files, nothing is asked but the
//! crate's public functions. How the files are made is the business of another test binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and shows it"
)]

// The name that every other crate of the workspace knows it by.
extern crate countersign_protocol as protocol;

mod reading;
mod derivations;
mod sealing;
mod forms;
mod logs;
mod epochs;
mod records;
mod rounds;
mod reads;
mod messages;
mod join;
mod credentials;
mod resets;
mod coverage;
