//! Writing and reading records through the relay.

use protocol::record::Record;
use protocol::signed::Verified;

use super::Agent;
use crate::core::view::ItemView;
use crate::core::{Draft, conflict};
use crate::error::{AgentError, Missing};
use crate::limits;
use crate::store::DraftState;

impl Agent {
    /// Writes one record; when this returns, the relay has it durably. What failed is not queued, unless the relay may have it.
    pub(crate) async fn write(&self, draft: Draft) -> Result<(), AgentError> {
        self.catch_up().await?;
        let _turn = self.shared.writing.lock().await;
        let number = self.core(move |core| core.queue_for_now(&draft)).await??;
        self.send_now(number).await
    }

    /// Sends a write that somebody waits for, and forgets it if it failed. The caller has the turn of writing.
    pub(super) async fn send_now(&self, number: u64) -> Result<(), AgentError> {
        // Whatever was written before comes first: this one continues its line.
        let sent = self.send_until(Some(number)).await;
        let state = self.core(move |core| core.draft_state(number)).await??;
        let failed = match (sent, state) {
            (_, None) => return Ok(()),
            // It is repeated with the same bytes until the relay says what became of it.
            (Err(error), Some(DraftState::Staged(_))) => {
                self.shared.outbox.notify_one();
                return Err(error);
            }
            (Err(error), Some(_)) => error,
            (Ok(()), Some(_)) => conflict(),
        };
        self.core(move |core| core.forget_draft(number)).await??;
        Err(failed)
    }

    /// Reads the content of current versions that came without: another device may have given it to the relay since, and nothing in
    /// the feed tells of that.
    pub(super) async fn complete_items(&self) -> Result<(), AgentError> {
        let missed = self.core(|core| core.missed()).await??;
        for record in missed.into_iter().take(limits::CONTENT_READS) {
            let (keys, chain, _, _) = self.place().await?;
            let row = match self.relay().current(&keys, chain, &record).await {
                Ok(row) => row,
                Err(AgentError::Problem { status: 404, .. }) => continue,
                Err(other) => return Err(other),
            };
            // A later version comes by the feed, in its order.
            let same = Verified::<Record>::from_bytes(&row.sealed.record).is_ok_and(|it| it.hash() == record.hash());
            if same {
                self.core(move |core| core.take_record(&row.sealed)).await??;
            }
        }
        Ok(())
    }

    /// The current content of an item.
    pub(crate) async fn item(&self, collection: String, id: String) -> Result<ItemView, AgentError> {
        let found = self.core(move |core| core.item(&collection, &id)).await??;
        found.ok_or_else(|| AgentError::NotFound { of: Missing::Record, what: "this record".to_owned() })
    }
}
