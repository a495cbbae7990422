//! A joiner's session: how its request stands, on every change, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::{Stage, Standing, ToDevice};
use protocol::{DeviceId, RequestId};
use tokio::time::{Instant, sleep_until};

use super::link::{Ended, Link};
use super::pulse::Pulse;
use crate::clock;
use crate::registry::Seat;
use crate::relay::Relay;

/// A connected joiner.
#[derive(Debug)]
pub(super) struct Session<'a> {
    relay: &'a Arc<Relay>,
    request: RequestId,
    device: DeviceId,
    told: Option<Standing>,
    until: Option<Instant>,
    pulse: Pulse,
}

impl<'a> Session<'a> {
    pub(super) fn new(relay: &'a Arc<Relay>, request: RequestId, device: DeviceId) -> Self {
        Self { relay, request, device, told: None, until: None, pulse: Pulse::start(&relay.config.timeouts) }
    }

    /// Serves the joiner until one side ends. Whatever became of the request, the socket itself stays: that it closed would say
    /// that it was denied.
    pub(super) async fn serve(&mut self, link: &mut Link, seat: &Seat) -> Ended {
        match self.pump(link, seat).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn pump(&mut self, link: &mut Link, seat: &Seat) -> Result<Infallible, Ended> {
        loop {
            tokio::select! {
                () = self.relay.draining.cancelled() => return Err(Ended::Draining),
                _ = seat.news() => Box::pin(self.tell(link)).await?,
                received = link.receive() => match received? {
                    // A joiner is sent nothing that it could acknowledge.
                    Some(_) => return Err(Ended::Protocol),
                    None => self.pulse.beat(),
                },
                () = sleep_until(self.next_timer()) => {
                    if self.until.is_some_and(|until| until <= clock::instant()) {
                        Box::pin(self.tell(link)).await?;
                    }
                    Box::pin(self.pulse.tick(link)).await?;
                }
            }
        }
    }

    fn next_timer(&self) -> Instant {
        self.until.into_iter().chain([self.pulse.next()]).min().unwrap_or_else(|| self.pulse.next())
    }

    /// Sends the standing, if it is another than the last one.
    async fn tell(&mut self, link: &mut Link) -> Result<(), Ended> {
        let (_, standing) = self.relay.standing(self.request, self.device).await?;
        let living = matches!(standing.stage, Stage::Waiting | Stage::Code);
        self.until = living.then(|| clock::instant() + Duration::from_millis(standing.remaining + 1));
        let same = |told: &Standing| *told == Standing { remaining: told.remaining, ..standing.clone() };
        if self.told.as_ref().is_some_and(same) {
            return Ok(());
        }
        link.send(&ToDevice::Standing(standing.clone())).await?;
        self.told = Some(standing);
        Ok(())
    }
}
