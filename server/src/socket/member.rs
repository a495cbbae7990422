//! A member's session: what it missed, then what is new, each read with its membership checked.

mod window;
mod reading;

use std::convert::Infallible;
use std::sync::Arc;

use protocol::connect::Cursor;
use protocol::wire::{Approved, Ended as RequestEnded, FromDevice, Ready, ToDevice};
use protocol::{DeviceId, Hash, RequestId};
use tokio::time::Instant;

use super::line::{Event, Line};
use super::link::Ended;
use super::pulse::Pulse;
use crate::clock;
use crate::registry::News;
use crate::relay::Relay;
use crate::store::chains;
use crate::store::feed::Feed;
use reading::{Reading, Shown};
use window::Window;

/// A connected member, and how far it was told.
#[derive(Debug)]
pub(crate) struct Session {
    relay: Arc<Relay>,
    pub(super) line: Line,
    device: DeviceId,
    /// How often a fork had been settled when it connected.
    branch: u64,
    /// Position of the last entry that it was sent, or has.
    log: u64,
    /// Number of the last record that it was sent, or has.
    record: u64,
    /// The requests that it believes open.
    shown: Vec<Shown>,
    /// Number of the last approval that it was sent.
    approval: i64,
    /// The reset that it was told of.
    reset: Option<Hash>,
    window: Window,
    pulse: Pulse,
    /// What may be new and was not read yet.
    due: News,
}

impl Session {
    pub(super) fn new(relay: &Arc<Relay>, line: Line, device: DeviceId) -> Self {
        let (relay, window, pulse) = (Arc::clone(relay), Window::new(), Pulse::start());
        Self {
            relay,
            line,
            device,
            branch: 0,
            log: 0,
            record: 0,
            shown: Vec::new(),
            approval: 0,
            reset: None,
            window,
            pulse,
            due: News::NONE,
        }
    }

    /// Says where the relay stands, and finds out where the device does.
    pub(super) async fn begin(&mut self, head: Hash, cursor: Option<Cursor>) -> Result<(), Ended> {
        let (chain, device) = (self.line.seat.chain(), self.device);
        let (found, position) = self
            .relay
            .store
            .glance(Some(chain), move |tx| {
                let (chain, roster) = chains::for_member(tx, &chain, &device)?;
                Ok((chain, roster.position(&head)))
            })
            .await?;
        // A device whose head is unknown here may be ahead of a relay that lost its tail, or on a fork. Entries pushed to it would
        // not follow its own; it fetches, decides, and heals.
        self.branch = found.branch;
        self.log = position.map_or(found.stand.seq, |position| position.seq);
        let ours =
            cursor.filter(|cursor| cursor.store == self.relay.store.identity() && cursor.number <= found.records);
        self.record = ours.map_or(0, |cursor| cursor.number);
        let ready = Ready { head: found.stand.head, seq: found.stand.seq, knows_your_head: position.is_some() };
        self.line.link.send(&ToDevice::Ready(ready)).await
    }

    /// Serves the member until one side ends. What is done seldom is boxed: an idle session holds its position, and nothing of
    /// the work.
    pub(super) async fn pump(&mut self) -> Result<Infallible, Ended> {
        self.due = self.line.first_news().await?.without(News::TIME);
        loop {
            while self.has_work() {
                Box::pin(self.tell()).await?;
            }
            match self.line.wait(self.next_timer()).await? {
                Event::News(news) => {
                    self.due = self.due.and(news.without(News::TIME));
                    if news.has(News::TIME) {
                        Box::pin(self.tick()).await?;
                    }
                }
                Event::Received(received) => self.take(received)?,
            }
        }
    }

    /// Whether something is due that may be sent now: entries and records wait for acknowledgements, requests never.
    fn has_work(&self) -> bool {
        self.due.has(News::REQUESTS) || (self.due != News::NONE && self.window.has_room())
    }

