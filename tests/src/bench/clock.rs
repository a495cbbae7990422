//! The one clock of the benchmark.

use std::time::Instant;

/// A moment to count from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start(Instant);

impl Start {
    #[expect(clippy::disallowed_methods, reason = "a benchmark is a driver: this is where it reads the clock")]
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    /// Seconds since.
    pub(super) fn seconds(self) -> f64 {
        Self::now().0.duration_since(self.0).as_secs_f64()
    }

    /// Microseconds since.
    pub(super) fn micros(self) -> f64 {
        self.seconds() * 1e6
    }

    /// Microseconds from an earlier moment to this one.
    pub(super) fn micros_after(self, earlier: Self) -> f64 {
        self.0.saturating_duration_since(earlier.0).as_secs_f64() * 1e6
    }
}
