//! A joiner's session: how its request stands, on every change, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::{Stage, Standing, ToDevice};
use protocol::{DeviceId, RequestId};
use tokio::time::Instant;

use super::line::{Event, Line};
use super::link::Ended;
use super::pulse::Pulse;
use crate::clock;
use crate::failure::{Failure, Refusal};
use crate::registry::News;
use crate::relay::Relay;
use crate::store::chains;

/// A connected joiner.
#[derive(Debug)]
pub(crate) struct Session {
    relay: Arc<Relay>,
    pub(super) line: Line,
    request: RequestId,
    device: DeviceId,
    told: Option<Standing>,
    until: Option<Instant>,
    pulse: Pulse,
}

impl Session {
    pub(super) fn new(relay: &Arc<Relay>, line: Line, request: RequestId, device: DeviceId) -> Self {
        Self { relay: Arc::clone(relay), line, request, device, told: None, until: None, pulse: Pulse::start() }
    }

    /// Serves the joiner until one side ends. Whatever became of the request, the socket itself stays: that it closed would say
    /// that it was denied.
    pub(super) async fn pump(&mut self) -> Result<Infallible, Ended> {
        loop {
            match self.line.wait(self.next_timer()).await? {
                Event::News(news) => {
                    if news.without(News::TIME) != News::NONE
                        || self.until.is_some_and(|until| until <= clock::instant())
                    {
                        Box::pin(self.tell()).await?;
                    }
                    if news.has(News::TIME) {
                        Box::pin(self.pulse.tick(&self.relay.config.timeouts, &mut self.line.link)).await?;
                    }
                }
                // A joiner is sent nothing that it could acknowledge.
                Event::Received(Some(_)) => return Err(Ended::Protocol),
                Event::Received(None) => self.pulse.beat(),
            }
        }
    }

    fn next_timer(&self) -> Instant {
        self.until.into_iter().fold(self.pulse.next(&self.relay.config.timeouts), Instant::min)
    }

    /// Sends the standing, if it is another than the last one.
    async fn tell(&mut self) -> Result<(), Ended> {
        let (_, standing) = match self.relay.standing(self.request, self.device).await {
            // With a reset the request is gone as well. Its joiner is told why.
            Err(Failure::Refused(Refusal::NotFound)) => {
                let chain = self.line.seat.chain();
                self.relay.store.glance(Some(chain), move |tx| chains::find(tx, &chain).map(|_| ())).await?;
                return Err(Ended::Refused);
            }
            told => told?,
        };
        let living = matches!(standing.stage, Stage::Waiting | Stage::Code);
        self.until = living.then(|| clock::instant() + Duration::from_millis(standing.remaining + 1));
        let same = |told: &Standing| *told == Standing { remaining: told.remaining, ..standing.clone() };
        if self.told.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.line.link.send(&ToDevice::Standing(standing.clone())).await?;
        self.told = Some(standing);
        Ok(())
    }
}
