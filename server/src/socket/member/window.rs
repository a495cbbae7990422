//! How many messages of entries and records may be on their way without an acknowledgement.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::socket::link::Ended;

/// Data messages on their way. Four keep a link busy; more would only fill the buffers of a device that cannot keep up.
const UNACKNOWLEDGED_MAX: u8 = 4;

#[derive(Debug)]
pub(super) struct Window {
    unacknowledged: u8,
    /// When the oldest of them must have been acknowledged.
    since: Instant,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { unacknowledged: 0, since: clock::instant() }
    }

    /// Messages that may be sent now.
    pub(super) fn room(&self) -> u8 {
        UNACKNOWLEDGED_MAX - self.unacknowledged
    }

    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    pub(super) fn sent(&mut self) {
        if self.unacknowledged == 0 {
            self.since = clock::instant();
        }
        self.unacknowledged += 1;
    }

    /// Takes one acknowledgement. One for nothing is what no device sends.
    pub(super) fn acknowledge(&mut self) -> Result<(), Ended> {
        self.unacknowledged = self.unacknowledged.checked_sub(1).ok_or(Ended::Protocol)?;
        self.since = clock::instant();
        Ok(())
    }

    /// When the device is given up, if it owes an acknowledgement.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        (self.unacknowledged > 0).then(|| self.since + patience)
    }
}
