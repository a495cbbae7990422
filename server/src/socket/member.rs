//! A member's session: what it missed, then what is new, each read with its membership checked.

mod window;
mod reading;

use std::sync::Arc;

use axum::body::Bytes;
use protocol::connect::Cursor;
use protocol::wire::{Ended as RequestEnded, FromDevice, Ready, ToDevice};
use protocol::{ChainId, DeviceId, Hash, RequestId};
use tokio::time::{Instant, sleep_until};

use super::link::{Ended, Link};
use super::pulse::Pulse;
use crate::clock;
use crate::registry::{News, Seat};
use crate::relay::Relay;
use crate::store::chains;
use reading::{Reading, Shown};
use window::Window;

/// A connected member, and how far it was told.
#[derive(Debug)]
pub(super) struct Session<'a> {
    relay: &'a Arc<Relay>,
    chain: ChainId,
    device: DeviceId,
    /// Position of the last entry that it was sent, or has.
    log: u64,
    /// Number of the last record that it was sent, or has.
    record: u64,
    /// The requests that it believes open.
    shown: Vec<Shown>,
    window: Window,
    pulse: Pulse,
    /// What may be new and was not read yet.
    due: News,
}

impl<'a> Session<'a> {
    pub(super) fn new(relay: &'a Arc<Relay>, chain: ChainId, device: DeviceId) -> Self {
        let timeouts = &relay.config.timeouts;
        let (window, pulse) = (Window::new(timeouts.idle), Pulse::start(timeouts));
        Self { relay, chain, device, log: 0, record: 0, shown: Vec::new(), window, pulse, due: News::NONE }
    }

    /// Serves the member until one side ends.
    pub(super) async fn serve(&mut self, link: &mut Link, seat: &Seat, head: Hash, cursor: Option<Cursor>) -> Ended {
        match Box::pin(self.begin(link, head, cursor)).await {
            Ok(()) => match self.pump(link, seat).await {
                Ok(never) => match never {},
                Err(ended) => ended,
            },
            Err(ended) => ended,
        }
    }

    /// Says where the relay stands, and finds out where the device does.
    async fn begin(&mut self, link: &mut Link, head: Hash, cursor: Option<Cursor>) -> Result<(), Ended> {
        let (chain, device) = (self.chain, self.device);
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
        self.log = position.map_or(found.stand.seq, |position| position.seq);
        let ours =
            cursor.filter(|cursor| cursor.store == self.relay.store.identity() && cursor.number <= found.records);
        self.record = ours.map_or(0, |cursor| cursor.number);
        let ready = Ready { head: found.stand.head, seq: found.stand.seq, knows_your_head: position.is_some() };
        link.send(&ToDevice::Ready(ready)).await
    }

    /// What is done seldom is boxed: an idle session then holds its timers, its position, and nothing of the work.
    async fn pump(&mut self, link: &mut Link, seat: &Seat) -> Result<std::convert::Infallible, Ended> {
        loop {
            while self.has_work() {
                Box::pin(self.tell(link)).await?;
            }
            tokio::select! {
                () = self.relay.draining.cancelled() => return Err(Ended::Draining),
                news = seat.news() => self.due = self.due.and(news),
                received = link.receive() => self.take(received?)?,
                () = sleep_until(self.next_timer()) => Box::pin(self.tick(link)).await?,
            }
        }
    }

    /// Whether something is due that may be sent now: entries and records wait for acknowledgements, requests never.
    fn has_work(&self) -> bool {
        self.due.has(News::REQUESTS) || (self.due != News::NONE && self.window.has_room())
    }

    fn next_timer(&self) -> Instant {
        let expiry = self.shown.iter().map(|shown| shown.until);
        let timers = [Some(self.pulse.next()), self.window.deadline()].into_iter().flatten();
        timers.chain(expiry).min().unwrap_or_else(|| self.pulse.next())
    }

    async fn tick(&mut self, link: &mut Link) -> Result<(), Ended> {
        let now = clock::instant();
        if self.window.deadline().is_some_and(|deadline| deadline <= now) {
            return Err(Ended::TooSlow);
        }
        if self.shown.iter().any(|shown| shown.until <= now) {
            self.due = self.due.and(News::REQUESTS);
        }
        self.pulse.tick(link).await
    }

    fn take(&mut self, received: Option<Bytes>) -> Result<(), Ended> {
        self.pulse.beat();
        let Some(bytes) = received else { return Ok(()) };
        let FromDevice::Ack(_) = FromDevice::from_bytes(&bytes).map_err(|_| Ended::Protocol)?;
        self.window.acknowledge()
    }

    /// Reads one step of what is due, in one snapshot, and sends it.
    async fn tell(&mut self, link: &mut Link) -> Result<(), Ended> {
        let reading = Reading::of(self.due, self.window.room(), (self.log, self.record), &self.shown);
        let (chain, device, now) = (self.chain, self.device, self.relay.now());
        let read = self.relay.store.glance(Some(chain), move |tx| reading.read(tx, &chain, &device, now)).await?;
        if let Some(page) = read.entries {
            self.log += page.entries.len() as u64;
            if self.log >= page.seq {
                self.due = self.due.without(News::LOG);
            }
            if !page.entries.is_empty() {
                self.window.sent();
                link.send(&ToDevice::Entries(page)).await?;
            }
        }
        if let Some(open) = read.requests {
            self.due = self.due.without(News::REQUESTS);
            self.tell_requests(link, open, read.ended).await?;
        }
        if let Some(page) = read.records {
            self.record = page.cursor.number;
            if self.record >= page.last {
                self.due = self.due.without(News::RECORDS);
            }
            if !page.rows.is_empty() {
                self.window.sent();
                link.send(&ToDevice::Records(page)).await?;
            }
        }
        Ok(())
    }

    /// Sends the requests that are new or changed, and the end of those that are gone.
    async fn tell_requests(
        &mut self,
        link: &mut Link,
        open: Vec<crate::store::requests::Open>,
        ended: Vec<RequestEnded>,
    ) -> Result<(), Ended> {
        for ended in ended {
            self.forget(&ended.request);
            link.send(&ToDevice::Ended(ended)).await?;
        }
        for open in open {
            let shown = Shown::new(&open);
            match self.shown.iter_mut().find(|known| known.id == shown.id) {
                Some(known) if known.looks_like(&shown) => continue,
                Some(known) => *known = shown,
                None => self.shown.push(shown),
            }
            link.send(&ToDevice::Requested(open.request)).await?;
        }
        Ok(())
    }

    fn forget(&mut self, request: &RequestId) {
        self.shown.retain(|shown| shown.id != *request);
    }
}
