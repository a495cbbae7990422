//! Ending a chain, and stopping that. The relay enforces the delay in between.

use protocol::Hash;
use protocol::approval::Subject;
use protocol::entry::VetoOf;
use tokio::time::timeout;

use super::Agent;
use super::Link;
use crate::core::Core;
use crate::core::view::{ChangeView, ClosingView, OutcomeView};
use crate::error::{AgentError, Missing};
use crate::relay_client::Identity;
use crate::{clock, limits};

/// What stands and can be stopped.
struct Standing {
    of: VetoOf,
    hash: Hash,
}

impl Agent {
    /// The announced end that stands, by the relay's log where it is reached.
    pub(crate) async fn closing(&self) -> Result<Option<ClosingView>, AgentError> {
        self.catch_up_log().await?;
        if self.core(|core| core.roster().is_closed()).await? {
            return Err(AgentError::Closed);
        }
        self.core(|core| core.closing()).await
    }

    /// Announces the end, or proposes to where the policy asks for several approvers.
    pub(crate) async fn announce_end(&self) -> Result<OutcomeView, AgentError> {
        self.catch_up_log().await?;
        let carried = self.carry_out(Subject::Closing, Core::announce_end).await?;
        self.outcome(carried).await
    }

    /// Carries an announced end out. What the relay still has is fetched first: it keeps nothing afterwards.
    pub(crate) async fn end(&self, closing: String) -> Result<ChangeView, AgentError> {
        self.catch_up().await?;
        let closing = closing.parse::<Hash>().map_err(|_| nothing_stands())?;
        let seq = self.append(move |core| core.end(closing)).await?;
        self.change(seq).await
    }

    /// Stops what stands and a prefix names, or the only thing that stands.
    pub(crate) async fn veto(&self, prefix: Option<String>) -> Result<ChangeView, AgentError> {
        self.catch_up_log().await?;
        if self.core(|core| core.roster().is_closed()).await? {
            return Err(AgentError::Closed);
        }
        let wanted = prefix.unwrap_or_default().trim().to_ascii_lowercase();
        let standing = match self.standing().await? {
            none if none.is_empty() && self.link() != Link::Connected => {
                self.look_for_reset().await?;
                self.standing().await?
            }
            some => some,
        };
        let named: Vec<&Standing> =
            standing.iter().filter(|standing| standing.hash.to_string().starts_with(&wanted)).collect();
        let (of, hash) = match named.as_slice() {
            [one] => (one.of, one.hash),
            [] => return Err(nothing_stands()),
            _ => return Err(AgentError::AmbiguousDevice { name: crate::text::quote(&wanted) }),
        };
        self.append(move |core| core.veto(of, hash)).await?;
        let seq = self.core(move |core| core.vetoed(of, &hash)).await?;
        self.change(seq.ok_or_else(nothing_stands)?).await
    }

    async fn standing(&self) -> Result<Vec<Standing>, AgentError> {
        self.core(|core| {
            let closing = core.roster().closing().map(|closing| Standing { of: VetoOf::Closing, hash: closing.hash });
            let reset = core.reset_hash()?.map(|hash| Standing { of: VetoOf::Reset, hash });
            Ok(closing.into_iter().chain(reset).collect())
        })
        .await?
    }

    /// Asks whether a reset stands. It is no entry, and no read tells of it: only a session does, as it begins. So this begins one, where
    /// no daemon keeps any, and ends it.
    pub(crate) async fn look_for_reset(&self) -> Result<(), AgentError> {
        let (keys, chain, head, _) = self.place().await?;
        let cursor = self.core(|core| core.cursor()).await??;
        let asking = async {
            let mut socket = self.relay().socket(&keys, Identity::Member { chain, head, cursor }).await?;
            let told = socket.reset_told().await;
            socket.close().await;
            told
        };
        let told = timeout(limits::RESET_LOOK, asking).await;
        let told = told.map_err(|_| self.relay().endpoint().unreachable("it did not say whether a reset stands"))??;
        self.core(move |core| {
            core.begin_connection()?;
            told.map_or(Ok(()), |standing| core.take_reset(standing))
        })
        .await?
    }

    /// Warns the person of a command of a reset that stands, and asks the relay for one now and then. Whatever comes of it, the command has
    /// done what it does.
    pub(crate) async fn heed_reset(&self) {
        if let Err(error) = self.try_to_heed_reset().await {
            tracing::info!("whether a reset stands is not known: {error}");
        }
    }

    async fn try_to_heed_reset(&self) -> Result<(), AgentError> {
        // A command that reached no relay is not held up by another try.
        if self.link() != Link::NoSession || self.relay().own_address().is_none() {
            return Ok(());
        }
        let over = self.core(|core| core.gone().is_some() || core.roster().is_closed()).await?;
        if !over && self.core(|core| core.should_look_for_reset()).await?? {
            self.core(|core| core.note_look_for_reset()).await??;
            self.look_for_reset().await?;
        }
        if let Some(reset) = self.core(|core| core.reset()).await?? {
            tracing::warn!(
                "RESET: somebody with the sync code wants the relay to delete this chain, on {}; countersign chain veto stops it",
                clock::show(reset.due_at)
            );
        }
        Ok(())
    }
}

fn nothing_stands() -> AgentError {
    AgentError::NotFound { of: Missing::Other, what: "an announced end or reset of the chain".to_owned() }
}
