//! Ending a chain, and stopping that. The relay enforces the delay in between.

use protocol::Hash;
use protocol::approval::Subject;
use protocol::entry::VetoOf;
use tokio::sync::broadcast::error::RecvError;

use super::Agent;
use super::Link;
use crate::core::Core;
use crate::core::view::{ChangeView, ClosingView, Event, OutcomeView};
use crate::error::{AgentError, Missing};
use crate::limits;

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
                self.wait_for_reset().await;
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

    /// A reset is no entry: the relay tells of it at each connect, so a session that just began may still hear of one.
    async fn wait_for_reset(&self) {
        let mut events = self.listen();
        let heard = async {
            loop {
                match events.recv().await {
                    Ok(Event::Reset { .. }) | Err(RecvError::Closed) => return,
                    _ => {}
                }
            }
        };
        let _ = tokio::time::timeout(limits::RESET_LOOK, heard).await;
    }
}

fn nothing_stands() -> AgentError {
    AgentError::NotFound { of: Missing::Other, what: "an announced end or reset of the chain".to_owned() }
}
