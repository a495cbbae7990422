//! The one place that reads the clock. Everything else is handed a [`Moment`], once per event.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A point in time, by two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, unix milliseconds: what is shown, and what signed reads are compared with.
    pub wall: u64,
    /// Milliseconds that only ever grow at the rate of the monotonic clock, begun at the wall clock of the process's start:
    /// what lifetimes are counted on. Setting the wall clock forward or back while the relay runs ends or revives no request.
    pub steady: u64,
}

/// The relay's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun_wall: u64,
    begun: Instant,
}

impl Clock {
    /// Starts the steady count at the wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the driver that reads the clock")]
    pub fn start() -> Self {
        Self { begun_wall: wall(), begun: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment { wall: wall(), steady: self.begun_wall.saturating_add(millis(self.begun.elapsed())) }
    }
}

/// The instant from which a time-out is counted.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this module is the driver that reads the clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// A duration in whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this module is the driver that reads the clock")]
fn wall() -> u64 {
    // A clock before 1970 counts as 1970: signed reads then fail with `clock`, which says what to repair.
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}
