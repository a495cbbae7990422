//! Landing own entries: kept, sent, and signed again by themselves where others came first and nothing that matters changed. Several
//! that belong together are one batch: the relay takes all of them or none.

use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::signed::Verified;
use protocol::wire::Purpose;

use super::Agent;
use crate::core::Core;
use crate::error::AgentError;
use crate::limits;

/// What became of own entries.
enum Fate {
    /// They are in the log.
    Landed,
    /// Another holds their place.
    Lost,
}

impl Agent {
    /// Signs entries at the pinned head and lands them; the position of the last. `sign` runs again after each loss, and decides whether
    /// it may.
    pub(super) async fn append(
        &self,
        sign: impl Fn(&mut Core) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<u64, AgentError> {
        let _turn = self.shared.appending.lock().await;
        self.flush_staged().await?;
        for _ in 0..limits::APPEND_TRIES {
            let sign = sign.clone();
            let entries = self.core(move |core| sign(core)).await??;
            // Nothing to sign any more: somebody else has done it.
            let Some(last) = entries.last() else {
                return self.core(|core| core.roster().seq()).await;
            };
            if let Fate::Landed = self.land(&entries).await? {
                return Ok(last.seq);
            }
        }
        Err(AgentError::HeadKeepsMoving)
    }

    /// Sends own entries that were kept but not acknowledged, with the same bytes.
    pub(crate) async fn flush_entry(&self) -> Result<(), AgentError> {
        let _turn = self.shared.appending.lock().await;
        self.flush_staged().await
    }

    async fn flush_staged(&self) -> Result<(), AgentError> {
        let entries = self.core(|core| core.staged()).await??;
        if entries.is_empty() {
            return Ok(());
        }
        match self.land(&entries).await {
            Ok(_) => Ok(()),
            // The relay's refusal is the end of these entries, and not of what comes next.
            Err(AgentError::Problem { code, .. }) => {
                tracing::warn!("a change that was made earlier is refused by the relay ({code}): it is given up");
                Ok(())
            }
            Err(AgentError::ClosingTooEarly { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// A device that left is shut out before it has heard that its entry was stored: the same bytes get the same answer.
    pub(super) async fn repeat_staged(&self) -> Result<(), AgentError> {
        let entries = self.core(|core| core.staged()).await??;
        let bytes = |entries: &[Verified<Entry>]| entries.iter().map(|entry| entry.bytes().to_vec()).collect();
        if !entries.is_empty() && self.relay().append(bytes(&entries), Purpose::New).await.is_ok() {
            self.take_own(&entries).await?;
        }
        Ok(())
    }

    async fn land(&self, entries: &[Verified<Entry>]) -> Result<Fate, AgentError> {
        let bytes = entries.iter().map(|entry| entry.bytes().to_vec()).collect();
        match self.relay().append(bytes, Purpose::New).await {
            Ok(_) => {
                self.take_own(entries).await?;
                self.where_they_stand(entries, None).await
            }
            Err(refused @ (AgentError::Problem { .. } | AgentError::ClosingTooEarly { .. })) => {
                self.where_they_stand(entries, Some(refused)).await
            }
            Err(other) => Err(other),
        }
    }

    async fn take_own(&self, entries: &[Verified<Entry>]) -> Result<(), AgentError> {
        let bytes: Vec<Blob> = entries.iter().map(|entry| Blob(entry.bytes().to_vec())).collect();
        self.core(move |core| core.take_entries(&bytes)).await?.map(|_| ())
    }

    /// The pinned log says what became of them, not the relay's answer.
    async fn where_they_stand(
        &self,
        entries: &[Verified<Entry>],
        refused: Option<AgentError>,
    ) -> Result<Fate, AgentError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(Fate::Landed);
        };
        let (first, last, seq) = (first.hash(), last.hash(), first.seq);
        let standing = move |core: &mut Core| (core.is_pinned(&last), core.roster().seq() >= seq);
        if let (true, _) = self.core(standing).await? {
            return Ok(Fate::Landed);
        }
        self.catch_up_log().await?;
        match (self.core(standing).await?, refused) {
            ((true, _), _) => Ok(Fate::Landed),
            ((false, true), _) => Ok(Fate::Lost),
            ((false, false), Some(AgentError::Problem { status: 500.., code, detail })) => {
                Err(AgentError::Problem { status: 503, code, detail })
            }
            // Nothing holds their place and the relay does not want them: they are given up, or they would block every later one.
            ((false, false), Some(refused)) => {
                self.core(move |core| core.store().unstage_entries(&first)).await??;
                Err(refused)
            }
            ((false, false), None) => {
                Err(AgentError::Lie { what: "the relay acknowledged an entry that its log does not have".to_owned() })
            }
        }
    }
}
