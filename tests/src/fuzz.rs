//! What the fuzzers run, as plain functions: the corpora are replayed by `cargo test`, the fuzzers in `fuzz/` call the same.
//!
//! Each takes bytes, does what they say, and panics if a promise is broken.

mod conversation;
mod decoders;
mod relay;

pub use conversation::conversation;
pub use decoders::decoders;
pub use relay::relay;

use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

/// The same bytes for the same name: the fuzzer's finds can be replayed.
fn seeded(name: &str) -> chacha20::ChaCha20Rng {
    chacha20::ChaCha20Rng::from_seed(Sha256::digest(name).into())
}

/// A source of choices: the fuzzer's bytes, and nothing once they are used up.
#[derive(Debug)]
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// So many bytes, or what is left.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One of a list.
    fn of<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        let at = usize::from(self.next()?);
        list.get(at % list.len().max(1))
    }
}
