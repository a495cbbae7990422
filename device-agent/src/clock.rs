//! The only reader of the clocks. Wall time is for what people and other devices see; durations are counted on monotonic time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock, unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this module is the one reader of the clock")]
pub(crate) fn now() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = turmoil::since_epoch() {
        return u64::try_from(simulated.as_millis()).unwrap_or(u64::MAX);
    }
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this module is the one reader of the clock")]
pub(crate) fn instant() -> Instant {
    #[cfg(feature = "simulation")]
    if turmoil::in_simulation() {
        return tokio::time::Instant::now().into_std();
    }
    Instant::now()
}

/// The age of something that may have begun before this process: what the wall clock said at the start, then monotonic time only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    before: u64,
    since: Instant,
}

impl Age {
    /// The age of what began at a wall time.
    pub(crate) fn since(began: u64) -> Self {
        Self { before: now().saturating_sub(began), since: instant() }
    }

    /// Milliseconds by now.
    pub(crate) fn millis(&self) -> u64 {
        let counted = instant().saturating_duration_since(self.since).as_millis();
        self.before.saturating_add(u64::try_from(counted).unwrap_or(u64::MAX))
    }
}

/// A time as people read it, in UTC.
pub(crate) fn show(at: u64) -> String {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_else(|_| "a time that does not exist".to_owned())
}

/// A span as people read it: the two largest units.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