    fn next_timer(&self) -> Instant {
        let expiry = self.shown.iter().map(|shown| shown.until);
        let timeouts = &self.relay.config.timeouts;
        let deadline = self.window.deadline(timeouts.idle);
        expiry.chain(deadline).fold(self.pulse.next(timeouts), Instant::min)
    }

    async fn tick(&mut self) -> Result<(), Ended> {
        let (now, timeouts) = (clock::instant(), &self.relay.config.timeouts);
        if self.window.deadline(timeouts.idle).is_some_and(|deadline| deadline <= now) {
            return Err(Ended::TooSlow);
        }
        if self.shown.iter().any(|shown| shown.until <= now) {
            self.due = self.due.and(News::REQUESTS);
        }
        self.pulse.tick(timeouts, &mut self.line.link).await
    }

    fn take(&mut self, received: Option<Vec<u8>>) -> Result<(), Ended> {
        self.pulse.beat();
        let Some(bytes) = received else { return Ok(()) };
        let FromDevice::Ack(_) = FromDevice::from_bytes(&bytes).map_err(|_| Ended::Protocol)?;
        self.window.acknowledge()
    }

    /// Reads one step of what is due, in one snapshot, and sends it.
    async fn tell(&mut self) -> Result<(), Ended> {
        let reading = Reading::of(self.due, self.window.room(), (self.log, self.record), &self.shown, self.approval);
        let (chain, device, now) = (self.line.seat.chain(), self.device, self.relay.now());
        if let Some(after) = reading.records_alone() {
            let feed = self.relay.store.feed(chain, device, after).await?;
            return self.tell_records(feed).await;
        }
        let read = self.relay.store.glance(Some(chain), move |tx| reading.read(tx, &chain, &device, now)).await?;
        if read.branch != self.branch {
            return Err(Ended::Settled);
        }
        if let Some(page) = read.entries {
            self.log += page.entries.len() as u64;
            // An empty page ends it too: a store that lost entries must not keep this thread busy.
            if self.log >= page.seq || page.entries.is_empty() {
                self.due = self.due.without(News::LOG);
            }
            if !page.entries.is_empty() {
                self.window.sent();
                self.line.link.send(&ToDevice::Entries(page)).await?;
            }
        }
        if let Some(open) = read.requests {
            self.due = self.due.without(News::REQUESTS);
            self.tell_requests(open, read.ended).await?;
            for kept in read.approvals {
                self.approval = kept.number;
                self.line.link.send(&ToDevice::Approved(Approved { approval: kept.form })).await?;
            }
        }
        if let Some((hash, standing)) = read.reset.filter(|(hash, _)| self.reset != Some(*hash)) {
            self.reset = Some(hash);
            self.line.link.send(&ToDevice::Reset(standing)).await?;
        }
        match read.records {
            Some(feed) => self.tell_records(feed).await,
            None => Ok(()),
        }
    }

    async fn tell_records(&mut self, feed: Feed) -> Result<(), Ended> {
        self.record = feed.number;
        if self.record >= feed.last || feed.message.is_none() {
            self.due = self.due.without(News::RECORDS);
        }
        let Some(message) = feed.message else { return Ok(()) };
        self.window.sent();
        self.line.link.send_bytes(&message).await
    }

    /// Sends the requests that are new or changed, and the end of those that are gone.
    async fn tell_requests(
        &mut self,
        open: Vec<crate::store::requests::Open>,
        ended: Vec<RequestEnded>,
    ) -> Result<(), Ended> {
        for ended in ended {
            self.forget(&ended.request);
            self.line.link.send(&ToDevice::Ended(ended)).await?;
        }
        for open in open {
            let shown = Shown::new(&open);
            match self.shown.iter_mut().find(|known| known.id == shown.id) {
                Some(known) if known.looks_like(&shown) => continue,
                Some(known) => *known = shown,
                None => self.shown.push(shown),
            }
            self.line.link.send(&ToDevice::Requested(open.request)).await?;
        }
        Ok(())
    }

    fn forget(&mut self, request: &RequestId) {
        self.shown.retain(|shown| shown.id != *request);
    }
}
