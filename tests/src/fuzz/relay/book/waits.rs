//! Delays: over when they have passed by the wall clock and by the time that the relay was up, both.

use countersign_relay::clock::Moment;

/// How long the relay was up, over all its starts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uptime {
    before: u64,
    started: u64,
}

impl Uptime {
    fn at(self, now: Moment) -> u64 {
        self.before + now.steady.saturating_sub(self.started)
    }

    /// A restart takes nothing from it here, as the relay writes it down after each step.
    pub(super) fn restarts(&mut self, before: Moment, now: Moment) {
        *self = Self { before: self.at(before), started: now.steady };
    }
}

/// A delay that began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    wall: u64,
    up: u64,
    delay: u64,
}

impl Wait {
    pub(super) fn begin(seconds: u64, uptime: Uptime, now: Moment) -> Self {
        Self { wall: now.wall, up: uptime.at(now), delay: seconds * 1000 }
    }

    /// Milliseconds that are left.
    pub(super) fn left(self, uptime: Uptime, now: Moment) -> u64 {
        let by_wall = self.delay.saturating_sub(now.wall.saturating_sub(self.wall));
        let by_uptime = self.delay.saturating_sub(uptime.at(now) - self.up);
        by_wall.max(by_uptime)
    }
}
