//! Ending a chain, and stopping that. The relay enforces the delay in between.

use protocol::Hash;
use protocol::entry::VetoOf;

use super::Agent;
use crate::core::view::{ChangeView, ClosingView};
use crate::error::AgentError;

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

    /// Announces the end.
    pub(crate) async fn announce_end(&self) -> Result<ChangeView, AgentError> {
        self.catch_up_log().await?;
        let seq = self.append(|core| core.announce_end()).await?;
        self.change(seq).await
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
        let standing = self.standing().await?;
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
            closing.into_iter().collect()
        })
        .await
    }
}

fn nothing_stands() -> AgentError {
    AgentError::NotFound { what: "an announced end of the chain that could be stopped or carried out".to_owned() }
}
