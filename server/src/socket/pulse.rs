//! A session's timers: when to ping, when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::link::{Ended, Link};
use crate::clock;
use crate::config::Timeouts;

/// The timers of one session, all counted from what happened on the socket.
#[derive(Debug)]
pub(super) struct Pulse {
    ping: Duration,
    idle: Duration,
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
    pub(super) fn start(timeouts: &Timeouts) -> Self {
        Self { ping: timeouts.ping, idle: timeouts.idle, waiting: Waiting::ToPing, since: clock::instant() }
    }

    /// The device gave a sign of life.
    pub(super) fn beat(&mut self) {
        self.waiting = Waiting::ToPing;
        self.since = clock::instant();
    }

    /// When something is due.
    pub(super) fn next(&self) -> Instant {
        self.since
            + match self.waiting {
                Waiting::ToPing => self.ping,
                Waiting::ForPong => self.idle,
            }
    }

    /// Does what is due: pings a silent device, gives up one that did not answer.
    pub(super) async fn tick(&mut self, link: &mut Link) -> Result<(), Ended> {
        let now = clock::instant();
        if now < self.next() {
            return Ok(());
        }
        match self.waiting {
            Waiting::ForPong => Err(Ended::TooSlow),
            Waiting::ToPing => {
                (self.waiting, self.since) = (Waiting::ForPong, now);
                link.ping().await
            }
        }
    }
}
