//! Following the relay's log and feed, healing a relay that lost its tail, raising the alarm at a fork.

use protocol::cbor::Blob;
use protocol::connect::Cursor;
use protocol::limits as bounds;
use protocol::wire::{LogPage, Purpose, RecordPage};

use super::Agent;
use crate::core::{Divergence, Judged, does_not_fit};
use crate::error::AgentError;

/// The problem with which a relay shuts a device out of a chain.
const SHUT_OUT: &str = "not-a-member";

/// How a relay's feed goes on from where this device stands.
enum Feed {
    /// With what follows; that was taken.
    GoesOn,
    /// It is another one, or does not fit.
    IsAnother,
}

impl Agent {
    /// Brings the pinned log up to the relay's, or the relay's up to ours.
    pub(crate) async fn catch_up_log(&self) -> Result<(), AgentError> {
        if self.core(|core| core.fork().is_some()).await? && !self.follow_settled().await? {
            return Err(AgentError::Forked);
        }
        self.follow().await
    }

    /// The same on a forked log too: what is pinned goes on where the relay has it.
    pub(super) async fn follow(&self) -> Result<(), AgentError> {
        let _turn = self.shared.following.lock().await;
        self.must_be_member().await?;
        loop {
            let (keys, chain, head, seq) = self.place().await?;
            let page = match self.relay().log(&keys, chain, Some(seq)).await {
                Ok(page) => page,
                Err(AgentError::Problem { code, .. }) if code == SHUT_OUT => return self.refill().await,
                Err(AgentError::WasReset { form }) => {
                    return Err(self.core(move |core| core.take_end_by_reset(&form)).await?);
                }
                Err(other) => return Err(other),
            };
            if page.head == head {
                return self.must_be_member().await;
            }
            let entries = page.entries.clone();
            let (divergence, now) =
                self.core(move |core| core.take_entries(&entries).map(|took| (took, core.roster().seq()))).await??;
            // A page that brings nothing new is no step towards the relay's head, however often it is repeated.
            if divergence == Divergence::NotNext || now == seq {
                return self.reconcile(&page).await;
            }
        }
    }

    /// Takes pushed entries; compares the logs where they do not fit.
    pub(crate) async fn take_pushed(&self, page: LogPage) -> Result<(), AgentError> {
        let entries = page.entries.clone();
        match self.core(move |core| core.take_entries(&entries)).await?? {
            Divergence::None => self.must_be_member().await,
            Divergence::NotNext => self.catch_up_log().await,
        }
    }

    /// Ends where the pinned log says that this device is a member no more: it reads nothing, and tells no relay anything.
    pub(super) async fn must_be_member(&self) -> Result<(), AgentError> {
        match self.core(|core| core.gone()).await? {
            Some(gone) => Err(gone),
            None => Ok(()),
        }
    }

    /// The relay's head is not ours and does not follow from it: it lost its tail, or the logs differ.
    async fn reconcile(&self, page: &LogPage) -> Result<(), AgentError> {
        let relay_seq = page.seq;
        let (pinned, own_seq) =
            self.core(move |core| core.pinned(relay_seq).map(|hash| (hash, core.roster().seq()))).await??;
        if pinned == Some(page.head) {
            if relay_seq >= own_seq {
                return Ok(());
            }
            tracing::warn!(
                "the relay lost the end of the log: it is given entries {} to {own_seq} again",
                relay_seq + 1
            );
            return self.heal(relay_seq, own_seq).await;
        }
        self.compare().await
    }

    /// Appends what the relay lost, as many entries at a time as it takes.
    async fn heal(&self, relay_seq: u64, own_seq: u64) -> Result<(), AgentError> {
        self.owe_refill().await?;
        let mut next = relay_seq + 1;
        while next <= own_seq {
            let entries = self.core(move |core| core.store().log_from(next, bounds::APPEND_ENTRIES_MAX)).await??;
            let (mut bytes, mut batch) = (0, Vec::new());
            for entry in entries {
                bytes += entry.len();
                if !batch.is_empty() && bytes > bounds::BODY_BYTES_MAX / 2 {
                    break;
                }
                batch.push(entry);
            }
            next += batch.len() as u64;
            self.relay().append(batch, Purpose::Heal).await?;
        }
        Ok(())
    }

    /// A relay says "not a member" to whoever asks for a chain that it does not know, or whose admission it lost: it is told the
    /// whole log again, and passes over what it has. Only if it then still says so is this device shut out.
    async fn refill(&self) -> Result<(), AgentError> {
        self.repeat_staged().await?;
        self.must_be_member().await?;
        // Most often it shuts out a device that was removed, and that is told as an error.
        tracing::info!("the relay does not know this member: telling it the log again");
        let (found, own_seq) = self
            .core(|core| {
                let found = core.store().log_from(0, 1)?.pop();
                Ok::<_, AgentError>((found, core.roster().seq()))
            })
            .await??;
        let found = found.ok_or(AgentError::Damaged { what: "the log is empty" })?;
        let told = match self.relay().found(&found).await {
            Ok(_) => self.heal(0, own_seq).await,
            Err(other) => Err(other),
        };
        match told {
            Ok(()) => {
                let (keys, chain, _, seq) = self.place().await?;
                match self.relay().log(&keys, chain, Some(seq)).await {
                    Err(AgentError::Problem { code, .. }) if code == SHUT_OUT => Err(AgentError::ShutOut),
                    Ok(_) => {
                        tracing::warn!("the relay did not know this device: it was given the log again");
                        Ok(())
                    }
                    Err(other) => Err(other),
                }
            }
            Err(AgentError::Problem { code, .. }) if code == "join-key-taken" => Err(AgentError::JoinKeyTaken),
            // Its refusal of the log says less than its refusal of the member.
            Err(AgentError::Problem { .. }) => Err(AgentError::ShutOut),
            Err(other) => Err(other),
        }
    }

