//! Landing an own entry: kept, sent, and signed again by itself where another came first and nothing that matters changed.

use protocol::entry::Entry;
use protocol::signed::Verified;
use protocol::wire::Purpose;

use super::Agent;
use crate::core::Core;
use crate::error::AgentError;
use crate::limits;

/// What became of an own entry.
enum Fate {
    /// It is in the log.
    Landed,
    /// Another holds its place.
    Lost,
}

impl Agent {
    /// Signs an entry at the pinned head and lands it. `sign` runs again after each loss, and decides whether it may.
    pub(super) async fn append(
        &self,
        sign: impl Fn(&mut Core) -> Result<Verified<Entry>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<Verified<Entry>, AgentError> {
        let _turn = self.shared.appending.lock().await;
        self.flush_staged().await?;
        for _ in 0..limits::APPEND_TRIES {
            let sign = sign.clone();
            let entry = self.core(move |core| sign(core)).await??;
            if let Fate::Landed = self.land(&entry).await? {
                return Ok(entry);
            }
        }
        Err(AgentError::HeadKeepsMoving)
    }

    /// Sends an own entry that was kept but not acknowledged, with the same bytes.
    pub(crate) async fn flush_entry(&self) -> Result<(), AgentError> {
        let _turn = self.shared.appending.lock().await;
        self.flush_staged().await
    }

    async fn flush_staged(&self) -> Result<(), AgentError> {
        let Some(entry) = self.core(|core| core.staged()).await?? else {
            return Ok(());
        };
        match self.land(&entry).await {
            Ok(_) => Ok(()),
            // The relay's refusal is the end of this entry, and not of what comes next.
            Err(AgentError::Problem { code, .. }) => {
                tracing::warn!(code, "an entry that was signed earlier is refused by the relay");
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    async fn land(&self, entry: &Verified<Entry>) -> Result<Fate, AgentError> {
        match self.relay().append(vec![entry.bytes().to_vec()], Purpose::New).await {
            Ok(_) => {
                let bytes = protocol::cbor::Blob(entry.bytes().to_vec());
                self.core(move |core| core.take_entries(&[bytes])).await??;
                self.where_it_stands(entry, None).await
            }
            Err(AgentError::Problem { status, code, detail }) => {
                let refused = AgentError::Problem { status, code, detail };
                self.where_it_stands(entry, Some(refused)).await
            }
            Err(other) => Err(other),
        }
    }

    /// The pinned log says what became of it, not the relay's answer.
    async fn where_it_stands(&self, entry: &Verified<Entry>, refused: Option<AgentError>) -> Result<Fate, AgentError> {
        let (hash, seq) = (entry.hash(), entry.seq);
        let standing = move |core: &mut Core| (core.is_pinned(&hash), core.roster().seq() >= seq);
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
            // Nothing holds its place and the relay does not want it: it is given up, or it would block every later one.
            ((false, false), Some(refused)) => {
                self.core(move |core| core.store().unstage_entry(&hash)).await??;
                Err(refused)
            }
            ((false, false), None) => {
                Err(AgentError::Lie { what: "the relay acknowledged an entry that its log does not have".to_owned() })
            }
        }
    }
}
