//! A session's timers: when to ping, when to give up.

use tokio::time::Instant;

use super::link::{Ended, Link};
use crate::clock;
use crate::config::Timeouts;

/// The timers of one session, all counted from what happened on the socket.
#[derive(Debug)]
pub(super) struct Pulse {
    waiting: Waiting,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    ToPing,
    ForPong,
}

impl Pulse {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self { waiting: Waiting::ToPing, since: clock::instant() }
    }

    /// The device gave a sign of life.
    pub(super) fn beat(&mut self) {
        *self = Self::start();
    }

    /// When something is due.
    pub(super) fn next(&self, timeouts: &Timeouts) -> Instant {
        self.since
            + match self.waiting {
                Waiting::ToPing => timeouts.ping,
                Waiting::ForPong => timeouts.idle,
            }
    }

    /// Does what is due: pings a silent device, gives up one that did not answer.
    pub(super) async fn tick(&mut self, timeouts: &Timeouts, link: &mut Link) -> Result<(), Ended> {
        let now = clock::instant();
        if now < self.next(timeouts) {
            return Ok(());
        }
        match self.waiting {
            Waiting::ForPong => Err(Ended::TooSlow),
            Waiting::ToPing => {
                *self = Self { waiting: Waiting::ForPong, since: now };
                link.ping().await
            }
        }
    }
}
