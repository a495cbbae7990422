//! The one place that reads the clock. Everything else is handed a [`Moment`], once per event.

use std::sync::{Arc, Mutex, PoisonError};
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
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's.
    Running {
        /// The wall clock when the relay started.
        begun_wall: u64,
        /// The monotonic clock then.
        begun: Instant,
    },
    /// One that somebody else sets: a fuzzer decides what time it is. Timers of sockets run by the machine's all the same.
    Set(Arc<Mutex<Moment>>),
}

impl Clock {
    /// Starts the steady count at the wall clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the driver that reads the clock")]
    pub fn start() -> Self {
        Self::Running { begun_wall: wall(), begun: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self {
            Self::Running { begun_wall, begun } => {
                Moment { wall: wall(), steady: begun_wall.saturating_add(millis(begun.elapsed())) }
            }
            Self::Set(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        }
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
    #[cfg(feature = "simulation")]
    if let Some(simulated) = turmoil::since_epoch() {
        return millis(simulated);
    }
    // A clock before 1970 counts as 1970: signed reads then fail with `clock`, which says what to repair.
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}
