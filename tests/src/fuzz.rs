//! What the fuzzers run, as plain functions: the corpora are replayed by `cargo test`, the fuzzers in `fuzz/` call the same.
//!
//! Each takes bytes, does what they say, and panics if a promise is broken.

mod conversation;
mod decoders;

pub use conversation::conversation;
pub use decoders::decoders;

/// A source of choices: the fuzzer's bytes, and nothing once they are used up.
#[derive(Debug)]
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of a list.
    fn of<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        let at = usize::from(self.next()?);
        list.get(at % list.len().max(1))
    }
}