    /// Reads the relay's log from `found` until it differs from ours; the first entry that differs is judged.
    async fn compare(&self) -> Result<(), AgentError> {
        let mut after = None;
        loop {
            let (keys, chain, _, own_seq) = self.place().await?;
            let page = self.relay().log(&keys, chain, after).await?;
            if page.entries.is_empty() {
                return Err(AgentError::Lie {
                    what: "the relay names a head that its own log does not have".to_owned(),
                });
            }
            let count = page.entries.len() as u64;
            let entries: Vec<Blob> = page.entries;
            let shown = entries.clone();
            // An alarm is for a fork that nobody settled.
            if let Some(seq) = self.core(move |core| core.first_stranger(&shown)).await?
                && self.is_settled_from(seq.saturating_sub(1)).await.unwrap_or_default()
            {
                return Ok(());
            }
            let judged = self
                .core(move |core| {
                    entries.iter().map(|entry| core.judge(entry)).find(|it| !matches!(it, Ok(Judged::Pinned)))
                })
                .await?;
            match judged {
                None | Some(Ok(Judged::Pinned)) => {}
                Some(Ok(Judged::Abandoned { common })) => return self.replace_at_relay(common).await,
                Some(Err(error)) => return Err(error),
            }
            let next = after.map_or(count - 1, |after: u64| after + count);
            // Every entry so far is pinned here, so there are no more of them than here.
            if next > own_seq {
                return Err(AgentError::Lie { what: "the relay repeats entries of the log without end".to_owned() });
            }
            after = Some(next);
        }
    }

    /// Brings the records up to the relay's feed. Where that is another one than this device read, or has what does not fit beside what
    /// is here, all of it is compared: the relay may have lost something.
    pub(crate) async fn catch_up_records(&self) -> Result<(), AgentError> {
        match self.read_feed().await? {
            Feed::GoesOn => Ok(()),
            Feed::IsAnother => {
                self.owe_refill().await?;
                self.refill_if_owed().await
            }
        }
    }

    /// Takes pushed records. Compares the whole feed where they do not fit, and reads it again where they are refused.
    pub(crate) async fn take_pushed_records(&self, page: RecordPage) -> Result<(), AgentError> {
        match self.core(move |core| core.take_page(&page)).await? {
            Err(AgentError::BadRecord(refusal)) if does_not_fit(&refusal) => {
                self.owe_refill().await?;
                self.refill_if_owed().await
            }
            // A relay that was restored from an older copy may have taken it of a device whose removal it had lost, and dropped it once it
            // was told of that again: it is a lie only if the relay, with our log, still has it.
            Err(AgentError::BadRecord(refusal)) => {
                tracing::info!(%refusal, "a record that was pushed is refused: reading the feed again");
                self.catch_up_log().await?;
                self.catch_up_records().await
            }
            taken => taken,
        }
    }

    async fn read_feed(&self) -> Result<Feed, AgentError> {
        let _turn = self.shared.following.lock().await;
        let mut cursor = self.core(|core| core.cursor()).await??;
        let mut known = cursor;
        loop {
            let (keys, chain, _, _) = self.place().await?;
            // At first what stands at the own place is read once more: there it shows whether this is the feed that was read before.
            let back = u64::from(known.is_some());
            let after = cursor.map(|cursor| Cursor { number: cursor.number.saturating_sub(back), ..cursor });
            let page = self.relay().records(&keys, chain, after).await?;
            if let Some(cursor) = known.take() {
                let beginning = page.clone();
                if self.core(move |core| core.is_of_another_feed(cursor, &beginning)).await?? {
                    return Ok(Feed::IsAnother);
                }
            }
            let done = page.rows.is_empty() || page.cursor.number >= page.last;
            let moved = cursor != Some(page.cursor);
            cursor = Some(page.cursor);
            if moved {
                match self.core(move |core| core.take_page(&page)).await? {
                    Err(AgentError::BadRecord(refusal)) if does_not_fit(&refusal) => return Ok(Feed::IsAnother),
                    taken => taken?,
                }
            }
            // A page that is full with what stands at the own place moves nothing, and is not the last.
            if done || (!moved && back == 0) {
                return Ok(Feed::GoesOn);
            }
        }
    }

    /// Log, own forms under way, and records. On a forked log membership stands still, and reading goes on.
    pub(crate) async fn catch_up(&self) -> Result<(), AgentError> {
        match self.catch_up_log().await {
            Ok(()) => {
                self.flush_entry().await?;
                self.rotate_if_owed().await?;
                self.refill_if_owed().await?;
            }
            Err(AgentError::Fork { .. } | AgentError::Forked) => {}
            Err(other) => return Err(other),
        }
        self.flush_records().await?;
        self.catch_up_records().await?;
        self.refill_if_owed().await?;
        self.complete_items().await
    }

    /// Where this member stands.
    pub(super) async fn place(
        &self,
    ) -> Result<(protocol::keys::DeviceKeys, protocol::ChainId, protocol::Hash, u64), AgentError> {
        self.core(|core| {
            let roster = core.roster();
            (core.keys().clone(), roster.chain(), roster.head(), roster.seq())
        })
        .await
    }
}
