//! Moving a chain to another relay. No signed entry names a relay, so nothing is signed and nobody joins again: the new relay is given
//! the log and the records, and only then is its address kept.

use std::sync::Arc;

use super::Agent;
use crate::core::view::MovedView;
use crate::dial::Endpoint;
use crate::error::AgentError;
use crate::exit;
use crate::relay_client::RelayClient;
use crate::store::Setting;
use crate::told::Exit;

/// A chain that was reset is not rid of whoever did that: the sync code moves along.
const AFTER_RESET: &str = "whoever had the chain reset has its sync code, and the chain still has it. Before anything else: countersign code rotate";

/// A relay that a chain is moved to.
pub(crate) struct Destination {
    /// Its address, and how it is dialled.
    pub(crate) endpoint: Endpoint,
    /// A certificate authority of its own, PEM.
    pub(crate) ca: Option<Vec<u8>>,
}

impl Agent {
    /// Moves this device to another relay, which has everything afterwards that this device has. What was interrupted goes on when it is
    /// begun again: a relay passes over what it has.
    pub(crate) async fn move_to(&self, destination: Destination) -> Result<MovedView, AgentError> {
        let from = self.relay().endpoint().origin().to_owned();
        let (old_relay, advice) = self.last_news().await?;
        // Nothing own is signed or sent on the way.
        let _appending = self.shared.appending.lock().await;
        let _writing = self.shared.writing.lock().await;
        let there = self.beside(RelayClient::new(destination.endpoint.clone()));
        there.relay().check_address().await?;
        let origin = destination.endpoint.origin().to_owned();
        match there.follow().await {
            // A branch that members signed is no less one for where it was seen: without what was seen nobody could settle it.
            Err(AgentError::Fork { seq }) => return Err(AgentError::ForkThere { seq, relay: origin }),
            followed => followed?,
        }
        // What the old relay lacked is over with the move; a sign that comes from now on is of the new one.
        let sign = self.core(|core| core.store().setting(Setting::RefillOwed)).await??;
        let records = there.refill_records().await?;
        let (kept, ca) = (origin.clone(), destination.ca);
        let (seq, head) = self
            .core(move |core| {
                core.keep_relay(&kept, ca.as_deref())?;
                sign.map_or(Ok(()), |sign| core.store().refill_done(&sign))?;
                Ok::<_, AgentError>((core.roster().seq(), core.roster().head()))
            })
            .await??;
        self.shared.relay.send_replace(Arc::new(RelayClient::new(destination.endpoint)));
        Ok(MovedView {
            from,
            relay: origin,
            old_relay,
            head: head.to_string(),
            seq,
            records_given: records.given,
            records_refused: records.refused + records.gone,
            advice: advice.map(str::to_owned),
        })
    }

    /// What the old relay still has comes along. One that is gone, or lies, is left all the same; but nobody takes a chain along of which
    /// this device is no member any more, or that has ended.
    ///
    /// Says what came of that, and what follows from it for whoever moves.
    async fn last_news(&self) -> Result<(String, Option<&'static str>), AgentError> {
        let caught_up = self.catch_up().await;
        let advice = matches!(caught_up, Err(AgentError::Reset { .. })).then_some(AFTER_RESET);
        let said = match caught_up {
            Ok(()) => "read to its end".to_owned(),
            // It may have lost this device with everything else: only the log says that a membership is over.
            Err(error) if exit::tell(&error).exit != Exit::NotAMember => error.to_string(),
            Err(error) => match self.core(|core| core.gone()).await? {
                Some(gone) => return Err(gone),
                None => error.to_string(),
            },
        };
        if self.core(|core| core.roster().is_closed()).await? {
            return Err(AgentError::Closed);
        }
        Ok((said, advice))
    }
}
